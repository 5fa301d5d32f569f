//! `--record`: the command that changed an object, kept in an annotation of it.

use clap::Args;
use serde_json::Value;

use super::call::{Call, MERGE};
use super::context::Ctx;
use super::value::at_mut;

/// The annotation that says why an object was changed.
pub(crate) const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";
/// What is said of the flag wherever it is given.
pub(super) const DEPRECATED: &str =
    "Flag --record has been deprecated, --record will be removed in the future";

/// The flag `--record`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RecordArgs {
    /// Keep the command in an annotation of the object
    #[arg(long, hide = true)]
    record: bool,
}

impl RecordArgs {
    /// Writes the command into an object, if that is wanted.
    pub(crate) fn mark(&self, ctx: &Ctx, object: &mut Value) {
        if self.record {
            let cause = ctx.globals.change_cause.as_str();
            at_mut(object, &["metadata", "annotations"])[CHANGE_CAUSE] = cause.into();
        }
    }

    /// Writes the command into an object of the server, if that is wanted. It is no failure if that cannot be done: what was asked for is.
    pub(crate) async fn patch(&self, ctx: &Ctx, path: String) -> Option<Value> {
        let mut patch = Value::Null;
        self.mark(ctx, &mut patch);
        if patch.is_null() {
            return None;
        }
        ctx.call(Call::patch(path, MERGE, &patch)).await.ok()
    }

    /// Whether anything is kept.
    pub(crate) fn is_set(&self) -> bool {
        self.record
    }
}

/// A command line as it is kept: the words, then the flags with their values.
pub(super) fn cause(args: &[String]) -> String {
    let ended = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let (before, after) = args.split_at(ended);
    let is_flag = |arg: &&String| arg.starts_with("--");
    let mut words: Vec<String> = vec!["kubectl".into()];
    words.extend(before.iter().filter(|arg| !is_flag(arg)).cloned());
    words.extend(after.iter().skip(1).cloned());
    words.extend(
        before
            .iter()
            .filter(is_flag)
            .map(|flag| if flag.contains('=') { flag.clone() } else { format!("{flag}=true") }),
    );
    words.join(" ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_come_before_flags() {
        let args = ["set", "image", "--record", "pod/p", "--namespace=x", "c=y", "--", "z"];
        let args = args.map(str::to_owned);
        assert_eq!(
            super::cause(&args),
            "kubectl set image pod/p c=y z --record=true --namespace=x"
        );
    }
}

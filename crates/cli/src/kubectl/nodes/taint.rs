//! `taint`.

use clap::Args;
use serde_json::{Value, json};

use super::super::call::{Call, MERGE};
use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome, quoted};
use super::super::report::{DryRun, DryRunArgs, Report, ReportArgs, ValidateArgs};
use super::super::select::Item;
use super::super::value::Look;
use super::{nodes, with_taints};

/// Change the taints of nodes
#[derive(Debug, Args)]
pub(crate) struct Taint {
    /// nodes NAME..., then KEY[=VALUE]:EFFECT or KEY[:EFFECT]-
    words: Vec<String>,
    /// Change effects that are there already
    #[arg(long)]
    overwrite: bool,
    /// All nodes
    #[arg(long)]
    all: bool,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Who manages the fields
    #[arg(long, default_value = "kubectl-taint")]
    field_manager: String,
    #[command(flatten)]
    validate: ValidateArgs,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
}

/// A taint that is added, or removed: with any effect if it names none.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    key: String,
    value: String,
    effect: String,
}

/// What the words of the command line ask for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    added: Vec<Wanted>,
    removed: Vec<Wanted>,
}

pub(crate) async fn run(ctx: &Ctx, args: Taint) -> Outcome {
    let dry_run = args.dry_run.parse(ctx)?;
    args.validate.query()?;
    let (words, changes) = split(&args.words)?;
    let Some((kind, names)) = words.split_first() else {
        return Err(Fault::refused("one or more resources must be specified as <resource> <name>"));
    };
    if changes.is_empty() {
        return Err(Fault::refused("at least one taint update is required"));
    }
    let changes = Changes::parse(changes).map_err(|why| Fault::usage("taint", why))?;
    let kind = kind.to_lowercase();
    let found = ctx.discovery().await?.find(&kind);
    let found = found.ok_or_else(|| Fault::Bare(super::super::discovery::unserved(&kind)))?;
    if found.kind != "Node" {
        return Err(Fault::refused(format!(
            "invalid resource type {kind}, only node types are supported"
        )));
    }
    changes.refuse_both()?;
    let has_selector = args.selector.as_deref().is_some_and(|text| !text.is_empty());
    if args.all && has_selector {
        return Err(Fault::refused(
            "setting 'all' parameter with a non empty selector is prohibited",
        ));
    }
    if !args.all && !has_selector && names.is_empty() {
        return Err(Fault::refused(
            "at least one resource name must be specified since 'all' parameter is not set",
        ));
    }
    // With --all or a selector the names are passed over.
    let names = if args.all || has_selector { &[] } else { names };
    let found = nodes(ctx, names, args.selector.as_deref(), args.all).await?;
    // Kubectl v1.36 does not tell a dry run of a taint from a real one.
    let report = Report::new(&args.report, DryRun::None)?;
    let mut visit = found.visit();
    while let Some(item) = visit.next() {
        if let Err(fault) = one(ctx, &args, &changes, &report, dry_run, &item).await {
            visit.failed(fault);
        }
    }
    visit.end()
}

/// Words that name nodes, and the taints after them.
fn split(words: &[String]) -> Result<(&[String], &[String]), Fault> {
    let is_taint = |word: &String| word.contains(['=', ':']) || word.ends_with('-');
    let first = words.iter().position(is_taint).unwrap_or(words.len());
    let (named, taints) = words.split_at(first);
    match taints.iter().find(|word| !is_taint(word)) {
        Some(word) => Err(Fault::refused(format!(
            "all resources must be specified before taint changes: {word}"
        ))),
        None => Ok((named, taints)),
    }
}

impl Changes {
    fn parse(texts: &[String]) -> Result<Self, String> {
        let mut changes = Self::default();
        for text in texts {
            if let Some(text) = text.strip_suffix('-') {
                changes.removed.push(Wanted::parse(text)?);
                continue;
            }
            let taint = Wanted::parse(text)?;
            if taint.effect.is_empty() {
                return Err(format!("invalid taint spec: {text}"));
            }
            let is_same = |own: &Wanted| own.key == taint.key && own.effect == taint.effect;
            if changes.added.iter().any(is_same) {
                let Wanted { key, value, effect } = taint;
                return Err(format!(
                    "duplicated taints with the same key and effect: {{{key} {value} {effect} <nil>}}"
                ));
            }
            changes.added.push(taint);
        }
        Ok(changes)
    }

    /// Refuses to add and to remove the same.
    fn refuse_both(&self) -> Outcome {
        let mut both = Vec::new();
        for added in &self.added {
            for removed in self.removed.iter().filter(|removed| removed.matches(added)) {
                both.push(format!("{}={}", removed.key, removed.effect));
            }
        }
        if both.is_empty() {
            return Ok(());
        }
        Err(Fault::refused(format!(
            "can not both modify and remove the following taint(s) in the same command: {}",
            both.join(", ")
        )))
    }

    /// The taints of a node after the changes, and what is said of it.
    fn apply(&self, own: &[Value], overwrite: bool) -> Result<(Vec<Value>, &'static str), Fault> {
        let mut taints: Vec<Value> = self.added.iter().map(Wanted::to_value).collect();
        let is_new = |old: &&Value| {
            !self.added.iter().any(|new| new.key == old.s("/key") && new.effect == old.s("/effect"))
        };
        taints.extend(own.iter().filter(is_new).cloned());
        let is_added = taints.len() != own.len();
        let mut is_removed = false;
        let mut faults = Vec::new();
        for removed in &self.removed {
            let before = taints.len();
            taints.retain(|taint| !removed.fits(taint));
            is_removed = taints.len() < before;
            if !is_removed {
                let colon = if removed.effect.is_empty() { "" } else { ":" };
                let name = quoted(&format!("{}{colon}{}", removed.key, removed.effect));
                faults.push(Fault::refused(format!("taint {name} not found")));
            }
        }
        if !faults.is_empty() {
            return Err(Fault::Many(faults));
        }
        let told = match (is_added, is_removed) {
            (true, true) => "modified",
            _ if overwrite => "modified",
            (true, false) => "tainted",
            (false, _) => "untainted",
        };
        Ok((taints, told))
    }
}

impl Wanted {
    /// Reads `KEY[=VALUE]:EFFECT` or `KEY`.
    fn parse(text: &str) -> Result<Self, String> {
        let invalid = |why: &[std::borrow::Cow<'static, str>]| {
            let comma = if why.is_empty() { "" } else { ", " };
            format!("invalid taint spec: {text}{comma}{}", why.join("; "))
        };
        let parts: Vec<&str> = text.split(':').collect();
        let (pair, effect) = match parts.as_slice() {
            [key] => (*key, ""),
            [pair, effect] => (*pair, *effect),
            _ => return Err(invalid(&[])),
        };
        let is_effect = matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute");
        if parts.len() == 2 && !is_effect {
            return Err(format!("invalid taint effect: {effect}, unsupported taint effect"));
        }
        let (key, value) = match pair.split_once('=').filter(|_| parts.len() == 2) {
            Some((_, value)) if value.contains('=') => return Err(invalid(&[])),
            Some((key, value)) => (key, value),
            None => (pair, ""),
        };
        for faults in [podo_api::names::label_value(value), podo_api::names::qualified_name(key)] {
            if !faults.is_empty() {
                return Err(invalid(&faults));
            }
        }
        Ok(Self { key: key.into(), value: value.into(), effect: effect.into() })
    }

    fn matches(&self, other: &Self) -> bool {
        self.key == other.key && (self.effect.is_empty() || self.effect == other.effect)
    }

    fn fits(&self, taint: &Value) -> bool {
        self.key == taint.s("/key") && (self.effect.is_empty() || self.effect == taint.s("/effect"))
    }

    fn to_value(&self) -> Value {
        let mut taint = json!({"key": self.key, "effect": self.effect});
        if !self.value.is_empty() {
            taint["value"] = self.value.clone().into();
        }
        taint
    }
}

async fn one(
    ctx: &Ctx,
    args: &Taint,
    changes: &Changes,
    report: &Report,
    dry_run: DryRun,
    item: &Item,
) -> Outcome {
    let own = item.object.list("/spec/taints");
    if !args.overwrite {
        let taken = changes.added.iter().filter(|new| own.iter().any(|old| new.fits(old)));
        let taken: Vec<&str> = taken.map(|new| new.key.as_str()).collect();
        if !taken.is_empty() {
            return Err(Fault::refused(format!(
                "node {} already has {} taint(s) with same effect(s) and --overwrite is false",
                item.name,
                taken.join(",")
            )));
        }
    }
    let (taints, told) = changes.apply(own, args.overwrite)?;
    let mut object = with_taints(&item.object, taints.clone());
    if dry_run != DryRun::Client {
        let mut patch = json!({"spec": {"taints": taints}});
        if patch["spec"]["taints"] == json!([]) {
            patch["spec"]["taints"] = Value::Null;
        }
        let call = Call::patch(item.path(), MERGE, &patch)
            .query("dryRun", dry_run.query())
            .query("fieldManager", args.field_manager.clone())
            .query("fieldValidation", args.validate.query()?);
        object = ctx.call(call).await?;
    }
    report.done(ctx, &object, told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taints_are_read_as_kubectl_does() {
        let cases = [
            ("a=b:NoSchedule", Ok(("a", "b", "NoSchedule"))),
            ("a:NoExecute", Ok(("a", "", "NoExecute"))),
            ("a", Ok(("a", "", ""))),
            ("a=b:Foo", Err("invalid taint effect: Foo, unsupported taint effect")),
            ("a=b=c:NoSchedule", Err("invalid taint spec: a=b=c:NoSchedule")),
            ("a:b:NoSchedule", Err("invalid taint spec: a:b:NoSchedule")),
        ];
        for (text, expected) in cases {
            let expected = expected.map_err(str::to_owned).map(|(key, value, effect)| Wanted {
                key: key.into(),
                value: value.into(),
                effect: effect.into(),
            });
            assert_eq!(Wanted::parse(text), expected, "{text}");
        }
    }
}

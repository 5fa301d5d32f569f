//! Makes the arguments that Go's flag library takes into those that ours takes: `--flag=true` and `--flag=false` of booleans.

use std::ffi::OsString;

use clap::{ArgAction, Command};

/// The subcommands whose `--user` is a subject, not the user of the kubeconfig.
const BINDINGS: [&str; 2] = ["rolebinding", "clusterrolebinding"];

/// Gives the `--user` of bindings the name that tells it from the one that all commands take.
pub(crate) fn subjects(args: Vec<OsString>) -> Vec<OsString> {
    let is_binding = args.iter().any(|arg| arg == "create")
        && args.iter().any(|arg| BINDINGS.iter().any(|name| arg == *name));
    if !is_binding {
        return args;
    }
    let rename = |arg: OsString| match arg.to_str() {
        Some("--user") => "--subject-user".into(),
        Some(text) => match text.strip_prefix("--user=") {
            Some(user) => format!("--subject-user={user}").into(),
            None => arg,
        },
        None => arg,
    };
    args.into_iter().map(rename).collect()
}

/// Turns `--flag=true` into `--flag` and takes `--flag=false` away, for flags that have no value for us. Nothing after `--` is touched.
pub(crate) fn booleans(command: &Command, args: Vec<OsString>) -> Vec<OsString> {
    let mut current = command;
    let mut chain = vec![command];
    let mut out = Vec::with_capacity(args.len());
    let mut is_literal = false;
    for (index, arg) in args.into_iter().enumerate() {
        let Some(text) = arg.to_str().filter(|_| index > 0 && !is_literal) else {
            out.push(arg);
            continue;
        };
        if text == "--" {
            is_literal = true;
        }
        if let Some(next) = current.find_subcommand(text).filter(|_| !text.starts_with('-')) {
            current = next;
            chain.push(next);
        }
        let (flag, value) = match text.split_once('=') {
            Some((flag, value)) if flag.starts_with('-') => (flag, value),
            _ => {
                out.push(arg);
                continue;
            }
        };
        let is_bool = chain.iter().any(|command| is_boolean(command, flag));
        match value.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" if is_bool => out.push(flag.into()),
            "false" | "f" | "0" if is_bool => {}
            _ => out.push(arg),
        }
    }
    out
}

fn is_boolean(command: &Command, flag: &str) -> bool {
    command.get_arguments().any(|argument| {
        let is_named = match flag.strip_prefix("--") {
            Some(long) => argument.get_long() == Some(long),
            None => flag.len() == 2 && argument.get_short() == flag.chars().nth(1),
        };
        is_named && matches!(argument.get_action(), ArgAction::SetTrue)
    })
}

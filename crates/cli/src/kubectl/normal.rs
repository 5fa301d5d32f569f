//! Reads a command line as Go's flag library does, and makes of it one that ours cannot read otherwise.
//!
//! Holds always
//! - What Go's library refuses is refused in its words, before anything else is looked at.
//! - A flag with a value leaves as `--flag=value`, so a value may begin with `-`; one that has none leaves as `--flag`.
//! - Nothing after `--` is touched.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::num::ParseIntError;
use std::str::FromStr;

use clap::{Arg, ArgAction, Command};
use podo_api::duration::{DurationError, GoDuration};

use super::fault::quoted;

/// The subcommands whose `--user` is a subject, not the user of the kubeconfig.
const BINDINGS: [&str; 2] = ["rolebinding", "clusterrolebinding"];

/// The flags whose values are durations; all commands agree about these names.
const DURATIONS: [&str; 4] = ["since", "timeout", "pod-running-timeout", "duration"];

/// A command line, read.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    /// The arguments, each in its plainest form.
    pub(crate) args: Vec<OsString>,
    /// The command that they mean.
    pub(crate) command: &'a Command,
    /// What calls the command: `kubectl create service`.
    pub(crate) path: String,
    /// The words that are neither a command nor a flag nor its value.
    pub(crate) words: Vec<String>,
}

/// Gives the `--user` of bindings, and of `set subject`, the name that tells it from the one that all commands take.
pub(crate) fn subjects(args: Vec<OsString>) -> Vec<OsString> {
    let has = |word: &str| args.iter().any(|arg| arg == word);
    let is_binding = has("create") && BINDINGS.iter().any(|name| has(name));
    if !(is_binding || has("set") && has("subject")) {
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

/// Reads the arguments of a command that is built. A mistake comes with what was read before it.
pub(crate) fn read(command: &Command, args: Vec<OsString>) -> Result<Line<'_>, (Line<'_>, String)> {
    let mut rest = args.into_iter();
    let args: Vec<OsString> = rest.next().into_iter().collect();
    let mut line = Line { args, command, path: command.get_name().to_owned(), words: Vec::new() };
    while let Some(arg) = rest.next() {
        let read = match arg.to_str() {
            Some("--") => {
                line.rest(&mut rest);
                break;
            }
            Some("-h" | "--help") => {
                line.args.push("--help".into());
                Ok(())
            }
            Some(text) if text.starts_with("--") => line.long(text, &mut rest),
            Some(text) if text.starts_with('-') && text.len() > 1 => line.short(text, &mut rest),
            _ => {
                line.word(arg);
                Ok(())
            }
        };
        if let Err(mistake) = read {
            return Err((line, mistake));
        }
    }
    Ok(line)
}

impl<'a> Line<'a> {
    /// What follows `--`.
    fn rest(&mut self, rest: &mut impl Iterator<Item = OsString>) {
        self.args.push("--".into());
        for arg in rest {
            self.words.push(arg.to_string_lossy().into_owned());
            self.args.push(arg);
        }
    }

    /// A word: the name of a subcommand, or an argument.
    fn word(&mut self, arg: OsString) {
        let next = arg.to_str().filter(|_| self.words.is_empty());
        if let Some(next) = next.and_then(|name| self.command.find_subcommand(name)) {
            self.command = next;
            self.path = format!("{} {}", self.path, next.get_name());
        } else {
            self.words.push(arg.to_string_lossy().into_owned());
        }
        self.args.push(arg);
    }

    fn find(&self, is_meant: impl Fn(&Arg) -> bool) -> Option<&'a Arg> {
        self.command.get_arguments().find(|argument| is_meant(argument))
    }

    fn long(
        &mut self,
        text: &str,
        rest: &mut impl Iterator<Item = OsString>,
    ) -> Result<(), String> {
        let (name, value) = match text[2..].split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (&text[2..], None),
        };
        let is_meant = |flag: &Arg| {
            flag.get_long() == Some(name)
                || flag.get_all_aliases().is_some_and(|all| all.contains(&name))
        };
        let flag = self.find(is_meant).ok_or_else(|| format!("unknown flag: --{name}"))?;
        let value = match value {
            Some(value) => Some(value),
            None if may_stand_alone(flag) => None,
            None => Some(rest.next().ok_or_else(|| format!("flag needs an argument: --{name}"))?),
        };
        self.flag(flag, value)
    }

    /// `-w`, `-it`, `-ojson`, `-o=json`, `-o json`.
    fn short(
        &mut self,
        text: &str,
        rest: &mut impl Iterator<Item = OsString>,
    ) -> Result<(), String> {
        for (at, letter) in text[1..].char_indices() {
            let group = &text[1 + at..];
            let after = &group[letter.len_utf8()..];
            let flag = self
                .find(|flag| flag.get_short() == Some(letter))
                .ok_or_else(|| format!("unknown shorthand flag: '{letter}' in -{group}"))?;
            if let Some(value) = after.strip_prefix('=') {
                return self.flag(flag, Some(value.into()));
            }
            if may_stand_alone(flag) {
                self.flag(flag, None)?;
                continue;
            }
            let value = if after.is_empty() { rest.next() } else { Some(after.into()) };
            let value =
                value.ok_or_else(|| format!("flag needs an argument: '{letter}' in -{group}"))?;
            return self.flag(flag, Some(value));
        }
        Ok(())
    }

    fn flag(&mut self, flag: &Arg, value: Option<OsString>) -> Result<(), String> {
        let long = flag.get_long().unwrap_or_default();
        let mut plain = OsString::from(format!("--{long}"));
        let is_switch = matches!(flag.get_action(), ArgAction::SetTrue);
        if let Some(value) = value {
            let value = checked(flag, long, &value)?;
            match value.to_str() {
                Some("false") if is_switch => {
                    self.args.retain(|arg| *arg != plain);
                    return Ok(());
                }
                _ if is_switch => {}
                _ => {
                    plain.push("=");
                    plain.push(value);
                }
            }
        }
        self.args.push(plain);
        Ok(())
    }
}

/// Whether a flag means something without a value.
fn may_stand_alone(flag: &Arg) -> bool {
    matches!(flag.get_action(), ArgAction::SetTrue) || flag.is_require_equals_set()
}

/// A value that the flag can take, in the form that ours reads.
fn checked(flag: &Arg, long: &str, value: &OsStr) -> Result<OsString, String> {
    let Some(text) = value.to_str() else {
        return Ok(value.to_owned());
    };
    let kind = flag.get_value_parser().type_id();
    let integers = [
        TypeId::of::<i64>(),
        TypeId::of::<i32>(),
        TypeId::of::<u32>(),
        TypeId::of::<u16>(),
        TypeId::of::<usize>(),
    ];
    let is_switch = matches!(flag.get_action(), ArgAction::SetTrue);
    let read = if is_switch || kind == TypeId::of::<bool>() {
        boolean(text).map(|value| value.to_string().into())
    } else if integers.iter().any(|integer| kind == *integer) {
        let read = if kind == TypeId::of::<i32>() {
            integer::<i32>(text).map(i64::from)
        } else {
            integer::<i64>(text)
        };
        read.map(|value| value.to_string().into())
    } else if DURATIONS.contains(&long) {
        let read: Result<GoDuration, DurationError> = text.parse();
        read.map(|_| value.to_owned()).map_err(|error| error.to_string())
    } else {
        Ok(value.to_owned())
    };
    read.map_err(|why| {
        let name = match flag.get_short() {
            Some(short) => format!("-{short}, --{long}"),
            None => format!("--{long}"),
        };
        format!("invalid argument {} for {} flag: {why}", quoted(text), quoted(&name))
    })
}

/// A boolean as `strconv.ParseBool` reads it.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    podo_api::boolean::parse(text)
        .ok_or_else(|| format!("strconv.ParseBool: parsing {}: invalid syntax", quoted(text)))
}

fn integer<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, String> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse().map_err(|error: ParseIntError| {
        let why = match error.kind() {
            PosOverflow | NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.ParseInt: parsing {}: {why}", quoted(text))
    })
}

#[cfg(test)]
mod tests;

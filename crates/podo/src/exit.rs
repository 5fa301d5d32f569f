//! How the program ends: one sentence saying what is wrong, one saying what to do, and an exit code by class (`sysexits(3)`).

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::ExitCode;

use podo_base::Chain;

/// A class of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// 64: the command or its configuration is wrong.
    Usage,
    /// 69: something that is needed is taken or not there: a port, a lock, a kernel feature, disk.
    Unavailable,
    /// 70: the program is at fault.
    Internal,
    /// 77: the user may not.
    Permission,
}

impl Class {
    const fn code(self) -> u8 {
        match self {
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::Permission => 77,
        }
    }
}

/// What to do about a full disk.
const FULL: &str = "free some space on that disk, or choose a directory on another with --data-dir";

/// Why the program ends.
#[derive(Debug)]
pub(crate) struct Failure {
    class: Class,
    message: String,
    hint: Option<String>,
    /// The message is all there is to say: no fault, but help for who gave no command.
    is_help: bool,
}

impl Failure {
    /// A failure with its sentence.
    pub(crate) fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), hint: None, is_help: false }
    }

    /// A command line that says too little: how it is to be.
    pub(crate) fn help(text: impl Into<String>) -> Self {
        Self { is_help: true, ..Self::new(Class::Usage, text) }
    }

    /// A failure of an error and all its causes.
    pub(crate) fn of(class: Class, error: &(dyn Error + 'static)) -> Self {
        let failure = Self::new(class, Chain(error).to_string());
        if lacks_room(error) { failure.with_hint(FULL) } else { failure }
    }

    /// A failure to do something with a file.
    pub(crate) fn of_file(verb: &str, path: &Path, error: &io::Error) -> Self {
        let class = match error.kind() {
            ErrorKind::PermissionDenied => Class::Permission,
            _ => Class::Unavailable,
        };
        let failure = Self::new(class, format!("cannot {verb} {}: {error}", path.display()));
        if is_full(error) { failure.with_hint(FULL) } else { failure }
    }

    /// The sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What a person reads.
    pub(crate) fn told(&self) -> String {
        let start = if self.is_help { "" } else { "error: " };
        let hint = self.hint.as_ref().map(|hint| format!("\n\nhint: {hint}")).unwrap_or_default();
        format!("{start}{}{hint}", self.message)
    }

    /// The same failure with what to do about it.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Whether there was no room.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Whether an error comes from that.
fn lacks_room(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(is_full) || error.source().is_some_and(lacks_room)
}

/// Tells how a command ended and gives the exit code.
pub(crate) fn code(result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else { return ExitCode::SUCCESS };
    crate::tell(&failure.told());
    ExitCode::from(failure.class.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_a_sentence_and_what_to_do_and_help_is_neither() {
        let failure = Failure::new(Class::Usage, "no such thing").with_hint("look again");
        assert_eq!(failure.told(), "error: no such thing\n\nhint: look again");
        let help = Failure::help("Usage: podo");
        assert_eq!((help.told().as_str(), help.class), ("Usage: podo", Class::Usage));
    }
}

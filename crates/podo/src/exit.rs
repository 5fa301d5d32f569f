//! How the program ends: one sentence saying what is wrong, one saying what to do, and an exit code by class (`sysexits(3)`).

use std::error::Error;
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

/// Why the program ends.
#[derive(Debug)]
pub(crate) struct Failure {
    class: Class,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure with its sentence.
    pub(crate) fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), hint: None }
    }

    /// A failure of an error and all its causes.
    pub(crate) fn of(class: Class, error: &(dyn Error + 'static)) -> Self {
        Self::new(class, Chain(error).to_string())
    }

    /// The sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The same failure with what to do about it.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Tells how a command ended and gives the exit code.
pub(crate) fn code(result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else { return ExitCode::SUCCESS };
    crate::tell(&format!("error: {}", failure.message));
    if let Some(hint) = &failure.hint {
        crate::tell(&format!("\nhint: {hint}"));
    }
    ExitCode::from(failure.class.code())
}

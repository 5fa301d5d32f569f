//! The user's terminal: raw mode while a remote terminal is attached, and its size.
//!
//! Holds     the terminal is as it was before once a [`Raw`] is dropped.

use std::io;

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use serde_json::{Value, json};

use super::fault::{Fault, Outcome};

/// Whether standard input is a terminal.
pub(crate) fn is_input() -> bool {
    isatty(io::stdin())
}

/// The size of the terminal, as the resize channel says it; `None` without a terminal.
pub(crate) fn size() -> Option<Value> {
    let size =
        tcgetwinsize(io::stdout()).or_else(|_not_a_terminal| tcgetwinsize(io::stdin())).ok()?;
    Some(json!({"Width": size.ws_col, "Height": size.ws_row}))
}

/// Whether standard output is a terminal.
pub(crate) fn is_output() -> bool {
    isatty(io::stdout())
}

/// Does what goes on until the user ends it with ctrl-c, which kubectl v1.36 takes for a failure.
pub(crate) async fn until_interrupted(work: impl Future<Output = Outcome>) -> Outcome {
    tokio::select! {
        outcome = work => outcome,
        _interrupted = tokio::signal::ctrl_c() => Err(Fault::exit(1)),
    }
}

/// The terminal in raw mode (termios(3)): keys go to the remote side as they are.
pub(crate) struct Raw {
    before: Termios,
}

impl Raw {
    /// Switches the terminal of standard input.
    pub(crate) fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Drain, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no repair.
        let _restored = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}

//! Live streams of processes and ports: what the protocol gives a URL for.

use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::CriError;

/// Something to read.
pub type ReadStream = Box<dyn AsyncRead + Send + Unpin>;

/// Something to write; shutting it down ends the input.
pub type WriteStream = Box<dyn AsyncWrite + Send + Unpin>;

/// Both ways at once.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection to a port inside a sandbox.
pub type PortStream = Box<dyn Duplex>;

/// Resolves to a process' exit code (128 + the signal that ended it).
pub type ExitFuture = Pin<Box<dyn Future<Output = Result<i32, CriError>> + Send>>;

/// Size of a terminal in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TerminalSize {
    /// Characters in a line.
    pub width: u16,
    /// Lines.
    pub height: u16,
}

/// A process' streams as one client holds them. A stream that was not asked for, or that the process does not have, is
/// absent. Reading must go on for the process to go on; dropping the streams closes them.
pub struct ExecStreams {
    /// Its standard input, or its terminal to write to.
    pub stdin: Option<WriteStream>,
    /// Its standard output, or its terminal to read from.
    pub stdout: Option<ReadStream>,
    /// Its standard error; never with a terminal.
    pub stderr: Option<ReadStream>,
    /// Takes the terminal's size; the newest counts. None without a terminal.
    pub resize: Option<watch::Sender<TerminalSize>>,
    /// Its end. Output may still have to be read then. Dropping it changes nothing.
    pub exit: ExitFuture,
}

impl std::fmt::Debug for ExecStreams {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ExecStreams")
            .field("stdin", &self.stdin.is_some())
            .field("stdout", &self.stdout.is_some())
            .field("stderr", &self.stderr.is_some())
            .field("tty", &self.resize.is_some())
            .finish_non_exhaustive()
    }
}

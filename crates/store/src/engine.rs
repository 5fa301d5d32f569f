//! What makes transactions durable: the seam between the store's core and its logs.
//!
//! Holds always: after an error other than [`AppendError::Full`] nothing is known about what the log holds, and the engine is
//! not called again.

use std::error::Error;
use std::io;

use crate::key::{Key, Revision};

/// A log of transactions. Called by the committer alone.
pub trait Engine: Send + 'static {
    /// Locks the log and gives everything durable to `sink`: the base (a snapshot, or nothing at revision 0), then every
    /// transaction after it, in order and without gap.
    fn recover(&mut self, sink: &mut dyn Sink) -> Result<(), OpenError>;

    /// Makes the transactions durable, all of them, before it returns. After [`AppendError::Full`] none of them will ever be
    /// recovered.
    fn append(&mut self, txns: &[LoggedTxn<'_>]) -> Result<(), AppendError>;

    /// Whether the log is long enough for a new base.
    fn wants_checkpoint(&self) -> bool {
        false
    }

    /// Begins a new base of the state at `revision`, the last one appended. At most one is under way.
    fn begin_checkpoint(
        &mut self,
        _revision: Revision,
    ) -> Result<Option<Box<dyn Checkpoint>>, AppendError> {
        Ok(None)
    }

    /// The base was finished (or could not be): drops what it makes unnecessary.
    fn end_checkpoint(&mut self, _is_finished: bool) -> io::Result<()> {
        Ok(())
    }
}

/// A base being written, beside appends.
pub trait Checkpoint: Send {
    /// Adds an entry.
    fn entry(&mut self, entry: &LoggedEntry<'_>) -> io::Result<()>;
    /// Makes the base durable and the one to recover from.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// Takes what is recovered.
pub trait Sink {
    /// An entry of the base.
    fn entry(&mut self, entry: &LoggedEntry<'_>) -> Result<(), OpenError>;
    /// The base is complete and stands at `revision`.
    fn base(&mut self, revision: Revision) -> Result<(), OpenError>;
    /// A transaction after the base.
    fn txn(&mut self, txn: &LoggedTxn<'_>) -> Result<(), OpenError>;
}

/// An entry as a base keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEntry<'a> {
    /// Its key's bucket.
    pub bucket: &'a str,
    /// Its key's rest.
    pub rest: &'a str,
    /// The transaction that wrote it.
    pub revision: Revision,
    /// The transaction that created it.
    pub create_revision: Revision,
    /// How often it was written.
    pub version: u64,
    /// The value's bytes.
    pub value: &'a [u8],
}

/// A transaction as a log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedTxn<'a> {
    /// Its revision.
    pub revision: Revision,
    /// When it was committed, in milliseconds since 1970.
    pub at_ms: u64,
    /// What it changed.
    pub ops: Vec<LoggedOp<'a>>,
}

/// One change of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedOp<'a> {
    /// Its key's bucket.
    pub bucket: &'a str,
    /// Its key's rest.
    pub rest: &'a str,
    /// The value's bytes; `None` deletes.
    pub value: Option<&'a [u8]>,
}

/// A write to the log failed in a way that leaves in doubt what it holds.
#[derive(Debug, thiserror::Error)]
pub enum Poison {
    /// Writing failed.
    #[error("writing {file:?} failed; what it holds is in doubt")]
    Write {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The device could not be made to keep what was written. It may have dropped it.
    #[error("syncing {file:?} failed; what it holds is in doubt")]
    Sync {
        /// The file, or the directory.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The committer met a state that cannot be.
    #[error("the committer panicked")]
    Panicked,
}

/// Transactions were not made durable.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// No space; the log is as it was.
    #[error("no space left")]
    Full,
    /// The log is in doubt.
    #[error(transparent)]
    Poisoned(#[from] Poison),
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("store {path:?} is in use by another process")]
    Locked {
        /// The directory.
        path: String,
    },
    /// The operating system refused something.
    #[error("store file {file:?} cannot be read or prepared")]
    Io {
        /// The file, or the directory.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not what was written. Nothing is guessed: restore the directory from a copy.
    #[error("store file {file:?} is damaged at byte {offset}: {reason}")]
    Corrupt {
        /// The file.
        file: String,
        /// Where.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The file was written by a version of the program that this one does not know.
    #[error("store file {file:?} has format {found}; this program reads {supported}")]
    Version {
        /// The file.
        file: String,
        /// The format it has.
        found: u32,
        /// The format that can be read.
        supported: u32,
    },
    /// A value's bytes are sound but make no value.
    #[error("value of {:?} at revision {revision} cannot be read", key.to_string())]
    Value {
        /// Whose value.
        key: Key,
        /// Its revision.
        revision: Revision,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The committer's thread could not be started.
    #[error("store's committer cannot be started")]
    Thread(#[source] io::Error),
}

/// An engine that keeps nothing: for tests and simulations.
#[derive(Debug, Default)]
pub struct Memory;

impl Engine for Memory {
    fn recover(&mut self, sink: &mut dyn Sink) -> Result<(), OpenError> {
        sink.base(Revision(0))
    }

    fn append(&mut self, _txns: &[LoggedTxn<'_>]) -> Result<(), AppendError> {
        Ok(())
    }
}

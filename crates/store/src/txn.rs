//! Transactions: what a writer asks for, and what it is told.

use std::fmt;
use std::sync::Arc;

use crate::engine::Poison;
use crate::key::{Key, Revision};
use crate::value::{Entry, Value};

/// Most operations in one transaction; etcd's default (`--max-txn-ops`).
pub const TXN_OPS_MAX: usize = 128;

/// Most bytes of keys and values in one transaction. With [`crate::Config::value_bytes_max`] this bounds a record of the log.
pub const TXN_BYTES_MAX: usize = 16 << 20;

/// Changes that happen together or not at all, under one revision.
#[derive(Debug, Clone)]
pub struct Txn<V> {
    /// Each names a key of its own.
    pub ops: Vec<Op<V>>,
}

impl<V> Txn<V> {
    /// One key gets a value.
    pub fn put(key: Key, expect: Expect, value: V) -> Self {
        Self { ops: vec![Op { key, expect, change: Write::Put(value) }] }
    }

    /// One key goes.
    pub fn delete(key: Key, expect: Expect) -> Self {
        Self { ops: vec![Op { key, expect, change: Write::Delete }] }
    }
}

/// One change of one key.
#[derive(Debug, Clone)]
pub struct Op<V> {
    /// Where.
    pub key: Key,
    /// What must hold before; else the whole transaction is refused.
    pub expect: Expect,
    /// What to do.
    pub change: Write<V>,
}

/// What an operation does.
#[derive(Debug, Clone)]
pub enum Write<V> {
    /// The key gets this value.
    Put(V),
    /// The key goes. Deleting a key that does not exist changes nothing.
    Delete,
}

/// What must hold for an operation to go ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Any,
    /// The key does not exist.
    Absent,
    /// The key exists.
    Exists,
    /// The key was last written by this transaction.
    Revision(Revision),
}

impl Expect {
    pub(crate) fn holds<V>(self, current: Option<&Entry<V>>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => current.is_none(),
            Self::Exists => current.is_some(),
            Self::Revision(revision) => current.is_some_and(|entry| entry.revision == revision),
        }
    }
}

/// A transaction that is durable and visible.
#[derive(Debug)]
pub struct Committed<V> {
    /// Its revision; if it changed nothing (deletions of absent keys only), the store's.
    pub revision: Revision,
    /// Per operation, in order: the entry written, or the last entry restamped with the revision of its deletion, or `None` if
    /// there was nothing to delete.
    pub entries: Vec<Option<Arc<Entry<V>>>>,
}

/// Why a transaction did not happen. Except for [`CommitError::Poisoned`], nothing of it will ever be seen.
#[derive(thiserror::Error)]
pub enum CommitError<V> {
    /// What an operation expected does not hold.
    #[error("{:?} is not as expected", key.to_string())]
    Conflict {
        /// The first such key.
        key: Key,
        /// What is there.
        current: Option<Arc<Entry<V>>>,
    },
    /// A write to disk is in doubt; nothing is answered until a restart has read what is really there.
    #[error("store is poisoned")]
    Poisoned(#[source] Arc<Poison>),
    /// No space on the disk. Nothing is in doubt: the same call can succeed once there is space.
    #[error("no space left for the store's log")]
    Full,
    /// A value is larger than [`crate::Config::value_bytes_max`].
    #[error("value of {:?} has {bytes} bytes, more than {max}", key.to_string())]
    TooLarge {
        /// Whose value.
        key: Key,
        /// Its size.
        bytes: usize,
        /// What is allowed.
        max: usize,
    },
    /// More than [`TXN_OPS_MAX`] operations, or more than [`TXN_BYTES_MAX`] bytes.
    #[error("transaction of {ops} operations and {bytes} bytes is too large")]
    TxnTooLarge {
        /// How many operations.
        ops: usize,
        /// Bytes of all keys and values.
        bytes: usize,
    },
    /// A part of the key is empty or too long.
    #[error("key {:?} is empty or too long", key.to_string())]
    InvalidKey {
        /// The key.
        key: Key,
    },
    /// Two operations name the same key.
    #[error("{:?} is named twice in one transaction", key.to_string())]
    DuplicateKey {
        /// The key.
        key: Key,
    },
    /// The store is being closed.
    #[error("store is closed")]
    Closed,
}

impl<V> fmt::Debug for CommitError<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommitError({self})")
    }
}

impl<V> CommitError<V> {
    /// Whether the same call can succeed later with nothing else changed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Full => true,
            Self::Conflict { .. }
            | Self::Poisoned(_)
            | Self::TooLarge { .. }
            | Self::TxnTooLarge { .. }
            | Self::InvalidKey { .. }
            | Self::DuplicateKey { .. }
            | Self::Closed => false,
        }
    }
}

/// A transaction whose shape was checked and whose values were encoded, on the writer's thread.
pub(crate) struct Prepared<V> {
    pub(crate) ops: Vec<PreparedOp<V>>,
    pub(crate) bytes: usize,
}

/// One operation of it.
pub(crate) struct PreparedOp<V> {
    pub(crate) key: Key,
    pub(crate) expect: Expect,
    /// The value and its bytes for the log; `None` deletes.
    pub(crate) put: Option<(V, Vec<u8>)>,
}

impl<V: Value> Prepared<V> {
    pub(crate) fn new(txn: Txn<V>, value_bytes_max: usize) -> Result<Self, CommitError<V>> {
        if txn.ops.len() > TXN_OPS_MAX {
            return Err(CommitError::TxnTooLarge { ops: txn.ops.len(), bytes: 0 });
        }
        let mut ops: Vec<PreparedOp<V>> = Vec::with_capacity(txn.ops.len());
        let mut bytes = 0;
        for Op { key, expect, change } in txn.ops {
            if !key.is_valid() {
                return Err(CommitError::InvalidKey { key });
            }
            if ops.iter().any(|op| op.key == key) {
                return Err(CommitError::DuplicateKey { key });
            }
            bytes += key.bucket().len() + key.rest().len();
            let put = match change {
                Write::Delete => None,
                Write::Put(value) => {
                    let mut log = Vec::new();
                    value.to_log(&mut log);
                    if log.len() > value_bytes_max {
                        let bytes = log.len();
                        return Err(CommitError::TooLarge { key, bytes, max: value_bytes_max });
                    }
                    bytes += log.len();
                    Some((value, log))
                }
            };
            ops.push(PreparedOp { key, expect, put });
        }
        if bytes > TXN_BYTES_MAX {
            return Err(CommitError::TxnTooLarge { ops: ops.len(), bytes });
        }
        Ok(Self { ops, bytes })
    }
}

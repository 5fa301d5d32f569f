//! Podo's store: one sequence of transactions over keys and values, kept in memory, made durable by a log.
//!
//! - Reads ([`Store::get`], [`Store::range`], [`Store::snapshot`]) are answered from memory, from the current revision or from
//!   an older one that history reaches, always from one consistent state. They hold up no writer.
//! - Writes ([`Store::commit`]) are compare-and-swap transactions, answered when they are durable. One committer makes all that
//!   waits durable with one sync. Readers and watchers see a transaction only once it is durable.
//! - Watchers ([`Store::watch`]) receive every change after a revision, in order, without gap or repetition; or are told that
//!   they were too slow. They read one ring of events per bucket.
//! - History (events, old revisions) is kept within a bound of age and of bytes.
//! - A write whose outcome is in doubt poisons the store: it answers nothing any more, until a restart has read what is there.
//!
//! It knows bytes, not kinds: the values are the caller's ([`Value`]). Futures are plain `std::task` ones for any executor; time
//! comes from the caller, and under [`Driver::Manual`] so does every step, for deterministic simulation.
//!
//! Not here: whether a write that changes nothing is a write at all, selectors, encodings. Those are the API server's.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod committer;
mod disk;
mod embedded;
mod engine;
mod feed;
mod key;
mod queue;
mod read;
mod shared;
mod store;
mod tree;
mod txn;
mod value;
mod view;
mod watch;

#[cfg(test)]
mod robustness;
#[cfg(test)]
mod testing;

pub use disk::{Directory, Disk, DiskFile};
pub use embedded::{Embedded, frame, record};
pub use engine::{
    AppendError, Checkpoint, Engine, LoggedEntry, LoggedOp, LoggedTxn, Memory, OpenError, Poison,
    Sink,
};
pub use feed::Filter;
pub use key::{BUCKET_BYTES_MAX, Key, REST_BYTES_MAX, Revision};
pub use queue::Commit;
pub use read::{Page, Range, ReadError, Snapshot};
pub use shared::Reached;
pub use store::{Clock, Config, Driver, HISTORY_AGE, HISTORY_BYTES, Stats, Store, VALUE_BYTES_MAX};
pub use txn::{CommitError, Committed, Expect, Op, TXN_BYTES_MAX, TXN_OPS_MAX, Txn, Write};
pub use value::{Change, DecodeError, Entry, Event, Value};
pub use watch::{WatchError, Watcher};

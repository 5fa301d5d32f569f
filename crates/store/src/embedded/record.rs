//! What the payload of a frame holds: one transaction, a block of a snapshot's entries, or a snapshot's end.
//!
//! ```text
//! txn   = 1 u8 | at u64 | count u32 | op…         op    = bucket u16 + bytes | rest u16 + bytes | 0 u8
//!                                                       | bucket u16 + bytes | rest u16 + bytes | 1 u8 | value u32 + bytes
//! block = 2 u8 | count u32 | entry…               entry = bucket, rest as above | revision, created, version u64 | value
//! end   = 3 u8 | entries u64
//! ```
//! Everything here is a pure function over bytes and safe on any bytes.

use crate::engine::{LoggedEntry, LoggedOp, LoggedTxn};
use crate::key::Revision;

const TXN: u8 = 1;
const BLOCK: u8 = 2;
const END: u8 = 3;
const DELETE: u8 = 0;
const PUT: u8 = 1;

/// Least bytes of an operation or entry: an announced count is believed only as far as the bytes can hold it.
const ITEM_BYTES_MIN: usize = 5;

/// A parsed payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record<'a> {
    /// A transaction.
    Txn(LoggedTxn<'a>),
    /// Entries of a snapshot.
    Block(Vec<LoggedEntry<'a>>),
    /// The snapshot is complete and had so many entries.
    End(u64),
}

/// Reads a payload; `revision` is its frame's. `None` if it is not exactly one record.
pub fn parse(revision: u64, payload: &[u8]) -> Option<Record<'_>> {
    let mut input = Input(payload);
    let record = match input.byte()? {
        TXN => {
            let at_ms = input.u64()?;
            let ops = input.items(|input| {
                let (bucket, rest) = (input.text()?, input.text()?);
                let value = match input.byte()? {
                    DELETE => None,
                    PUT => Some(input.value()?),
                    _ => return None,
                };
                Some(LoggedOp { bucket, rest, value })
            })?;
            Record::Txn(LoggedTxn { revision: Revision(revision), at_ms, ops })
        }
        BLOCK => Record::Block(input.items(|input| {
            Some(LoggedEntry {
                bucket: input.text()?,
                rest: input.text()?,
                revision: Revision(input.u64()?),
                create_revision: Revision(input.u64()?),
                version: input.u64()?,
                value: input.value()?,
            })
        })?),
        END => Record::End(input.u64()?),
        _ => return None,
    };
    input.0.is_empty().then_some(record)
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'a str> {
        let count = usize::from(self.u16()?);
        std::str::from_utf8(self.take(count)?).ok()
    }

    fn value(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(self.u32()?).ok()?;
        self.take(count)
    }

    fn items<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::try_from(self.u32()?).ok()?;
        let mut items = Vec::with_capacity(count.min(self.0.len() / ITEM_BYTES_MIN));
        for _ in 0..count {
            items.push(item(self)?);
        }
        Some(items)
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    debug_assert!(u16::try_from(text.len()).is_ok(), "keys are bounded");
    out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend(text.as_bytes());
}

fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    debug_assert!(u32::try_from(value.len()).is_ok(), "values are bounded");
    out.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(value);
}

/// Appends a transaction's payload.
pub fn push_txn(out: &mut Vec<u8>, txn: &LoggedTxn<'_>) {
    out.push(TXN);
    out.extend(txn.at_ms.to_le_bytes());
    out.extend(u32::try_from(txn.ops.len()).unwrap_or(u32::MAX).to_le_bytes());
    for op in &txn.ops {
        push_text(out, op.bucket);
        push_text(out, op.rest);
        match op.value {
            None => out.push(DELETE),
            Some(value) => {
                out.push(PUT);
                push_value(out, value);
            }
        }
    }
}

/// Appends the payload of a block of `count` entries, already in `entries` by [`push_entry`].
pub fn push_block(out: &mut Vec<u8>, count: u32, entries: &[u8]) {
    out.push(BLOCK);
    out.extend(count.to_le_bytes());
    out.extend(entries);
}

/// Appends one entry of a block.
pub fn push_entry(out: &mut Vec<u8>, entry: &LoggedEntry<'_>) {
    push_text(out, entry.bucket);
    push_text(out, entry.rest);
    out.extend(entry.revision.0.to_le_bytes());
    out.extend(entry.create_revision.0.to_le_bytes());
    out.extend(entry.version.to_le_bytes());
    push_value(out, entry.value);
}

/// Appends the payload of a snapshot's end.
pub fn push_end(out: &mut Vec<u8>, entries: u64) {
    out.push(END);
    out.extend(entries.to_le_bytes());
}

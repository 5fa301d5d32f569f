//! The node's address pool: which endpoint owns which address of a network.
//!
//! Reads and writes  a journal in the state directory, through [`journal`].
//!
//! Holds always
//! - An address is on disk before it is handed out; after a crash at any instruction every
//!   address that was handed out still has its owner.
//! - One owner has one address, one address one owner; the network's first address, its first host
//!   (kept for the node) and its last address are never handed out.
//! - Addresses go round: one that was released is handed out again only after all others.
//!
//! Not here: links and rules of an address ([`crate::endpoint`], [`crate::firewall`]).

pub(crate) mod journal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::cidr::Ipv4Cidr;
use journal::{Journal, Record};

/// Addresses at either end that are not handed out: network and node, broadcast.
const RESERVED_LOW: u32 = 2;
const RESERVED_HIGH: u32 = 1;
/// An owner's identifier is part of a line and a file name; 253 is the bound of Kubernetes names.
pub const OWNER_BYTES_MAX: usize = 253;

/// Why the pool could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// All addresses have owners.
    #[error("all {capacity} addresses of {network} are in use")]
    Exhausted {
        /// The pool's network.
        network: Ipv4Cidr,
        /// How many addresses it hands out.
        capacity: usize,
    },
    /// The network has no address to hand out.
    #[error("network {network} is too small to hand out addresses")]
    TooSmall {
        /// The network.
        network: Ipv4Cidr,
    },
    /// The owner's identifier is not usable.
    #[error("{owner:?} is no owner name: 1 to {OWNER_BYTES_MAX} of a-z, A-Z, 0-9, '.', '_', '-'")]
    Owner {
        /// What was given.
        owner: String,
    },
    /// Another process has the pool open.
    #[error("address pool {path:?} is in use by another process")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A record that was acknowledged cannot be read.
    #[error("address pool {path:?} is damaged at line {line}")]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// The journal cannot be read or written.
    #[error("address pool {path:?} cannot be {step}")]
    Storage {
        /// The file.
        path: PathBuf,
        /// What was done with it.
        step: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// The pool of one network. One process has it open.
#[derive(Debug)]
pub struct Pool {
    network: Ipv4Cidr,
    journal: Journal,
    by_owner: HashMap<String, Ipv4Addr>,
    by_address: BTreeMap<Ipv4Addr, String>,
    last: Ipv4Addr,
}

/// Whether `owner` can name an owner: it is safe in a line and as a file name.
pub fn check_owner(owner: &str) -> Result<(), PoolError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_good = !owner.is_empty()
        && owner.len() <= OWNER_BYTES_MAX
        && !owner.starts_with('.')
        && owner.bytes().all(is_plain);
    if is_good { Ok(()) } else { Err(PoolError::Owner { owner: owner.to_owned() }) }
}

/// Want of room is no failure where nothing has to be on disk.
fn unless_full(result: Result<(), PoolError>) -> Result<(), PoolError> {
    match result {
        Err(PoolError::Storage { source, .. })
            if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) =>
        {
            Ok(())
        }
        result => result,
    }
}

impl Pool {
    /// Opens the pool of `network` kept in `directory`, which must exist.
    ///
    /// Owners whose address is not of the network (it was configured anew) are forgotten.
    pub fn open(directory: &Path, network: Ipv4Cidr) -> Result<Self, PoolError> {
        let (journal, records) = Journal::open(directory)?;
        let mut pool = Self {
            network,
            journal,
            by_owner: HashMap::new(),
            by_address: BTreeMap::new(),
            last: network.network(),
        };
        if pool.capacity() == 0 {
            return Err(PoolError::TooSmall { network });
        }
        for record in records {
            pool.apply(record);
        }
        // A journal that stays long does no harm: before the next address is handed out it is rewritten.
        unless_full(pool.compact())?;
        Ok(pool)
    }

    /// How many addresses there are to hand out.
    pub fn capacity(&self) -> usize {
        let (low, high) = self.bounds();
        usize::try_from(high.saturating_sub(low)).unwrap_or(usize::MAX)
    }

    /// The owner's address: the one it has, or the next free one, durable on return.
    pub fn allocate(&mut self, owner: &str) -> Result<Ipv4Addr, PoolError> {
        check_owner(owner)?;
        if let Some(address) = self.by_owner.get(owner) {
            return Ok(*address);
        }
        let address = self
            .next_free()
            .ok_or(PoolError::Exhausted { network: self.network, capacity: self.capacity() })?;
        self.mend()?;
        let record = Record::Allocated { address, owner: owner.to_owned() };
        self.journal.append_durably(&record)?;
        self.apply(record);
        Ok(address)
    }

    /// Frees the owner's address and returns it; `None` if it has none.
    ///
    /// Not flushed, and on a full disk not even written: a release that the end of the process takes back is repaired by
    /// [`Self::reconcile`].
    pub fn release(&mut self, owner: &str) -> Result<Option<Ipv4Addr>, PoolError> {
        let Some(address) = self.by_owner.get(owner).copied() else { return Ok(None) };
        let record = Record::Released { address };
        unless_full(self.mend().and_then(|()| self.journal.append(&record)))?;
        self.apply(record);
        unless_full(self.compact_if_long())?;
        Ok(Some(address))
    }

    /// Frees the addresses of all owners that are not in `live`; returns how many these were.
    pub fn reconcile(&mut self, live: &BTreeSet<String>) -> Result<usize, PoolError> {
        let is_dead = |owner: &&String| !live.contains(*owner);
        let dead: Vec<String> = self.by_owner.keys().filter(is_dead).cloned().collect();
        for owner in &dead {
            self.release(owner)?;
        }
        Ok(dead.len())
    }

    /// The owner's address.
    pub fn address_of(&self, owner: &str) -> Option<Ipv4Addr> {
        self.by_owner.get(owner).copied()
    }

    /// All owners and their addresses, by address.
    pub fn owners(&self) -> impl Iterator<Item = (&str, Ipv4Addr)> {
        self.by_address.iter().map(|(address, owner)| (owner.as_str(), *address))
    }

    /// First address to hand out, and the one after the last.
    fn bounds(&self) -> (u32, u32) {
        let low = u32::from(self.network.network()).saturating_add(RESERVED_LOW);
        let last = u32::from(self.network.broadcast()).saturating_sub(RESERVED_HIGH);
        (low, last.saturating_add(1).max(low))
    }

    /// The first free address after the one handed out last, going round.
    fn next_free(&self) -> Option<Ipv4Addr> {
        let (low, high) = self.bounds();
        let start = u32::from(self.last).saturating_add(1).clamp(low, high);
        let is_free = |bits: &u32| !self.by_address.contains_key(&Ipv4Addr::from(*bits));
        (start..high).chain(low..start).find(is_free).map(Ipv4Addr::from)
    }

    /// Takes a record into account; the same for a new one and for one read back.
    fn apply(&mut self, record: Record) {
        match record {
            Record::Allocated { address, owner } => {
                self.last = address;
                let (low, high) = self.bounds();
                if !(low..high).contains(&u32::from(address)) {
                    return; // Of a network configured earlier.
                }
                self.by_owner.insert(owner.clone(), address);
                self.by_address.insert(address, owner);
            }
            Record::Released { address } => {
                if let Some(owner) = self.by_address.remove(&address) {
                    self.by_owner.remove(&owner);
                }
            }
            Record::Last { address } => self.last = address,
        }
    }

    /// Rewrites the journal once most of it is history.
    fn compact_if_long(&mut self) -> Result<(), PoolError> {
        if self.journal.record_count() > journal::RECORDS_MAX.max(4 * self.by_owner.len()) {
            self.compact()?;
        }
        Ok(())
    }

    /// After a write that did not succeed, nothing is appended until the journal is rewritten.
    fn mend(&mut self) -> Result<(), PoolError> {
        if self.journal.is_torn() { self.compact() } else { Ok(()) }
    }

    fn compact(&mut self) -> Result<(), PoolError> {
        let owners = self
            .by_address
            .iter()
            .map(|(address, owner)| Record::Allocated { address: *address, owner: owner.clone() });
        let records: Vec<Record> = owners.chain([Record::Last { address: self.last }]).collect();
        self.journal.replace(&records)
    }
}

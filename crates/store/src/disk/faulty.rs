//! A disk in memory that does what disks are allowed to do: keep any part of what was not synced when the power goes, forget
//! names that were not synced, fail a sync and drop what it should have kept, and fill up.
#![expect(clippy::cast_possible_truncation, reason = "the numbers of these tests are small")]

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Disk, DiskFile};
use crate::testing::Random;

const SECTOR: usize = 512;

/// The disk; it outlives the processes that use it.
#[derive(Clone)]
pub(crate) struct FaultyDisk(Arc<Mutex<State>>);

struct State {
    random: Random,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// What happened to names since they were last synced.
    unsynced_names: Vec<Name>,
    inodes: Vec<Inode>,
    operations: u64,
    power_off_at: Option<u64>,
    failing_syncs: u32,
    capacity: usize,
    can_allocate: bool,
    is_locked: bool,
}

#[derive(Default)]
struct Inode {
    /// What a process reads.
    cached: Vec<u8>,
    /// What is left after a power cut.
    device: Vec<u8>,
    unsynced: Vec<Unsynced>,
}

#[derive(Clone)]
enum Name {
    Create(String, usize),
    Rename(String, String, usize),
    Remove(String),
}

impl Name {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Create(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

enum Unsynced {
    Write(usize, Vec<u8>),
    Len(usize),
}

impl FaultyDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: Random(seed),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            inodes: Vec::new(),
            operations: 0,
            power_off_at: None,
            failing_syncs: 0,
            capacity: usize::MAX,
            can_allocate: true,
            is_locked: false,
        })))
    }

    /// The disk as one process uses it.
    pub(crate) fn attach(&self) -> Attached {
        Attached { state: Arc::clone(&self.0), has_lock: Mutex::new(false) }
    }

    /// How many operations were asked of it.
    pub(crate) fn operations(&self) -> u64 {
        self.0.lock().operations
    }

    /// The operation with this number and all after it fail; the first of them may have happened in part.
    pub(crate) fn power_off_at(&self, operation: u64) {
        self.0.lock().power_off_at = Some(operation);
    }

    /// The next syncs of files fail and forget what they were to keep.
    pub(crate) fn fail_syncs(&self, count: u32) {
        self.0.lock().failing_syncs = count;
    }

    pub(crate) fn set_capacity(&self, bytes: usize) {
        self.0.lock().capacity = bytes;
    }

    /// The file system takes no space ahead: a full disk shows in the middle of a write.
    pub(crate) fn forbid_allocating(&self) {
        self.0.lock().can_allocate = false;
    }

    /// A process ended at [`FaultyDisk::power_off_at`], not the machine: all it wrote is still cached.
    pub(crate) fn power_stays(&self) {
        self.0.lock().power_off_at = None;
    }

    pub(crate) fn used(&self) -> usize {
        self.0.lock().used()
    }

    /// The power goes and comes back.
    pub(crate) fn power_cut(&self) {
        let state = &mut *self.0.lock();
        for change in std::mem::take(&mut state.unsynced_names) {
            if state.random.below(2) == 0 {
                change.apply(&mut state.durable_names);
            }
        }
        state.names = state.durable_names.clone();
        let habit = state.random.below(4);
        for inode in &mut state.inodes {
            inode.power_cut(habit, &mut state.random);
        }
        state.power_off_at = None;
        state.failing_syncs = 0;
    }

    /// Names and bytes of all files.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.0.lock();
        let file = |(name, id): (&String, &usize)| (name.clone(), state.inodes[*id].cached.clone());
        state.names.iter().map(file).collect()
    }

    /// A disk on which just these files are, durably.
    pub(crate) fn of_files(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let disk = Self::new(0);
        {
            let mut state = disk.0.lock();
            for (name, bytes) in files {
                let id = state.inodes.len();
                let (cached, device) = (bytes.clone(), bytes.clone());
                state.inodes.push(Inode { cached, device, unsynced: Vec::new() });
                state.names.insert(name.clone(), id);
                state.durable_names.insert(name.clone(), id);
            }
        }
        disk
    }
}

impl Inode {
    fn power_cut(&mut self, habit: u64, random: &mut Random) {
        for unsynced in self.unsynced.drain(..) {
            match unsynced {
                Unsynced::Len(len) => {
                    if habit != 0 && random.below(2) == 0 {
                        self.device.resize(len, 0);
                    }
                }
                Unsynced::Write(offset, bytes) => {
                    let upto = random.below(bytes.len() as u64 + 1) as usize;
                    let mut start = 0;
                    while start < bytes.len() {
                        let end = (start + SECTOR - (offset + start) % SECTOR).min(bytes.len());
                        let is_kept = match habit {
                            0 => false,
                            1 => true,
                            2 => end <= upto,
                            _ => random.below(2) == 0,
                        };
                        if is_kept {
                            write(&mut self.device, offset + start, &bytes[start..end]);
                        }
                        start = end;
                    }
                }
            }
        }
        self.cached = self.device.clone();
    }
}

fn write(into: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if into.len() < end {
        into.resize(end, 0);
    }
    into[offset..end].copy_from_slice(bytes);
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

impl State {
    /// Whether this operation still happens wholly.
    fn has_power(&mut self) -> bool {
        let number = self.operations;
        self.operations += 1;
        self.power_off_at.is_none_or(|off| number < off)
    }

    /// Whether this is the one during which the power goes.
    fn is_cut_short(&self) -> bool {
        self.power_off_at.is_some_and(|off| self.operations == off + 1)
    }

    fn used(&self) -> usize {
        self.names.values().map(|id| self.inodes[*id].cached.len()).sum()
    }

    fn change_names(&mut self, change: Name) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }
}

/// The disk as one process uses it; dropping it gives up its lock.
pub(crate) struct Attached {
    state: Arc<Mutex<State>>,
    has_lock: Mutex<bool>,
}

impl Drop for Attached {
    fn drop(&mut self) {
        if *self.has_lock.lock() {
            self.state.lock().is_locked = false;
        }
    }
}

impl Attached {
    fn powered(&self) -> io::Result<parking_lot::MutexGuard<'_, State>> {
        let mut state = self.state.lock();
        if state.has_power() { Ok(state) } else { Err(power_is_off()) }
    }
}

impl Disk for Attached {
    fn path(&self) -> String {
        "faulty".to_owned()
    }

    fn lock(&self) -> io::Result<bool> {
        let mut state = self.powered()?;
        if state.is_locked {
            return Ok(false);
        }
        state.is_locked = true;
        *self.has_lock.lock() = true;
        Ok(true)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.powered()?.names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let state = self.powered()?;
        let inode = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(FaultyFile { state: Arc::clone(&self.state), inode }))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.powered()?;
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change_names(Name::Create(name.to_owned(), inode));
        Ok(Box::new(FaultyFile { state: Arc::clone(&self.state), inode }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.powered()?;
        let inode = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.change_names(Name::Rename(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.powered()?;
        state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        state.change_names(Name::Remove(name.to_owned()));
        Ok(())
    }

    fn seed(&self) -> u32 {
        self.state.lock().random.next() as u32
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.powered()?;
        state.durable_names = state.names.clone();
        state.unsynced_names.clear();
        Ok(())
    }
}

struct FaultyFile {
    state: Arc<Mutex<State>>,
    inode: usize,
}

impl DiskFile for FaultyFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.state.lock().inodes[self.inode].cached.len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.lock();
        if !state.has_power() {
            return Err(power_is_off());
        }
        let bytes = state.inodes[self.inode].cached.get(offset as usize..).unwrap_or_default();
        // Short reads, as a real one may give.
        let count = bytes.len().min(into.len()).min(3000);
        into[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        let offset = offset as usize;
        let has_power = state.has_power();
        if !has_power && !state.is_cut_short() {
            return Err(power_is_off());
        }
        let growth = (offset + bytes.len()).saturating_sub(state.inodes[self.inode].cached.len());
        let is_full = state.used() + growth > state.capacity;
        let written = if is_full { &bytes[..bytes.len() / 2] } else { bytes };
        let inode = &mut state.inodes[self.inode];
        write(&mut inode.cached, offset, written);
        inode.unsynced.push(Unsynced::Write(offset, written.to_vec()));
        match (has_power, is_full) {
            (false, _) => Err(power_is_off()),
            (true, true) => Err(io::ErrorKind::StorageFull.into()),
            (true, false) => Ok(()),
        }
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        if !state.has_power() {
            return Err(power_is_off());
        }
        if !state.can_allocate {
            return Ok(());
        }
        let growth = (len as usize).saturating_sub(state.inodes[self.inode].cached.len());
        if state.used() + growth > state.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if growth > 0 {
            state.inodes[self.inode].cached.resize(len as usize, 0);
            state.inodes[self.inode].unsynced.push(Unsynced::Len(len as usize));
        }
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        if !state.has_power() {
            return Err(power_is_off());
        }
        state.inodes[self.inode].cached.truncate(len as usize);
        state.inodes[self.inode].unsynced.push(Unsynced::Len(len as usize));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state.lock();
        if !state.has_power() {
            return Err(power_is_off());
        }
        let inode = self.inode;
        if state.failing_syncs > 0 {
            state.failing_syncs -= 1;
            state.inodes[inode].unsynced.clear(); // The cache calls it clean; the device never got it.
            return Err(io::Error::other("the device failed"));
        }
        // Only what is still unsynced reaches the device: what a failed sync dropped does not.
        for unsynced in std::mem::take(&mut state.inodes[inode].unsynced) {
            let device = &mut state.inodes[inode].device;
            match unsynced {
                Unsynced::Len(len) => device.resize(len, 0),
                Unsynced::Write(offset, bytes) => write(device, offset, &bytes),
            }
        }
        Ok(())
    }

    fn settle(&mut self) -> io::Result<()> {
        self.sync()?;
        let mut state = self.state.lock();
        let inode = &mut state.inodes[self.inode];
        inode.cached = inode.device.clone();
        Ok(())
    }
}

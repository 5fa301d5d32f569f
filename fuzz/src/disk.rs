//! The directory of a store, in memory.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use podo_store::{Disk, DiskFile};

type File = Arc<Mutex<Vec<u8>>>;

/// Files by name. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<BTreeMap<String, File>>>);

struct Open(File);

impl MemoryDisk {
    /// Puts a file there.
    pub fn with(self, name: &str, bytes: &[u8]) -> Self {
        let file = Arc::new(Mutex::new(bytes.to_vec()));
        self.0.lock().expect("whole").insert(name.to_owned(), file);
        self
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for MemoryDisk {
    fn path(&self) -> String {
        "memory".to_owned()
    }

    fn lock(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().expect("whole").keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let files = self.0.lock().expect("whole");
        Ok(Box::new(Open(files.get(name).cloned().ok_or_else(missing)?)))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = File::default();
        self.0.lock().expect("whole").insert(name.to_owned(), Arc::clone(&file));
        Ok(Box::new(Open(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.0.lock().expect("whole");
        let file = files.remove(from).ok_or_else(missing)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.lock().expect("whole").remove(name).map(drop).ok_or_else(missing)
    }

    fn seed(&self) -> u32 {
        7
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for Open {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.lock().expect("whole").len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.lock().expect("whole");
        let from = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..));
        let from = from.unwrap_or_default();
        let count = from.len().min(into.len());
        into[..count].copy_from_slice(&from[..count]);
        Ok(count)
    }

    fn write_at(&mut self, offset: u64, from: &[u8]) -> io::Result<()> {
        let mut bytes = self.0.lock().expect("whole");
        let (start, end) = (offset as usize, offset as usize + from.len());
        let len = bytes.len().max(end);
        bytes.resize(len, 0);
        bytes[start..end].copy_from_slice(from);
        Ok(())
    }

    fn allocate(&mut self, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.lock().expect("whole").truncate(len as usize);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn settle(&mut self) -> io::Result<()> {
        Ok(())
    }
}

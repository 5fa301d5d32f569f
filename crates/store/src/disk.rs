//! The files of one directory, as little of them as a log needs: the seam at which tests put a disk that fails.

mod directory;
#[cfg(test)]
pub(crate) mod faulty;

use std::io;

pub use directory::Directory;

/// One directory of files.
pub trait Disk: Send + Sync + 'static {
    /// What to call the directory in errors.
    fn path(&self) -> String;
    /// Takes the directory for this process until the `Disk` is dropped; `false` if another has it.
    fn lock(&self) -> io::Result<bool>;
    /// The names of the files, in any order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens a file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Makes a file, empty whether or not there was one. Durable only after [`Disk::sync`].
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file another name, replacing the file that has it. Durable only after [`Disk::sync`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file. Durable only after [`Disk::sync`].
    fn remove(&self, name: &str) -> io::Result<()>;
    /// A random number that nobody can foresee.
    fn seed(&self) -> u32;
    /// Makes durable which files there are and what they are called.
    fn sync(&self) -> io::Result<()>;
}

/// An open file.
pub trait DiskFile: Send {
    /// Bytes of the file.
    fn size(&self) -> io::Result<u64>;
    /// Reads what there is at an offset; 0 bytes at the end.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Writes all of it.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Takes space for the bytes up to `len`, which read as zero until written; the file has that length then. A file system
    /// that cannot do so leaves the file as it is.
    fn allocate(&mut self, len: u64) -> io::Result<()>;
    /// Cuts the file.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
    /// Makes durable what was written.
    fn sync(&mut self) -> io::Result<()>;
    /// Syncs, then forgets what is cached, so that what is read next is what the device holds: after a failed sync of an
    /// earlier process the cache may hold what the device never got.
    fn settle(&mut self) -> io::Result<()>;
}

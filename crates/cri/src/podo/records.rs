//! What is kept of sandboxes and containers beside them: their CRI side, which the runtime does not know.
//!
//! Protobuf, so that a newer program reads an older one's and the other way round. Written whole (aside, then renamed) as
//! the last step of making the thing. After a power failure a file may be empty: it then has no id and counts as lost, like
//! the thing itself.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use prost::Message;

use crate::v1;

/// Name of the record in its directory.
const RECORD: &str = "record";

/// Name of a container's end.
const END: &str = "end";

/// A sandbox's CRI side.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SandboxRecord {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(message, optional, tag = "2")]
    pub(super) config: Option<v1::PodSandboxConfig>,
    #[prost(string, tag = "3")]
    pub(super) runtime_handler: String,
    /// Nanoseconds since 1970.
    #[prost(int64, tag = "4")]
    pub(super) created_at: i64,
    /// Empty on the host's network.
    #[prost(string, tag = "5")]
    pub(super) ip: String,
    /// The host's end of its link.
    #[prost(string, tag = "6")]
    pub(super) host_interface: String,
}

/// A container's CRI side.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerRecord {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(string, tag = "2")]
    pub(super) sandbox_id: String,
    #[prost(message, optional, tag = "3")]
    pub(super) config: Option<v1::ContainerConfig>,
    /// Nanoseconds since 1970.
    #[prost(int64, tag = "4")]
    pub(super) created_at: i64,
    /// The image's name as shown.
    #[prost(string, tag = "5")]
    pub(super) image_name: String,
    /// Its digest name, else its id.
    #[prost(string, tag = "6")]
    pub(super) image_ref: String,
    #[prost(string, tag = "7")]
    pub(super) image_id: String,
    /// Whole path of the log; empty if there is none.
    #[prost(string, tag = "8")]
    pub(super) log_path: String,
    /// The kernel's number.
    #[prost(int32, tag = "9")]
    pub(super) stop_signal: i32,
    /// Image volumes, numbered from 0.
    #[prost(uint32, tag = "10")]
    pub(super) image_volume_count: u32,
}

/// How a container ended, as it is shown.
#[derive(Clone, PartialEq, Message)]
pub(super) struct End {
    #[prost(int32, tag = "1")]
    pub(super) exit_code: i32,
    #[prost(string, tag = "2")]
    pub(super) reason: String,
    #[prost(string, tag = "3")]
    pub(super) message: String,
    /// Nanoseconds since 1970.
    #[prost(int64, tag = "4")]
    pub(super) finished_at: i64,
    /// Nanoseconds since 1970; 0 if it never ran.
    #[prost(int64, tag = "5")]
    pub(super) started_at: i64,
}

/// Makes a directory that only root reads; what is there already is fine.
pub(super) fn make_private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a sandbox's or container's record.
pub(super) fn write(dir: &Path, record: &impl Message) -> io::Result<()> {
    write_file(dir, RECORD, record)
}

/// Writes a container's end.
pub(super) fn write_end(dir: &Path, end: &End) -> io::Result<()> {
    write_file(dir, END, end)
}

fn write_file(dir: &Path, name: &str, record: &impl Message) -> io::Result<()> {
    let aside = dir.join(format!(".{name}.new"));
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(&record.encode_to_vec())?;
    fs::rename(aside, dir.join(name))
}

/// Reads a record; `None` if there is none that can be read.
pub(super) fn read<T: Message + Default>(dir: &Path) -> io::Result<Option<T>> {
    read_file(dir, RECORD)
}

/// Reads a container's end; `None` if there is none that can be read.
pub(super) fn read_end(dir: &Path) -> io::Result<Option<End>> {
    Ok(read_file(dir, END)?.filter(|end: &End| end.finished_at != 0))
}

fn read_file<T: Message + Default>(dir: &Path, name: &str) -> io::Result<Option<T>> {
    match fs::read(dir.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // What was not written to its end is as good as nothing.
        bytes => Ok(T::decode(bytes?.as_slice()).ok()),
    }
}

/// Removes a directory with all that is in it; none is fine.
pub(super) fn remove_dir(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Names of the directories in `path`; none if it does not exist.
pub(super) fn names_in(path: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

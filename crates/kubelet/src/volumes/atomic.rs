//! Files of a volume that change all at once: a folder of their own per version, and one link, `..data`, that is moved.
//!
//! Holds always: a reader that goes through `..data` sees one version, whole; a file's own link never changes its target's name.
//! (Kubernetes v1.36 `pkg/volume/util/atomic_writer.go`; programs in containers watch for exactly these names.)

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, symlink};
use std::path::{Component, Path};

use super::{VolumeError, ownership};

/// The link to the version that counts.
const DATA: &str = "..data";
/// The link that becomes it.
const NEW_DATA: &str = "..data_tmp";

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// What is in it.
    pub(super) bytes: Vec<u8>,
    /// Its permissions.
    pub(super) mode: u32,
    /// Whom it belongs to, if not to root.
    pub(super) user: Option<u32>,
}

/// The files of a volume by their paths in it.
pub(super) type Payload = BTreeMap<String, File>;

/// Checks a path below a volume.
pub(super) fn check_path(path: &str) -> Result<(), VolumeError> {
    let is_plain = !path.is_empty()
        && path.len() <= 4096
        && !path.starts_with("..")
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if is_plain { Ok(()) } else { Err(VolumeError::Path(path.to_owned())) }
}

/// Brings a folder to `payload`. Nothing is written if it is there already.
pub(super) fn write(root: &Path, payload: &Payload, group: Option<u32>) -> Result<(), VolumeError> {
    payload.keys().try_for_each(|path| check_path(path))?;
    let old = std::fs::read_link(root.join(DATA)).ok().filter(|name| is_version(name));
    let old = old.map(|name| root.join(name));
    let is_current = old.as_deref().is_some_and(|old| is_same(old, payload, group));
    if !is_current {
        swap(root, payload, group).map_err(VolumeError::io("write files below", root))?;
    }
    tidy(root, payload).map_err(VolumeError::io("set links in", root))
}

/// Whether a link's text is what [`swap`] makes it: it decides what is removed, so it may lead nowhere else.
fn is_version(name: &Path) -> bool {
    let mut parts = name.components();
    let is_plain = matches!(parts.next(), Some(Component::Normal(_))) && parts.next().is_none();
    is_plain && name.to_str().is_some_and(|name| name.starts_with("..") && name != DATA)
}

/// Whether a version holds exactly these files.
fn is_same(version: &Path, payload: &Payload, group: Option<u32>) -> bool {
    let mut count = 0;
    let all_same = payload.iter().all(|(path, file)| {
        count += 1;
        let path = version.join(path);
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { return false };
        let mode = file.mode | group.map_or(0, |_| 0o440);
        metadata.mode() & 0o777 == mode & 0o777
            && std::fs::read(&path).is_ok_and(|bytes| bytes == file.bytes)
    });
    all_same && file_count(version) == Some(count)
}

fn file_count(folder: &Path) -> Option<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        count += if entry.file_type().ok()?.is_dir() { file_count(&entry.path())? } else { 1 };
    }
    Some(count)
}

/// Writes a new version and makes it the one that counts.
fn swap(root: &Path, payload: &Payload, group: Option<u32>) -> io::Result<()> {
    let name = format!("..{}", podo_base::uid());
    let version = root.join(&name);
    std::fs::create_dir(&version)?;
    ownership::set_mode(&version, 0o755)?;
    for (path, file) in payload {
        let path = version.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mut options = std::fs::OpenOptions::new();
        let mut written = options.write(true).create_new(true).mode(file.mode).open(&path)?;
        written.write_all(&file.bytes)?;
        // The mode again: the process' umask took part of it away.
        ownership::set_mode(&path, file.mode)?;
        ownership::give(&path, file.user, None)?;
    }
    if let Some(group) = group {
        ownership::open_to_group(&version, group, true)?;
    }
    let new = root.join(NEW_DATA);
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => symlink(&name, &new)?,
    }
    std::fs::rename(&new, root.join(DATA))
}

/// Makes the links that people see; removes those whose files are gone, and versions that do not count.
fn tidy(root: &Path, payload: &Payload) -> io::Result<()> {
    let wanted: BTreeSet<&str> =
        payload.keys().map(|path| path.split('/').next().unwrap_or(path)).collect();
    for name in &wanted {
        let link = root.join(name);
        if std::fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(name), &link)?;
        }
    }
    let current = std::fs::read_link(root.join(DATA))?;
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_wanted = name.to_str().is_some_and(|name| wanted.contains(name))
            || name == DATA
            || Path::new(&name) == current;
        match entry.file_type()?.is_dir() {
            _ if is_wanted => {}
            // The version before, or one that was begun and never finished.
            true => std::fs::remove_dir_all(entry.path())?,
            false => std::fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

//! A container's log: appended to, and put aside by the shim itself once it is full, so that it is bounded whoever else is
//! alive and however fast the container writes.
//!
//! Files of one container: `0.log` is written; `0.log.20261006-001709123456789` was put aside then.
//!
//! Holds always
//! - Beneath the root neither a folder nor the file is reached through a link: others may be able to write there.
//! - An entry is in one file, whole.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::SystemTime;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, Mode, OFlags};

use crate::spec::{ContainerSpec, LogLimit};
use crate::{clock, paths};

/// Where a log is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// A folder that is trusted.
    root: PathBuf,
    /// The folder beneath it.
    folder: PathBuf,
    name: OsString,
}

impl Place {
    /// Where a container's log is; `None` if it has none.
    pub(super) fn of(spec: &ContainerSpec) -> io::Result<Option<Self>> {
        let Some(path) = &spec.log else { return Ok(None) };
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let parent = path.parent().ok_or_else(invalid)?;
        let root = spec.log_root.as_deref().unwrap_or(parent);
        let folder = parent.strip_prefix(root).map_err(|_| invalid())?;
        let name = path.file_name().ok_or_else(invalid)?;
        Ok(Some(Self { root: root.to_owned(), folder: folder.to_owned(), name: name.to_owned() }))
    }

    fn open_folder(&self) -> io::Result<OwnedFd> {
        paths::ensure_folder_beneath(&self.root, &self.folder)
    }
}

/// A container's log.
pub(super) struct Log {
    place: Place,
    limit: Option<LogLimit>,
    file: File,
    size_bytes: u64,
    /// When the file was made.
    born_at_ns: i64,
}

impl Log {
    /// Opens a log to append to; it is made if it is not there.
    pub(super) fn open(place: Place, limit: Option<LogLimit>) -> io::Result<Self> {
        let file = open_in(&place.open_folder()?, &place.name)?;
        let metadata = file.metadata()?;
        let born_at_ns = born_at_ns(&metadata);
        Ok(Self { place, limit, file, size_bytes: metadata.len(), born_at_ns })
    }

    /// Goes on in the file that has the name now: somebody else has put the old one aside.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        *self = Self::open(self.place.clone(), self.limit)?;
        Ok(())
    }

    /// Appends whole entries. They are written even where the full file cannot be put aside.
    pub(super) fn write(&mut self, entries: &[u8]) -> io::Result<()> {
        let length = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let is_due = |limit: &LogLimit| {
            self.size_bytes > 0
                && (self.size_bytes.saturating_add(length) > limit.file_bytes_max
                    || is_older(self.born_at_ns, limit.age_secs_max))
        };
        let aside = self.limit.filter(is_due).map_or(Ok(()), |limit| self.put_aside(limit));
        self.file.write_all(entries)?;
        self.size_bytes = self.size_bytes.saturating_add(length);
        aside
    }

    fn put_aside(&mut self, limit: LogLimit) -> io::Result<()> {
        let (folder, name) = (self.place.open_folder()?, self.place.name.as_os_str());
        let mut aside = name.as_bytes().to_vec();
        aside.extend_from_slice(format!(".{}", stamp(clock::now_ns())).as_bytes());
        match rustix::fs::renameat(&folder, name, &folder, OsStr::from_bytes(&aside)) {
            // Somebody else has put it aside meanwhile.
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        self.file = open_in(&folder, name)?;
        (self.size_bytes, self.born_at_ns) = (0, clock::now_ns());
        prune(&folder, name, usize::from(limit.files_max).saturating_sub(1))
    }
}

fn open_in(folder: &OwnedFd, name: &OsStr) -> io::Result<File> {
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o640))?.into())
}

/// When a file was made; where the file system does not say, it counts from now.
fn born_at_ns(metadata: &std::fs::Metadata) -> i64 {
    let since_epoch = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).ok();
    let born = metadata.created().ok().and_then(since_epoch);
    born.and_then(|since| i64::try_from(since.as_nanos()).ok()).unwrap_or_else(clock::now_ns)
}

fn is_older(born_at_ns: i64, age_secs_max: Option<u64>) -> bool {
    let age_secs =
        u64::try_from(clock::now_ns().saturating_sub(born_at_ns)).unwrap_or(0) / 1_000_000_000;
    age_secs_max.is_some_and(|max| age_secs >= max)
}

/// Removes the oldest files that were put aside, so that so many are kept.
fn prune(folder: &OwnedFd, name: &OsStr, keep: usize) -> io::Result<()> {
    let prefix = [name.as_bytes(), b"."].concat();
    let mut aside = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if entry.file_name().to_bytes().starts_with(&prefix) {
            aside.push(OsString::from(OsStr::from_bytes(entry.file_name().to_bytes())));
        }
    }
    aside.sort();
    let surplus = aside.len().saturating_sub(keep);
    for name in aside.drain(..surplus) {
        rustix::fs::unlinkat(folder, name, AtFlags::empty())?;
    }
    Ok(())
}

/// A moment as the end of a file's name, in the order of time: `20261006-001709123456789`.
fn stamp(ns: i64) -> String {
    let mut text = Vec::new();
    clock::write_rfc3339(ns, &mut text);
    text.iter()
        .filter_map(|byte| match byte {
            b'T' => Some('-'),
            b'0'..=b'9' => Some(char::from(*byte)),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn open_log(path: &Path, root: Option<&Path>, limit: Option<LogLimit>) -> io::Result<Log> {
        let spec = ContainerSpec {
            log: Some(path.to_owned()),
            log_root: root.map(Path::to_owned),
            ..ContainerSpec::default()
        };
        Log::open(Place::of(&spec)?.unwrap(), limit)
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_full_log_is_put_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        std::fs::write(folder.path().join("other.log"), "").unwrap();
        let limit = LogLimit { file_bytes_max: 10, files_max: 3, age_secs_max: None };
        let mut log = open_log(&path, None, Some(limit)).unwrap();
        for entry in ["first\n", "second\n", "third\n", "fourth\n", "fifth\n"] {
            log.write(entry.as_bytes()).unwrap();
        }
        let names = names(folder.path());
        assert_eq!(names.len(), 4, "{names:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "fifth\n");
        let kept: Vec<String> = names[1..3]
            .iter()
            .map(|name| std::fs::read_to_string(folder.path().join(name)).unwrap())
            .collect();
        assert_eq!(kept, ["third\n", "fourth\n"]);
    }

    #[test]
    fn an_old_log_is_put_aside_when_more_comes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        let limit = LogLimit { file_bytes_max: 100, files_max: 3, age_secs_max: Some(3600) };
        let mut log = open_log(&path, None, Some(limit)).unwrap();
        log.write(b"first\n").unwrap();
        log.write(b"second\n").unwrap();
        assert_eq!(names(folder.path()), ["0.log"]);
        log.born_at_ns -= 3600 * 1_000_000_000;
        log.write(b"third\n").unwrap();
        log.write(b"fourth\n").unwrap();
        assert_eq!(names(folder.path()).len(), 2);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "third\nfourth\n");
    }

    #[test]
    fn an_entry_larger_than_a_file_stays_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        let limit = LogLimit { file_bytes_max: 4, files_max: 2, age_secs_max: None };
        open_log(&path, None, Some(limit)).unwrap().write(b"longer\n").unwrap();
        assert_eq!(names(folder.path()), ["0.log"]);
    }

    #[test]
    fn entries_are_kept_where_the_full_file_cannot_be_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let (home, moved) = (folder.path().join("home"), folder.path().join("moved"));
        std::fs::create_dir(&home).unwrap();
        let limit = LogLimit { file_bytes_max: 4, files_max: 2, age_secs_max: None };
        let mut log = open_log(&home.join("0.log"), Some(folder.path()), Some(limit)).unwrap();
        log.write(b"first\n").unwrap();
        std::fs::rename(&home, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &home).unwrap();
        assert!(log.write(b"second\n").is_err());
        assert_eq!(std::fs::read_to_string(moved.join("0.log")).unwrap(), "first\nsecond\n");
    }

    #[test]
    fn a_link_in_place_of_the_log_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        std::fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, folder.path().join("0.log")).unwrap();
        assert!(open_log(&folder.path().join("0.log"), None, None).is_err());
    }

    #[test]
    fn a_link_in_place_of_a_folder_on_the_way_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (root, away) = (folder.path().join("root"), folder.path().join("away"));
        std::fs::create_dir_all(away.join("main")).unwrap();
        std::fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink(&away, root.join("pod")).unwrap();
        for path in ["pod/main/0.log", "pod/new/0.log", "other/../../away/0.log"] {
            assert!(open_log(&root.join(path), Some(&root), None).is_err(), "{path}");
        }
        assert_eq!((names(&away), names(&away.join("main"))), (vec!["main".into()], Vec::new()));
        assert!(open_log(&away.join("0.log"), Some(&root), None).is_err(), "not beneath the root");
        open_log(&root.join("own/main/0.log"), Some(&root), None).unwrap().write(b"x\n").unwrap();
        assert_eq!(names(&root.join("own/main")), ["0.log"]);
    }

    #[test]
    fn names_sort_by_time() {
        assert_eq!(stamp(1_475_713_209_669_794_202), "20161006-002009669794202");
    }
}

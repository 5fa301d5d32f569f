//! The table of mounts that a process sees: `/proc/PID/mountinfo` (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountEntry<'a> {
    /// Where it is mounted.
    pub point: PathBuf,
    /// The type of its file system.
    pub kind: &'a str,
    /// Its peers hear of what is mounted below it.
    pub is_shared: bool,
    /// It hears of what is mounted below another.
    pub is_slave: bool,
}

/// The mounts of a table, in the order in which they were made.
pub fn entries(table: &str) -> impl DoubleEndedIterator<Item = MountEntry<'_>> {
    table.lines().filter_map(entry)
}

/// The mount that a path without links lies on: of several at one place the uppermost.
pub fn mount_of<'a>(table: &'a str, path: &Path) -> Option<MountEntry<'a>> {
    let around = entries(table).filter(|entry| path.starts_with(&entry.point));
    around.max_by_key(|entry| entry.point.as_os_str().len())
}

fn entry(line: &str) -> Option<MountEntry<'_>> {
    let (place, source) = line.split_once(" - ")?;
    let mut fields = place.split(' ').skip(4);
    let point = unescaped(fields.next()?);
    let (mut is_shared, mut is_slave) = (false, false);
    for tag in fields.skip(1) {
        is_shared |= tag.starts_with("shared:");
        is_slave |= tag.starts_with("master:");
    }
    Some(MountEntry { point, kind: source.split(' ').next()?, is_shared, is_slave })
}

/// Blanks, line ends and backslashes of a path are written as `\` and three octal digits.
fn unescaped(path: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if first == b'\\' => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:5 / /data rw master:7 propagate_from:2 - tmpfs tmpfs rw
23 22 0:6 / /data rw - tmpfs tmpfs rw
24 21 0:7 / /mnt/a\\040b rw shared:3 master:4 - cgroup2 cgroup2 rw
nonsense
";

    #[track_caller]
    fn check(path: &str, expected: &str) {
        let found = mount_of(TABLE, Path::new(path)).map(|entry| {
            let MountEntry { point, kind, is_shared, is_slave } = entry;
            format!("{} {kind} shared={is_shared} slave={is_slave}", point.display())
        });
        assert_eq!(found.as_deref(), Some(expected), "{path}");
    }

    #[test]
    fn a_path_lies_on_the_deepest_mount_around_it_and_there_on_the_uppermost() {
        check("/etc", "/ ext4 shared=true slave=false");
        check("/datum", "/ ext4 shared=true slave=false");
        check("/data/x", "/data tmpfs shared=false slave=false");
        check("/mnt/a b/c", "/mnt/a b cgroup2 shared=true slave=true");
        assert!(entries(TABLE).any(|entry| entry.point == Path::new("/data") && entry.is_slave));
        assert_eq!(entries(TABLE).count(), 4);
    }
}

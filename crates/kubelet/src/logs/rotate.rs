//! Rotation: a log that grew too large (or too old, by option) is put aside and the runtime goes on in a new file.
//!
//! Files of one container: `0.log` is written, `0.log.20261006-001709` is the one before, older ones are `….gz`.
//! (Kubernetes v1.36 `pkg/kubelet/logs/container_log_manager.go`.)

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use podo_api::k8s_openapi::jiff;
use podo_base::Timestamp;

/// When to rotate, and what to keep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RotationPolicy {
    /// Rotate from this size on.
    pub(crate) from_bytes: u64,
    /// Keep so many files, the one being written included.
    pub(crate) keep_files: usize,
    /// Rotate from this age on.
    pub(crate) from_age: Option<Duration>,
}

/// The end of a file that is being compressed.
const TEMPORARY: &str = ".tmp";
/// The end of a file that is compressed.
const COMPRESSED: &str = ".gz";

/// Whether a log is due. Its age is that of the file, which is made anew by each rotation.
pub(crate) fn is_due(path: &Path, policy: RotationPolicy, now: Timestamp) -> bool {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return false };
    if !metadata.is_file() || metadata.len() == 0 {
        return false;
    }
    let born_at = metadata.created().ok().and_then(|at| {
        let since_epoch = at.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).ok()?))
    });
    let is_old = policy
        .from_age
        .zip(born_at)
        .is_some_and(|(from_age, born_at)| now.since(born_at) >= from_age);
    metadata.len() >= policy.from_bytes || is_old
}

/// Puts a log aside: removes what is one too many, compresses what was put aside before, renames it. The runtime has to be told.
pub(crate) fn put_aside(
    path: &Path,
    policy: RotationPolicy,
    now: Timestamp,
) -> io::Result<PathBuf> {
    let mut old = rotated(path)?;
    for unfinished in old.extract_if(.., |path| has_end(path, TEMPORARY)) {
        std::fs::remove_file(unfinished)?;
    }
    // The one that is put aside now and the one that is begun count as well.
    let keep = policy.keep_files.saturating_sub(2);
    let surplus = old.len().saturating_sub(keep);
    for path in old.drain(..surplus) {
        std::fs::remove_file(path)?;
    }
    for path in old {
        if !has_end(&path, COMPRESSED) {
            compress(&path)?;
        }
    }
    let stamp = jiff::Timestamp::from_microsecond(now.as_micros()).unwrap_or_default();
    let aside = with_end(path, &format!(".{}", stamp.strftime("%Y%m%d-%H%M%S%6f")));
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

/// The files that were put aside and can be read as they are, the oldest first.
pub(super) fn put_aside_before(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = rotated(path)?;
    found.retain(|path| !has_end(path, COMPRESSED) && !has_end(path, TEMPORARY));
    Ok(found)
}

/// The files put aside before, the oldest first.
fn rotated(path: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
    let prefix = format!("{name}.");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let is_one = entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix));
        if is_one {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn has_end(path: &Path, end: &str) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(end))
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn compress(path: &Path) -> io::Result<()> {
    let done = with_end(path, COMPRESSED);
    let temporary = with_end(&done, TEMPORARY);
    let mut encoder = GzEncoder::new(File::create(&temporary)?, Compression::default());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?;
    std::fs::rename(&temporary, &done)?;
    std::fs::remove_file(path)
}

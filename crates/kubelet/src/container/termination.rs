//! A container's last words: the file at its `terminationMessagePath`, or the end of its log.
//!
//! Source of the limits: Kubernetes v1.36 `pkg/kubelet/container`: 4096 bytes of the file, 2048 bytes and 80 lines of the log,
//! 12 KiB for all containers of a Pod.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::{beneath, logs};

/// How much of the file is told.
const FILE_BYTES_MAX: u64 = 4096;
/// How much of the log is told.
const LOG_BYTES_MAX: usize = 2048;
/// How many lines of the log are told.
const LOG_LINES_MAX: usize = 80;
/// How much is told of all containers of a Pod.
pub(crate) const POD_BYTES_MAX: usize = 12 << 10;

/// The end of the file that a container may have written; empty if it wrote nothing.
///
/// The container can put anything into the file but cannot replace it, since it is a mount of its own; below `root`, where all such
/// files are, links are not followed.
pub(crate) fn read_file(root: &Path, path: &Path) -> std::io::Result<String> {
    let mut file = beneath::open(root, path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(String::new());
    }
    let start = metadata.len().saturating_sub(FILE_BYTES_MAX);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The end of a container's log.
pub(crate) fn read_log(log_dir: &Path, path: &Path) -> std::io::Result<String> {
    let text = logs::tail_text(log_dir, path, LOG_LINES_MAX)?;
    let mut start = text.len().saturating_sub(LOG_BYTES_MAX);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    Ok(text[start..].to_owned())
}

/// Puts a container's last words behind what its runtime says of the end.
pub(crate) fn add(message: &mut String, words: &str) {
    if !message.is_empty() && !words.is_empty() {
        message.push_str(": ");
    }
    message.push_str(words);
}

/// Cuts a message to a container's share of what is told of a Pod.
pub(crate) fn share(message: &mut String, container_count: usize) {
    let mut end = POD_BYTES_MAX / container_count.max(1);
    if message.len() <= end {
        return;
    }
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_file_is_told_and_links_are_not_followed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("message");
        std::fs::write(&path, format!("{}end", "x".repeat(5000))).expect("written");
        let text = read_file(dir.path(), &path).expect("readable");
        assert_eq!(text.len(), 4096);
        assert!(text.ends_with("xend"));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).expect("a link");
        assert!(read_file(dir.path(), &link).is_err());
        assert!(read_file(dir.path(), Path::new("/etc/passwd")).is_err());
        let folder = dir.path().join("folder");
        std::os::unix::fs::symlink("/etc", &folder).expect("a link");
        assert!(read_file(dir.path(), &folder.join("passwd")).is_err());
    }

    #[test]
    fn last_words_follow_what_the_runtime_says() {
        for (message, words, expected) in
            [("", "", ""), ("m", "", "m"), ("", "w", "w"), ("m", "w", "m: w")]
        {
            let mut message = message.to_owned();
            add(&mut message, words);
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn containers_share_what_is_told_of_a_pod() {
        let mut message = "ä".repeat(5000);
        share(&mut message, 3);
        assert_eq!(message.len(), 4096);
    }
}

//! What a Pod was given, on disk: one file in the Pod's folder, which goes with it.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use super::Allocation;

/// The file in the Pod's folder.
const NAME: &str = "resources.json";

/// Reads what is noted in a Pod's folder; `None` if nothing is, or nothing that can be read.
pub(crate) fn read(pod_dir: &Path) -> Option<Allocation> {
    let path = pod_dir.join(NAME);
    let found = fs::read(&path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
    let unread = |error: &io::Error| error.kind() != io::ErrorKind::NotFound;
    found
        .inspect_err(|error| {
            if unread(error) {
                tracing::warn!(?path, %error, "what the pod was given cannot be read: as it asks");
            }
        })
        .ok()
}

/// Notes what a Pod was given so that the file is there whole or not at all.
pub(crate) fn write(pod_dir: &Path, allocation: &Allocation) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(pod_dir)?;
    let unfinished = pod_dir.join(format!(".{NAME}"));
    let mut file = File::create(&unfinished)?;
    file.write_all(&serde_json::to_vec(allocation)?)?;
    // Else it is what the spec says, which is taken if the file is lost.
    if allocation.progress().is_some() {
        file.sync_all()?;
    }
    fs::rename(unfinished, pod_dir.join(NAME))
}

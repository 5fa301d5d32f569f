//! Bind mounts of the host.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use podo_runtime::{Mount, MountKind, MountSource, Propagation, ReadOnly};

use crate::v1::{self, MountPropagation};
use crate::{CriError, Reason};

/// Divides a host path into a trusted directory and a path below it that must not lead out of it, whatever links a container
/// puts there (CVE-2017-1002101, CVE-2021-25741). To anybody else the path means the same.
const BENEATH: &str = "/./";

/// A mount of the host that stays as it is: the runtime's own files.
pub(in crate::podo) fn own_file(source: &Path, destination: &str, read_only: bool) -> Mount {
    Mount {
        destination: destination.to_owned(),
        kind: MountKind::Bind {
            source: MountSource::Path(source.to_owned()),
            propagation: Propagation::Private,
            idmap: false,
        },
        read_only: if read_only { ReadOnly::Top } else { ReadOnly::No },
    }
}

/// A mount that a Pod asks for. A directory of the host that does not exist is made, as every runtime does it for a
/// `hostPath` without a type.
pub(in crate::podo) fn bind(mount: &v1::Mount) -> Result<Mount, CriError> {
    if !mount.container_path.starts_with('/') {
        return Err(bad(mount, "the path inside must be absolute"));
    }
    let source = source(mount)?;
    let propagation = match MountPropagation::try_from(mount.propagation) {
        Ok(MountPropagation::Private) => Propagation::Private,
        Ok(MountPropagation::HostToContainer) => Propagation::HostToContainer,
        Ok(MountPropagation::Bidirectional) => Propagation::Bidirectional,
        Err(_) => return Err(bad(mount, "unknown propagation")),
    };
    let read_only = match (mount.recursive_read_only, mount.readonly) {
        (true, true) if propagation == Propagation::Private => ReadOnly::Recursive,
        (true, _) => {
            let text = "recursive read-only needs a read-only mount with private propagation";
            return Err(bad(mount, text).with_reason(Reason::RecursiveReadOnly));
        }
        (false, true) => ReadOnly::Top,
        (false, false) => ReadOnly::No,
    };
    Ok(Mount {
        destination: mount.container_path.clone(),
        kind: MountKind::Bind { source, propagation, idmap: !mount.uid_mappings.is_empty() },
        read_only,
    })
}

fn bad(mount: &v1::Mount, why: &str) -> CriError {
    CriError::invalid(format!("mount at {:?}: {why}", mount.container_path))
}

fn source(mount: &v1::Mount) -> Result<MountSource, CriError> {
    let path = mount.host_path.as_str();
    if !path.starts_with('/') {
        return Err(bad(mount, "the path on the host must be absolute"));
    }
    if let Some((root, below)) = path.split_once(BENEATH) {
        return Ok(MountSource::Beneath { root: PathBuf::from(root), path: PathBuf::from(below) });
    }
    let exists = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(path)
        }
        looked => looked.map(drop),
    };
    exists.map_err(|error| bad(mount, &format!("{path:?}: {error}")))?;
    Ok(MountSource::Path(PathBuf::from(path)))
}

/// Whether a Pod mounts something at `path` itself.
pub(in crate::podo) fn is_mounted(mounts: &[v1::Mount], path: &str) -> bool {
    let trimmed = |path: &str| path.trim_end_matches('/').to_owned();
    mounts.iter().any(|mount| trimmed(&mount.container_path) == trimmed(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(host: &str) -> v1::Mount {
        v1::Mount { container_path: "/data".into(), host_path: host.into(), ..v1::Mount::default() }
    }

    #[test]
    fn a_path_below_a_trusted_directory_stays_below_it() {
        let made = bind(&mount("/var/volumes/a/./sub/dir")).expect("good");
        let MountKind::Bind { source, .. } = made.kind else { panic!("a bind is due") };
        let expected =
            MountSource::Beneath { root: "/var/volumes/a".into(), path: "sub/dir".into() };
        assert_eq!(source, expected);
    }

    #[test]
    fn recursive_read_only_needs_read_only_and_private() {
        for (readonly, propagation, is_good) in [
            (true, MountPropagation::Private, true),
            (false, MountPropagation::Private, false),
            (true, MountPropagation::HostToContainer, false),
        ] {
            let asked = v1::Mount {
                recursive_read_only: true,
                readonly,
                propagation: propagation as i32,
                ..mount("/proc")
            };
            let made = bind(&asked);
            assert_eq!(made.is_ok(), is_good, "{made:?}");
            if let Err(error) = made {
                assert_eq!(error.reason(), Reason::RecursiveReadOnly);
            }
        }
    }

    #[test]
    fn relative_paths_are_refused() {
        assert!(bind(&mount("relative")).is_err());
        let inside = v1::Mount { container_path: "data".into(), ..mount("/proc") };
        assert!(bind(&inside).is_err());
    }
}

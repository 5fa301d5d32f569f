//! Bind mounts of the host.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use podo_runtime::mountinfo::mount_of;
use podo_runtime::{Mount, MountKind, MountSource, Propagation, ReadOnly};

use crate::v1::{self, MountPropagation};
use crate::{Code, CriError, Reason};

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
    if propagation != Propagation::Private {
        let unknown = |error: io::Error| bad(mount, &format!("{:?}: {error}", mount.host_path));
        let path = fs::canonicalize(&mount.host_path).map_err(unknown)?;
        let table = fs::read_to_string("/proc/self/mountinfo").map_err(unknown)?;
        check_propagation(&table, &path, propagation)?;
    }
    Ok(Mount {
        destination: mount.container_path.clone(),
        kind: MountKind::Bind { source, propagation, idmap: !mount.uid_mappings.is_empty() },
        read_only,
    })
}

/// What is mounted later can be told into a container, or out of it, only by a mount of the host that takes part: containerd's
/// rule, in its words.
fn check_propagation(table: &str, path: &Path, propagation: Propagation) -> Result<(), CriError> {
    let refuse = |text: String| Err(CriError::new(Code::FailedPrecondition, text));
    let Some(entry) = mount_of(table, path) else {
        return refuse(format!("failed to find the mount info for {path:?}"));
    };
    let (is_good, wanted) = match propagation {
        Propagation::Private => return Ok(()),
        Propagation::HostToContainer => (entry.is_shared || entry.is_slave, "shared or slave"),
        Propagation::Bidirectional => (entry.is_shared, "shared"),
    };
    if is_good {
        return Ok(());
    }
    let point = &entry.point;
    refuse(format!("path {path:?} is mounted on {point:?} but it is not a {wanted} mount"))
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
    fn propagation_needs_a_mount_of_the_host_that_takes_part() {
        let table = "1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /slave rw master:1 - ext4 a rw\n\
                     3 1 8:3 / /shared rw shared:1 - ext4 a rw\n";
        let check = |path: &str, propagation| {
            check_propagation(table, Path::new(path), propagation)
                .map_err(|error| error.message().to_owned())
        };
        let refused = |path: &str, point: &str, wanted: &str| {
            let text =
                format!("path {path:?} is mounted on {point:?} but it is not a {wanted} mount");
            Err(text)
        };
        let (into, both) = (Propagation::HostToContainer, Propagation::Bidirectional);
        assert_eq!(check("/x", Propagation::Private), Ok(()));
        assert_eq!(check("/x", into), refused("/x", "/", "shared or slave"));
        assert_eq!(check("/x", both), refused("/x", "/", "shared"));
        assert_eq!(check("/slave/x", into), Ok(()));
        assert_eq!(check("/slave/x", both), refused("/slave/x", "/slave", "shared"));
        assert_eq!((check("/shared", into), check("/shared/x", both)), (Ok(()), Ok(())));
    }

    #[test]
    fn relative_paths_are_refused() {
        assert!(bind(&mount("relative")).is_err());
        let inside = v1::Mount { container_path: "data".into(), ..mount("/proc") };
        assert!(bind(&inside).is_err());
    }
}

//! `hostPath`: a file or folder of the host, checked or made as its type says (Kubernetes v1.36 `pkg/volume/hostpath`).

use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use podo_api::k8s_openapi::api::core::v1 as k8s;

use super::VolumeError;

/// Checks or makes what the volume names. Links are followed: the host's files are the host's.
pub(super) fn set_up(source: &k8s::HostPathVolumeSource) -> Result<(), VolumeError> {
    let path = Path::new(&source.path);
    let found = std::fs::metadata(path).ok().map(|metadata| metadata.file_type());
    let is_not = |what| Err(VolumeError::HostPathType(source.path.clone(), what));
    let check = |is_so: bool, what: &'static str| if is_so { Ok(()) } else { is_not(what) };
    match source.type_.as_deref().unwrap_or_default() {
        "" => Ok(()),
        "DirectoryOrCreate" => match found {
            Some(found) => check(found.is_dir(), "a directory"),
            None => std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(path)
                .map_err(VolumeError::io("make", path)),
        },
        "Directory" => check(found.is_some_and(|found| found.is_dir()), "a directory"),
        "FileOrCreate" => match found {
            Some(found) => check(found.is_file(), "a file"),
            None => std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o644)
                .open(path)
                .map(|_| ())
                .map_err(VolumeError::io("make", path)),
        },
        "File" => check(found.is_some_and(|found| found.is_file()), "a file"),
        "Socket" => check(found.is_some_and(|found| found.is_socket()), "a socket file"),
        "CharDevice" => {
            check(found.is_some_and(|found| found.is_char_device()), "a character device")
        }
        "BlockDevice" => {
            check(found.is_some_and(|found| found.is_block_device()), "a block device")
        }
        other => Err(VolumeError::HostPathUnknownType(other.to_owned())),
    }
}

//! Devices of the host.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use podo_runtime::{Device, DeviceKind};

use crate::CriError;
use crate::v1;

/// Devices of one directory that is asked for whole; `/dev/dri` has a handful, `/dev/bus/usb` some hundred.
const DEVICES_MAX: usize = 1024;

/// The devices that a container asks for; a directory means all that are in it.
pub(in crate::podo) fn devices(asked: &[v1::Device]) -> Result<Vec<Device>, CriError> {
    let mut found = Vec::new();
    for device in asked {
        let access = if device.permissions.is_empty() { "rwm" } else { &device.permissions };
        if !access.bytes().all(|letter| b"rwm".contains(&letter)) {
            return Err(CriError::invalid(format!("device permissions {access:?} are not of rwm")));
        }
        let inside = if device.container_path.is_empty() {
            &device.host_path
        } else {
            &device.container_path
        };
        let looked = look(Path::new(&device.host_path), inside, access, &mut found);
        looked.map_err(|error| {
            CriError::invalid(format!("device {:?}: {error}", device.host_path))
        })?;
    }
    Ok(found)
}

fn look(path: &Path, inside: &str, access: &str, found: &mut Vec<Device>) -> io::Result<()> {
    let data = fs::metadata(path)?;
    if data.is_dir() {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name();
            let inside = format!("{}/{}", inside.trim_end_matches('/'), name.to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() || kind.is_char_device() || kind.is_block_device() {
                look(&entry.path(), &inside, access, found)?;
            }
        }
        return Ok(());
    }
    let kind = match data.file_type() {
        kind if kind.is_char_device() => DeviceKind::Character,
        kind if kind.is_block_device() => DeviceKind::Block,
        _ => return Err(io::Error::other("not a device")),
    };
    if found.len() >= DEVICES_MAX {
        return Err(io::Error::other(format!("more than {DEVICES_MAX} devices")));
    }
    found.push(Device {
        path: inside.to_owned(),
        kind,
        major: rustix::fs::major(data.rdev()),
        minor: rustix::fs::minor(data.rdev()),
        mode: data.mode() & 0o7777,
        uid: data.uid(),
        gid: data.gid(),
        access: access.to_owned(),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(host: &str, inside: &str, permissions: &str) -> v1::Device {
        v1::Device {
            host_path: host.into(),
            container_path: inside.into(),
            permissions: permissions.into(),
        }
    }

    #[test]
    fn a_device_has_the_hosts_numbers_and_the_containers_path() {
        let found = devices(&[asked("/dev/null", "/dev/hole", "rw")]).expect("a device");
        let seen: Vec<_> = found.iter().map(|d| (d.path.as_str(), d.major, d.minor)).collect();
        assert_eq!(seen, [("/dev/hole", 1, 3)]);
        assert_eq!(found.first().map(|device| device.access.as_str()), Some("rw"));
    }

    #[test]
    fn what_is_no_device_or_no_permission_is_refused() {
        for bad in
            [asked("/etc/passwd", "", ""), asked("/nowhere", "", ""), asked("/dev/null", "", "x")]
        {
            assert!(devices(std::slice::from_ref(&bad)).is_err(), "{bad:?}");
        }
    }
}

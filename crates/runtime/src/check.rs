//! Checking specs before anything is made: names that become file names, paths that become cgroups, settings that are
//! not namespaced.

use crate::error::{Fault, FaultKind};
use crate::spec::{ContainerSpec, PidMode, SandboxSpec};

/// A name's length: a file name has at most 255 bytes, and suffixes are added.
const ID_BYTES_MAX: usize = 128;

/// Namespaced settings of the IPC namespace.
const IPC_SYSCTLS: [&str; 9] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
    "fs.mqueue.",
];

fn refuse<T>(message: String) -> Result<T, Fault> {
    Err(Fault::new(FaultKind::Invalid, message))
}

/// A sandbox's or container's id.
pub(crate) fn id(id: &str) -> Result<(), Fault> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if id.is_empty() || id.len() > ID_BYTES_MAX || id.starts_with('.') || !id.bytes().all(good) {
        return refuse(format!(
            "id {id:?} must have 1 to {ID_BYTES_MAX} letters, digits, '.', '_' or '-'"
        ));
    }
    Ok(())
}

/// A cgroup's path below a hierarchy's mount.
pub(crate) fn cgroup(path: &str) -> Result<(), Fault> {
    let bad =
        |name: &str| name.is_empty() || name == "." || name == ".." || name.contains(['\0', '\n']);
    if path.split('/').any(bad) {
        return refuse(format!(
            "cgroup {path:?} must be a relative path without empty, '.' or '..' names"
        ));
    }
    Ok(())
}

/// A sandbox.
pub(crate) fn sandbox(spec: &SandboxSpec) -> Result<(), Fault> {
    id(&spec.id)?;
    cgroup(&spec.cgroup)?;
    for (name, value) in &spec.sysctls {
        sysctl(name, value, spec)?;
    }
    if let Some(user) = &spec.user_namespace {
        if spec.host_ipc || spec.pid == PidMode::Host || spec.network == crate::NetworkMode::Host {
            return refuse("a user namespace cannot go with a host namespace".into());
        }
        for maps in [&user.uids, &user.gids] {
            if !maps.iter().any(|map| map.inside == 0 && map.count > 0) {
                return refuse("a user namespace must map the id 0".into());
            }
        }
    }
    Ok(())
}

/// Only what belongs to a namespace of the sandbox's own may be set (CVE-2022-0811).
fn sysctl(name: &str, value: &str, spec: &SandboxSpec) -> Result<(), Fault> {
    let dotted = name.replace('/', ".");
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    };
    if !dotted.split('.').all(is_name) || value.contains(['\0', '\n', '+']) {
        return refuse(format!(
            "sysctl {name:?} is not a setting's name, or its value has more than one line"
        ));
    }
    let is_ipc = IPC_SYSCTLS.iter().any(|known| match known.strip_suffix('.') {
        Some(_) => dotted.starts_with(known),
        None => dotted == *known,
    });
    let is_net = dotted.starts_with("net.");
    let is_own = (is_ipc && !spec.host_ipc) || (is_net && spec.network != crate::NetworkMode::Host);
    if is_own {
        Ok(())
    } else {
        refuse(format!("sysctl {name:?} is not in a namespace of the sandbox"))
    }
}

/// A container.
pub(crate) fn container(spec: &ContainerSpec) -> Result<(), Fault> {
    id(&spec.id)?;
    if spec.id == "sandbox" {
        return refuse("a container cannot be named like the sandbox's own records".into());
    }
    cgroup(if spec.cgroup.is_empty() { &spec.id } else { &spec.cgroup })?;
    if spec.process.args.is_empty() {
        return refuse(format!("container {:?} has nothing to run", spec.id));
    }
    let absolute = spec.masked_paths.iter().chain(&spec.read_only_paths);
    let destinations = spec.mounts.iter().map(|mount| &mount.destination);
    for path in absolute.chain(destinations).chain(spec.devices.iter().map(|device| &device.path)) {
        if !path.starts_with('/') || path.contains('\0') || path.split('/').any(|name| name == "..")
        {
            return refuse(format!("path {path:?} must be absolute and without '..'"));
        }
    }
    if !(0..=64).contains(&spec.stop_signal) {
        return refuse(format!("stop signal {} is not a signal", spec.stop_signal));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetworkMode;

    #[test]
    fn ids_are_file_names_that_hide_nothing() {
        for good in ["a", "0123abc", "web-1_x.y"] {
            assert!(id(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".hidden", "a/b", "a b", "ü", &"x".repeat(129)] {
            assert!(id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn cgroup_paths_cannot_climb() {
        assert!(cgroup("kubepods/pod1").is_ok());
        for bad in ["", "/a", "a//b", "a/../b", "a/.", "a\nb"] {
            assert!(cgroup(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_namespaced_sysctls_of_own_namespaces_are_taken() {
        let own = SandboxSpec::default();
        let host =
            SandboxSpec { host_ipc: true, network: NetworkMode::Host, ..SandboxSpec::default() };
        for name in [
            "net.ipv4.ip_forward",
            "net/ipv4/conf/eth0/forwarding",
            "kernel.sem",
            "fs.mqueue.msg_max",
        ] {
            assert!(sysctl(name, "1", &own).is_ok(), "{name}");
            assert!(sysctl(name, "1", &host).is_err(), "{name}");
        }
        for name in [
            "kernel.core_pattern",
            "kernel.semaphore",
            "vm.swappiness",
            "net/../kernel.core_pattern",
            "net",
            "",
        ] {
            assert!(sysctl(name, "1", &own).is_err(), "{name}");
        }
        assert!(sysctl("kernel.shm_rmid_forced", "1+kernel.core_pattern=|/evil", &own).is_err());
    }
}

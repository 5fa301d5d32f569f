//! Which controllers are mounted where.

use std::io;
use std::path::{Path, PathBuf};

/// v1 hierarchies that a container has its place in: those with limits, freezing and accounting, and systemd's own, so
/// that stopping a service does not end the containers that it started.
const V1_USED: [&str; 9] =
    ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "pids", "hugetlb", "name=systemd"];

/// The mounted hierarchies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    unified: Option<PathBuf>,
    v1: Vec<(PathBuf, Vec<String>)>,
}

impl Layout {
    /// As this process sees them.
    pub fn detect() -> io::Result<Self> {
        let layout = Self::parse(&std::fs::read_to_string("/proc/self/mountinfo")?);
        if layout.mounts().next().is_none() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no cgroup hierarchy is mounted"));
        }
        Ok(layout)
    }

    /// From the text of `/proc/PID/mountinfo`: the first mount of each hierarchy counts.
    pub(crate) fn parse(mountinfo: &str) -> Self {
        let mut layout = Self::default();
        for line in mountinfo.lines() {
            let Some((mount, filesystem)) = line.split_once(" - ") else { continue };
            let mut mount = mount.split(' ').skip(3);
            let (Some(root), Some(point)) = (mount.next(), mount.next()) else { continue };
            let mut filesystem = filesystem.split(' ');
            let (kind, options) = (filesystem.next(), filesystem.nth(1).unwrap_or(""));
            if root != "/" && !root.starts_with("/..") && kind == Some("cgroup") {
                continue; // A bind of some part of a hierarchy.
            }
            match kind {
                Some("cgroup2") if layout.unified.is_none() => layout.unified = Some(point.into()),
                Some("cgroup") => layout.add_v1(point, options),
                _ => {}
            }
        }
        layout
    }

    fn add_v1(&mut self, point: &str, options: &str) {
        let is_new = |name: &&str| V1_USED.contains(name) && self.v1_mount_of(name).is_none();
        let controllers: Vec<String> =
            options.split(',').filter(is_new).map(str::to_owned).collect();
        if !controllers.is_empty() {
            self.v1.push((point.into(), controllers));
        }
    }

    pub(crate) fn unified(&self) -> Option<&Path> {
        self.unified.as_deref()
    }

    /// Whether v2 has the controllers, and is not merely beside v1.
    pub(crate) fn has_v2_controllers(&self) -> bool {
        self.unified.is_some()
            && self.v1_mount_of("memory").is_none()
            && self.v1_mount_of("cpu").is_none()
    }

    pub(crate) fn v1_mounts(&self) -> impl Iterator<Item = &Path> {
        self.v1.iter().map(|(mount, _)| mount.as_path())
    }

    /// v1 mounts with the controllers on them.
    pub(crate) fn v1(&self) -> &[(PathBuf, Vec<String>)] {
        &self.v1
    }

    pub(crate) fn mounts(&self) -> impl Iterator<Item = &Path> {
        self.v1_mounts().chain(self.unified())
    }

    pub(crate) fn v1_mount_of(&self, controller: &str) -> Option<&Path> {
        let has = |controllers: &Vec<String>| controllers.iter().any(|name| name == controller);
        self.v1.iter().find(|(_, controllers)| has(controllers)).map(|(mount, _)| mount.as_path())
    }

    pub(crate) fn is_v1_mount_of(&self, controller: &str, mount: &Path) -> bool {
        self.v1_mount_of(controller) == Some(mount)
    }

    /// Where a controller is; on a v2 without it, its files are simply not there.
    pub fn mount_of(&self, controller: &str) -> Option<&Path> {
        self.v1_mount_of(controller).or(if self.has_v2_controllers() {
            self.unified()
        } else {
            None
        })
    }

    pub(crate) fn is_v2(&self, controller: &str) -> bool {
        self.v1_mount_of(controller).is_none()
    }
}

//! The cgroups above those of Pods, which the node agent sets through [`podo_runtime`].

use std::io;

use podo_kubelet::{ClassCgroups, ClassLimits};
use podo_runtime::Resources;
use podo_runtime::cgroup::{Cgroup, Layout};

/// The cgroups of an instance.
#[derive(Debug)]
pub(crate) struct InstanceCgroups {
    layout: Layout,
    /// The cgroup below which all of the instance's are.
    root: String,
}

impl InstanceCgroups {
    /// Those below `root`, in the hierarchies that this process sees.
    pub(crate) fn detect(root: String) -> io::Result<Self> {
        Ok(Self { layout: Layout::detect()?, root })
    }
}

impl ClassCgroups for InstanceCgroups {
    fn set(&self, path: &str, limits: ClassLimits) -> io::Result<()> {
        let cgroup = Cgroup::new(&self.layout, format!("{}/{}", self.root, path.trim_matches('/')));
        cgroup.create()?;
        cgroup.set(&Resources {
            cpu_shares: u64::try_from(limits.cpu_shares).ok(),
            memory_limit_bytes: limits.memory_bytes,
            ..Resources::default()
        })
    }
}

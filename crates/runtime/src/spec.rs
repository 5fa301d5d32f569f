//! What a caller asks for: sandboxes, containers, processes, mounts, resources.
//!
//! Plain serde values that travel to the shim and lie in the run directory. They know no Pod: every name, path and
//! number is the caller's. A field that an older shim does not know is ignored by it; a field that an older caller
//! does not send has its default.
//!
//! Not here: checking (see [`crate::check`]), doing.

mod container;
mod mount;
mod process;
mod resources;
mod sandbox;
mod text;

pub use container::{ContainerSpec, LogLimit, Stdin};
pub use mount::{Mount, MountKind, MountSource, Overlay, Propagation, ReadOnly, Rootfs};
pub use process::{ExecSpec, ProcessSpec, ResourceLimit, UserSpec, WindowSize};
pub use resources::{Device, DeviceKind, DeviceRule, Resources};
pub use sandbox::{IdMap, NetworkMode, PauseImage, PidMode, SandboxSpec, UserNamespace};

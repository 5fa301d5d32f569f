//! From CRI's configurations to the runtime's specs. Pure but for looking at devices and profiles of the host.

pub(super) mod devices;
pub(super) mod mounts;
pub(super) mod process;
pub(super) mod resolv_conf;
pub(super) mod resources;
pub(super) mod sandbox;
pub(super) mod security;

//! Pulls, archives and crashes against real sockets and a real file system. Wants root, as unpacking does.

mod archives;
mod crash;
mod fake_registry;
mod lookups;
mod pulls;
mod refusals;
mod rootfs;
mod support;

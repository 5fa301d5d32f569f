//! The kernel calls that need `unsafe`: the only place of the crate where it is allowed.
//!
//! Every function here is a safe wrapper of one system call (or of one short fixed sequence) that rustix has no safe form of.
//! Policy, order and error texts are not here.

pub(crate) mod bpf;
pub(crate) mod clone;
pub(crate) mod exec;
pub(crate) mod filter;
pub(crate) mod misc;
pub(crate) mod mount_attr;
pub(crate) mod signals;

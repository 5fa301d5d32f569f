//! The network against the real kernel, on hosts that are network namespaces of their own.
//!
//! Needs root. Everything lives in namespaces and folders that the tests make; the machine's own
//! network is not touched.

#![deny(clippy::indexing_slicing, reason = "the crate's rule")]
#![expect(clippy::unwrap_used, reason = "a world that cannot be set up fails its test")]

mod crash;
mod hostport;
mod lifecycle;
mod reach;
mod security;
mod services;
mod speed;
mod world;

//! What one container is to be, in the runtime's terms, worked out from its Pod.
//!
//! Everything here is pure: what has to be fetched (config maps, secrets, services, the image's user) comes in as data.
//! [`config`] puts the parts together.

pub(crate) mod config;
pub(crate) mod dns;
pub(crate) mod downward;
pub(crate) mod env;
pub(crate) mod expand;
pub(crate) mod hosts;
pub(crate) mod labels;
pub(crate) mod resources;
pub(crate) mod sandbox;
pub(crate) mod security;
pub(crate) mod services;
pub(crate) mod termination;
pub(crate) mod user_namespace;

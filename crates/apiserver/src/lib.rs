//! The API server: one request pipeline for every kind and every transport.
//!
//! A request comes in by HTTP ([`Server`]) or from a component of this process ([`Api`]); either way it becomes a [`Call`], which
//! [`verbs`] authorizes and carries out: decode, default, admit, validate, store. What comes out is an [`Outcome`], which HTTP renders.

mod admission;
mod api;
pub mod authn;
mod authz;
mod bootstrap;
mod call;
mod custom_kinds;
mod discovery;
mod encoding;
mod event_bytes;
mod expiry;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod http;
mod metrics;
mod nodes;
mod openapi;
mod options;
pub mod pki;
mod reviews;
mod selection;
mod server;
mod service;
mod start;
mod storage;
mod subresources;
mod token;
mod user;
mod verbs;
mod version;

pub use api::{Api, Settings};
pub use call::{Body, Call, List, Outcome, Target, Warnings};
pub use encoding::{Encoding, PatchKind};
pub use event_bytes::EventKind;
pub use http::{Front, FrontConfig};
pub use options::Options;
pub use server::Server;
pub use start::{ServerConfig, StartError, Started, start};
pub use storage::Store;
pub use user::User;
pub use verbs::watch::{Watch, WatchItem};
pub use version::KUBERNETES_VERSION;

//! The client of a Kubernetes v1.36 API: connections, credentials, streams, and what controllers stand on.
//!
//! [`Client`] speaks to a server through a [`transport::Transport`]: in the server's own process or over HTTPS. [`informer`] keeps a
//! current copy of objects, [`queue`] and [`runner`] turn changes into reconciles.

mod client;
pub mod https;
pub mod informer;
pub mod kubeconfig;
pub mod queue;
pub mod runner;
pub mod transport;
pub mod watcher;
pub mod websocket;

pub use client::{Client, Deletion, Query};

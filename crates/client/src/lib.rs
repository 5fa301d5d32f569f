//! The client of a Kubernetes v1.36 API: connections, credentials, streams.

pub mod https;
pub mod kubeconfig;
pub mod websocket;

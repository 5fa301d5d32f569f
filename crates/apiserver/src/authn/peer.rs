//! The other end of a connection.

use std::sync::Arc;

use podo_base::Timestamp;

use crate::user::User;

/// What is known of the other end of a connection.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// Where it is.
    pub address: Option<std::net::SocketAddr>,
    /// Who its client certificate says it is, if it has one that the authority signed.
    pub user: Option<Arc<User>>,
    /// The last moment at which that certificate is valid: a connection may last longer.
    pub valid_until: Option<Timestamp>,
}

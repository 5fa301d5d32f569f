//! What can go wrong in making a client and in using it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a client cannot be made from its configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The server's address is no URL.
    #[error("server address {server:?} is not a URL")]
    Server {
        /// The address.
        server: String,
        /// What is wrong with it.
        #[source]
        source: http::uri::InvalidUri,
    },
    /// The server's address names no host.
    #[error("server address {server:?} has no host")]
    NoHost {
        /// The address.
        server: String,
    },
    /// A file that the configuration names cannot be read.
    #[error("unable to read {what} {path:?}")]
    File {
        /// What the file is for, as in `certificate-authority`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Inline data is not base64.
    #[error("{what} is not base64")]
    Base64 {
        /// The field.
        what: &'static str,
        /// Where it breaks.
        #[source]
        source: base64::DecodeError,
    },
    /// Certificates or keys are not PEM.
    #[error("{what} is not PEM")]
    Pem {
        /// The field.
        what: &'static str,
        /// What is wrong.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// TLS refuses the certificates or the key.
    #[error("{what} cannot be used")]
    Tls {
        /// The field.
        what: &'static str,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// A certificate came without its key, or the other way round.
    #[error("{present} is given without {absent}")]
    HalfPair {
        /// The field that is there.
        present: &'static str,
        /// The field that is lacking.
        absent: &'static str,
    },
    /// A header cannot carry the value.
    #[error("value of header {name:?} has characters that a header cannot carry")]
    Header {
        /// The header.
        name: String,
        /// Which.
        #[source]
        source: http::header::InvalidHeaderValue,
    },
    /// A header cannot have the name.
    #[error("header name {name:?} is not valid")]
    HeaderName {
        /// The name.
        name: String,
        /// Why.
        #[source]
        source: http::header::InvalidHeaderName,
    },
}

/// Why a request got no answer. An answer of 4xx or 5xx is none of these.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Nothing listens at the address.
    #[error("connection to {address} was refused")]
    Refused {
        /// `HOST:PORT`.
        address: String,
    },
    /// No connection could be made.
    #[error("dial tcp {address}")]
    Connect {
        /// `HOST:PORT`.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The name of the server has no address.
    #[error("no such host {host:?}")]
    NoSuchHost {
        /// The name.
        host: String,
    },
    /// The server's name cannot be verified in TLS.
    #[error("server name {name:?} is not valid")]
    ServerName {
        /// The name.
        name: String,
    },
    /// The TLS handshake ended badly.
    #[error("tls handshake with {address}")]
    Handshake {
        /// `HOST:PORT`.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No answer in time.
    #[error("no answer within {}s", limit.as_secs_f32())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The connection broke during the request.
    #[error("connection was lost")]
    Http {
        /// How.
        #[source]
        source: hyper::Error,
    },
    /// The path is not one.
    #[error("path {path:?} is not valid")]
    Path {
        /// The path.
        path: String,
        /// Why.
        #[source]
        source: http::uri::InvalidUri,
    },
    /// The address and path do not make a URI.
    #[error("address is not valid")]
    Address {
        /// Why.
        #[source]
        source: http::Error,
    },
    /// A header cannot carry its value.
    #[error("header {name} cannot carry its value")]
    Header {
        /// The header.
        name: &'static str,
        /// Why.
        #[source]
        source: http::header::InvalidHeaderValue,
    },
    /// The file of the token cannot be read.
    #[error("token file {path:?} cannot be read")]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

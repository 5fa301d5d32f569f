//! What can go wrong with a registry, in the words of containerd that users and scripts know.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::time::Duration;

use super::connect::ConnectError;
use crate::content::StoreError;
use crate::digest::Digest;
use crate::manifest::ManifestError;

/// A request that got no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The host cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection broke or spoke nonsense.
    #[error("http: connection broke")]
    Http(#[source] Box<dyn StdError + Send + Sync>),
    /// Nothing came for too long.
    #[error("no progress within {}s: i/o timeout", limit.as_secs())]
    Stalled {
        /// How long was waited.
        limit: Duration,
    },
    /// A URL that the registry sent, or that the name makes, is none.
    #[error("invalid URL {url:?}")]
    Url {
        /// The URL.
        url: String,
    },
    /// Too many redirects, or one from TLS to plain text.
    #[error("refused redirect to {url:?}")]
    Redirect {
        /// Where to.
        url: String,
    },
}

/// Why a registry did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// There is nobody to ask.
    #[error("no registry endpoint is configured")]
    NoEndpoint,
    /// The request failed before an answer.
    #[error("failed to do request: {method} {url:?}")]
    Request {
        /// Method as Go writes it: `Head`, `Get`.
        method: &'static str,
        /// What was asked for, without a query.
        url: String,
        /// Why.
        #[source]
        source: RequestError,
    },
    /// An answer with a status that is of no use.
    #[error("unexpected status from {method} request to {url}: {status}{detail}")]
    Status {
        /// Method in capitals.
        method: &'static str,
        /// What was asked for, without a query.
        url: String,
        /// Status code and its text: `503 Service Unavailable`.
        status: http::StatusCode,
        /// `: ` and what the registry said, or nothing.
        detail: String,
    },
    /// The registry does not have it.
    #[error("{what}: not found")]
    NotFound {
        /// Name or digest.
        what: String,
    },
    /// The registry wants other credentials.
    #[error(
        "pull access denied, repository does not exist or may require authorization: authorization failed"
    )]
    Unauthorized {
        /// The refusal.
        #[source]
        source: Box<RegistryError>,
    },
    /// The registry offers no way to authenticate that we know.
    #[error(
        "pull access denied, repository does not exist or may require authorization: authorization failed: {reason}"
    )]
    Challenge {
        /// What is the matter with it.
        reason: &'static str,
    },
    /// The token service refused or failed.
    #[error("failed to authorize: failed to fetch {kind} token")]
    Token {
        /// `anonymous` or `oauth`.
        kind: &'static str,
        /// Why.
        #[source]
        source: Box<RegistryError>,
    },
    /// An answer larger than allowed.
    #[error("answer of {url} is larger than {max} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The bound.
        max: u64,
    },
    /// An answer of the token service or an error list that is no JSON of the expected form.
    #[error("answer of {url} is malformed")]
    Malformed {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The transfer ended early every time it was tried.
    #[error(
        "{digest} failed size validation: {got} != {size}: failed precondition: unexpected EOF"
    )]
    Truncated {
        /// The blob.
        digest: Digest,
        /// Bytes that came.
        got: u64,
        /// Bytes promised.
        size: u64,
    },
    /// What came is not what was promised.
    #[error("{expected} failed size validation: {got} != {size}: failed precondition")]
    Size {
        /// The blob.
        expected: Digest,
        /// Bytes that came, or that the registry announces.
        got: u64,
        /// Bytes promised.
        size: u64,
    },
    /// What came is not what was promised.
    #[error("unexpected commit digest {got}, expected {expected}: failed precondition")]
    Digest {
        /// Digest of what came.
        got: Digest,
        /// Digest promised.
        expected: Digest,
    },
    /// A manifest that cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// What receives the content failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Whoever received the content went away.
    #[error("receiver of the content ended")]
    ReceiverGone,
}

impl RegistryError {
    /// The registry refused who we are.
    pub fn is_unauthorized(&self) -> bool {
        match self {
            Self::Unauthorized { .. } | Self::Challenge { .. } => true,
            Self::Token { source, .. } => source.is_refusal(),
            _ => false,
        }
    }

    fn is_refusal(&self) -> bool {
        matches!(self, Self::Status { status, .. } if matches!(status.as_u16(), 400 | 401 | 403))
    }

    /// The registry, or the way to it, is broken: nothing is wrong with the image or with us.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Request { .. } | Self::Truncated { .. } | Self::NoEndpoint => true,
            Self::Token { source, .. } => source.is_unavailable(),
            Self::Status { status, .. } => is_transient(*status),
            _ => false,
        }
    }

    /// Whether the content differs from its name.
    pub fn is_integrity(&self) -> bool {
        match self {
            Self::Digest { .. } | Self::Size { .. } => true,
            Self::Store(source) => source.is_integrity(),
            _ => false,
        }
    }

    /// Which of several endpoints' answers tells most.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::NoEndpoint => 0,
            Self::Request { .. } => 1,
            Self::NotFound { .. } => 2,
            _ => 3,
        }
    }

    /// Whether the same request may succeed in a moment.
    pub(super) fn is_worth_retrying(&self) -> bool {
        match self {
            Self::Status { status, .. } => is_transient(*status),
            Self::Request { source, .. } => {
                matches!(source, RequestError::Http(_) | RequestError::Stalled { .. })
            }
            Self::Truncated { .. } => true,
            _ => false,
        }
    }

    /// The error with all its causes, as one line.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

fn is_transient(status: http::StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// An error and its causes, joined as Go joins wrapped errors.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _ = write!(line, ": {error}");
        cause = error.source();
    }
    line
}

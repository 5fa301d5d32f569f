//! What a verb answers when it does not do what was asked: a code as gRPC has them, and a reason that a node agent acts on.

use std::fmt;

/// gRPC's status codes, with their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Code {
    /// The caller gave up.
    Cancelled = 1,
    /// No code fits.
    Unknown = 2,
    /// The request makes no sense whatever the state.
    InvalidArgument = 3,
    /// It took longer than allowed.
    DeadlineExceeded = 4,
    /// No such sandbox, container or image.
    NotFound = 5,
    /// It exists already.
    AlreadyExists = 6,
    /// Not allowed.
    PermissionDenied = 7,
    /// Addresses, memory, disk or a bound of ours is used up.
    ResourceExhausted = 8,
    /// Not in the state that it is in.
    FailedPrecondition = 9,
    /// This runtime cannot do that.
    Unimplemented = 12,
    /// The runtime or the node failed.
    Internal = 13,
    /// Not now: trying again may help.
    Unavailable = 14,
    /// Who is asking is not known to the registry.
    Unauthenticated = 16,
}

/// What a node agent tells apart beyond the code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The code says all.
    #[default]
    Unspecified,
    /// A pull failed: `ErrImagePull`.
    ImagePull,
    /// The registry refused who was asking: `ErrImagePull`.
    ImagePullDenied,
    /// The name cannot be an image's: `InvalidImageName`.
    InvalidImageName,
    /// An image volume cannot be mounted: `ImageVolumeMountFailed`.
    ImageVolumeMount,
    /// Recursive read-only mounts are not possible here: `RROUnsupported`.
    RecursiveReadOnly,
    /// The container could not be started; it has exited with this code: `StartError`.
    StartError {
        /// 127 not found, 126 not executable, else 128.
        exit_code: i32,
    },
}

impl Reason {
    /// The word that Kubernetes v1.36 shows for it, if it has one.
    pub fn as_str(self) -> Option<&'static str> {
        Some(match self {
            Self::Unspecified => return None,
            Self::ImagePull | Self::ImagePullDenied => "ErrImagePull",
            Self::InvalidImageName => "InvalidImageName",
            Self::ImageVolumeMount => "ImageVolumeMountFailed",
            Self::RecursiveReadOnly => "RROUnsupported",
            Self::StartError { .. } => "StartError",
        })
    }
}

/// Why a verb did not do what was asked. Its text is for people and holds the whole chain of causes, since it may have come
/// through a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CriError {
    code: Code,
    reason: Reason,
    message: String,
}

impl fmt::Display for CriError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for CriError {}

impl CriError {
    /// An error without a reason of its own.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, reason: Reason::Unspecified, message: message.into() }
    }

    /// The same with a reason.
    #[must_use]
    pub fn with_reason(mut self, reason: Reason) -> Self {
        self.reason = reason;
        self
    }

    /// There is no such thing: `what` is `sandbox`, `container` or `image`.
    pub fn not_found(what: &str, id: &str) -> Self {
        Self::new(Code::NotFound, format!("{what} {id:?} not found"))
    }

    /// The request makes no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// The runtime or the node failed: `error` with all its causes.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(Code::Internal, podo_base::Chain(error).to_string())
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Its reason.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Its text.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether there is no such thing.
    pub fn is_not_found(&self) -> bool {
        self.code == Code::NotFound
    }
}

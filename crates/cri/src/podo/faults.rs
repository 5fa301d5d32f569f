//! Errors of the mechanisms in CRI's terms.

use podo_image::SnapshotError;
use podo_image::service::{PullError, PullErrorKind};
use podo_network::NetworkError;
use podo_network::firewall::FirewallError;
use podo_network::pool::PoolError;
use podo_runtime::{Fault, FaultKind, RuntimeError};

use crate::{Code, CriError, Reason};

/// A refusal of the runtime, or a broken shim.
pub(super) fn of_runtime(error: &RuntimeError) -> CriError {
    let text = podo_base::Chain(error).to_string();
    match error {
        RuntimeError::Refused(fault) => CriError::new(code_of(fault.kind), text),
        RuntimeError::ShimGone { .. } => CriError::new(Code::FailedPrecondition, text),
        RuntimeError::TimedOut { .. } => CriError::new(Code::DeadlineExceeded, text),
        RuntimeError::Exists { .. } => CriError::new(Code::AlreadyExists, text),
        _ => CriError::new(Code::Internal, text),
    }
}

/// A process that did not become its program.
pub(super) fn of_start(fault: &Fault) -> CriError {
    let error = CriError::new(code_of(fault.kind), fault.message.clone());
    match fault.kind {
        // It was not tried: the container's state does not allow it.
        FaultKind::State | FaultKind::Missing | FaultKind::Exists | FaultKind::Invalid => error,
        kind => error.with_reason(Reason::StartError { exit_code: kind.exit_code() }),
    }
}

fn code_of(kind: FaultKind) -> Code {
    match kind {
        FaultKind::Invalid => Code::InvalidArgument,
        FaultKind::Missing => Code::NotFound,
        FaultKind::Exists => Code::AlreadyExists,
        FaultKind::State => Code::FailedPrecondition,
        FaultKind::ProgramNotFound
        | FaultKind::ProgramPermission
        | FaultKind::ProgramFormat
        | FaultKind::WorkingDirectory
        | FaultKind::User
        | FaultKind::Mount => Code::Unknown,
        FaultKind::Cgroup | FaultKind::Kernel | FaultKind::Unknown => Code::Internal,
    }
}

/// A sandbox's network.
pub(super) fn of_network(error: &NetworkError) -> CriError {
    let text = format!("failed to setup network for sandbox: {}", podo_base::Chain(error));
    match error {
        NetworkError::Pool(PoolError::Exhausted { .. }) => {
            CriError::new(Code::ResourceExhausted, text)
        }
        NetworkError::Firewall(FirewallError::HostPortInUse { .. }) => {
            CriError::new(Code::AlreadyExists, text)
        }
        _ => CriError::new(Code::Internal, text),
    }
}

/// A root file system.
pub(super) fn of_snapshot(error: &SnapshotError) -> CriError {
    match error {
        SnapshotError::NoImage { image } => CriError::not_found("image", image),
        _ => CriError::internal(error),
    }
}

/// A pull.
pub(super) fn of_pull(error: &PullError) -> CriError {
    let (code, reason) = match error.kind() {
        PullErrorKind::NotFound => (Code::NotFound, Reason::ImagePull),
        PullErrorKind::Unauthorized => (Code::Unauthenticated, Reason::ImagePullDenied),
        PullErrorKind::Unavailable => (Code::Unavailable, Reason::ImagePull),
        PullErrorKind::Integrity => (Code::Internal, Reason::ImagePull),
        PullErrorKind::BadImage => (Code::InvalidArgument, Reason::ImagePull),
        PullErrorKind::Node => (Code::Internal, Reason::ImagePull),
    };
    CriError::new(code, error.message()).with_reason(reason)
}

/// File work of ours.
pub(super) fn of_file(step: &str, path: &std::path::Path, error: &std::io::Error) -> CriError {
    CriError::new(Code::Internal, format!("cannot {step} {}: {error}", path.display()))
}

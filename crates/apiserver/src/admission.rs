//! Admission: what is decided about a write by looking beyond the object, after its defaults and before its validation.
//!
//! One chain for every kind and verb. Mutating plug-ins run in the order of Kubernetes v1.36, then validating ones; each has a file.
//! What a plug-in takes in passing (an address, a port) is held by [`Request::reservation`] until that is dropped, which must be
//! after the write.

mod default_tolerations;
mod namespace_lifecycle;
mod node_restriction;
mod priority;
mod rbac_escalation;
mod runtime_class;
mod service_account;
mod taint_nodes;

use podo_api::{Status, Value, meta};
use podo_registry::Definition;

use crate::api::Api;
use crate::call::{Call, Target};
use crate::service::Reservation;
use crate::user::User;

/// What a call does to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// It begins to exist.
    Create,
    /// It changes.
    Update,
    /// It goes.
    Delete,
    /// A stream to it is opened.
    Connect,
}

/// A write that asks for admission.
pub(crate) struct Request<'a> {
    pub(crate) api: &'a Api,
    pub(crate) operation: Operation,
    pub(crate) target: &'a Target,
    pub(crate) user: &'a User,
    pub(crate) is_dry_run: bool,
    /// What was reserved for the object while it is being written.
    pub(crate) reservation: Reservation,
}

impl<'a> Request<'a> {
    /// The request of a call about its own target.
    pub(crate) fn new(
        api: &'a Api,
        call: &'a Call,
        operation: Operation,
        is_dry_run: bool,
    ) -> Self {
        Self::of_target(api, call, &call.target, operation, is_dry_run)
    }

    /// The request of a call about one of several targets.
    pub(crate) fn of_target(
        api: &'a Api,
        call: &'a Call,
        target: &'a Target,
        operation: Operation,
        is_dry_run: bool,
    ) -> Self {
        Self {
            api,
            operation,
            target,
            user: &call.user,
            is_dry_run,
            reservation: Reservation::default(),
        }
    }

    /// The kind of the object.
    pub(crate) fn definition(&self) -> &'static Definition {
        self.target.definition
    }

    /// Whether the object itself is written, and it is of this core kind.
    pub(crate) fn is_main(&self, plural: &str) -> bool {
        let names = &self.definition().names;
        names.group.is_empty() && names.plural == plural && self.target.subresource.is_none()
    }

    /// 403 about the object.
    pub(crate) fn forbidden(&self, value: &Value, why: impl std::fmt::Display) -> Status {
        let name = if self.target.name.is_empty() { meta::name(value) } else { &self.target.name };
        Status::forbidden(self.target.resource(), name, why)
    }
}

/// Runs all plug-ins on what is created at a subresource and not kept itself.
pub(crate) fn admit(
    api: &Api,
    call: &Call,
    target: &Target,
    value: &mut Value,
    is_dry_run: bool,
) -> Result<(), Status> {
    let mut request = Request::of_target(api, call, target, Operation::Create, is_dry_run);
    mutate(&mut request, value, None)?;
    validate(&request, value, None)
}

/// Runs the mutating plug-ins on an object that is to be written.
pub(crate) fn mutate(
    request: &mut Request<'_>,
    value: &mut Value,
    old: Option<&Value>,
) -> Result<(), Status> {
    namespace_lifecycle::admit(request, value)?;
    service_account::admit(request, value)?;
    taint_nodes::admit(request, value);
    priority::admit(request, value, old)?;
    default_tolerations::admit(request, value);
    runtime_class::admit(request, value)?;
    crate::service::reserve(request, value, old)
}

/// Runs the validating plug-ins on an object that is to be written, or was asked to be deleted.
pub(crate) fn validate(
    request: &Request<'_>,
    value: &Value,
    old: Option<&Value>,
) -> Result<(), Status> {
    namespace_lifecycle::validate(request)?;
    priority::validate(request, value, old)?;
    rbac_escalation::validate(request, value, old)?;
    node_restriction::validate(request, value, old)
}

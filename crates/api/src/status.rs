//! `meta/v1.Status`: the answer to a request that has no object, above all to one that failed.
//!
//! Every error of the API is built here from typed parts; nothing parses a message to learn what went wrong. The texts are those
//! of Kubernetes v1.36 (`k8s.io/apimachinery/pkg/api/errors`).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::field::{Errors, FieldError};

/// A kind of failure that clients tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No reason is given.
    Unknown,
    /// 400: the request makes no sense.
    BadRequest,
    /// 401: nobody knows who asks.
    Unauthorized,
    /// 403: who asks may not.
    Forbidden,
    /// 404: the object or the path does not exist.
    NotFound,
    /// 405: the resource has no such verb.
    MethodNotAllowed,
    /// 406: no encoding that the client accepts.
    NotAcceptable,
    /// 409: the name is taken.
    AlreadyExists,
    /// 409: somebody else changed the object.
    Conflict,
    /// 410: the version asked for is gone.
    Gone,
    /// 410: the version asked for is too old; list again.
    Expired,
    /// 413: the body is too large.
    RequestEntityTooLarge,
    /// 415: the body's encoding is not understood.
    UnsupportedMediaType,
    /// 422: the object breaks a rule.
    Invalid,
    /// 429: slow down.
    TooManyRequests,
    /// 500: the server is at fault.
    InternalError,
    /// 500: the server could not do it in time; try again.
    ServerTimeout,
    /// 503: the server cannot serve this now.
    ServiceUnavailable,
    /// 504: the request took too long.
    Timeout,
}

impl Reason {
    /// All reasons with their names on the wire.
    const NAMES: &'static [(Self, &'static str, u16)] = &[
        (Self::Unknown, "", 500),
        (Self::BadRequest, "BadRequest", 400),
        (Self::Unauthorized, "Unauthorized", 401),
        (Self::Forbidden, "Forbidden", 403),
        (Self::NotFound, "NotFound", 404),
        (Self::MethodNotAllowed, "MethodNotAllowed", 405),
        (Self::NotAcceptable, "NotAcceptable", 406),
        (Self::AlreadyExists, "AlreadyExists", 409),
        (Self::Conflict, "Conflict", 409),
        (Self::Gone, "Gone", 410),
        (Self::Expired, "Expired", 410),
        (Self::RequestEntityTooLarge, "RequestEntityTooLarge", 413),
        (Self::UnsupportedMediaType, "UnsupportedMediaType", 415),
        (Self::Invalid, "Invalid", 422),
        (Self::TooManyRequests, "TooManyRequests", 429),
        (Self::InternalError, "InternalError", 500),
        (Self::ServerTimeout, "ServerTimeout", 500),
        (Self::ServiceUnavailable, "ServiceUnavailable", 503),
        (Self::Timeout, "Timeout", 504),
    ];

    fn row(self) -> &'static (Self, &'static str, u16) {
        &Self::NAMES[self as usize]
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// The HTTP status that goes with it.
    pub fn code(self) -> u16 {
        self.row().2
    }

    /// The reason of this name; [`Reason::Unknown`] for any other.
    pub fn parse(name: &str) -> Self {
        Self::NAMES.iter().find(|row| row.1 == name).map_or(Self::Unknown, |row| row.0)
    }
}

/// One cause of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cause {
    /// A machine-readable word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The field at fault.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
}

/// What a failure is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// The object's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The API group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The resource in the plural, or the kind where the object is invalid.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The object's UID.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Why, in parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// When trying again makes sense.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retry_after_seconds: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The list metadata of a Status: only an expired list has any.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StatusMeta {
    /// A token by which an expired list can be continued, inconsistently.
    #[serde(default, rename = "continue", skip_serializing_if = "String::is_empty")]
    pub continue_token: String,
}

/// The answer to a request that has no object.
///
/// It is the error type of the whole request path: whatever fails, fails as the Status that the client will see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Always `Status`.
    #[serde(default = "kind_name")]
    pub kind: String,
    /// Always `v1`.
    #[serde(default = "version_name")]
    pub api_version: String,
    /// List metadata.
    #[serde(default)]
    pub metadata: StatusMeta,
    /// `Success` or `Failure`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The kind of failure; see [`Reason`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<Details>>,
    /// The HTTP status.
    #[serde(default, skip_serializing_if = "is_zero_code")]
    pub code: u16,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn is_zero_code(number: &u16) -> bool {
    *number == 0
}

fn kind_name() -> String {
    "Status".to_owned()
}

fn version_name() -> String {
    "v1".to_owned()
}

/// A resource and its group, written `deployments.apps` or, in the core group, `pods`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupResource<'a> {
    /// The API group; empty for core.
    pub group: &'a str,
    /// The plural name; also used for a kind where an object is invalid.
    pub resource: &'a str,
}

impl fmt::Display for GroupResource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.resource)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

impl GroupResource<'_> {
    fn details(&self, name: &str) -> Details {
        Details {
            name: name.to_owned(),
            group: self.group.to_owned(),
            kind: self.resource.to_owned(),
            ..Details::default()
        }
    }
}

impl Status {
    /// A failure with no details.
    pub fn failure(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            kind: kind_name(),
            api_version: version_name(),
            metadata: StatusMeta::default(),
            status: "Failure".to_owned(),
            message: message.into(),
            reason: reason.as_str().to_owned(),
            details: None,
            code: reason.code(),
        }
    }

    /// A success with these details.
    pub fn success(code: u16, details: Option<Details>) -> Self {
        Self {
            status: "Success".to_owned(),
            code: if code == 200 { 0 } else { code },
            details: details.map(Box::new),
            ..Self::failure(Reason::Unknown, "")
        }
    }

    /// 404: there is no object of this name.
    pub fn not_found(resource: GroupResource<'_>, name: &str) -> Self {
        Self::about(
            Reason::NotFound,
            format!("{resource} \"{name}\" not found"),
            resource.details(name),
        )
    }

    /// 404: the path leads to no resource. Sent as a Status where the client asked a known API.
    pub fn no_such_resource() -> Self {
        Self {
            details: Some(Box::default()),
            ..Self::failure(Reason::NotFound, "the server could not find the requested resource")
        }
    }

    /// 409: the name is taken.
    pub fn already_exists(resource: GroupResource<'_>, name: &str) -> Self {
        let message = format!("{resource} \"{name}\" already exists");
        Self::about(Reason::AlreadyExists, message, resource.details(name))
    }

    /// 409: the object is not what the client thinks it is.
    pub fn conflict(resource: GroupResource<'_>, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        Self::about(Reason::Conflict, message, resource.details(name))
    }

    /// 409: the client's resourceVersion is not the object's.
    pub fn modified(resource: GroupResource<'_>, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// 422: the object breaks rules. `kind` holds the group and the *kind*.
    pub fn invalid(kind: GroupResource<'_>, name: &str, errors: Errors) -> Self {
        let message = format!("{kind} \"{name}\" is invalid: {errors}");
        let mut details = kind.details(name);
        details.causes = errors.iter().map(Cause::from).collect();
        Self::about(Reason::Invalid, message, details)
    }

    /// 403: who asks may not.
    pub fn forbidden(resource: GroupResource<'_>, name: &str, why: impl fmt::Display) -> Self {
        let message = match (resource.resource.is_empty(), name.is_empty()) {
            (true, _) => format!("forbidden: {why}"),
            (false, true) => format!("{resource} is forbidden: {why}"),
            (false, false) => format!("{resource} \"{name}\" is forbidden: {why}"),
        };
        Self::about(Reason::Forbidden, message, resource.details(name))
    }

    /// 400: the request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::failure(Reason::BadRequest, message)
    }

    /// 401: nobody knows who asks.
    pub fn unauthorized() -> Self {
        Self::failure(Reason::Unauthorized, "Unauthorized")
    }

    /// 405: the resource has no such verb.
    pub fn method_not_allowed(resource: GroupResource<'_>, action: &str) -> Self {
        let message = format!("{action} is not supported on resources of kind \"{resource}\"");
        Self::about(Reason::MethodNotAllowed, message, resource.details(""))
    }

    /// 410: the version asked for is too old.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::failure(Reason::Expired, message)
    }

    /// 413: the body is too large.
    pub fn too_large(message: impl fmt::Display) -> Self {
        Self::failure(Reason::RequestEntityTooLarge, format!("Request entity too large: {message}"))
    }

    /// 429: slow down.
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        let details = Details { retry_after_seconds, ..Details::default() };
        Self::about(Reason::TooManyRequests, message.into(), details)
    }

    /// 500: the server is at fault.
    pub fn internal(error: impl fmt::Display) -> Self {
        let cause = Cause { message: error.to_string(), ..Cause::default() };
        let details = Details { causes: vec![cause], ..Details::default() };
        Self::about(Reason::InternalError, format!("Internal error occurred: {error}"), details)
    }

    /// 503: the server cannot serve this now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::failure(Reason::ServiceUnavailable, message)
    }

    /// 504: the request took too long.
    pub fn timeout(message: impl fmt::Display, retry_after_seconds: u32) -> Self {
        let details = Details { retry_after_seconds, ..Details::default() };
        Self::about(Reason::Timeout, format!("Timeout: {message}"), details)
    }

    /// A failure with details.
    pub fn about(reason: Reason, message: impl Into<String>, details: Details) -> Self {
        Self { details: Some(Box::new(details)), ..Self::failure(reason, message) }
    }

    /// The same failure with one more cause.
    #[must_use]
    pub fn with_cause(mut self, reason: &str, field: &str, message: impl Into<String>) -> Self {
        let cause =
            Cause { reason: reason.to_owned(), field: field.to_owned(), message: message.into() };
        self.details.get_or_insert_default().causes.push(cause);
        self
    }

    /// The kind of failure.
    pub fn reason(&self) -> Reason {
        Reason::parse(&self.reason)
    }

    /// Whether this says that the object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.reason() == Reason::NotFound
    }

    /// Whether this says that somebody else changed the object.
    pub fn is_conflict(&self) -> bool {
        self.reason() == Reason::Conflict
    }

    /// Whether this says that the name is taken.
    pub fn is_already_exists(&self) -> bool {
        self.reason() == Reason::AlreadyExists
    }

    /// Whether this says that a version is too old to go on from.
    pub fn is_expired(&self) -> bool {
        matches!(self.reason(), Reason::Expired | Reason::Gone)
    }

    /// When trying again makes sense; 0 if that is not said.
    pub fn retry_after_seconds(&self) -> u32 {
        self.details.as_ref().map_or(0, |details| details.retry_after_seconds)
    }

    /// The JSON of this Status.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl From<&FieldError> for Cause {
    fn from(error: &FieldError) -> Self {
        Self {
            reason: error.kind.reason().to_owned(),
            message: error.body(),
            field: error.field.to_string(),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Path;

    #[test]
    fn every_reason_stands_in_its_row() {
        for (reason, name, code) in Reason::NAMES {
            assert_eq!((reason.as_str(), reason.code()), (*name, *code));
            assert_eq!(Reason::parse(name), *reason);
        }
    }

    #[test]
    fn an_invalid_object_is_told_with_a_cause_for_each_error() {
        let mut errors = Errors::new();
        errors.required(&Path::new("spec").child("containers"), "");
        let kind = GroupResource { group: "apps", resource: "Deployment" };
        let status = serde_json::to_value(Status::invalid(kind, "x", errors)).expect("serialises");
        let expected = serde_json::json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Invalid", "code": 422,
            "message": "Deployment.apps \"x\" is invalid: spec.containers: Required value",
            "details": {"name": "x", "group": "apps", "kind": "Deployment", "causes": [
                {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.containers"}
            ]},
        });
        assert_eq!(status, expected);
    }
}

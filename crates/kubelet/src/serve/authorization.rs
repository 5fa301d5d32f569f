//! What a client may: the API server itself everything, others what a review of access to `nodes/…` allows.

use http::Method;
use podo_api::k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use podo_api::{Reason, Status};
use podo_client::Client;

use super::authentication::User;

/// The name in the certificate by which the API server calls.
const API_SERVER: &str = "kube-apiserver-kubelet-client";

/// The group that may everything.
const MASTERS: &str = "system:masters";

/// The subresources of `nodes` of which any one allows a path (Kubernetes v1.36 `pkg/kubelet/server/auth.go`, KEP-2862).
pub(super) fn subresources(path: &str) -> &'static [&'static str] {
    let is_below = |root: &str| {
        path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if is_below("/stats") {
        &["stats"]
    } else if is_below("/metrics") {
        &["metrics"]
    } else if is_below("/logs") {
        &["log"]
    } else if is_below("/checkpoint") {
        &["checkpoint"]
    } else if is_below("/healthz") {
        &["healthz", "proxy"]
    } else if is_below("/configz") {
        &["configz", "proxy"]
    } else if is_below("/pods") || is_below("/runningpods") {
        &["pods", "proxy"]
    } else {
        &["proxy"]
    }
}

/// The verb of a method.
pub(super) fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "get",
    }
}

/// Refuses what a user may not.
pub(super) async fn authorize(
    client: &Client,
    node: &str,
    user: &User,
    method: &Method,
    path: &str,
) -> Result<(), Status> {
    let is_api_server = user.has_certificate && user.name == API_SERVER;
    if is_api_server || user.groups.iter().any(|group| group == MASTERS) {
        return Ok(());
    }
    let verb = verb(method);
    let subresources = subresources(path);
    for subresource in subresources {
        if is_allowed(client, node, user, verb, subresource).await? {
            return Ok(());
        }
    }
    let name = &user.name;
    let text = format!(
        "Forbidden (user={name}, verb={verb}, resource=nodes, subresource(s)={subresources:?})"
    );
    Err(Status::failure(Reason::Forbidden, text))
}

async fn is_allowed(
    client: &Client,
    node: &str,
    user: &User,
    verb: &str,
    subresource: &str,
) -> Result<bool, Status> {
    let attributes = ResourceAttributes {
        group: Some(String::new()),
        version: Some("v1".to_owned()),
        resource: Some("nodes".to_owned()),
        subresource: Some(subresource.to_owned()),
        name: Some(node.to_owned()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(user.name.clone()),
            uid: Some(user.uid.clone()).filter(|uid| !uid.is_empty()),
            groups: Some(user.groups.clone()),
            extra: Some(user.extra.clone()),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let unknown = |error: &dyn std::fmt::Display| {
        tracing::debug!(%error, "access not reviewed");
        Status::failure(
            Reason::InternalError,
            format!("Authorization error (user={}, verb={verb}, resource=nodes)", user.name),
        )
    };
    let answer = client
        .create::<SubjectAccessReview>("", &review)
        .await
        .map_err(|status| unknown(&status))?;
    let review: SubjectAccessReview = answer.to().map_err(|error| unknown(&error))?;
    Ok(review.status.is_some_and(|status| status.allowed && status.denied != Some(true)))
}

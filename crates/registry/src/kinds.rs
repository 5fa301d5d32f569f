//! The table of all kinds, in discovery's order. A kind is added by its file and its line here.

use crate::Definition;

mod access_review;
mod address;
mod binding;
mod clusterrole;
mod clusterrolebinding;
mod configmap;
mod endpoints;
mod endpointslice;
mod event;
mod lease;
mod localsubjectaccessreview;
mod namespace;
mod node;
mod pod;
mod priorityclass;
mod rbac;
mod resource;
mod role;
mod rolebinding;
mod secret;
mod selfsubjectaccessreview;
mod selfsubjectreview;
mod selfsubjectrulesreview;
pub mod service;
mod serviceaccount;
mod subjectaccessreview;
mod tokenreview;

/// All kinds that are served.
pub static KINDS: &[&Definition] = &[
    &binding::BINDING,
    &configmap::CONFIG_MAP,
    &endpoints::ENDPOINTS,
    &event::EVENT,
    &namespace::NAMESPACE,
    &node::NODE,
    &pod::POD,
    &secret::SECRET,
    &serviceaccount::SERVICE_ACCOUNT,
    &service::SERVICE,
    &event::EVENTS_EVENT,
    &selfsubjectreview::SELF_SUBJECT_REVIEW,
    &tokenreview::TOKEN_REVIEW,
    &localsubjectaccessreview::LOCAL_SUBJECT_ACCESS_REVIEW,
    &selfsubjectaccessreview::SELF_SUBJECT_ACCESS_REVIEW,
    &selfsubjectrulesreview::SELF_SUBJECT_RULES_REVIEW,
    &subjectaccessreview::SUBJECT_ACCESS_REVIEW,
    &clusterrolebinding::CLUSTER_ROLE_BINDING,
    &clusterrole::CLUSTER_ROLE,
    &rolebinding::ROLE_BINDING,
    &role::ROLE,
    &priorityclass::PRIORITY_CLASS,
    &lease::LEASE,
    &endpointslice::ENDPOINT_SLICE,
];

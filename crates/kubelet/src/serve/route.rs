//! Which part of the API a path means, and what a client must be allowed to do for it.

use http::Method;
use podo_api::{Reason, Status};

use super::query::decode_segment;

/// A container by names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerPath {
    /// The namespace.
    pub(crate) namespace: String,
    /// The Pod.
    pub(crate) pod: String,
    /// The container.
    pub(crate) container: String,
}

/// A part of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// Whether the node agent is well.
    Health,
    /// The Pods of the node.
    Pods,
    /// Those of them that run.
    RunningPods,
    /// What node and Pods use.
    Summary,
    /// Metrics of the node agent.
    Metrics,
    /// What node and Pods use, as metrics.
    ResourceMetrics,
    /// A container's log.
    Logs(ContainerPath),
    /// A process in a container.
    Exec(ContainerPath),
    /// The streams of a container.
    Attach(ContainerPath),
    /// The ports of a Pod.
    PortForward {
        /// The namespace.
        namespace: String,
        /// The Pod.
        pod: String,
    },
}

impl Route {
    /// The route of a path, if it leads anywhere. A Pod's UID may stand after its name, as upstream's older paths have it.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let segments: Vec<String> = path.split('/').skip(1).map(decode_segment).collect();
        let names: Vec<&str> = segments.iter().map(String::as_str).collect();
        let container = |namespace: &str, pod: &str, container: &str| ContainerPath {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            container: container.to_owned(),
        };
        if names.get(1..).is_some_and(|rest| rest.len() > 1 && rest.contains(&"")) {
            return None;
        }
        Some(match names.as_slice() {
            ["healthz"] | ["healthz", "ping" | "syncloop"] => Self::Health,
            ["pods"] => Self::Pods,
            ["runningpods"] | ["runningpods", ""] => Self::RunningPods,
            ["stats", "summary"] => Self::Summary,
            ["metrics"] => Self::Metrics,
            ["metrics", "resource"] => Self::ResourceMetrics,
            ["containerLogs", namespace, pod, name] => Self::Logs(container(namespace, pod, name)),
            ["exec", namespace, pod, name] => Self::Exec(container(namespace, pod, name)),
            ["attach", namespace, pod, name] => Self::Attach(container(namespace, pod, name)),
            ["portForward", namespace, pod] => {
                Self::PortForward { namespace: (*namespace).to_owned(), pod: (*pod).to_owned() }
            }
            _ => return None,
        })
    }

    /// Refuses methods that the route does not have.
    pub(crate) fn check(&self, method: &Method) -> Result<(), Status> {
        let is_stream = matches!(self, Self::Exec(_) | Self::Attach(_) | Self::PortForward { .. });
        if method == Method::GET || (is_stream && method == Method::POST) {
            return Ok(());
        }
        Err(Status::failure(Reason::MethodNotAllowed, "405: Method Not Allowed"))
    }

    /// The route's name in metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Health => "healthz",
            Self::Pods => "pods",
            Self::RunningPods => "runningpods",
            Self::Summary => "stats/summary",
            Self::Metrics => "metrics",
            Self::ResourceMetrics => "metrics/resource",
            Self::Logs(_) => "containerLogs",
            Self::Exec(_) => "exec",
            Self::Attach(_) => "attach",
            Self::PortForward { .. } => "portForward",
        }
    }
}

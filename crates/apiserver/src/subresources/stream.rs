//! Streams to what a node runs: logs, exec, attach, port-forward, proxies. The API server checks and then hands the bytes through.

use std::fmt::Write as _;
use std::sync::Arc;

use http::request::Parts;
use podo_api::{Status, Value, meta, tree};

use podo_registry::Verb;

use super::{pod_logs, proxy};
use crate::admission::{self, Operation};
use crate::authn::Peer;
use crate::authz::Attributes;
use crate::call::{self, Call, Target, Warnings};
use crate::http::{Body, Resource, Response, respond, websocket};
use crate::nodes::wants_upgrade;
use crate::options::Options;
use crate::server::Server;
use crate::user::User;
use crate::verbs::find;

/// A request for a stream.
pub(crate) struct StreamRequest<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) peer: &'a Peer,
    pub(crate) user: &'a Arc<User>,
    pub(crate) options: &'a Options,
    pub(crate) resource: &'a Resource,
    pub(crate) warnings: &'a Warnings,
}

/// Opens the stream of a request.
pub(crate) async fn stream(
    server: &Server,
    request: &StreamRequest<'_>,
    body: Body,
) -> Result<Response, Status> {
    request.authorize(server)?;
    let target = &request.resource.target;
    if target.subresource_name() == "proxy" {
        request.admit(server, None)?;
        let backend = proxy::backend(&server.api, target, request.parts)?;
        return server.nodes.proxy(&backend, request.parts, request.peer, body).await;
    }
    let pod = find(&server.api, &Target { subresource: None, ..target.clone() })?.view();
    if target.subresource_name() != "log" {
        request.admit(server, Some(&pod))?;
    }
    let path = node_path(target, &pod, request.options)?;
    if target.subresource_name() == "log" && tree::str_at(&pod, &["spec", "nodeName"]).is_empty() {
        // Nothing was written yet, for the Pod runs nowhere.
        let mut response = respond(204, Vec::new(), "text/plain", false);
        response.headers_mut().remove(http::header::CONTENT_TYPE);
        return Ok(response);
    }
    let node = host_of(&pod)?;
    if target.subresource_name() == "log" && websocket::is_requested(&request.parts.headers) {
        let parts = websocket::without_upgrade(request.parts);
        let log = server.nodes.forward(&server.api, node, &path, &parts).await?;
        return websocket::log(server, request.parts, log);
    }
    server.nodes.forward(&server.api, node, &path, request.parts).await
}

impl StreamRequest<'_> {
    fn authorize(&self, server: &Server) -> Result<(), Status> {
        let target = &self.resource.target;
        let names = &target.definition.names;
        let is_upgrade = wants_upgrade(&self.parts.headers);
        for verb in needed(target, &self.parts.method, self.resource.verb, is_upgrade) {
            let attributes = Attributes {
                user: self.user,
                verb,
                group: names.group,
                version: names.version,
                resource: names.plural,
                subresource: target.subresource_name(),
                namespace: &target.namespace,
                name: &target.name,
                ..Attributes::path(self.user)
            };
            server.api.authorize(&attributes).map_err(|denial| denial.status())?;
        }
        Ok(())
    }

    fn admit(&self, server: &Server, object: Option<&Value>) -> Result<(), Status> {
        let call = Call {
            user: Arc::clone(self.user),
            verb: self.resource.verb,
            target: self.resource.target.clone(),
            options: self.options.clone(),
            body: call::Body::EMPTY,
            agent: "".into(),
            warnings: self.warnings.clone(),
        };
        let request = admission::Request::new(&server.api, &call, Operation::Connect, false);
        admission::validate(&request, &Value::Null, object)
    }
}

/// The verbs that a stream needs: that of its method; a method that has none is allowed to who is allowed all.
///
/// One to a container that is opened by a WebSocket's GET needs `create` as well, so that who may read Pods cannot run commands in
/// them (Kubernetes v1.36 `AuthorizePodWebsocketUpgradeCreatePermission`). The same holds for a node's proxy, behind which its
/// kubelet takes such commands.
fn needed(
    target: &Target,
    method: &http::Method,
    verb: Verb,
    is_upgrade: bool,
) -> Vec<&'static str> {
    let is_container = matches!(target.subresource_name(), "exec" | "attach" | "portforward");
    let is_node = target.definition.names.plural == "nodes";
    let mut verbs = vec![if *method == http::Method::OPTIONS { "" } else { verb.as_str() }];
    if verb == Verb::Get && (is_container || (is_node && is_upgrade)) {
        verbs.push("create");
    }
    verbs
}

fn host_of(pod: &Value) -> Result<&str, Status> {
    let node = tree::str_at(pod, &["spec", "nodeName"]);
    if node.is_empty() {
        return Err(Status::bad_request(format!(
            "pod {} does not have a host assigned",
            meta::name(pod)
        )));
    }
    Ok(node)
}

/// The path and query by which a node's kubelet is asked (Kubernetes v1.36 `pkg/registry/core/pod/strategy.go`).
fn node_path(target: &Target, pod: &Value, options: &Options) -> Result<String, Status> {
    let (namespace, name) = (&*target.namespace, &*target.name);
    let asked = options.get("container").unwrap_or("");
    match target.subresource_name() {
        "log" => {
            let query = pod_logs::check(options, name)?;
            let container = pod_logs::container(pod, asked)?;
            Ok(with_query(format!("/containerLogs/{namespace}/{name}/{container}"), &query))
        }
        "portforward" => {
            let mut query = Options::default();
            for port in options.all("ports") {
                query = query.with("port", port);
            }
            Ok(with_query(format!("/portForward/{namespace}/{name}"), &query))
        }
        verb => {
            let container = pod_logs::container(pod, asked)?;
            let mut query = Options::default();
            for (flag, short) in
                [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")]
            {
                if options.flag(flag) {
                    query = query.with(short, "1");
                }
            }
            for command in options.all("command") {
                query = query.with("command", command);
            }
            Ok(with_query(format!("/{verb}/{namespace}/{name}/{container}"), &query))
        }
    }
}

fn with_query(path: String, query: &Options) -> String {
    let mut text = path;
    for (index, (key, value)) in query.pairs().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(key);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                let _infallible = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::authz::testing::target;

    #[track_caller]
    fn check(resource: &str, method: &Method, verb: Verb, is_upgrade: bool, expected: &[&str]) {
        let target = target("", resource, "n", "x");
        assert_eq!(needed(&target, method, verb, is_upgrade), expected, "{method} {resource}");
    }

    #[test]
    fn who_may_only_read_opens_no_stream_that_takes_commands() {
        check("pods/log", &Method::GET, Verb::Get, false, &["get"]);
        check("pods/exec", &Method::GET, Verb::Get, true, &["get", "create"]);
        check("pods/exec", &Method::POST, Verb::Create, true, &["create"]);
        check("nodes/proxy", &Method::GET, Verb::Get, false, &["get"]);
        check("nodes/proxy", &Method::GET, Verb::Get, true, &["get", "create"]);
        check("services/proxy", &Method::GET, Verb::Get, true, &["get"]);
        check("pods/proxy", &Method::DELETE, Verb::Delete, false, &["delete"]);
        check("pods/proxy", &Method::OPTIONS, Verb::Get, false, &[""]);
    }
}

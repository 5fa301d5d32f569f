//! A small API server: kinds, objects in memory, tables, patches. What real servers do beyond that is not needed to compare texts.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use podo_api::patch::merge;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Plural, kind, short name, whether namespaced, group.
const KINDS: [(&str, &str, &str, bool, &str); 6] = [
    ("configmaps", "ConfigMap", "cm", true, ""),
    ("events", "Event", "ev", true, ""),
    ("namespaces", "Namespace", "ns", false, ""),
    ("nodes", "Node", "no", false, ""),
    ("pods", "Pod", "po", true, ""),
    ("deployments", "Deployment", "deploy", true, "apps"),
];

type Key = (String, String, String);

/// A running server; it ends with the process.
pub(crate) struct Fake {
    pub(crate) port: u16,
    pub(crate) state: Arc<Mutex<State>>,
}

/// What the server has, and what it was asked.
#[derive(Default)]
pub(crate) struct State {
    objects: BTreeMap<Key, Value>,
    revision: u64,
    pub(crate) requests: Vec<String>,
}

impl Fake {
    /// Starts a server with some objects.
    pub(crate) fn start(objects: &[Value]) -> Self {
        let mut state = State { revision: 100, ..State::default() };
        for object in objects {
            let kind = object["kind"].as_str().unwrap();
            let plural = KINDS.iter().find(|one| one.1 == kind).unwrap().0;
            state.put(plural, object.clone());
        }
        let state = Arc::new(Mutex::new(state));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(listener, shared));
        });
        Self { port, state }
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&state)));
            let http = hyper::server::conn::http1::Builder::new();
            let _closed = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let header = |name: &str| {
        head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let mut state = state.lock().unwrap();
    state.requests.push(format!("{} {} {}", head.method, head.uri, String::from_utf8_lossy(&body)));
    if let Some(name) = head.uri.path().strip_prefix("/files/") {
        return Ok(file(name));
    }
    let (code, value) = state.handle(
        &head.method,
        head.uri.path(),
        head.uri.query().unwrap_or(""),
        &header("accept"),
        &body,
    );
    let kind = match value["kind"].as_str() {
        Some("APIGroupDiscoveryList") => {
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        }
        _ => "application/json",
    };
    let mut response = Response::new(Full::new(value.to_string().into()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response.headers_mut().insert("content-type", kind.parse().unwrap());
    if String::from_utf8_lossy(&body).contains("warnme") {
        let warning = "299 - \"unknown field \\\"spec.warnme\\\"\"";
        response.headers_mut().insert("warning", warning.parse().unwrap());
    }
    Ok(response)
}

/// A file that is there, one that is elsewhere, one that is not there, and one that cannot be served.
fn file(name: &str) -> Response<Full<Bytes>> {
    const TEXT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: far}\n";
    let response = match name {
        "file.yaml" => Response::builder().body(Full::from(TEXT)),
        "moved" => {
            Response::builder().status(302).header("location", "file.yaml").body(Full::default())
        }
        "broken" => Response::builder().status(500).body(Full::default()),
        _ => Response::builder().status(404).body(Full::default()),
    };
    response.unwrap()
}

fn discovery(group: &str) -> Value {
    let resources: Vec<Value> = KINDS
        .iter()
        .filter(|kind| kind.4 == group)
        .map(|(plural, kind, short, namespaced, group)| {
            json!({
                "resource": plural, "singularResource": kind.to_lowercase(), "shortNames": [short],
                "scope": if *namespaced { "Namespaced" } else { "Cluster" },
                "responseKind": {"group": group, "version": "v1", "kind": kind},
                "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
                "categories": if *plural == "pods" { json!(["all"]) } else { json!([]) },
            })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
        "items": [{"metadata": {"name": group}, "versions": [
            {"version": "v1", "freshness": "Current", "resources": resources}]}],
    })
}

fn refusal(code: u16, reason: &str, message: &str, details: Value) -> (u16, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": message, "code": code, "details": details,
    });
    (code, status)
}

/// The value of a query parameter; nothing in these tests needs decoding.
fn parameter<'a>(query: &'a str, name: &str) -> &'a str {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(own, _)| *own == name).map(|(_, value)| value).next().unwrap_or("")
}

impl State {
    fn put(&mut self, plural: &str, mut object: Value) -> Value {
        self.revision += 1;
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("").to_owned();
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        object["metadata"]["uid"] = format!("uid-{plural}-{name}").into();
        if object["metadata"]["creationTimestamp"].is_null() {
            object["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z".into();
        }
        self.objects.insert((plural.to_owned(), namespace, name), object.clone());
        object
    }

    fn handle(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        accept: &str,
        body: &[u8],
    ) -> (u16, Value) {
        match path {
            "/api" => return (200, discovery("")),
            "/apis" => return (200, discovery("apps")),
            "/version" => {
                return (200, json!({"major": "1", "minor": "36", "gitVersion": "v1.36.2"}));
            }
            _ => {}
        }
        let rest = path.strip_prefix("/api/v1/").or(path.strip_prefix("/apis/apps/v1/"));
        let Some(rest) = rest else {
            return refusal(
                404,
                "NotFound",
                "the server could not find the requested resource",
                json!({}),
            );
        };
        let parts: Vec<&str> = rest.split('/').collect();
        let (namespace, plural, name) = match parts.as_slice() {
            ["namespaces", namespace, plural] => (*namespace, *plural, None),
            ["namespaces", namespace, plural, name] => (*namespace, *plural, Some(*name)),
            [plural] => ("", *plural, None),
            [plural, name] => ("", *plural, Some(*name)),
            _ => {
                return refusal(
                    404,
                    "NotFound",
                    "the server could not find the requested resource",
                    json!({}),
                );
            }
        };
        match name {
            Some(name) => self.one(method, plural, namespace, name, accept, body),
            None => self.many(method, plural, namespace, query, accept, body),
        }
    }

    fn many(
        &mut self,
        method: &Method,
        plural: &str,
        namespace: &str,
        query: &str,
        accept: &str,
        body: &[u8],
    ) -> (u16, Value) {
        if method == Method::POST {
            let mut object: Value = serde_json::from_slice(body).unwrap();
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let key = (plural.to_owned(), namespace.to_owned(), name.clone());
            if self.objects.contains_key(&key) {
                let message = format!("{plural} {name:?} already exists");
                return refusal(
                    409,
                    "AlreadyExists",
                    &message,
                    json!({"name": name, "kind": plural}),
                );
            }
            if name.starts_with("invalid") {
                let causes = json!([
                    {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.a"},
                    {"reason": "FieldValueInvalid", "message": "Invalid value: 1", "field": "spec.b"},
                ]);
                let details = json!({"name": name, "kind": "ConfigMap", "causes": causes});
                return refusal(422, "Invalid", "ConfigMap \"x\" is invalid", details);
            }
            if !namespace.is_empty() {
                object["metadata"]["namespace"] = namespace.into();
            }
            return (201, self.put(plural, object));
        }
        let label = parameter(query, "labelSelector").replace("%3D", "=");
        let found: Vec<Value> = self
            .objects
            .iter()
            .filter(|((own, space, _), _)| {
                own == plural && (namespace.is_empty() || space == namespace)
            })
            .map(|(_, object)| object.clone())
            .filter(|object| match label.split_once('=') {
                Some((key, value)) => object["metadata"]["labels"][key] == value,
                None => true,
            })
            .collect();
        let metadata = json!({"resourceVersion": self.revision.to_string()});
        if accept.contains("as=Table") {
            return (200, table(plural, &found, metadata));
        }
        let kind = KINDS.iter().find(|one| one.0 == plural).unwrap();
        let version = if kind.4.is_empty() { "v1".to_owned() } else { format!("{}/v1", kind.4) };
        let list = json!({
            "kind": format!("{}List", kind.1), "apiVersion": version, "metadata": metadata, "items": found,
        });
        (200, list)
    }

    fn one(
        &mut self,
        method: &Method,
        plural: &str,
        namespace: &str,
        name: &str,
        accept: &str,
        body: &[u8],
    ) -> (u16, Value) {
        let key = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        let Some(object) = self.objects.get(&key).cloned() else {
            let message = format!("{plural} {name:?} not found");
            return refusal(404, "NotFound", &message, json!({"name": name, "kind": plural}));
        };
        if method == Method::PATCH {
            let patch: Value = serde_json::from_slice(body).unwrap();
            let patched = merge::apply(object.clone(), patch);
            return (200, if patched == object { object } else { self.put(plural, patched) });
        }
        if method == Method::DELETE {
            self.objects.remove(&key);
            let details = json!({"name": name, "kind": plural, "uid": object["metadata"]["uid"]});
            return (
                200,
                json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}),
            );
        }
        if accept.contains("as=Table") {
            return (200, table(plural, &[object], json!({})));
        }
        (200, object)
    }
}

fn table(plural: &str, objects: &[Value], metadata: Value) -> Value {
    let column = |name: &str, format: &str, priority: i64| json!({"name": name, "type": "string", "format": format, "priority": priority});
    let mut columns = vec![column("Name", "name", 0)];
    if plural == "pods" {
        columns.extend([column("Ready", "", 0), column("Status", "", 0), column("Node", "", 1)]);
    }
    if plural == "events" {
        columns.push(column("Message", "", 0));
    }
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut cells = vec![object["metadata"]["name"].clone()];
            if plural == "pods" {
                cells.extend([json!("1/1"), object["status"]["phase"].clone(), json!("node1")]);
            }
            if plural == "events" {
                cells.push(object["message"].clone());
            }
            json!({"cells": cells, "object": object})
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": columns, "rows": rows,
    })
}

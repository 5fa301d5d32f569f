//! A plain client of the API: requests as they are written, answers as they come, watches line by line.
//!
//! It knows no kinds and hides no failure: what a test wants to see is what went over the wire.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use podo_client::https::{Client, Credentials, Endpoint, Impersonation, Secret, TlsOptions};
use podo_client::kubeconfig::{Kubeconfig, Overrides};
use podo_client::websocket::{self, WebSocket};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::patience::PATIENCE;

/// The content type of what this client sends unless told otherwise.
pub const JSON: &str = "application/json";
/// A strategic merge patch.
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";
/// A JSON merge patch.
pub const MERGE: &str = "application/merge-patch+json";

/// A client. Its threads are on the host that it was made on.
#[derive(Clone)]
pub struct Api {
    runtime: Arc<Runtime>,
    endpoint: Arc<Endpoint>,
    client: Client,
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body of a success as JSON.
    ///
    /// # Panics
    /// If it is no success.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.text());
        self.json()
    }

    /// Status code, reason and message of a failure.
    pub fn failure(&self) -> (u16, String, String) {
        let body = self.json();
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        (self.status, text("reason"), text("message"))
    }
}

impl Api {
    /// The client that a kubeconfig describes.
    ///
    /// # Panics
    /// If the file cannot be used.
    pub fn of(kubeconfig: &Path) -> Self {
        let file = Kubeconfig::read(kubeconfig).expect("a kubeconfig");
        Self::to(&file.endpoint(&Overrides::default()).expect("a usable context"))
    }

    /// A client with a bearer token, or anonymous, that believes any certificate.
    pub fn with_token(server: &str, token: Option<&str>) -> Self {
        Self::to(&Endpoint {
            server: server.to_owned(),
            tls: TlsOptions { is_insecure: true, ..TlsOptions::default() },
            credentials: token
                .map_or(Credentials::None, |token| Credentials::Token(Secret::new(token))),
            impersonation: Impersonation::default(),
            user_agent: "podo-tests".to_owned(),
            timeout: None,
        })
    }

    fn to(endpoint: &Endpoint) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("threads for a client");
        let client = Client::new(endpoint).expect("a usable endpoint");
        Self { runtime: Arc::new(runtime), endpoint: Arc::new(endpoint.clone()), client }
    }

    /// A client with a connection of its own, on the same threads.
    ///
    /// # Panics
    /// Never: this endpoint has been used before.
    #[must_use]
    pub fn again(&self) -> Self {
        let client = Client::new(&self.endpoint).expect("a usable endpoint");
        Self { client, ..self.clone() }
    }

    /// Runs something that waits.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Opens a WebSocket.
    ///
    /// # Panics
    /// If the server refuses.
    #[track_caller]
    pub fn websocket(&self, path: &str, protocols: &[&str]) -> WebSocket {
        let opened = self.block_on(websocket::open(&self.client, path, protocols));
        opened.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The next message of a WebSocket as text; empty at its end.
    ///
    /// # Panics
    /// If it breaks or says nothing in time.
    #[track_caller]
    pub fn message(&self, socket: &mut WebSocket) -> String {
        let next = async { socket.next().await.map_err(|error| error.to_string()) };
        let bytes = self.in_time(PATIENCE, next).expect("a message");
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    }

    /// Runs something that waits, and gives it up when the time is over.
    pub fn in_time<T>(
        &self,
        within: Duration,
        work: impl Future<Output = Result<T, String>>,
    ) -> Result<T, String> {
        self.block_on(async {
            let ended = tokio::time::timeout(within, work).await;
            ended.unwrap_or_else(|_elapsed| Err(format!("not within {} s", within.as_secs())))
        })
    }

    /// Sends a request; fails if there is no answer.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, String> {
        let response = self.open(method, path, headers, body).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// Sends a request and returns the answer's head with a body that is still to come.
    pub async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<http::Response<Incoming>, String> {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).expect("a method"))
            .uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).map_err(|error| format!("{error}"))?;
        self.client.request(request).await.map_err(|error| format!("{error:?}"))
    }

    /// Sends a request; the answer must come in time.
    #[track_caller]
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        match self.in_time(PATIENCE, self.call(method, path, headers, body.into())) {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }

    /// Reads.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], Bytes::new())
    }

    /// Makes.
    #[track_caller]
    pub fn post(&self, path: &str, object: &Value) -> Answer {
        self.request("POST", path, &[("content-type", JSON)], object.to_string())
    }

    /// Replaces.
    #[track_caller]
    pub fn put(&self, path: &str, object: &Value) -> Answer {
        self.request("PUT", path, &[("content-type", JSON)], object.to_string())
    }

    /// Changes.
    #[track_caller]
    pub fn patch(&self, path: &str, content_type: &str, patch: &Value) -> Answer {
        self.request("PATCH", path, &[("content-type", content_type)], patch.to_string())
    }

    /// Removes.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, &[], Bytes::new())
    }

    /// Opens a watch; `path` has its query.
    #[track_caller]
    pub fn watch(&self, path: &str) -> Watch {
        let body = self.block_on(async {
            let answer = self.open("GET", path, &[], Bytes::new()).await?;
            let status = answer.status();
            if status.is_success() {
                Ok(answer.into_body())
            } else {
                Err(format!("{path}: {status}"))
            }
        });
        match body {
            Ok(body) => Watch { api: self.clone(), lines: Lines::new(body) },
            Err(error) => panic!("watch {error}"),
        }
    }

    /// Waits until an object of a collection is as it should be; returns it. `is_so` gets null when there is none.
    #[track_caller]
    pub fn wait(
        &self,
        collection: &str,
        name: &str,
        what: &str,
        is_so: impl FnMut(&Value) -> bool,
    ) -> Value {
        self.wait_within(PATIENCE, collection, name, what, is_so)
    }

    /// [`Api::wait`] with another patience.
    #[track_caller]
    pub fn wait_within(
        &self,
        within: Duration,
        collection: &str,
        name: &str,
        what: &str,
        is_so: impl FnMut(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let selector = format!("fieldSelector=metadata.name%3D{name}");
        match self.in_time(within, self.follow(collection, &selector, &mut last, is_so)) {
            Ok(()) => last,
            Err(error) => panic!("{collection}/{name} {what}: {error}; last: {:#}", brief(&last)),
        }
    }

    /// Waits until an object was as it should be at any moment since a version: states that pass quickly are not missed.
    #[track_caller]
    pub fn wait_since(
        &self,
        version: &str,
        collection: &str,
        name: &str,
        what: &str,
        is_so: impl FnMut(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let selector = format!("fieldSelector=metadata.name%3D{name}");
        let watched = self.watched(collection, &selector, version, &mut last, is_so);
        match self.in_time(PATIENCE, watched) {
            Ok(true) => last,
            other => panic!("{collection}/{name} {what}: {other:?}; last: {:#}", brief(&last)),
        }
    }

    /// Waits until some object that a selector finds is as it should be.
    #[track_caller]
    pub fn wait_any(
        &self,
        collection: &str,
        selector: &str,
        what: &str,
        is_so: impl FnMut(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let mut is_so = is_so;
        let is_one_so = |object: &Value| !object.is_null() && is_so(object);
        match self.in_time(PATIENCE, self.follow(collection, selector, &mut last, is_one_so)) {
            Ok(()) => last,
            Err(error) => {
                panic!("{collection}?{selector} {what}: {error}; last: {:#}", brief(&last))
            }
        }
    }

    async fn follow(
        &self,
        collection: &str,
        selector: &str,
        last: &mut Value,
        mut is_so: impl FnMut(&Value) -> bool,
    ) -> Result<(), String> {
        loop {
            let list =
                self.call("GET", &format!("{collection}?{selector}"), &[], Bytes::new()).await?;
            let list = list.json();
            let version =
                list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
            let items = list["items"].as_array().cloned().unwrap_or_default();
            if items.is_empty() {
                *last = Value::Null;
                if is_so(last) {
                    return Ok(());
                }
            }
            for item in items {
                *last = item;
                if is_so(last) {
                    return Ok(());
                }
            }
            if self.watched(collection, selector, &version, last, &mut is_so).await? {
                return Ok(());
            }
        }
    }

    /// Watches from a version until an object is so, or until the watch ends.
    async fn watched(
        &self,
        collection: &str,
        selector: &str,
        version: &str,
        last: &mut Value,
        mut is_so: impl FnMut(&Value) -> bool,
    ) -> Result<bool, String> {
        let path = format!("{collection}?{selector}&watch=true&resourceVersion={version}");
        let answer = self.open("GET", &path, &[], Bytes::new()).await?;
        let mut lines = Lines::new(answer.into_body());
        while let Some(event) = lines.next().await? {
            match event["type"].as_str() {
                Some("DELETED") => *last = Value::Null,
                Some("ADDED" | "MODIFIED") => *last = event["object"].clone(),
                _ => return Ok(false),
            }
            if is_so(last) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// An object without what nobody reads in a failure.
fn brief(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.retain(|key, _| key == "nodeName");
    }
    object
}

/// The lines of a body, each a JSON document.
pub struct Lines {
    body: Incoming,
    buffer: BytesMut,
    ready: VecDeque<Value>,
}

impl Lines {
    /// The lines of a body.
    pub fn new(body: Incoming) -> Self {
        Self { body, buffer: BytesMut::new(), ready: VecDeque::new() }
    }

    /// The next line; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Value>, String> {
        loop {
            if let Some(value) = self.ready.pop_front() {
                return Ok(Some(value));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(format!("{error:?}")),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                        self.cut()?;
                    }
                }
            }
        }
    }

    fn cut(&mut self) -> Result<(), String> {
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line = self.buffer.split_to(end + 1);
            self.ready
                .push_back(serde_json::from_slice(&line).map_err(|error| format!("{error}"))?);
        }
        Ok(())
    }
}

/// An open watch.
pub struct Watch {
    api: Api,
    lines: Lines,
}

impl Watch {
    /// The next event; `None` if the watch has ended.
    ///
    /// # Panics
    /// If nothing comes in time.
    #[track_caller]
    pub fn next_event(&mut self) -> Option<Value> {
        match self.api.in_time(PATIENCE, self.lines.next()) {
            Ok(event) => event,
            Err(error) => panic!("watch: {error}"),
        }
    }
}

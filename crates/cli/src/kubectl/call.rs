//! One request to the API server and its answer.

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_TYPE, WARNING};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::context::Ctx;
use super::fault::Fault;

/// A table where the server can make one.
pub(crate) const ACCEPT_TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
/// Content type of a strategic merge patch.
pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";
/// Content type of a JSON merge patch (RFC 7386).
pub(crate) const MERGE: &str = "application/merge-patch+json";
/// Content type of a JSON patch (RFC 6902).
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
/// Content type of server-side apply.
pub(crate) const APPLY: &str = "application/apply-patch+yaml";

/// A request, built step by step.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    accept: &'static str,
    content_type: &'static str,
    body: Bytes,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            accept: "application/json",
            content_type: "application/json",
            body: Bytes::new(),
        }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: impl Into<String>, body: &Value) -> Self {
        Self::new(Method::POST, path).json(body)
    }

    /// A new object. It has no version yet: that of an old one is left out (kubectl v1.36 `resource.Helper.Create`).
    pub(crate) fn create(path: impl Into<String>, object: &Value) -> Self {
        let mut object = object.clone();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("resourceVersion");
        }
        Self::post(path, &object)
    }

    pub(crate) fn put(path: impl Into<String>, body: &Value) -> Self {
        Self::new(Method::PUT, path).json(body)
    }

    pub(crate) fn delete(path: impl Into<String>, body: &Value) -> Self {
        Self::new(Method::DELETE, path).json(body)
    }

    pub(crate) fn patch(path: impl Into<String>, kind: &'static str, body: &Value) -> Self {
        let mut call = Self::new(Method::PATCH, path).json(body);
        call.content_type = kind;
        call
    }

    fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into();
        self
    }

    /// Bytes that are sent as they are.
    pub(crate) fn body(mut self, bytes: Vec<u8>) -> Self {
        self.body = bytes.into();
        self
    }

    /// The media types that are taken as an answer.
    pub(crate) fn accept(mut self, types: &'static str) -> Self {
        self.accept = types;
        self
    }

    /// A query parameter, unless it is empty.
    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.query.push((name, value));
        }
        self
    }

    /// A query parameter whose empty value means something.
    pub(crate) fn query_even_empty(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// The path with its query.
    pub(crate) fn target(&self) -> String {
        let mut target = self.path.clone();
        for (index, (name, value)) in self.query.iter().enumerate() {
            let joined = target.contains('?') || index > 0;
            target.push(if joined { '&' } else { '?' });
            target.push_str(name);
            target.push('=');
            target.push_str(&escaped(value));
        }
        target
    }
}

impl Ctx {
    /// Sends a call; an answer that is no success is a fault.
    pub(crate) async fn open(&self, call: Call) -> Result<Response<Incoming>, Fault> {
        self.match_version().await?;
        self.send(call).await
    }

    /// The same of a server of any version.
    pub(crate) async fn send(&self, call: Call) -> Result<Response<Incoming>, Fault> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(call.target())
            .header(ACCEPT, call.accept);
        if !call.body.is_empty() {
            request = request.header(CONTENT_TYPE, call.content_type);
        }
        let request =
            request.body(call.body.clone()).map_err(|error| Fault::refused(error.to_string()))?;
        let response = self.client().await?.request(request).await?;
        self.tell_warnings(response.headers());
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Err(refusal(status, &body))
    }

    /// Sends a call; the answer's bytes.
    pub(crate) async fn fetch(&self, call: Call) -> Result<Bytes, Fault> {
        Ok(self.open(call).await?.into_body().collect().await?.to_bytes())
    }

    /// Sends a call; the answer as JSON.
    pub(crate) async fn call(&self, call: Call) -> Result<Value, Fault> {
        let path = call.path.clone();
        let body = self.fetch(call).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|source| Fault::Answer { path, source })
    }

    /// Sends a call; the answer line by line, as a watch comes.
    pub(crate) async fn lines(&self, call: Call) -> Result<Lines, Fault> {
        let deadline = self.request_timeout()?.map(|limit| Instant::now() + limit);
        let body = self.open(call).await?.into_body();
        Ok(Lines { body, buffer: BytesMut::new(), deadline, is_late: false })
    }

    fn tell_warnings(&self, headers: &HeaderMap) {
        for value in headers.get_all(WARNING) {
            let text = String::from_utf8_lossy(value.as_bytes());
            if let Some(text) = warning_text(&text) {
                self.server_warned(&text);
            }
        }
    }
}

/// The text of a `Warning: 299 - "TEXT"` header (RFC 7234 §5.5).
fn warning_text(header: &str) -> Option<String> {
    let quoted = header.strip_prefix("299 ")?.split_once('"')?.1;
    let mut text = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '\\' => text.push(chars.next()?),
            c => text.push(c),
        }
    }
}

/// What an unsuccessful answer means: its `Status`, or one made of its code as client-go does.
pub(crate) fn refusal_of(code: u16, body: &[u8]) -> Option<Value> {
    let status: Value = serde_json::from_slice(body).ok()?;
    (status["kind"] == "Status").then_some(status).map(|mut status| {
        if status["code"].is_null() {
            status["code"] = json!(code);
        }
        status
    })
}

fn refusal(code: u16, body: &[u8]) -> Fault {
    if let Some(status) = refusal_of(code, body) {
        return Fault::Status(Box::new(status));
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let (reason, message) = match code {
        401 => ("Unauthorized", "the server has asked for the client to provide credentials"),
        403 => ("Forbidden", text),
        404 => ("NotFound", "the server could not find the requested resource"),
        405 => {
            ("MethodNotAllowed", "the server does not allow this method on the requested resource")
        }
        406 => ("NotAcceptable", text),
        409 => ("Conflict", "the server reported a conflict"),
        410 => ("Gone", text),
        413 => ("RequestEntityTooLarge", text),
        415 => ("UnsupportedMediaType", text),
        422 => ("Invalid", "the server rejected our request due to an error in our request"),
        429 => (
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later",
        ),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => (
            "Timeout",
            "the server was unable to return a response in the time allotted, but may still be processing the request",
        ),
        500.. => ("InternalError", text),
        _ => ("BadRequest", text),
    };
    Fault::Status(Box::new(json!({
        "kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code,
    })))
}

/// The lines of a body that goes on.
pub(crate) struct Lines {
    body: Incoming,
    buffer: BytesMut,
    /// When the whole answer has to be there.
    deadline: Option<Instant>,
    /// Whether that moment has come.
    is_late: bool,
}

/// What Go says of an answer that takes too long.
const LATE: &str =
    "context deadline exceeded (Client.Timeout or context cancellation while reading body)";

/// The longest line of a watch; an object is at most a few megabytes.
const LINE_BYTES_MAX: usize = 64 << 20;

impl Lines {
    /// The next line without its end; `None` when the server has ended the answer. Safe to drop while waiting.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        Ok(self.next_raw().await?.map(|(line, _has_end)| line))
    }

    /// The next line without its end, and whether it had one: the last may not.
    pub(crate) async fn next_raw(&mut self) -> Result<Option<(Bytes, bool)>, Fault> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                let mut line = self.buffer.split_to(searched + end + 1);
                line.truncate(searched + end);
                return Ok(Some((line.freeze(), true)));
            }
            searched = self.buffer.len();
            if searched > LINE_BYTES_MAX {
                return Err(Fault::refused("the server sent a line that is too long"));
            }
            match self.frame().await? {
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => return Ok(Some((self.buffer.split().freeze(), false))),
            }
        }
    }

    /// Whether the answer took longer than a request may.
    pub(crate) fn is_late(&self) -> bool {
        self.is_late
    }

    async fn frame(&mut self) -> Result<Option<Result<Frame<Bytes>, hyper::Error>>, Fault> {
        let Some(deadline) = self.deadline else {
            return Ok(self.body.frame().await);
        };
        let frame = tokio::time::timeout_at(deadline, self.body.frame()).await;
        self.is_late = frame.is_err();
        frame.map_err(|_elapsed| Fault::refused(LATE))
    }

    /// The next event of a watch: its type and object. An event of type `ERROR` is a fault; a watch that takes too long ends.
    pub(crate) async fn event(&mut self) -> Result<Option<(String, Value)>, Fault> {
        let line = match self.next().await {
            Err(_) if self.is_late => return Ok(None),
            line => line?,
        };
        let Some(line) = line else {
            return Ok(None);
        };
        let mut event: Value = serde_json::from_slice(&line)
            .map_err(|source| Fault::Answer { path: "watch".into(), source })?;
        let object = event["object"].take();
        match event["type"].as_str() {
            Some("ERROR") => Err(Fault::Status(Box::new(object))),
            Some(kind) => Ok(Some((kind.to_owned(), object))),
            None => Err(Fault::refused("the server sent an event without a type")),
        }
    }
}

/// Percent-encoding of a query value (RFC 3986): everything but unreserved characters.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(byte as char);
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

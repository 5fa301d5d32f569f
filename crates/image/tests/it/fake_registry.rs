//! A registry on loopback that can misbehave in every way the tests need.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use podo_image::Digest;
use podo_image::build::BuiltImage;
use podo_image::manifest::media_type;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

type Body = BoxBody<Bytes, std::io::Error>;

/// One request that came in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authorization: Option<String>,
    pub(crate) range: Option<String>,
    pub(crate) body: Bytes,
}

/// What the registry does wrong, or asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behaviour {
    /// Wants this `Authorization` for everything but `/token`.
    pub(crate) wanted: Option<String>,
    /// `WWW-Authenticate` of refusals.
    pub(crate) challenge: String,
    /// `/token` gives this token, if the request carries `token_wants` somewhere.
    pub(crate) token: String,
    pub(crate) token_wants: String,
    /// Blob transfers break after so many bytes, so many times.
    pub(crate) cut: (usize, u32),
    /// Blob transfers stop without an end after so many bytes.
    pub(crate) hang_after: Option<usize>,
    /// One bit of each layer is turned.
    pub(crate) is_corrupt: bool,
    /// Blobs are shorter than described, and announced so.
    pub(crate) is_short: bool,
    /// Blob requests are sent to this base URL.
    pub(crate) redirect: Option<String>,
    /// So many answers are this status.
    pub(crate) failures: (u16, u32),
    pub(crate) has_no_ranges: bool,
    pub(crate) has_no_head: bool,
}

#[derive(Default)]
struct State {
    manifests: HashMap<String, (String, Bytes)>,
    blobs: HashMap<String, Bytes>,
    behaviour: Behaviour,
    seen: Vec<Seen>,
}

pub(crate) struct FakeRegistry {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    _server: JoinSet<()>,
}

impl FakeRegistry {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    pub(crate) async fn start_with(tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let state = Arc::new(Mutex::new(State::default()));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&state), tls));
        Self { address, state, _server: server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves `image` as `repository:tag` and by digest.
    pub(crate) fn serve(&self, repository: &str, tag: &str, image: &BuiltImage) {
        self.serve_manifest(repository, tag, media_type::OCI_MANIFEST, image.manifest.clone());
        let mut state = self.state.lock();
        for (digest, bytes) in &image.blobs {
            state.blobs.insert(digest.to_string(), bytes.clone());
        }
    }

    pub(crate) fn serve_manifest(
        &self,
        repository: &str,
        tag: &str,
        media_type: &str,
        bytes: Bytes,
    ) {
        let mut state = self.state.lock();
        let digest = Digest::sha256(&bytes);
        for selector in [tag, &digest.to_string()] {
            state
                .manifests
                .insert(format!("{repository}/{selector}"), (media_type.to_owned(), bytes.clone()));
        }
    }

    pub(crate) fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.state.lock().behaviour);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().seen.clone()
    }

    pub(crate) fn blob_gets(&self) -> usize {
        self.seen().iter().filter(|seen| seen.path.contains("/blobs/")).count()
    }
}

async fn serve(
    listener: TcpListener,
    state: Arc<Mutex<State>>,
    tls: Option<Arc<rustls::ServerConfig>>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let tls = tls.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&state), request));
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            // A connection may end in any way the client likes.
            match tls {
                Some(config) => {
                    if let Ok(stream) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await
                    {
                        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                    }
                }
                None => {
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                }
            }
        });
    }
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed()
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(full(text.to_owned()));
    *response.status_mut() = status;
    response
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let header = |name: &str| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let mut seen = Seen {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        authorization: header("authorization"),
        range: header("range"),
        body: Bytes::new(),
    };
    let method = request.method().clone();
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    seen.body = body.unwrap_or_default();
    state.lock().seen.push(seen.clone());
    Ok(respond(&mut state.lock(), &method, &seen))
}

fn respond(state: &mut State, method: &Method, seen: &Seen) -> Response<Body> {
    let behaviour = state.behaviour.clone();
    if seen.path == "/token" {
        return token(&behaviour, seen);
    }
    if behaviour.failures.1 > 0 {
        state.behaviour.failures.1 -= 1;
        let status = StatusCode::from_u16(behaviour.failures.0).expect("status");
        return plain(status, "{\"errors\":[{\"code\":\"X\",\"message\":\"on purpose\"}]}");
    }
    if behaviour.wanted.is_some() && seen.authorization != behaviour.wanted {
        let mut response = plain(StatusCode::UNAUTHORIZED, "{}");
        let value = behaviour.challenge.parse().expect("challenge");
        response.headers_mut().insert("www-authenticate", value);
        return response;
    }
    if matches!(seen.method.as_str(), "POST" | "PUT") {
        return store(state, seen);
    }
    let parts: Vec<&str> = seen.path.trim_start_matches("/v2/").split('/').collect();
    match parts.as_slice() {
        [repository @ .., "manifests", selector] => {
            manifest(state, method, &format!("{}/{selector}", repository.join("/")))
        }
        [.., "blobs", digest] => blob(state, seen, digest),
        _ => plain(StatusCode::NOT_FOUND, "{}"),
    }
}

/// Takes uploads as the distribution specification says: a place first, then the content.
fn store(state: &mut State, seen: &Seen) -> Response<Body> {
    let key = seen.path.trim_start_matches("/v2/");
    let mut response = plain(StatusCode::CREATED, "");
    if let Some(digest) = seen.query.strip_prefix("state=1&digest=") {
        state.blobs.insert(digest.to_owned(), seen.body.clone());
    } else if key.ends_with("/blobs/uploads/") {
        *response.status_mut() = StatusCode::ACCEPTED;
        response.headers_mut().insert("location", "/upload?state=1".parse().expect("location"));
    } else {
        let kind = media_type::OCI_MANIFEST.to_owned();
        let repository = key.split("/manifests/").next().unwrap_or_default();
        let digest = Digest::sha256(&seen.body);
        let by_digest = format!("{repository}/{digest}");
        for key in [key.replace("/manifests/", "/"), by_digest] {
            state.manifests.insert(key, (kind.clone(), seen.body.clone()));
        }
    }
    response
}

fn token(behaviour: &Behaviour, seen: &Seen) -> Response<Body> {
    let everything = format!("{} {:?} {:?}", seen.query, seen.body, seen.authorization);
    if !everything.contains(&behaviour.token_wants) {
        return plain(StatusCode::UNAUTHORIZED, "{}");
    }
    plain(StatusCode::OK, &format!("{{\"access_token\":\"{}\"}}", behaviour.token))
}

fn manifest(state: &State, method: &Method, key: &str) -> Response<Body> {
    if method == Method::HEAD && state.behaviour.has_no_head {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "");
    }
    let Some((media_type, bytes)) = state.manifests.get(key) else {
        return plain(StatusCode::NOT_FOUND, "{}");
    };
    Response::builder()
        .header("content-type", media_type)
        .header("docker-content-digest", Digest::sha256(bytes).to_string())
        .header("content-length", bytes.len())
        .body(full(bytes.clone()))
        .expect("response")
}

fn blob(state: &mut State, seen: &Seen, digest: &str) -> Response<Body> {
    let behaviour = state.behaviour.clone();
    if let Some(base) = &behaviour.redirect {
        let mut response = plain(StatusCode::TEMPORARY_REDIRECT, "");
        let location = format!("{base}{}", seen.path).parse().expect("location");
        response.headers_mut().insert("location", location);
        return response;
    }
    let Some(bytes) = state.blobs.get(digest) else { return plain(StatusCode::NOT_FOUND, "{}") };
    let is_document = bytes.first() == Some(&b'{');
    if is_document {
        return Response::new(full(bytes.clone()));
    }
    let mut content = bytes.to_vec();
    if behaviour.is_corrupt {
        let middle = content.len() / 2;
        content[middle] ^= 1;
    }
    if behaviour.is_short {
        content.pop();
    }
    let start: usize = seen
        .range
        .as_ref()
        .filter(|_| !behaviour.has_no_ranges)
        .and_then(|range| range.trim_start_matches("bytes=").trim_end_matches('-').parse().ok())
        .unwrap_or(0);
    let total = content.len();
    let content = Bytes::from(content.split_off(start));
    let length = content.len();
    let body = if behaviour.cut.1 > 0 && behaviour.cut.0 < content.len() {
        state.behaviour.cut.1 -= 1;
        broken(content.slice(..behaviour.cut.0))
    } else if let Some(after) = behaviour.hang_after.filter(|after| *after < content.len()) {
        hanging(content.slice(..after))
    } else {
        full(content)
    };
    let mut builder = Response::builder().header("content-length", length);
    if start > 0 {
        builder = builder
            .status(StatusCode::PARTIAL_CONTENT)
            .header("content-range", format!("bytes {start}-{}/{total}", total - 1));
    }
    builder.body(body).expect("response")
}

/// Sends the bytes, gives them time to leave, and breaks the connection.
fn broken(bytes: Bytes) -> Body {
    let first = stream::iter([Ok(Frame::data(bytes))]);
    let then = stream::once(async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        Err(std::io::Error::other("cut on purpose"))
    });
    BodyExt::boxed(StreamBody::new(first.chain(then)))
}

fn hanging(bytes: Bytes) -> Body {
    let first = stream::iter([Ok(Frame::data(bytes))]);
    BodyExt::boxed(StreamBody::new(first.chain(stream::pending())))
}

//! What reaches a server behind the proxy, and what comes back.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use podo_base::Tasks;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::nodes::tests::{DEADLINE, LOOPBACK, answer, pki};
use parking_lot::Mutex;

const PREFIX: &str = "/api/v1/namespaces/n/pods/p/proxy";

/// A server in the cluster, without TLS.
struct Pod {
    backend: Backend,
    nodes: Arc<Nodes>,
    tasks: Tasks,
}

async fn pod() -> Pod {
    let dir = tempfile::tempdir().expect("a directory");
    let nodes = Arc::new(Nodes::new(&pki(dir.path())).expect("TLS"));
    let listener = TcpListener::bind((LOOPBACK, 0)).await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let mut tasks = Tasks::new("pod");
    let stop = tasks.stop_signal();
    tasks.spawn("accept", async move {
        let echoes = Arc::new(Mutex::new(Tasks::new("echoes")));
        while let Some(Ok((stream, _))) = stop.or(listener.accept()).await {
            let echoes = Arc::clone(&echoes);
            let http = hyper::server::conn::http1::Builder::new();
            let service = service_fn(move |request| {
                let response = answer(request, &echoes);
                async { Ok::<_, std::convert::Infallible>(response) }
            });
            let _ended =
                stop.or(http.serve_connection(TokioIo::new(stream), service).with_upgrades()).await;
        }
    });
    let backend = Backend {
        address,
        channel: Channel::Plain,
        prefix: PREFIX.to_owned(),
        path: "/seen".to_owned(),
        query: Some("a=b".to_owned()),
        host: "server.example".to_owned(),
    };
    Pod { backend, nodes, tasks }
}

fn parts(method: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::builder().method(method).uri(PREFIX);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request").into_parts().0
}

impl Pod {
    async fn ask(
        &self,
        backend: &Backend,
        parts: &Parts,
        body: &'static str,
    ) -> Result<Response, Status> {
        let peer = Peer { address: Some(([192, 0, 2, 7], 1).into()), ..Peer::default() };
        self.nodes.proxy(backend, parts, &peer, full(body)).await
    }

    async fn stop(self) {
        self.nodes.stop(DEADLINE).await;
        self.tasks.stop(DEADLINE).await;
    }
}

async fn text(response: Response) -> String {
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(body.to_vec()).expect("text")
}

#[tokio::test]
async fn methods_paths_bodies_and_headers_are_passed_on_but_no_credentials() {
    let pod = pod().await;
    let shown = parts(
        "PUT",
        &[
            ("authorization", "Bearer secret"),
            ("impersonate-user", "secret"),
            ("x-remote-user", "secret"),
            ("connection", "x-hop"),
            ("x-hop", "secret"),
            ("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.secret"),
            ("cookie", "of-the-app"),
            ("x-forwarded-for", "198.51.100.1"),
        ],
    );
    let seen = text(pod.ask(&pod.backend, &shown, "body").await.expect("answered")).await;
    assert!(seen.starts_with("PUT /seen?a=b "), "{seen}");
    for header in [
        "host=server.example",
        "cookie=of-the-app",
        "content-length=4",
        "x-forwarded-for=198.51.100.1, 192.0.2.7",
        "x-forwarded-uri=/api/v1/namespaces/n/pods/p/proxy/seen",
    ] {
        assert!(seen.contains(header), "{header} in {seen}");
    }
    assert!(!seen.contains("secret"), "{seen}");
    pod.stop().await;
}

#[tokio::test]
async fn a_redirect_is_told_to_the_client_and_errors_keep_their_codes() {
    let pod = pod().await;
    let at = |path: &str| Backend { path: path.to_owned(), query: None, ..pod.backend.clone() };
    let answer = pod.ask(&at("/redirect"), &parts("GET", &[]), "").await.expect("answered");
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(answer.headers()["location"], "https://127.0.0.1/secret", "another server's");
    let answer = pod.ask(&at("/missing"), &parts("GET", &[]), "").await.expect("answered");
    assert_eq!(
        (answer.status(), text(answer).await.as_str()),
        (StatusCode::NOT_FOUND, "no such container\n")
    );
    let answer = pod.ask(&at(""), &parts("GET", &[]), "").await.expect("answered");
    assert_eq!(answer.status(), StatusCode::MOVED_PERMANENTLY);
    assert_eq!(answer.headers()["location"], format!("{PREFIX}/").as_str());
    let nobody =
        TcpListener::bind((LOOPBACK, 0)).await.expect("a socket").local_addr().expect("an address");
    let gone = Backend { address: nobody, ..at("/") };
    let status = pod.ask(&gone, &parts("GET", &[]), "").await.expect_err("nobody is there");
    assert_eq!(status.code, 503);
    assert!(status.message.starts_with("error trying to reach service: dial tcp"), "{status}");
    let tls = Backend { channel: Channel::Tls, ..at("/") };
    assert_eq!(
        pod.ask(&tls, &parts("GET", &[]), "").await.expect_err("it speaks no TLS").code,
        503
    );
    pod.stop().await;
}

#[test]
fn a_place_of_the_server_is_one_behind_the_proxy() {
    let backend = Backend {
        address: ([10, 0, 0, 1], 80).into(),
        channel: Channel::Plain,
        prefix: PREFIX.to_owned(),
        path: "/".to_owned(),
        query: None,
        host: "api.example:6443".to_owned(),
    };
    let behind = |path: &str| Some(format!("{PREFIX}{path}"));
    for (location, expected) in [
        ("/a/?b=/c#d", behind("/a/?b=/c#d")),
        ("http://10.0.0.1/a", behind("/a")),
        ("http://10.0.0.1:80/a", behind("/a")),
        ("https://api.example:6443/a", Some(format!("https://api.example:6443{PREFIX}/a"))),
        ("/api/v1/namespaces/n/pods/p/proxy/a", Some(format!("{PREFIX}/a"))),
        ("a/b", None),
        ("?a=http://10.0.0.1/", None),
        ("http://10.0.0.1:81/a", None),
        ("http://elsewhere.example/a", None),
        ("//elsewhere.example/a", None),
        ("http://10.0.0.1", None),
    ] {
        assert_eq!(backend.rewrite(location), expected, "{location}");
    }
}

/// A client whose requests are handed on.
async fn front(pod: &Pod, path: &'static str, tasks: &mut Tasks) -> SendRequest<Empty<Bytes>> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let nodes = Arc::clone(&pod.nodes);
    let backend = Backend { path: path.to_owned(), query: None, ..pod.backend.clone() };
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (nodes, backend) = (Arc::clone(&nodes), backend.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = body.map_err(Into::into).boxed_unsync();
            let answer = nodes.proxy(&backend, &parts, &Peer::default(), body).await;
            Ok::<_, std::convert::Infallible>(answer.unwrap_or_else(|status| {
                let mut response = Response::new(full(status.message));
                *response.status_mut() = StatusCode::from_u16(status.code).expect("a code");
                response
            }))
        }
    });
    let stop = tasks.stop_signal();
    tasks.spawn("front", async move {
        let http = hyper::server::conn::http1::Builder::new();
        let _ended =
            stop.or(http.serve_connection(TokioIo::new(far), service).with_upgrades()).await;
    });
    let (sender, connection) = handshake(TokioIo::new(near)).await.expect("HTTP");
    let stop = tasks.stop_signal();
    tasks.spawn("client", async move {
        let _ended = stop.or(connection.with_upgrades()).await;
    });
    sender
}

fn upgrade() -> http::Request<Empty<Bytes>> {
    let request = http::Request::builder().uri("/").header("host", "x");
    let request = request.header("connection", "Upgrade").header("upgrade", "echo");
    request.body(Empty::new()).expect("a request")
}

#[tokio::test]
async fn a_changed_protocol_is_passed_through_and_a_refused_one_closes() {
    let pod = pod().await;
    let mut tasks = Tasks::new("test");
    let mut sender = front(&pod, "/echo", &mut tasks).await;
    let answer = sender.send_request(upgrade()).await.expect("answered");
    assert_eq!(
        (answer.status(), &answer.headers()["upgrade"]),
        (StatusCode::SWITCHING_PROTOCOLS, &HeaderValue::from_static("echo"))
    );
    let mut stream = TokioIo::new(hyper::upgrade::on(answer).await.expect("upgraded"));
    stream.write_all(b"abc.").await.expect("written");
    let mut back = Vec::new();
    tokio::time::timeout(DEADLINE, stream.read_to_end(&mut back))
        .await
        .expect("ended")
        .expect("read");
    assert_eq!(back, b"abc.");
    for (path, code) in [("/seen", 500), ("/missing", 404)] {
        let mut sender = front(&pod, path, &mut tasks).await;
        let answer = sender.send_request(upgrade()).await.expect("answered");
        assert_eq!(answer.status().as_u16(), code);
        if code == 404 {
            assert_eq!(answer.headers()["connection"], "close");
        }
    }
    tasks.stop(DEADLINE).await;
    pod.stop().await;
}

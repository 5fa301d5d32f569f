//! A kubelet on the loopback and what reaches it.

use std::net::IpAddr;
use std::path::Path;

use bytes::Bytes;
use http_body_util::{Empty, Full};
use hyper::service::service_fn;
use podo_base::Clock as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::http::full;
use crate::pki::{Pki, PkiConfig};

pub(super) const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Longer than anything here takes on a slow machine.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

pub(super) fn pki(dir: &Path) -> Pki {
    let now = podo_base::SystemClock.now();
    let config = PkiConfig {
        names: Vec::new(),
        addresses: vec![LOOPBACK],
        domain: "cluster.local".to_owned(),
        now,
    };
    Pki::load_or_create(dir, &config).expect("an authority")
}

/// A kubelet that answers as its path says.
struct Kubelet {
    address: SocketAddr,
    nodes: Arc<Nodes>,
    tasks: Tasks,
    /// Holds the certificates for as long as the kubelet lives.
    _dir: tempfile::TempDir,
}

async fn kubelet() -> Kubelet {
    let dir = tempfile::tempdir().expect("a directory");
    let pki = pki(dir.path());
    let (_, serving) = pki.node("n", &[LOOPBACK]).expect("an identity");
    let acceptor = TlsAcceptor::from(pki.server_config_of(&serving).expect("TLS"));
    let listener = TcpListener::bind((LOOPBACK, 0)).await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let mut tasks = Tasks::new("kubelet");
    let stop = tasks.stop_signal();
    tasks.spawn("accept", async move {
        let echoes = Arc::new(Mutex::new(Tasks::new("echoes")));
        let mut connections = Tasks::new("connections");
        while let Some(Ok((stream, _))) = stop.or(listener.accept()).await {
            let (acceptor, echoes) = (acceptor.clone(), Arc::clone(&echoes));
            connections.spawn("connection", async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let http = hyper::server::conn::http1::Builder::new();
                let service = service_fn(move |request| {
                    let response = answer(request, &echoes);
                    async { Ok::<_, std::convert::Infallible>(response) }
                });
                let _ended =
                    http.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
            });
        }
    });
    let nodes = Arc::new(Nodes::new(&pki).expect("TLS"));
    Kubelet { address, nodes, tasks, _dir: dir }
}

pub(super) fn answer(
    request: http::Request<Incoming>,
    echoes: &Mutex<Tasks>,
) -> http::Response<Full<Bytes>> {
    let reply = |code: u16, text: String| {
        let mut response = http::Response::new(Full::from(text));
        *response.status_mut() = StatusCode::from_u16(code).expect("a code");
        response
    };
    match request.uri().path() {
        "/redirect" => {
            let mut response = reply(302, String::new());
            response.headers_mut().insert(
                header::LOCATION,
                http::HeaderValue::from_static("https://127.0.0.1/secret"),
            );
            response
        }
        "/missing" => reply(404, "no such container\n".to_owned()),
        "/waiting" => reply(
            400,
            "container \"c\" in pod \"p\" is waiting to start: ContainerCreating".to_owned(),
        ),
        "/echo" => {
            let mut response = reply(101, String::new());
            response.headers_mut().insert(header::UPGRADE, http::HeaderValue::from_static("echo"));
            response
                .headers_mut()
                .insert(header::CONNECTION, http::HeaderValue::from_static("Upgrade"));
            echoes.lock().spawn("echo", echo(request));
            response
        }
        _ => {
            let names: Vec<String> = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}={}", value.to_str().unwrap_or("")))
                .collect();
            reply(200, format!("{} {} {}", request.method(), request.uri(), names.join(";")))
        }
    }
}

/// Sends back what comes until a `.`, then closes.
async fn echo(request: http::Request<Incoming>) {
    let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
    let mut stream = TokioIo::new(upgraded);
    let mut byte = [0];
    while let Ok(1) = stream.read(&mut byte).await {
        if stream.write_all(&byte).await.is_err() || byte == *b"." {
            break;
        }
    }
    let _closed = stream.shutdown().await;
}

fn parts(headers: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::builder().method("GET").uri("/api/v1/whatever");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request").into_parts().0
}

async fn text(response: Response) -> String {
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(body.to_vec()).expect("text")
}

#[tokio::test]
async fn what_the_client_showed_to_the_api_server_stays_there() {
    let kubelet = kubelet().await;
    let shown = parts(&[
        ("authorization", "Bearer secret"),
        ("cookie", "secret"),
        ("impersonate-user", "secret"),
        ("x-remote-user", "secret"),
        (
            "sec-websocket-protocol",
            "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.secret",
        ),
        ("user-agent", "kubectl"),
    ]);
    let response =
        kubelet.nodes.forward_to(kubelet.address, "/containerLogs/n/p/c?follow=true", &shown).await;
    let seen = text(response.expect("answered")).await;
    assert!(seen.starts_with("GET /containerLogs/n/p/c?follow=true "), "{seen}");
    assert!(
        seen.contains("user-agent=kubectl")
            && seen.contains("sec-websocket-protocol=v5.channel.k8s.io"),
        "{seen}"
    );
    assert!(!seen.contains("secret"), "{seen}");
    kubelet.nodes.stop(DEADLINE).await;
    kubelet.tasks.stop(DEADLINE).await;
}

#[tokio::test]
async fn a_redirect_is_never_followed_and_errors_are_told_in_the_nodes_words() {
    let kubelet = kubelet().await;
    let ask = async |path: &str| {
        let answer = kubelet.nodes.forward_to(kubelet.address, path, &parts(&[])).await;
        let status = answer.expect_err("refused");
        (status.code, status.message)
    };
    let (code, message) = ask("/redirect").await;
    assert_eq!((code, message.contains("redirect")), (500, true), "{message}");
    assert_eq!(ask("/missing").await, (404, "no such container".to_owned()));
    let waiting = "container \"c\" in pod \"p\" is waiting to start: ContainerCreating";
    assert_eq!(ask("/waiting").await, (400, waiting.to_owned()));
    // Who wants another protocol than HTTP gets the text itself.
    let wanted = parts(&[("connection", "Upgrade"), ("upgrade", "SPDY/3.1")]);
    let answer = kubelet.nodes.forward_to(kubelet.address, "/missing", &wanted).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(text(answer).await, "no such container");
    kubelet.tasks.stop(DEADLINE).await;
}

#[tokio::test]
async fn a_kubelet_of_another_authority_is_not_believed_and_a_dead_one_is_told() {
    let kubelet = kubelet().await;
    let dir = tempfile::tempdir().expect("a directory");
    let stranger = Nodes::new(&pki(dir.path())).expect("TLS");
    let status =
        stranger.forward_to(kubelet.address, "/", &parts(&[])).await.expect_err("not believed");
    assert!(status.message.contains("error dialing backend"), "{status}");
    let closed =
        TcpListener::bind((LOOPBACK, 0)).await.expect("a socket").local_addr().expect("an address");
    let status =
        kubelet.nodes.forward_to(closed, "/", &parts(&[])).await.expect_err("nobody is there");
    assert!(status.message.contains("Connection refused"), "{status}");
    kubelet.nodes.stop(DEADLINE).await;
    let status =
        kubelet.nodes.forward_to(kubelet.address, "/", &parts(&[])).await.expect_err("stopped");
    assert_eq!(status.code, 503);
    kubelet.tasks.stop(DEADLINE).await;
}

/// A front that hands everything on to the kubelet, and a client of it, in memory.
async fn front(kubelet: &Kubelet, tasks: &mut Tasks) -> SendRequest<Empty<Bytes>> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (nodes, address) = (Arc::clone(&kubelet.nodes), kubelet.address);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let nodes = Arc::clone(&nodes);
        async move {
            let (parts, _body) = request.into_parts();
            let path = parts.uri.path().to_owned();
            let answer = nodes.forward_to(address, &path, &parts).await;
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

fn upgrade(path: &str) -> http::Request<Empty<Bytes>> {
    let request = http::Request::builder()
        .uri(path)
        .header("connection", "Upgrade")
        .header("upgrade", "echo");
    request.header("host", "x").body(Empty::new()).expect("a request")
}

async fn open(sender: &mut SendRequest<Empty<Bytes>>) -> TokioIo<hyper::upgrade::Upgraded> {
    let answer = sender.send_request(upgrade("/echo")).await.expect("answered");
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(answer.headers()["upgrade"], "echo");
    TokioIo::new(hyper::upgrade::on(answer).await.expect("upgraded"))
}

#[tokio::test]
async fn a_stream_goes_both_ways_until_the_node_ends_it() {
    let kubelet = kubelet().await;
    let mut tasks = Tasks::new("test");
    let mut sender = front(&kubelet, &mut tasks).await;
    let mut stream = open(&mut sender).await;
    let large = vec![b'x'; 300_000];
    let (mut from, mut to) = tokio::io::split(&mut stream);
    let mut back = Vec::new();
    let both = async {
        tokio::join!(
            async {
                to.write_all(&large).await.expect("written");
                to.write_all(b".").await.expect("written");
            },
            from.read_to_end(&mut back),
        )
    };
    tokio::time::timeout(DEADLINE, both)
        .await
        .expect("the node's end is the client's end")
        .1
        .expect("read");
    assert_eq!(back.len(), large.len() + 1);
    tasks.stop(DEADLINE).await;
    kubelet.nodes.stop(DEADLINE).await;
    kubelet.tasks.stop(DEADLINE).await;
}

#[tokio::test]
async fn when_the_client_goes_the_connection_to_the_node_goes() {
    let kubelet = kubelet().await;
    let mut tasks = Tasks::new("test");
    let mut sender = front(&kubelet, &mut tasks).await;
    let mut stream = open(&mut sender).await;
    stream.write_all(b"a").await.expect("written");
    let mut byte = [0];
    stream.read_exact(&mut byte).await.expect("echoed");
    assert!(kubelet.nodes.slots.available_permits() <= FORWARDS_MAX);
    drop(stream);
    drop(sender);
    let nobody_left = async {
        loop {
            let count = kubelet.nodes.tasks.lock().as_mut().map_or(0, |tasks| {
                // Spawning takes away what has ended.
                tasks.spawn("look", async {});
                tasks.len()
            });
            if count <= 1 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, nobody_left).await.expect("nothing of the pair is left");
    tasks.stop(DEADLINE).await;
    kubelet.tasks.stop(DEADLINE).await;
}

#[tokio::test]
async fn a_stream_that_the_node_does_not_open_is_an_error() {
    let kubelet = kubelet().await;
    let mut tasks = Tasks::new("test");
    let mut sender = front(&kubelet, &mut tasks).await;
    let answer = sender.send_request(upgrade("/plain")).await.expect("answered");
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    tasks.stop(DEADLINE).await;
    kubelet.nodes.stop(DEADLINE).await;
    kubelet.tasks.stop(DEADLINE).await;
}

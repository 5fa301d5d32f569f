//! Requests that are refused, and what is read of the others.

use super::super::query::Query;
use super::super::route::{ContainerPath, Route};
use super::*;

#[test]
fn a_query_is_decoded_once_and_keeps_its_order() {
    let query =
        Query::parse("command=sh&command=-c&command=echo%20a%2Bb+c%26&tty=1&empty=&bad=%zz&flag");
    let command: Vec<&str> = query.all("command").collect();
    assert_eq!(command, ["sh", "-c", "echo a+b c&"]);
    assert!(query.is_one("tty") && !query.is_one("flag"));
    assert_eq!(
        (query.get("empty"), query.get("bad"), query.get("none")),
        (None, Some("%zz"), None)
    );
    assert!(
        query.flag("flag") && !Query::parse("follow=false").flag("follow") && !query.flag("none")
    );
}

#[test]
fn a_path_names_a_container_or_nothing() {
    let path = ContainerPath { namespace: "a".into(), pod: "b".into(), container: "c".into() };
    assert_eq!(Route::of("/exec/a/b/c"), Some(Route::Exec(path.clone())));
    assert_eq!(Route::of("/containerLogs/a/%62/c"), Some(Route::Logs(path)));
    for nowhere in
        ["", "/", "/exec/a/b", "/exec/a//c", "/exec/a/b/c/d/e", "/logs/", "/run/a/b/c", "/configz"]
    {
        assert_eq!(Route::of(nowhere), None, "{nowhere}");
    }
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_in_the_words_of_upstream() {
    let mut fixture = Fixture::start().await;
    let rows = [
        ("/nowhere", 404, "404 page not found"),
        ("/exec/default/gone/c?command=cat&output=1", 404, "pod does not exist"),
        ("/exec/default/p/gone?command=cat&output=1", 500, "container not found (\"gone\")"),
        (
            "/exec/default/p/c?command=cat",
            400,
            "you must specify at least 1 of stdin, stdout, stderr",
        ),
        (
            "/attach/default/p/c?output=1",
            400,
            "unable to upgrade: X-Stream-Protocol-Version is required",
        ),
        ("/portForward/default/gone", 404, "pod does not exist"),
        (
            "/containerLogs/default/p/c?tailLines=many",
            400,
            "{\"message\": \"Unable to decode query.\"}",
        ),
        ("/containerLogs/default/p/c?tailLines=-1", 422, "{\"message\": \"Invalid request.\"}"),
        (
            "/containerLogs/default/p/waiting",
            400,
            "container \"waiting\" in pod \"p\" is waiting to start: ContainerCreating",
        ),
    ];
    for (path, code, text) in rows {
        assert_eq!(fixture.get(path).await, (code, text.to_owned()), "{path}");
    }
    fixture.stop().await;
}

#[tokio::test]
async fn versions_that_nobody_shares_are_refused_before_the_protocol_changes() {
    let mut fixture = Fixture::start().await;
    let rows = [
        (
            vec![("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", "v9.channel.k8s.io")],
            "client supports [\"v9.channel.k8s.io\"]",
        ),
        (
            vec![("upgrade", "h2c"), ("x-stream-protocol-version", "v4.channel.k8s.io")],
            "missing upgrade headers",
        ),
        (
            vec![
                ("upgrade", "websocket"),
                ("sec-websocket-version", "13"),
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
                ("sec-websocket-protocol", "v9.channel.k8s.io"),
            ],
            "unable to negotiate protocol",
        ),
        (vec![("upgrade", "websocket"), ("sec-websocket-version", "8")], "unable to upgrade"),
    ];
    for (headers, expected) in rows {
        let stream = fixture.connect().await;
        let mut sender = fixture.http(stream).await;
        let mut request = get("/exec/default/p/c?command=cat&output=1");
        request.headers_mut().insert("connection", "Upgrade".parse().unwrap());
        for (name, value) in headers {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let (code, text) = text_of(sender.send_request(request).await.unwrap()).await;
        assert!(code == 400 && text.contains(expected), "{code} {text}");
    }
    fixture.stop().await;
}

#[tokio::test]
async fn pods_are_listed_as_they_are_and_methods_are_checked() {
    let mut fixture = Fixture::start().await;
    let (code, text) = fixture.get("/pods").await;
    let list: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (code, &list["kind"], &list["items"][0]["metadata"]["name"]),
        (200, &"PodList".into(), &"p".into())
    );
    let (_, text) = fixture.get("/runningpods/").await;
    let list: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(list["items"][0]["spec"]["containers"][0]["name"], "c");
    let stream = fixture.connect().await;
    let mut sender = fixture.http(stream).await;
    let mut request = get("/pods");
    *request.method_mut() = http::Method::DELETE;
    assert_eq!(sender.send_request(request).await.unwrap().status(), 405);
    fixture.stop().await;
}

#[tokio::test]
async fn http_2_serves_requests_and_no_upgrades() {
    let fixture = Fixture::start().await;
    let mut config = (*fixture.authority.client(Some(("admin", &["system:masters"])))).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(fixture.address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = rustls_pki_types::ServerName::from(fixture.address.ip());
    let stream = connector.connect(name, stream).await.unwrap();
    let builder = hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
    let (mut sender, connection) =
        builder.handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await.unwrap();
    let mut tasks = Tasks::new("client");
    tasks.spawn("connection", async move {
        let _ended = connection.await;
    });
    let mut ask = async |path: &str| {
        let uri = format!("https://node{path}");
        let request = http::Request::get(uri).body(Empty::new()).unwrap();
        text_of(sender.send_request(request).await.unwrap()).await
    };
    assert_eq!(ask("/healthz").await, (200, "ok".to_owned()));
    let answer = ask("/exec/default/p/c?command=cat&output=1").await;
    assert_eq!(answer, (400, "unable to upgrade: HTTP/1.1 is required".to_owned()));
    drop(sender);
    tasks.stop(DEADLINE).await;
    fixture.stop().await;
}

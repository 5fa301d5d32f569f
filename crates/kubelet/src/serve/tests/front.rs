//! As much of an API server as kubectl needs to reach the node: discovery, the Pod, and a pipe for streams.

use std::convert::Infallible;

use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::super::query::Query;
use super::*;

const POD: &str = "/api/v1/namespaces/default/pods/p";

type Answer = http::Response<BoxBody<Bytes, hyper::Error>>;

/// Where the node is, and who calls it.
#[derive(Clone)]
struct Front {
    address: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
    tasks: Arc<Mutex<Tasks>>,
}

impl Fixture {
    /// Starts a front and gives its URL.
    pub(super) async fn front(&mut self) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let front = Front {
            address: self.address,
            tls: self.authority.client(Some(("kube-apiserver-kubelet-client", &[]))),
            tasks: Arc::new(Mutex::new(Tasks::new("front"))),
        };
        let stop = self.tasks.stop_signal();
        let accept = async move {
            while let Ok((stream, _)) = listener.accept().await {
                let served = front.clone();
                let service = service_fn(move |request| {
                    let front = served.clone();
                    async move { Ok::<_, Infallible>(front.answer(request).await) }
                });
                let http = hyper::server::conn::http1::Builder::new();
                let connection =
                    http.serve_connection(TokioIo::new(stream), service).with_upgrades();
                front.spawn(async move {
                    let _ended = connection.await;
                });
            }
        };
        self.tasks.spawn("front", async move {
            let _stopped = stop.or(accept).await;
        });
        url
    }
}

fn whole(tree: &Value) -> Answer {
    let body = Full::from(tree.to_string()).map_err(|never| match never {}).boxed();
    let mut response = http::Response::new(body);
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    response
}

impl Front {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().spawn("task", task);
    }

    async fn answer(&self, request: http::Request<Incoming>) -> Answer {
        let query = Query::parse(request.uri().query().unwrap_or_default());
        let path = request.uri().path().to_owned();
        match path.strip_prefix(POD) {
            Some("") => whole(&pod()),
            Some(subresource) => self.forward(request, &node_path(subresource, &query)).await,
            None => whole(&discovery(&path)),
        }
    }

    async fn forward(&self, mut request: http::Request<Incoming>, path: &str) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&self.tls));
        let name = rustls_pki_types::ServerName::from(self.address.ip());
        let stream = connector.connect(name, stream).await.unwrap();
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        self.spawn(async move {
            let _ended = connection.with_upgrades().await;
        });
        let client = hyper::upgrade::on(&mut request);
        let mut onward = http::Request::builder().method(request.method()).uri(path);
        *onward.headers_mut().unwrap() = request.headers().clone();
        let answer =
            sender.send_request(onward.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        if answer.status() != 101 {
            return answer.map(http_body_util::BodyExt::boxed);
        }
        let mut response = whole(&Value::Null);
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        self.spawn(async move {
            let (client, node) = tokio::try_join!(client, hyper::upgrade::on(answer)).unwrap();
            let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(client));
            let (mut from_node, mut to_node) = tokio::io::split(TokioIo::new(node));
            tokio::select! {
                biased;
                _ended = tokio::io::copy(&mut from_node, &mut to_client) => {}
                _ended = tokio::io::copy(&mut from_client, &mut to_node) => {}
            }
            let _ended = tokio::join!(to_client.shutdown(), to_node.shutdown());
        });
        response
    }
}

fn node_path(subresource: &str, query: &Query) -> String {
    let container = query.get("container").unwrap_or("c");
    let mut pairs: Vec<String> = Vec::new();
    for (flag, short) in
        [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")]
    {
        if query.flag(flag) {
            pairs.push(format!("{short}=1"));
        }
    }
    pairs.extend(query.all("command").map(|word| format!("command={word}")));
    pairs.extend(query.get("follow").map(|follow| format!("follow={follow}")));
    let query = pairs.join("&");
    match subresource {
        "/portforward" => "/portForward/default/p".to_owned(),
        "/log" => format!("/containerLogs/default/p/{container}?{query}"),
        _ => format!("{subresource}/default/p/{container}?{query}"),
    }
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default", "uid": "u"},
        "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i", "stdin": true}]},
        "status": {"phase": "Running"},
    })
}

fn discovery(path: &str) -> Value {
    let resource = |name: &str| json!({"name": name, "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": ["get", "list"], "shortNames": ["po"]});
    match path {
        "/api" => {
            json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
        }
        "/api/v1" => {
            json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [resource("pods")]})
        }
        "/version" => json!({"major": "1", "minor": "36", "gitVersion": "v1.36.2"}),
        _ => json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []}),
    }
}

//! A client against servers on the loopback interface that die at any moment.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::super::{Client, Credentials, Endpoint, Impersonation, TlsOptions};
use super::*;

/// What no request may take.
const HUNG: Duration = Duration::from_secs(10);

/// A server that dies at a stroke, with all its connections.
struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    life: JoinSet<()>,
}

/// What a server speaks.
#[derive(Clone)]
enum Speaks {
    Plain,
    Tls(TlsAcceptor),
}

impl Speaks {
    fn tls(protocols: &[&str]) -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        let chain = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("PEM");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .expect("they fit");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self::Tls(TlsAcceptor::from(Arc::new(config)))
    }

    fn scheme(&self) -> &'static str {
        match self {
            Self::Plain => "http",
            Self::Tls(_) => "https",
        }
    }
}

impl Server {
    async fn start(port: u16, speaks: &Speaks) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let accepted = Arc::new(AtomicUsize::new(0));
        let (count, speaks) = (Arc::clone(&accepted), speaks.clone());
        let mut life = JoinSet::new();
        life.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                connections.spawn(serve(stream, speaks.clone()));
            }
        });
        Self { address, accepted, life }
    }

    async fn kill(mut self) {
        self.life.shutdown().await;
    }
}

async fn serve(stream: TcpStream, speaks: Speaks) {
    stream.set_nodelay(true).expect("a socket");
    let answer = service_fn(|_| async {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"here"))))
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    // How it ends is the client's to tell.
    let _ended = match speaks {
        Speaks::Plain => builder.serve_connection(TokioIo::new(stream), answer).await,
        Speaks::Tls(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => builder.serve_connection(TokioIo::new(stream), answer).await,
            Err(_) => return,
        },
    };
}

fn client(address: SocketAddr, speaks: &Speaks) -> Client {
    Client::new(&Endpoint {
        server: format!("{}://{address}", speaks.scheme()),
        tls: TlsOptions { is_insecure: true, ..TlsOptions::default() },
        credentials: Credentials::default(),
        impersonation: Impersonation::default(),
        user_agent: "test".to_owned(),
        timeout: None,
    })
    .expect("a client")
}

async fn ask(client: &Client) -> Result<Bytes, String> {
    let request = Request::builder().uri("/").body(Bytes::new()).expect("a request");
    let work = async {
        let response = client.request(request).await.map_err(|error| format!("{error:?}"))?;
        let body = response.into_body().collect().await.map_err(|error| format!("{error:?}"))?;
        Ok(body.to_bytes())
    };
    tokio::time::timeout(HUNG, work).await.expect("no request hangs")
}

/// Requests that are dropped at any moment, on a server that dies meanwhile; then one on the server that comes after it.
async fn survive(speaks: Speaks, rounds: u64) {
    let mut server = Server::start(0, &speaks).await;
    let address = server.address;
    let client = client(address, &speaks);
    for round in 0..rounds {
        let dropped = join_all((0..4).map(|index| {
            let moment = Duration::from_micros((round * 97 + index * 311) % 3000);
            tokio::time::timeout(moment, ask(&client))
        }));
        let killed = async move {
            tokio::time::sleep(Duration::from_micros(round * 53 % 2000)).await;
            server.kill().await;
        };
        tokio::join!(dropped, killed);
        // Nobody listens: that is told, not waited for.
        let _most_likely_refused = ask(&client).await;
        server = Server::start(address.port(), &speaks).await;
        let mut answer = ask(&client).await;
        for _ in 0..TRIES_MAX {
            if answer.is_ok() {
                break;
            }
            // The request went out on a connection whose end had not been noticed yet.
            answer = ask(&client).await;
        }
        assert_eq!(answer.expect("the server is there"), "here", "in round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_servers_die_under_http2_and_no_request_hangs() {
    survive(Speaks::tls(&["h2", "http/1.1"]), 1000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_die_under_http1_and_no_request_hangs() {
    survive(Speaks::tls(&["http/1.1"]), 200).await;
    survive(Speaks::Plain, 200).await;
}

#[tokio::test]
async fn all_requests_share_one_connection_of_http2() {
    let speaks = Speaks::tls(&["h2"]);
    let server = Server::start(0, &speaks).await;
    let client = client(server.address, &speaks);
    for answer in join_all((0..100).map(|_| ask(&client))).await {
        assert_eq!(answer.expect("answered"), "here");
    }
    assert_eq!(server.accepted.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_connection_of_http1_is_used_by_the_next_request_when_it_is_idle() {
    let server = Server::start(0, &Speaks::Plain).await;
    let client = client(server.address, &Speaks::Plain);
    for _ in 0..20 {
        assert_eq!(ask(&client).await.expect("answered"), "here");
        tokio::task::yield_now().await;
    }
    let one_by_one = server.accepted.load(Ordering::Relaxed);
    assert!(one_by_one <= 2, "{one_by_one} connections");
    for answer in join_all((0..10).map(|_| ask(&client))).await {
        assert_eq!(answer.expect("answered"), "here");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up_by_each_who_waits_for_a_connection() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("bound");
    let address = silent.local_addr().expect("bound");
    let client = client(address, &Speaks::tls(&["h2"]));
    let request = || Request::builder().uri("/").body(Bytes::new()).expect("a request");
    let began = tokio::time::Instant::now();
    // The first is dropped while it makes the connection that the others wait for.
    let dropped = tokio::time::timeout(Duration::from_secs(1), client.request(request()));
    let others = join_all((0..3).map(|_| client.request(request())));
    let (dropped, others) = tokio::join!(dropped, others);
    assert!(dropped.is_err());
    for other in others {
        assert!(matches!(other, Err(RequestError::TimedOut { .. })), "{other:?}");
    }
    assert!(began.elapsed() < DIAL_TIMEOUT * 2);
}

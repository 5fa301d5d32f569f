//! Makes connections: resolves the host, dials, and shakes hands in TLS with ALPN.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::RequestError;

/// How long a connection may take, with its TLS handshake; Go's transport allows 30 s and 10 s.
pub(super) const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes connections to the host of a URI.
#[derive(Clone)]
pub(super) struct Connector {
    tls: Option<Tls>,
}

#[derive(Clone)]
struct Tls {
    any: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
    server_name: Option<String>,
}

/// A connection, plain or encrypted.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connector {
    pub(super) fn new(tls: Option<ClientConfig>, server_name: Option<String>) -> Self {
        let tls = tls.map(|mut config| {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            let http1 = Arc::new(config.clone());
            config.alpn_protocols.insert(0, b"h2".to_vec());
            Tls { any: Arc::new(config), http1, server_name }
        });
        Self { tls }
    }

    /// A connection that speaks what the server prefers.
    pub(super) async fn dial(&self, uri: &Uri) -> Result<Stream, RequestError> {
        dial(uri, self.tls.as_ref().map(|tls| (&tls.any, tls.server_name.as_deref()))).await
    }

    /// A connection that speaks HTTP/1.1, which alone can be upgraded.
    pub(super) async fn dial_http1(&self, uri: &Uri) -> Result<Stream, RequestError> {
        dial(uri, self.tls.as_ref().map(|tls| (&tls.http1, tls.server_name.as_deref()))).await
    }
}

async fn dial(
    uri: &Uri,
    tls: Option<(&Arc<ClientConfig>, Option<&str>)>,
) -> Result<Stream, RequestError> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
    let address = format!("{host}:{port}");
    let authority = uri.authority().map_or(host, |authority| authority.as_str());
    let work = async {
        let tcp = connect(&resolve(host, port).await?, &address, authority).await?;
        let Some((config, server_name)) = tls else {
            return Ok(Stream::Plain(tcp));
        };
        let name = server_name.unwrap_or(host);
        let server_name = ServerName::try_from(name.to_owned())
            .map_err(|_invalid| RequestError::ServerName { name: name.to_owned() })?;
        let stream = TlsConnector::from(Arc::clone(config))
            .connect(server_name, tcp)
            .await
            .map_err(|source| RequestError::Handshake { address: address.clone(), source })?;
        Ok(Stream::Tls(Box::new(stream)))
    };
    tokio::time::timeout(DIAL_TIMEOUT, work)
        .await
        .unwrap_or(Err(RequestError::TimedOut { limit: DIAL_TIMEOUT }))
}

async fn connect(
    addresses: &[SocketAddr],
    shown: &str,
    authority: &str,
) -> Result<TcpStream, RequestError> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Requests are small and wait for their answers: Nagle's delay would add to each.
                let _best_effort = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(match last {
        Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            RequestError::Refused { address: authority.to_owned() }
        }
        Some(source) => RequestError::Connect { address: shown.to_owned(), source },
        None => RequestError::NoSuchHost { host: shown.to_owned() },
    })
}

/// The addresses of a host: literals and `localhost` without asking anybody, other names through the system.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, RequestError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    if host.eq_ignore_ascii_case("localhost") {
        let both = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        return Ok(both.map(|ip| SocketAddr::new(ip, port)).to_vec());
    }
    if let Some(ip) = in_hosts_file(host) {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found = tokio::net::lookup_host((host, port)).await;
    found
        .map(Iterator::collect)
        .map_err(|_unknown| RequestError::NoSuchHost { host: host.to_owned() })
}

/// Looks a name up in `/etc/hosts` (hosts(5)), which a static binary reads itself.
fn in_hosts_file(host: &str) -> Option<IpAddr> {
    let text = std::fs::read_to_string("/etc/hosts").ok()?;
    text.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?;
        words.any(|name| name.eq_ignore_ascii_case(host)).then(|| address.parse().ok()).flatten()
    })
}

impl Stream {
    /// Whether both sides chose HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.get_ref().1.alpn_protocol() == Some(b"h2"))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

//! Dialling: from a URL's host to a stream, plain or TLS.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::dns::{DnsError, Resolver};
use super::tls::TlsConfigs;
use super::url::host_of;

/// Why a host cannot be reached.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// Its name has no address.
    #[error("dial tcp")]
    Lookup(#[from] DnsError),
    /// Nobody answers there.
    #[error("dial tcp {address}: connect")]
    Dial {
        /// Where.
        address: SocketAddr,
        /// The kernel's answer.
        #[source]
        source: OsText,
    },
    /// It took too long.
    #[error("dial tcp {host}: i/o timeout")]
    Timeout {
        /// Host and port.
        host: String,
    },
    /// The host is not who it should be, or does not speak TLS.
    #[error("tls: handshake with {host:?} did not succeed")]
    Tls {
        /// Host and port.
        host: String,
        /// Why.
        #[source]
        source: OsText,
    },
    /// The host of the URL is no name or address.
    #[error("invalid host {host:?}")]
    Host {
        /// As in the URL.
        host: String,
    },
}

/// An I/O error in the form users know: lower case, without the number.
#[derive(Debug, Clone)]
pub struct OsText(Arc<io::Error>);

impl OsText {
    fn new(error: io::Error) -> Self {
        Self(Arc::new(error))
    }

    /// What kind of error it is.
    pub fn kind(&self) -> io::ErrorKind {
        self.0.kind()
    }
}

impl fmt::Display for OsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rustls = self.0.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) =
            rustls
        {
            return f.write_str("x509: certificate signed by unknown authority");
        }
        let text = self.0.to_string();
        let text = text.split(" (os error").next().unwrap_or_default();
        let mut letters = text.chars();
        match letters.next() {
            Some(first) => write!(f, "{}{}", first.to_lowercase(), letters.as_str()),
            None => Ok(()),
        }
    }
}

impl std::error::Error for OsText {}

/// Makes connections for the HTTP client.
#[derive(Clone)]
pub(super) struct Connector {
    resolver: Resolver,
    tls: Arc<TlsConfigs>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(resolver: Resolver, tls: TlsConfigs, timeout: Duration) -> Self {
        Self { resolver, tls: Arc::new(tls), timeout }
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<Stream>, ConnectError> {
        let authority = uri.authority().map_or("", http::uri::Authority::as_str).to_owned();
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let whole = async {
            let tcp = self.dial(host_of(&authority), port).await?;
            if !is_tls {
                return Ok(Stream::Plain(tcp));
            }
            self.greet(&authority, tcp).await
        };
        match tokio::time::timeout(self.timeout, whole).await {
            Ok(stream) => stream.map(TokioIo::new),
            Err(_) => {
                Err(ConnectError::Timeout { host: format!("{}:{port}", host_of(&authority)) })
            }
        }
    }

    /// Tries a host's addresses in turn, sharing the time among them.
    async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, ConnectError> {
        let addresses = self.resolver.lookup(host).await?;
        let count = u32::try_from(addresses.len().max(1)).unwrap_or(1);
        let mut first_error = None;
        for address in addresses {
            let address = SocketAddr::new(address, port);
            let dialled =
                tokio::time::timeout(self.timeout / count, TcpStream::connect(address)).await;
            let error = match dialled {
                Ok(Ok(stream)) => {
                    // Only a matter of latency: a socket without the option works as well.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => error,
                Err(_) => io::ErrorKind::TimedOut.into(),
            };
            first_error.get_or_insert(ConnectError::Dial { address, source: OsText::new(error) });
        }
        Err(first_error.unwrap_or_else(|| ConnectError::Host { host: host.to_owned() }))
    }

    async fn greet(&self, authority: &str, tcp: TcpStream) -> Result<Stream, ConnectError> {
        let host = host_of(authority).to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| ConnectError::Host { host })?;
        let connector = TlsConnector::from(self.tls.of(authority));
        match connector.connect(name, tcp).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
            Err(error) => {
                Err(ConnectError::Tls { host: authority.to_owned(), source: OsText::new(error) })
            }
        }
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A connection to a registry.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self {
            Self::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                Connected::new().negotiated_h2()
            }
            _ => Connected::new(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
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
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}

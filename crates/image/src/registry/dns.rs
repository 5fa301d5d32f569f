//! Names to addresses without glibc's NSS, which a static binary cannot load.
//!
//! Owns `/etc/hosts`, `/etc/resolv.conf` (nameserver, search, `ndots`, `timeout`, `attempts`) and a
//! stub's share of DNS: A and AAAA over UDP, over TCP when an answer is cut (RFC 1035, RFC 7766). Any
//! recursive server follows aliases itself, so every address in an answer counts. Files are read at
//! each lookup: they change, and lookups are rare.
//!
//! What always holds: an answer is believed only if it comes from the server asked, with the random
//! number and the question that was sent.

pub(crate) mod message;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use self::message::{Answer, RecordType};

const DNS_PORT: u16 = 53;
/// Answers over UDP that we take; we announce no larger ones.
const UDP_ANSWER_BYTES_MAX: usize = 4096;
/// glibc looks at three servers and six search domains.
const SERVERS_MAX: usize = 3;
const SEARCH_MAX: usize = 6;

/// Why a name has no address.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DnsError {
    /// The servers know no such name.
    #[error("lookup {host}: no such host")]
    NotFound {
        /// The name.
        host: String,
    },
    /// No server gave a usable answer.
    #[error("lookup {host} on {server}: {reason}")]
    Server {
        /// The name.
        host: String,
        /// The last server asked.
        server: SocketAddr,
        /// What went wrong.
        reason: &'static str,
    },
    /// The name cannot be put into a question.
    #[error("lookup {host}: name is not valid")]
    Name {
        /// The name.
        host: String,
    },
}

/// Resolves names by the files of a machine.
#[derive(Clone, Debug)]
pub struct Resolver {
    hosts_file: PathBuf,
    resolv_conf: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    dots_min: usize,
    timeout: Duration,
    attempts: u32,
}

impl Resolver {
    /// Reads nothing yet.
    pub fn new(hosts_file: &Path, resolv_conf: &Path) -> Self {
        Self { hosts_file: hosts_file.to_path_buf(), resolv_conf: resolv_conf.to_path_buf() }
    }

    /// All addresses of a host, IPv4 first. Addresses and `localhost` need no server.
    pub async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        if name == "localhost" || name.ends_with(".localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let listed = in_hosts_file(&read_or_empty(&self.hosts_file).await, &name);
        if !listed.is_empty() {
            return Ok(listed);
        }
        let settings = parse_resolv_conf(&read_or_empty(&self.resolv_conf).await);
        let mut outcome = Err(DnsError::NotFound { host: name.clone() });
        for candidate in candidates(&settings, &name, host.ends_with('.')) {
            match ask_servers(&settings, &candidate).await {
                Ok(addresses) if !addresses.is_empty() => return Ok(addresses),
                Ok(_) => {}
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }
}

async fn read_or_empty(path: &Path) -> String {
    match tokio::fs::read(path).await {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "file for name resolution is not read");
            String::new()
        }
    }
}

pub(crate) fn in_hosts_file(text: &str, name: &str) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
        if words.any(|word| word.eq_ignore_ascii_case(name)) && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

pub(crate) fn parse_resolv_conf(text: &str) -> Settings {
    let mut settings = Settings {
        servers: Vec::new(),
        search: Vec::new(),
        dots_min: 1,
        timeout: Duration::from_secs(5),
        attempts: 2,
    };
    for line in text.lines() {
        let mut words = line.split(['#', ';']).next().unwrap_or_default().split_whitespace();
        match words.next() {
            Some("nameserver") => {
                let word = words.next().unwrap_or_default();
                let address = word.split('%').next().unwrap_or_default().parse::<IpAddr>();
                settings
                    .servers
                    .extend(address.ok().map(|address| SocketAddr::new(address, DNS_PORT)));
            }
            Some("search" | "domain") => {
                settings.search =
                    words.take(SEARCH_MAX).map(|word| word.trim_matches('.').to_owned()).collect();
            }
            Some("options") => words.for_each(|word| set_option(&mut settings, word)),
            _ => {}
        }
    }
    if settings.servers.is_empty() {
        settings.servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DNS_PORT));
    }
    settings.servers.truncate(SERVERS_MAX);
    settings
}

/// glibc's bounds on each option.
fn set_option(settings: &mut Settings, word: &str) {
    let Some((name, value)) = word.split_once(':') else { return };
    let Ok(value) = value.parse::<u32>() else { return };
    match name {
        "ndots" => settings.dots_min = value.min(15) as usize,
        "timeout" => settings.timeout = Duration::from_secs(u64::from(value.clamp(1, 30))),
        "attempts" => settings.attempts = value.clamp(1, 5),
        _ => {}
    }
}

/// The names to ask for, in order, by the rules of resolv.conf(5).
pub(crate) fn candidates(settings: &Settings, name: &str, is_absolute: bool) -> Vec<String> {
    if is_absolute {
        return vec![name.to_owned()];
    }
    let mut names: Vec<String> = settings
        .search
        .iter()
        .filter(|domain| !domain.is_empty())
        .map(|domain| format!("{name}.{domain}"))
        .collect();
    let has_dots = name.matches('.').count() >= settings.dots_min;
    let position = if has_dots { 0 } else { names.len() };
    names.insert(position, name.to_owned());
    names
}

async fn ask_servers(settings: &Settings, name: &str) -> Result<Vec<IpAddr>, DnsError> {
    let mut last = DnsError::NotFound { host: name.to_owned() };
    for _ in 0..settings.attempts {
        for server in &settings.servers {
            let both = async {
                tokio::join!(
                    ask(*server, name, RecordType::A),
                    ask(*server, name, RecordType::Aaaa)
                )
            };
            let reason = match tokio::time::timeout(settings.timeout, both).await {
                Err(_) => "i/o timeout",
                Ok((Ok(mut addresses), other)) => {
                    addresses.extend(other.unwrap_or_default());
                    return Ok(addresses);
                }
                Ok((Err(_), Ok(addresses))) if !addresses.is_empty() => return Ok(addresses),
                Ok((Err(Failure::Name), _)) => {
                    return Err(DnsError::Name { host: name.to_owned() });
                }
                Ok((Err(Failure::Io(error)), _)) => io_reason(&error),
                Ok((Err(Failure::Misbehaving), _)) => "server misbehaving",
            };
            last = DnsError::Server { host: name.to_owned(), server: *server, reason };
        }
    }
    Err(last)
}

enum Failure {
    Name,
    Misbehaving,
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn io_reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::NetworkUnreachable => "network is unreachable",
        io::ErrorKind::HostUnreachable => "no route to host",
        _ => "i/o error",
    }
}

/// The addresses one server gives; none if it says that there are none.
async fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Result<Vec<IpAddr>, Failure> {
    let mut number = [0_u8; 2];
    SystemRandom::new().fill(&mut number).map_err(|_| Failure::Misbehaving)?;
    let question =
        message::question(u16::from_be_bytes(number), name, kind).ok_or(Failure::Name)?;

    let local = if server.is_ipv4() {
        IpAddr::from(Ipv4Addr::UNSPECIFIED)
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((local, 0)).await?;
    socket.connect(server).await?;
    socket.send(&question).await?;
    let mut buffer = vec![0_u8; UDP_ANSWER_BYTES_MAX];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match message::answer(buffer.get(..length).unwrap_or_default(), &question, kind) {
            Answer::NotOurs => {} // A stray or forged datagram: wait on, within the timeout.
            Answer::Addresses(addresses) => return Ok(addresses),
            Answer::Failed => return Err(Failure::Misbehaving),
            Answer::Truncated => return ask_by_tcp(server, &question, kind).await,
        }
    }
}

async fn ask_by_tcp(
    server: SocketAddr,
    question: &[u8],
    kind: RecordType,
) -> Result<Vec<IpAddr>, Failure> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(|_| Failure::Name)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0_u8; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    match message::answer(&answer, question, kind) {
        Answer::Addresses(addresses) => Ok(addresses),
        _ => Err(Failure::Misbehaving),
    }
}

#[cfg(test)]
mod tests;

//! Starting the API server: store, keys, bootstrap objects, socket, in the order in which each needs the other.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use podo_base::{Clock, Stop, Tasks};
use podo_store::{Config, Directory, Embedded};
use tokio::net::TcpListener;

use crate::api::{Api, Settings};
use crate::authn::{Authenticator, StaticTokens};
use crate::bootstrap;
use crate::expiry;
use crate::health::Health;
use crate::http::websocket::WebSockets;
use crate::http::{Front, FrontConfig, Heavy, InFlight};
use crate::metrics::Metrics;
use crate::nodes::Nodes;
use crate::pki::{Pki, PkiConfig, PkiError};
use crate::server::Server;
use crate::storage::Store;
use crate::token::{TokenConfig, TokenIssuer, TokenKeyError};

/// How often the store is told the time, so that an idle one forgets old history as well.
const TICK: Duration = Duration::from_secs(10);

/// How long streams to nodes may go on when the server ends.
const STREAMS_DRAIN: Duration = Duration::from_secs(2);

/// Node ports (Kubernetes v1.36 `--service-node-port-range`).
const NODE_PORTS: (u16, u16) = (30_000, 32_767);

/// The issuer of service account tokens.
const ISSUER: &str = "https://kubernetes.default.svc";

/// What the server is started with.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where store, keys and certificates are kept.
    pub data_dir: PathBuf,
    /// Address and port of the API.
    pub listen: SocketAddr,
    /// The address at which others reach it: the endpoint of the Service `kubernetes`.
    pub advertised: IpAddr,
    /// More addresses by which it is called.
    pub addresses: Vec<IpAddr>,
    /// The range of Service addresses.
    pub service_cidr: (Ipv4Addr, u8),
    /// The domain of the cluster.
    pub domain: String,
    /// More names and addresses that the certificate is for.
    pub names: Vec<String>,
    /// Tokens that the operator gave: token, user, groups.
    pub static_tokens: Vec<(String, String, Vec<String>)>,
    /// Gives memory that was freed back to the system.
    pub give_back: fn(),
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be made or entered.
    #[error("cannot use the data directory {path:?}")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error("cannot open the store in {path:?}")]
    Store {
        /// Its directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: podo_store::OpenError,
    },
    /// Keys or certificates cannot be made or read.
    #[error("cannot prepare keys and certificates")]
    Pki(#[source] PkiError),
    /// The key of tokens cannot be made or read.
    #[error("cannot prepare the key of service account tokens")]
    TokenKey(#[source] TokenKeyError),
    /// The socket cannot be opened.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The objects that every cluster has cannot be made.
    #[error("cannot make the objects that every cluster has")]
    Bootstrap(#[source] podo_api::Status),
}

/// A server that answers.
#[derive(Debug)]
pub struct Started {
    /// The server.
    pub server: Arc<Server>,
    /// Its API, for components of this process.
    pub api: Arc<Api>,
    /// Its keys and certificates.
    pub pki: Arc<Pki>,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Starts a server whose tasks belong to `tasks`. It answers when this returns.
pub async fn start(
    config: &ServerConfig,
    clock: Arc<dyn Clock>,
    tasks: &mut Tasks,
) -> Result<Started, StartError> {
    make_dir(&config.data_dir)?;
    let store = open_store(&config.data_dir.join("store"), &clock)?;
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|source| StartError::Listen { address: config.listen, source })?;
    let address = listener.local_addr().unwrap_or(config.listen);
    let pki =
        Pki::load_or_create(&config.data_dir.join("pki"), &pki_config(config, clock.as_ref()))
            .map_err(StartError::Pki)?;
    let api = Arc::new(Api {
        store,
        clock: Arc::clone(&clock),
        authorizer: crate::authz::Authorizer::default(),
        allocators: crate::service::Allocators::default(),
        tokens: token_issuer(config, address.port())?,
        settings: Settings {
            service_cidr: config.service_cidr,
            node_ports: NODE_PORTS,
            issuer: ISSUER.to_owned(),
            ca_pem: pki.ca_pem().to_owned(),
        },
    });
    let advertised = SocketAddr::new(config.advertised, address.port());
    bootstrap::ensure(&api, advertised).await.map_err(StartError::Bootstrap)?;
    let pki = Arc::new(pki);
    let server = Arc::new(Server {
        api: Arc::clone(&api),
        authenticator: Authenticator::default(),
        health: Health::default(),
        nodes: Nodes::new(&pki).map_err(StartError::Pki)?,
        metrics: Metrics::default(),
        in_flight: InFlight::default(),
        heavy: Heavy::default(),
        websockets: WebSockets::default(),
    });
    let front = FrontConfig {
        listener,
        tls: pki.server_config().map_err(StartError::Pki)?,
        give_back: config.give_back,
    };
    let stop = tasks.stop_signal();
    tasks.spawn("api front", Front::serve(front, Arc::clone(&server), stop.clone()));
    tasks.spawn("api shutdown", shut_down(Arc::clone(&server), stop.clone()));
    tasks.spawn("store clock", tick(Arc::clone(&api), stop.clone()));
    tasks.spawn("event expiry", expiry::run(Arc::clone(&api), stop));
    server.health.started();
    Ok(Started { server, api, pki, address })
}

/// Says that the server is going, and ends the streams to nodes.
async fn shut_down(server: Arc<Server>, stop: Stop) {
    stop.requested().await;
    server.health.stopping();
    server.nodes.stop(STREAMS_DRAIN).await;
}

fn make_dir(path: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| StartError::DataDir { path: path.to_owned(), source })
}

fn open_store(path: &Path, clock: &Arc<dyn Clock>) -> Result<Store, StartError> {
    make_dir(path)?;
    let directory = Directory::new(path)
        .map_err(|source| StartError::DataDir { path: path.to_owned(), source })?;
    let clock = Arc::clone(clock);
    let now: podo_store::Clock =
        Arc::new(move || u64::try_from(clock.now().as_micros() / 1000).unwrap_or(0));
    Store::open(Embedded::new(directory), Config::new(now))
        .map_err(|source| StartError::Store { path: path.to_owned(), source })
}

fn pki_config(config: &ServerConfig, clock: &dyn Clock) -> PkiConfig {
    let (names, mut addresses): (Vec<String>, Vec<IpAddr>) =
        config.names.iter().fold((Vec::new(), Vec::new()), |(mut names, mut addresses), name| {
            match name.parse() {
                Ok(address) => addresses.push(address),
                Err(_) => names.push(name.clone()),
            }
            (names, addresses)
        });
    // Nobody calls a server by the address that stands for all.
    addresses.extend(Some(config.listen.ip()).filter(|listen| !listen.is_unspecified()));
    addresses.push(config.advertised);
    addresses.extend(&config.addresses);
    addresses.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
    addresses.push(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST));
    addresses.push(IpAddr::V4(bootstrap::first_service_address(config.service_cidr)));
    let mut seen = BTreeSet::new();
    addresses.retain(|address| seen.insert(*address));
    PkiConfig { names, addresses, domain: config.domain.clone(), now: clock.now() }
}

fn token_issuer(config: &ServerConfig, port: u16) -> Result<TokenIssuer, StartError> {
    let mut static_tokens = StaticTokens::new();
    for (token, user, groups) in &config.static_tokens {
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        static_tokens = static_tokens.with(token, user, &groups);
    }
    TokenIssuer::load_or_generate(TokenConfig {
        dir: config.data_dir.join("pki"),
        issuer: ISSUER.to_owned(),
        jwks_uri: format!("https://{}/openid/v1/jwks", SocketAddr::new(config.advertised, port)),
        static_tokens,
    })
    .map_err(StartError::TokenKey)
}

async fn tick(api: Arc<Api>, stop: Stop) {
    while stop.sleep(TICK).await {
        let now = u64::try_from(api.clock.now().as_micros() / 1000).unwrap_or(0);
        api.store.tick(now);
    }
    api.store.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_is_for_every_address_by_which_the_server_is_called_once() {
        for (listen, expected) in [
            ("0.0.0.0:1", "198.51.100.9 192.0.2.2 192.0.2.7 127.0.0.1 ::1 10.43.0.1"),
            ("[::]:1", "198.51.100.9 192.0.2.2 192.0.2.7 127.0.0.1 ::1 10.43.0.1"),
            ("127.0.0.1:1", "198.51.100.9 127.0.0.1 192.0.2.2 192.0.2.7 ::1 10.43.0.1"),
            ("192.0.2.2:1", "198.51.100.9 192.0.2.2 192.0.2.7 127.0.0.1 ::1 10.43.0.1"),
        ] {
            let config = ServerConfig {
                data_dir: PathBuf::new(),
                listen: listen.parse().expect("an address"),
                advertised: Ipv4Addr::new(192, 0, 2, 2).into(),
                addresses: vec![Ipv4Addr::new(192, 0, 2, 7).into()],
                service_cidr: (Ipv4Addr::new(10, 43, 7, 9), 16),
                domain: "cluster.local".to_owned(),
                names: vec!["api.example".to_owned(), "198.51.100.9".to_owned()],
                static_tokens: Vec::new(),
                give_back: || (),
            };
            let pki = pki_config(&config, &podo_base::SystemClock);
            let addresses: Vec<String> = pki.addresses.iter().map(IpAddr::to_string).collect();
            assert_eq!(addresses.join(" "), expected, "{listen}");
            assert_eq!(pki.names, ["api.example"]);
        }
    }
}

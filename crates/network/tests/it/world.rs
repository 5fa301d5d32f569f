//! A host, an outside machine, and pods, each a network namespace.
//!
//! ```text
//! outside 192.0.2.2 ── 192.0.2.1 node ── pods 10.42.0.0/24
//! ```

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use podo_network::address;
use podo_network::link::{self, LOOPBACK_INDEX, MacAddress, VethEnd};
use podo_network::netlink::{Protocol, Socket};
use podo_network::netns::Netns;
use podo_network::route::{self, Route};
use podo_network::{Attachment, Ipv4Cidr, Network, NetworkConfig};

pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// How long a connection that must succeed may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection that must not succeed is tried: nothing here takes a tenth of it.
const IMPATIENCE: Duration = Duration::from_millis(300);

pub(crate) struct World {
    pub(crate) node: Netns,
    pub(crate) outside: Netns,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) struct Pod {
    pub(crate) netns: Netns,
    pub(crate) at: Attachment,
}

pub(crate) fn cidr(text: &str) -> Ipv4Cidr {
    text.parse().unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        let (node, outside) = (Netns::create().unwrap(), Netns::create().unwrap());
        let mac = |last| MacAddress([2, 0, 0, 0, 0, last]);
        node.run(|| {
            let mut socket = Socket::open(Protocol::Route).unwrap();
            let (here, there) =
                (VethEnd { name: "up0", mac: mac(1) }, VethEnd { name: "up0", mac: mac(2) });
            socket.execute(&[link::create_veth(here, there, 1400, outside.as_fd())]).unwrap();
        })
        .unwrap();
        for (netns, own) in [(&node, NODE), (&outside, OUTSIDE)] {
            netns
                .run(|| {
                    let mut socket = Socket::open(Protocol::Route).unwrap();
                    let index = link::find(&mut socket, "up0").unwrap().unwrap().index;
                    socket
                        .execute(&[
                            link::set_up(LOOPBACK_INDEX),
                            link::set_up(index),
                            address::add(index, own, 24),
                        ])
                        .unwrap();
                    if own == NODE {
                        let default = Route::through(cidr("0.0.0.0/0"), index, OUTSIDE);
                        socket.execute(&[route::replace(&default)]).unwrap();
                    }
                })
                .unwrap();
        }
        let folder = tempfile::Builder::new().prefix("podotest-network-").tempdir().unwrap();
        Self { node, outside, folder }
    }

    pub(crate) fn config(&self, instance: &str, pods: &str) -> NetworkConfig {
        NetworkConfig {
            instance: instance.to_owned(),
            run_dir: self.folder.path().join(instance).join("run"),
            state_dir: self.folder.path().join(instance).join("state"),
            pod_cidr: cidr(pods),
            cluster_cidr: cidr(pods),
            node_addresses: vec![NODE],
            mtu: None,
        }
    }

    /// Opens and ensures an instance's network on the node.
    pub(crate) fn network(&self, instance: &str, pods: &str) -> Network {
        let network = self.open(self.config(instance, pods));
        network.ensure().unwrap();
        network
    }

    pub(crate) fn open(&self, config: NetworkConfig) -> Network {
        self.node.run(|| Network::open(config)).unwrap().unwrap()
    }

    /// Names of the node's links.
    pub(crate) fn links(&self) -> Vec<String> {
        let list = || link::list(&mut Socket::open(Protocol::Route).unwrap()).unwrap();
        self.node.run(list).unwrap().into_iter().map(|link| link.name).collect()
    }

    /// Names of the node's tables of packet rules.
    pub(crate) fn tables(&self) -> Vec<String> {
        let open = || Socket::open(Protocol::Netfilter).unwrap();
        podo_network::nft::list_tables(&mut self.node.run(open).unwrap()).unwrap()
    }
}

impl Drop for World {
    /// A failed test leaves pins mounted; they would keep the folder.
    fn drop(&mut self) {
        let Ok(instances) = std::fs::read_dir(self.folder.path()) else { return };
        for instance in instances.flatten() {
            if instance.path().is_file() {
                podo_network::netns::unpin(&instance.path()).unwrap();
            }
            let Ok(pins) = std::fs::read_dir(instance.path().join("run/netns")) else { continue };
            for pin in pins.flatten() {
                podo_network::netns::unpin(&pin.path()).unwrap();
            }
        }
    }
}

/// Makes a namespace, attaches it, and opens it.
pub(crate) fn pod(network: &Network, id: &str) -> Pod {
    let path = network.create_netns(id).unwrap();
    let at = network.attach(id, &path).unwrap();
    Pod { netns: open(&path), at }
}

pub(crate) fn open(path: &Path) -> Netns {
    Netns::open(path).unwrap()
}

/// Listens inside a namespace; the socket works from any thread.
pub(crate) fn listen(netns: &Netns, address: impl Into<IpAddr>, port: u16) -> TcpListener {
    let address = SocketAddr::new(address.into(), port);
    netns.run(|| TcpListener::bind(address).unwrap()).unwrap()
}

pub(crate) fn try_connect(
    netns: &Netns,
    target: impl Into<IpAddr>,
    port: u16,
    patience: Duration,
) -> io::Result<TcpStream> {
    let target = SocketAddr::new(target.into(), port);
    netns.run(|| TcpStream::connect_timeout(&target, patience)).unwrap()
}

/// Connects, sends a word through, and returns the client's address as the server sees it.
pub(crate) fn source_seen(
    server: &TcpListener,
    client: &Netns,
    target: impl Into<IpAddr>,
    port: u16,
) -> IpAddr {
    let mut client = try_connect(client, target, port, PATIENCE).unwrap();
    let (mut accepted, peer) = server.accept().unwrap();
    client.write_all(b"word").unwrap();
    let mut word = [0; 4];
    accepted.set_read_timeout(Some(PATIENCE)).unwrap();
    accepted.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"word");
    peer.ip()
}

pub(crate) fn is_refused(client: &Netns, target: impl Into<IpAddr>, port: u16) -> bool {
    try_connect(client, target, port, IMPATIENCE).is_err()
}

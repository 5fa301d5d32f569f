//! A host of its own: a network namespace with a default route to another one that plays the outside.
//!
//! ```text
//! outside 192.0.2.2 ── 192.0.2.1 host
//! ```

use std::net::Ipv4Addr;
use std::sync::Arc;

use podo_network::link::{self, LOOPBACK_INDEX, MacAddress, VethEnd};
use podo_network::netlink::{Protocol, Socket};
use podo_network::netns::Netns;
use podo_network::route::{self, Route};
use podo_network::{address, nft};

/// The host's address.
pub const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The address of the machine outside.
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// A host and its outside.
pub struct Host {
    /// The host.
    pub inside: Netns,
    /// The machine that its default route leads to; it knows no way to Pods.
    pub outside: Arc<Netns>,
}

/// What a host has in its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Names of links.
    pub links: Vec<String>,
    /// Names of nf_tables tables.
    pub tables: Vec<String>,
    /// Destinations of routes.
    pub routes: Vec<String>,
}

impl Host {
    /// A new host.
    ///
    /// # Panics
    /// If the kernel refuses: the caller is not root.
    pub fn new() -> Self {
        let (inside, outside) = (namespace(), Arc::new(namespace()));
        let mac = |last| MacAddress([2, 0, 0, 0, 0, last]);
        let here = VethEnd { name: "up0", mac: mac(1) };
        let there = VethEnd { name: "up0", mac: mac(2) };
        within(&inside, |socket| {
            socket
                .execute(&[link::create_veth(here, there, 1500, outside.as_fd())])
                .expect("a pair of links");
        });
        for (netns, own) in [(&inside, HOST), (&*outside, OUTSIDE)] {
            within(netns, |socket| {
                let up =
                    link::find(socket, "up0").expect("links can be listed").expect("made").index;
                let mut requests =
                    vec![link::set_up(LOOPBACK_INDEX), link::set_up(up), address::add(up, own, 24)];
                if own == HOST {
                    let all = "0.0.0.0/0".parse().expect("a range");
                    requests.push(route::replace(&Route::through(all, up, OUTSIDE)));
                }
                socket.execute(&requests).expect("addresses and routes can be set");
            });
        }
        Self { inside, outside }
    }

    /// Runs something on this host, on a thread of its own; what it starts is on the host as well.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.inside.run(work).expect("the namespace can be entered")
    }

    /// What is in the host's network.
    pub fn network(&self) -> Network {
        self.run(|| {
            let mut socket = Socket::open(Protocol::Route).expect("a socket");
            let mut filter = Socket::open(Protocol::Netfilter).expect("a socket");
            let mut links: Vec<String> =
                link::list(&mut socket).expect("links").into_iter().map(|link| link.name).collect();
            links.sort();
            let mut routes: Vec<String> = route::list(&mut socket)
                .expect("routes")
                .iter()
                .map(|route| route.destination.to_string())
                .collect();
            routes.sort();
            Network { links, tables: nft::list_tables(&mut filter).expect("tables"), routes }
        })
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

fn namespace() -> Netns {
    Netns::create().expect("root can make network namespaces")
}

fn within(netns: &Netns, work: impl FnOnce(&mut Socket) + Send) {
    netns
        .run(|| work(&mut Socket::open(Protocol::Route).expect("a socket")))
        .expect("the namespace can be entered");
}

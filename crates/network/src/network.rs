//! The node's network as its callers see it: attach, detach, host ports, reconcile, tear down.
//!
//! Holds always
//! - An identifier has one address from [`Network::attach`] until its link is deleted; only then
//!   is the address free. So a link never stands under an address that somebody else has.
//! - `kill -9` at any instruction leaves nothing that [`Network::ensure`] and
//!   [`Network::reconcile`] do not find.
//! - One caller at a time works on one identifier. Calls on different ones may run together.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use rustix::io::Errno;

use crate::cidr::Ipv4Cidr;
use crate::endpoint::{self, EndpointError, Endpoints, HostAddress, LinkSettings};
use crate::firewall::{Firewall, FirewallConfig, FirewallError};
use crate::forwarding;
use crate::hostport::HostPort;
use crate::instance::{Instance, InstanceError};
use crate::link::{self, MacAddress};
use crate::netlink::{NetlinkError, Protocol, Socket};
use crate::netns::{self, Netns, NetnsError};
use crate::pool::{self, Pool, PoolError};
use crate::route::{self, Route};
use crate::sysctl::{self, Change, SysctlError};

/// Folder of namespace pins in the run directory.
const PINS: &str = "netns";
/// Only root enters a namespace by its pin, or reads who has which address.
const PRIVATE: u32 = 0o700;

/// What a network is made for.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// Name of the instance: 1 to 63 of a-z, 0-9 and -. Derived from the data directory, it keeps
    /// several instances on one host apart.
    pub instance: String,
    /// For what a reboot takes: pins of namespaces.
    pub run_dir: PathBuf,
    /// For what stays: the address pool's journal.
    pub state_dir: PathBuf,
    /// Addresses of this node's endpoints.
    pub pod_cidr: Ipv4Cidr,
    /// Addresses of all nodes' endpoints; contains `pod_cidr`.
    pub cluster_cidr: Ipv4Cidr,
    /// Addresses of all nodes, this one's first: the source of the node's own packets to endpoints.
    pub node_addresses: Vec<Ipv4Addr>,
    /// Largest packet on endpoints' links; that of the link to the outside if not given.
    pub mtu: Option<u32>,
}

/// Why the network could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The instance's name is not usable.
    #[error("network of this instance cannot be opened")]
    Instance(#[from] InstanceError),
    /// The node's addresses are not among the cluster's.
    #[error("node's network {node} is not part of the cluster's network {cluster}")]
    OutsideCluster {
        /// `pod_cidr`.
        node: Ipv4Cidr,
        /// `cluster_cidr`.
        cluster: Ipv4Cidr,
    },
    /// Something else on this host already routes these addresses.
    #[error("addresses {wanted} are in use on this host: there is a route to {found}")]
    AddressesInUse {
        /// `pod_cidr`.
        wanted: Ipv4Cidr,
        /// Where the other route leads.
        found: Ipv4Cidr,
    },
    /// The identifier has no endpoint.
    #[error("no endpoint {id:?} is attached")]
    NotAttached {
        /// The identifier.
        id: String,
    },
    /// A directory cannot be used.
    #[error("directory {path:?} cannot be {step}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// "created" or "read".
        step: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The address pool.
    #[error("no address from the pool")]
    Pool(#[from] PoolError),
    /// A link.
    #[error("endpoint's link is not in order")]
    Endpoint(#[from] EndpointError),
    /// The packet rules.
    #[error("packet rules are not in order")]
    Firewall(#[from] FirewallError),
    /// A namespace.
    #[error("network namespace is not usable")]
    Netns(#[from] NetnsError),
    /// A kernel setting.
    #[error("kernel setting is not in order")]
    Sysctl(#[from] SysctlError),
    /// The host's routes.
    #[error("routes of the host are not in order")]
    Routes(#[source] NetlinkError),
}

impl NetworkError {
    /// Whether something else on this host uses the addresses.
    pub fn is_of_used_addresses(&self) -> bool {
        matches!(self, Self::AddressesInUse { .. })
    }

    /// Whether the kernel does not know a part of the packet rules: a module that is neither loaded nor found when it is asked for.
    pub fn is_of_missing_module(&self) -> bool {
        let Self::Firewall(FirewallError::Rules { source, .. }) = self else { return false };
        let codes = [Errno::NOENT, Errno::OPNOTSUPP, Errno::PROTONOSUPPORT, Errno::AFNOSUPPORT];
        source.code().is_some_and(|code| codes.contains(&code))
    }
}

/// An endpoint that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its address.
    pub ip: Ipv4Addr,
    /// Its router.
    pub gateway: Ipv4Addr,
    /// Its Ethernet address.
    pub mac: MacAddress,
    /// Its link's name inside.
    pub interface: String,
    /// Its link's name on the host.
    pub host_interface: String,
}

/// What [`Network::ensure`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ensured {
    /// Settings of the host that were changed; they are worth telling the operator.
    pub changed_settings: Vec<Change>,
    /// Whether host ports that stood before still stand; if not, they must be added again.
    pub has_kept_host_ports: bool,
}

/// What [`Network::reconcile`] had to repair. All zero unless there was a crash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Addresses freed.
    pub addresses: usize,
    /// Links deleted.
    pub links: usize,
    /// Endpoints taken out of the packet rules.
    pub rules: usize,
    /// Host ports taken out.
    pub host_ports: usize,
    /// Namespace pins removed.
    pub pins: usize,
}

/// The network of one instance on one node.
#[derive(Debug)]
pub struct Network {
    instance: Instance,
    config: NetworkConfig,
    host: Netns,
    endpoints: Endpoints,
    firewall: Firewall,
    state: Arc<Mutex<State>>,
    mtu: AtomicU32,
}

#[derive(Debug)]
struct State {
    pool: Pool,
    /// Owners whose link is being deleted: they still hold their address.
    leaving: BTreeSet<String>,
    /// Owners that are gone and still hold an address.
    leak_count: u64,
}

impl Network {
    /// Opens the network. The calling thread's namespace is the host. Changes nothing in the
    /// kernel yet.
    pub fn open(config: NetworkConfig) -> Result<Self, NetworkError> {
        let instance = Instance::new(&config.instance)?;
        if !config.cluster_cidr.contains_network(config.pod_cidr) {
            return Err(NetworkError::OutsideCluster {
                node: config.pod_cidr,
                cluster: config.cluster_cidr,
            });
        }
        for path in [&config.state_dir, &config.run_dir.join(PINS)] {
            let mut builder = DirBuilder::new();
            let private = builder.recursive(true).mode(PRIVATE);
            private.create(path).map_err(directory_error(path, "created"))?;
        }
        let rules = FirewallConfig {
            pod_cidr: config.pod_cidr,
            cluster_cidr: config.cluster_cidr,
            node_addresses: config.node_addresses.clone(),
        };
        let pool = Pool::open(&config.state_dir, config.pod_cidr)?;
        let network = Self {
            host: Netns::current()?,
            endpoints: Endpoints::open(&instance)?,
            firewall: Firewall::open(&instance, rules)?,
            state: Arc::new(Mutex::new(State { pool, leaving: BTreeSet::new(), leak_count: 0 })),
            mtu: AtomicU32::new(0),
            instance,
            config,
        };
        network.measure_mtu(&mut network.route_socket()?)?;
        Ok(network)
    }

    /// Puts the host in order: forwarding, the route that refuses unused addresses, packet rules
    /// for every endpoint that has an address. Repeating it is harmless.
    pub fn ensure(&self) -> Result<Ensured, NetworkError> {
        let changed_settings = self.host.run(forwarding::ensure)??;
        let mut socket = self.route_socket()?;
        self.measure_mtu(&mut socket)?;
        self.refuse_taken_addresses(&mut socket)?;
        // Rules before the first route: no packet is ever passed on unguarded.
        let has_kept_host_ports = self.ensure_rules()?;
        socket.execute(&[route::replace(&self.refusing_route())]).map_err(NetworkError::Routes)?;
        Ok(Ensured { changed_settings, has_kept_host_ports })
    }

    /// The part of [`Self::ensure`] that [`Self::detach`] and [`Self::teardown`] stand on, which a reboot may have taken: the
    /// packet rules. Says whether host ports that stood before still stand.
    pub fn ensure_rules(&self) -> Result<bool, NetworkError> {
        let owners: Vec<Ipv4Addr> =
            self.state.lock().pool.owners().map(|(_, address)| address).collect();
        Ok(self.firewall.ensure(&owners)?)
    }

    /// Gives the namespace at `netns` an address and a link to the host.
    ///
    /// Idempotent by `id`, also after a crash. On an error nothing is lost: repeat it, or detach.
    pub fn attach(&self, id: &str, netns: &Path) -> Result<Attachment, NetworkError> {
        let netns = Netns::open(netns)?;
        let ip = self.allocate(id)?;
        let settings = LinkSettings {
            mtu: self.mtu.load(Ordering::Relaxed),
            host_address: self.host_address(),
        };
        let attached = self.endpoints.attach(&netns, ip, settings)?;
        self.firewall.add_endpoint(ip)?; // Last: until then its packets are dropped.
        Ok(Attachment {
            ip,
            gateway: endpoint::GATEWAY,
            mac: attached.mac,
            interface: endpoint::INTERFACE.to_owned(),
            host_interface: attached.host_interface,
        })
    }

    /// Takes an endpoint off the network; harmless if there is none.
    ///
    /// On return nothing passes to or from it and its host ports are free. Its link is deleted
    /// and its address freed shortly after.
    pub fn detach(&self, id: &str) -> Result<(), NetworkError> {
        let ip = {
            let mut state = self.state.lock();
            let Some(ip) = state.pool.address_of(id) else { return Ok(()) };
            if !state.leaving.insert(id.to_owned()) {
                return Ok(());
            }
            ip
        };
        let result = self.firewall.remove_endpoint(ip).map_err(NetworkError::from).and_then(|()| {
            let (state, id) = (Arc::clone(&self.state), id.to_owned());
            let done = move |is_gone| finish_leaving(&state, &id, is_gone);
            Ok(self.endpoints.detach_later(ip, done)?)
        });
        if result.is_err() {
            self.state.lock().leaving.remove(id);
        }
        result
    }

    /// Waits until everything that was detached is gone.
    pub fn settle(&self) -> Result<(), NetworkError> {
        Ok(self.endpoints.settle()?)
    }

    /// Removes everything of endpoints that are not `live`, and says what there was.
    ///
    /// `live` includes every identifier that is attached or being attached.
    pub fn reconcile(&self, live: &BTreeSet<String>) -> Result<Reconciled, NetworkError> {
        self.settle()?;
        let addresses: BTreeSet<Ipv4Addr> = {
            let state = self.state.lock();
            live.iter().filter_map(|id| state.pool.address_of(id)).collect()
        };
        let (rules, host_ports) = self.firewall.reconcile(&addresses)?;
        let links = self.endpoints.sweep(&addresses)?;
        let pins = self.remove_pins(|id| !live.contains(id))?;
        // Last: an address is free when nothing of its former owner is left.
        let addresses = self.state.lock().pool.reconcile(live)?;
        Ok(Reconciled { addresses, links, rules, host_ports, pins })
    }

    /// Leads ports of the host to an attached endpoint, all or none. Idempotent.
    pub fn add_hostports(&self, id: &str, ports: &[HostPort]) -> Result<(), NetworkError> {
        let ip = self.address_of(id)?;
        if ports.iter().any(HostPort::serves_loopback) {
            // Else the kernel refuses 127.0.0.1 as source of a packet to this link. The guard
            // chain drops what comes from there to 127.0.0.0/8 (CVE-2020-8558).
            let name = format!("ipv4/conf/{}/route_localnet", self.instance.link_name(ip));
            self.host.run(|| sysctl::set(&name, "1"))??;
        }
        Ok(self.firewall.add_host_ports(ip, ports)?)
    }

    /// Takes all host ports of an endpoint out; [`Self::detach`] does so too.
    pub fn remove_hostports(&self, id: &str) -> Result<(), NetworkError> {
        let ip = self.address_of(id)?;
        Ok(self.firewall.remove_host_ports(ip)?)
    }

    /// Makes a namespace for `id` and pins it, or finds it; returns the pin for [`Self::attach`].
    pub fn create_netns(&self, id: &str) -> Result<PathBuf, NetworkError> {
        pool::check_owner(id)?;
        let path = self.pins().join(id);
        Netns::create_pinned(&path)?;
        Ok(path)
    }

    /// Removes the pin of `id`'s namespace; harmless if there is none.
    pub fn remove_netns(&self, id: &str) -> Result<(), NetworkError> {
        pool::check_owner(id)?;
        Ok(netns::unpin(&self.pins().join(id))?)
    }

    /// All endpoints that hold an address.
    pub fn endpoints(&self) -> Vec<(String, Ipv4Addr)> {
        let state = self.state.lock();
        state.pool.owners().map(|(id, address)| (id.to_owned(), address)).collect()
    }

    /// Packets dropped so far because they claimed another endpoint's address.
    pub fn spoofed_packets(&self) -> Result<u64, NetworkError> {
        Ok(self.firewall.spoofed_packets()?)
    }

    /// Detached endpoints whose link or address could not be freed in the background since the
    /// start; [`Self::reconcile`] frees them.
    pub fn leaks(&self) -> u64 {
        self.state.lock().leak_count
    }

    /// Removes everything that this instance put into the kernel, and frees all addresses.
    ///
    /// The host's settings stay, since others may rely on them. Where the round of addresses
    /// stands is kept, so that new endpoints get new ones.
    pub fn teardown(&self) -> Result<(), NetworkError> {
        self.settle()?;
        self.endpoints.sweep(&BTreeSet::new())?; // Before the rules: nothing is ever unguarded.
        self.remove_refusing_routes()?;
        self.firewall.remove()?;
        self.remove_pins(|_| true)?;
        self.state.lock().pool.reconcile(&BTreeSet::new())?;
        Ok(())
    }

    /// Whence the host's own packets to endpoints come.
    fn host_address(&self) -> Option<HostAddress> {
        let first = self.config.node_addresses.first().copied()?;
        let kept = Ipv4Addr::from(u32::from(self.config.pod_cidr.network()).saturating_add(1));
        let is_loopback = first.is_loopback();
        Some(if is_loopback { HostAddress::OnLink(kept) } else { HostAddress::Given(first) })
    }

    /// The identifier's address: its own, or a new one. Waits for links that are being deleted
    /// if the identifier, or the last free address, is among them.
    fn allocate(&self, id: &str) -> Result<Ipv4Addr, NetworkError> {
        let mut state = self.state.lock();
        if state.leaving.contains(id) {
            drop(state);
            self.settle()?;
            state = self.state.lock();
        }
        match state.pool.allocate(id) {
            Err(PoolError::Exhausted { .. }) if !state.leaving.is_empty() => {
                drop(state);
                self.settle()?;
                Ok(self.state.lock().pool.allocate(id)?)
            }
            other => Ok(other?),
        }
    }

    fn address_of(&self, id: &str) -> Result<Ipv4Addr, NetworkError> {
        let state = self.state.lock();
        let address = state.pool.address_of(id).filter(|_| !state.leaving.contains(id));
        address.ok_or_else(|| NetworkError::NotAttached { id: id.to_owned() })
    }

    fn pins(&self) -> PathBuf {
        self.config.run_dir.join(PINS)
    }

    fn remove_pins(&self, is_doomed: impl Fn(&str) -> bool) -> Result<usize, NetworkError> {
        let path = self.pins();
        let mut count = 0_usize;
        for entry in std::fs::read_dir(&path).map_err(directory_error(&path, "read"))? {
            let entry = entry.map_err(directory_error(&path, "read"))?;
            if entry.file_name().to_str().is_none_or(&is_doomed) {
                netns::unpin(&entry.path())?;
                count = count.saturating_add(1);
            }
        }
        Ok(count)
    }

    /// A route socket on the host, whichever thread calls.
    fn route_socket(&self) -> Result<Socket, NetworkError> {
        self.host.run(|| Socket::open(Protocol::Route))?.map_err(NetworkError::Routes)
    }

    fn measure_mtu(&self, socket: &mut Socket) -> Result<(), NetworkError> {
        let mtu = match self.config.mtu {
            Some(mtu) => mtu,
            None => route::outside_mtu(socket).map_err(NetworkError::Routes)?,
        };
        self.mtu.store(mtu, Ordering::Relaxed);
        Ok(())
    }

    /// Addresses without endpoint: refused at once rather than sent to the outside.
    fn refusing_route(&self) -> Route {
        Route::unreachable(self.config.pod_cidr, self.instance.number())
    }

    /// Whatever network the instance had when it made them.
    fn remove_refusing_routes(&self) -> Result<(), NetworkError> {
        let mut socket = self.route_socket()?;
        let routes = route::list(&mut socket).map_err(NetworkError::Routes)?;
        let number = self.instance.number();
        for route in routes.iter().filter(|route| route.is_unreachable && route.metric == number) {
            match socket.execute(&[route::delete(route)]) {
                Err(error) if error.code() != Some(Errno::SRCH) => {
                    return Err(NetworkError::Routes(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn refuse_taken_addresses(&self, socket: &mut Socket) -> Result<(), NetworkError> {
        let prefix = self.instance.link_prefix();
        let links = link::list(socket).map_err(NetworkError::Routes)?;
        let own: BTreeSet<u32> = links
            .iter()
            .filter(|link| link.name.starts_with(&prefix))
            .map(|link| link.index)
            .collect();
        let refusing = self.refusing_route();
        let is_foreign = |route: &Route| {
            let is_refusing = route.is_unreachable
                && (route.destination, route.metric) == (refusing.destination, refusing.metric);
            let is_own_link = route.interface.is_some_and(|index| own.contains(&index));
            self.config.pod_cidr.contains_network(route.destination) && !is_refusing && !is_own_link
        };
        let routes = route::list(socket).map_err(NetworkError::Routes)?;
        match routes.into_iter().find(is_foreign) {
            Some(route) => Err(NetworkError::AddressesInUse {
                wanted: self.config.pod_cidr,
                found: route.destination,
            }),
            None => Ok(()),
        }
    }
}

/// Frees the address once its link is gone; else it stays with its owner until a reconcile.
fn finish_leaving(state: &Mutex<State>, id: &str, is_gone: bool) {
    let mut state = state.lock();
    state.leaving.remove(id);
    // If the release cannot be written, the owner keeps the address until a reconcile frees it.
    if !is_gone || state.pool.release(id).is_err() {
        state.leak_count = state.leak_count.saturating_add(1);
    }
}

fn directory_error(path: &Path, step: &'static str) -> impl Fn(io::Error) -> NetworkError {
    move |source| NetworkError::Directory { path: path.to_owned(), step, source }
}

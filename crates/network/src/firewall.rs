//! The instance's own nf_tables table: what may pass, and whose address is rewritten.
//!
//! Holds always
//! - A packet from an endpoint's link has that endpoint's address, or is dropped before anything
//!   else sees it. IPv6 from there is dropped whole: endpoints have no IPv6 address.
//! - Nobody but the host itself reaches 127.0.0.0/8, in either direction.
//! - Nobody outside claims to be an endpoint, and nobody outside the cluster reaches one but
//!   through a rewritten destination (host ports).
//! - Between endpoints and nodes no address is rewritten, unless a packet would go back to its own
//!   sender; a packet that leaves the cluster gets the node's address.
//! - Other tables and other instances are not touched. Nothing here overrules a drop by another
//!   table: in nf_tables every table must let a packet pass.
//!
//! Not here: Services and NetworkPolicy.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use parking_lot::Mutex;
use rustix::io::Errno;

use crate::cidr::Ipv4Cidr;
use crate::conntrack::{self, UdpFlow};
use crate::hostport::{ANY_ADDRESS, HOST_PORTS, HostPort, HostPortIndex, HostSocket, Transport};
use crate::instance::Instance;
use crate::netlink::{NetlinkError, Protocol, Socket};
use crate::nft::{
    self, BaseChain, Chain, ChainKind, Element, Field, FieldWriter, Hook, Rule, Set, Table,
    Transaction, matching, priority,
};

/// Pairs of an endpoint's link and address.
static ENDPOINTS: Set = Set::of("endpoints", &[Field::InterfaceName, Field::Ipv4]);
/// Addresses of the cluster's nodes.
static NODES: Set = Set::of("nodes", &[Field::Ipv4]);

static GUARD: Chain = base("guard", ChainKind::Filter, Hook::Prerouting, priority::RAW);
static FORWARD: Chain = base("forward", ChainKind::Filter, Hook::Forward, priority::FILTER);
static REWRITE_INCOMING: Chain =
    base("rewrite-incoming", ChainKind::Nat, Hook::Prerouting, priority::DESTINATION_NAT);
static REWRITE_OWN: Chain =
    base("rewrite-own", ChainKind::Nat, Hook::Output, priority::DESTINATION_NAT);
static MASQUERADE: Chain =
    base("masquerade", ChainKind::Nat, Hook::Postrouting, priority::SOURCE_NAT);

const fn base(name: &'static str, kind: ChainKind, hook: Hook, priority: i32) -> Chain {
    Chain { name: Cow::Borrowed(name), base: Some(BaseChain { kind, hook, priority }) }
}

/// Why the rules could not be set.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// The kernel refused.
    #[error("packet rules of table {table:?} cannot be {step}")]
    Rules {
        /// The table.
        table: String,
        /// "opened", "ensured", "changed" …
        step: &'static str,
        /// The cause.
        #[source]
        source: NetlinkError,
    },
    /// UDP flows that go to the wrong place cannot be forgotten.
    #[error("connections rewritten by table {table:?} cannot be forgotten")]
    Flows {
        /// The table.
        table: String,
        /// The cause.
        #[source]
        source: NetlinkError,
    },
    /// Another instance on this host would take our links for its own.
    #[error("instances {ours:?} and {theirs:?} have names too alike to live on one host")]
    InstanceCollision {
        /// This instance.
        ours: String,
        /// The one whose table stands already.
        theirs: String,
    },
    /// Another endpoint has the port.
    #[error("host port {host} is in use by the endpoint at {by}")]
    HostPortInUse {
        /// The port.
        host: HostSocket,
        /// Who has it.
        by: Ipv4Addr,
    },
}

/// What the rules are about.
#[derive(Debug, Clone)]
pub struct FirewallConfig {
    /// Addresses of this node's endpoints.
    pub pod_cidr: Ipv4Cidr,
    /// Addresses of all nodes' endpoints.
    pub cluster_cidr: Ipv4Cidr,
    /// Addresses of all nodes.
    pub node_addresses: Vec<Ipv4Addr>,
}

/// The instance's table.
#[derive(Debug)]
pub struct Firewall {
    instance: Instance,
    table: Table,
    config: FirewallConfig,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    socket: Socket,
    host_ports: HostPortIndex,
}

impl Firewall {
    /// Works in the calling thread's namespace; changes nothing yet.
    pub fn open(instance: &Instance, config: FirewallConfig) -> Result<Self, FirewallError> {
        let table = Table { name: instance.table_name() };
        let socket = Socket::open(Protocol::Netfilter).map_err(|source| FirewallError::Rules {
            table: table.name.clone(),
            step: "opened",
            source,
        })?;
        let state = Mutex::new(State { socket, host_ports: HostPortIndex::default() });
        Ok(Self { instance: instance.clone(), table, config, state })
    }

    /// Puts table, rules and the given endpoints in place, in one step, whatever stood there.
    ///
    /// Host ports that stand are kept, unless the table's form is another version's: then the
    /// table is made anew without them, and `false` is returned.
    pub fn ensure(&self, endpoints: &[Ipv4Addr]) -> Result<bool, FirewallError> {
        let mut state = self.state.lock();
        self.refuse_collision(&mut state.socket)?;
        let is_kept = match self.contents(endpoints, false).commit(&mut state.socket) {
            Ok(()) => true,
            Err(error) if is_other_form(&error) => {
                let anew = self.contents(endpoints, true);
                anew.commit(&mut state.socket).map_err(self.error("replaced"))?;
                false
            }
            Err(error) => return Err(self.error("ensured")(error)),
        };
        let installed = nft::list_elements(&mut state.socket, &self.table, &HOST_PORTS)
            .map_err(self.error("read"))?;
        state.host_ports = HostPortIndex::from_elements(&installed);
        Ok(is_kept)
    }

    /// Lets an endpoint's packets pass.
    pub fn add_endpoint(&self, address: Ipv4Addr) -> Result<(), FirewallError> {
        let mut transaction = Transaction::new(&self.table);
        transaction.add_elements(&ENDPOINTS, &[self.endpoint(address)]);
        self.commit(transaction)
    }

    /// Takes an endpoint and its host ports out, in one step; harmless if it is not there.
    pub fn remove_endpoint(&self, address: Ipv4Addr) -> Result<(), FirewallError> {
        let mut state = self.state.lock();
        let ports = state.host_ports.select(|target| target == address);
        let mut transaction = Transaction::new(&self.table);
        // Adding first makes the deletion hold whether the element is there or not.
        let element = [self.endpoint(address)];
        transaction.add_elements(&ENDPOINTS, &element);
        transaction.delete_elements(&ENDPOINTS, &element);
        delete_ports(&mut transaction, &ports);
        match transaction.commit(&mut state.socket) {
            Ok(()) => {}
            Err(error) if error.code() == Some(Errno::NOENT) => {} // The whole table is gone.
            Err(error) => return Err(self.error("changed")(error)),
        }
        state.host_ports.remove_all(&ports);
        self.forget_flows_to(&mut state.socket, &ports)
    }

    /// Makes the given endpoints the only ones; returns how many others and how many of their
    /// host ports were taken out.
    pub fn reconcile(&self, live: &BTreeSet<Ipv4Addr>) -> Result<(usize, usize), FirewallError> {
        let mut state = self.state.lock();
        let wanted: Vec<Element> = live.iter().map(|address| self.endpoint(*address)).collect();
        let standing = nft::list_elements(&mut state.socket, &self.table, &ENDPOINTS)
            .map_err(self.error("read"))?;
        let is_dead = |element: &&Element| !wanted.contains(element);
        let dead_count = standing.iter().filter(is_dead).count();
        let ports = state.host_ports.select(|target| !live.contains(&target));
        let mut transaction = Transaction::new(&self.table);
        transaction.flush_set(&ENDPOINTS);
        transaction.add_elements(&ENDPOINTS, &wanted);
        delete_ports(&mut transaction, &ports);
        transaction.commit(&mut state.socket).map_err(self.error("changed"))?;
        state.host_ports.remove_all(&ports);
        self.forget_flows_to(&mut state.socket, &ports)?;
        Ok((dead_count, ports.len()))
    }

    /// Leads ports of the host to an endpoint, all or none; harmless if they do already.
    pub fn add_host_ports(
        &self,
        target: Ipv4Addr,
        ports: &[HostPort],
    ) -> Result<(), FirewallError> {
        let mut state = self.state.lock();
        for port in ports {
            if let Some(by) = state.host_ports.conflict(port, target) {
                return Err(FirewallError::HostPortInUse { host: port.host, by });
            }
        }
        let elements: Vec<Element> = ports.iter().map(|port| port.element(target)).collect();
        let mut transaction = Transaction::new(&self.table);
        transaction.add_elements(&HOST_PORTS, &elements);
        transaction.commit(&mut state.socket).map_err(self.error("changed"))?;
        for port in ports {
            state.host_ports.insert(port, target);
        }
        // Flows that began before the port led anywhere.
        self.forget_flows(&mut state.socket, ports, |flow| {
            ports.iter().any(|port| port.takes(flow.destination, flow.port))
                && flow.responder != target
        })
    }

    /// Takes all host ports of an endpoint out.
    pub fn remove_host_ports(&self, target: Ipv4Addr) -> Result<(), FirewallError> {
        let mut state = self.state.lock();
        let ports = state.host_ports.select(|other| other == target);
        let mut transaction = Transaction::new(&self.table);
        delete_ports(&mut transaction, &ports);
        transaction.commit(&mut state.socket).map_err(self.error("changed"))?;
        state.host_ports.remove_all(&ports);
        self.forget_flows_to(&mut state.socket, &ports)
    }

    /// Removes the table; harmless if there is none.
    pub fn remove(&self) -> Result<(), FirewallError> {
        let mut state = self.state.lock();
        let mut transaction = Transaction::new(&self.table);
        transaction.add_table();
        transaction.delete_table();
        transaction.commit(&mut state.socket).map_err(self.error("removed"))?;
        state.host_ports = HostPortIndex::default();
        Ok(())
    }

    /// Packets dropped so far because they claimed a wrong source.
    pub fn spoofed_packets(&self) -> Result<u64, FirewallError> {
        let mut state = self.state.lock();
        let counters = nft::rule_counters(&mut state.socket, &self.table, &GUARD.name)
            .map_err(self.error("read"))?;
        Ok(counters.get(SPOOF_COUNTER).copied().unwrap_or(0))
    }

    /// Everything that the table holds, as one transaction.
    fn contents(&self, endpoints: &[Ipv4Addr], is_anew: bool) -> Transaction<'_> {
        let mut transaction = Transaction::new(&self.table);
        transaction.add_table();
        if is_anew {
            transaction.delete_table();
            transaction.add_table();
        }
        for set in [&ENDPOINTS, &NODES, &HOST_PORTS] {
            transaction.add_set(set);
        }
        let chains: [(&Chain, Vec<Rule>); 5] = [
            (&GUARD, self.guard()),
            (&FORWARD, self.forward()),
            (&REWRITE_INCOMING, rewrite()),
            (&REWRITE_OWN, rewrite()),
            (&MASQUERADE, self.masquerade()),
        ];
        for (chain, rules) in chains {
            transaction.add_chain(chain);
            transaction.flush_chain(&chain.name);
            for rule in rules {
                transaction.add_rule(&chain.name, &rule);
            }
        }
        let endpoints: Vec<Element> = endpoints.iter().map(|ip| self.endpoint(*ip)).collect();
        let nodes = self.config.node_addresses.iter();
        let nodes: Vec<Element> =
            nodes.map(|node| FieldWriter::default().ipv4(*node).element()).collect();
        for (set, elements) in [(&ENDPOINTS, endpoints), (&NODES, nodes)] {
            transaction.flush_set(set);
            transaction.add_elements(set, &elements);
        }
        transaction
    }

    /// Sources that cannot be: before connection tracking, so that they leave no trace.
    fn guard(&self) -> Vec<Rule> {
        let prefix = self.instance.link_prefix();
        let ipv4 = || Rule::new().with(matching::ipv4());
        vec![
            Rule::new().with(matching::ipv6()).with(matching::from_link_prefix(&prefix)).drop(),
            ipv4()
                .with(matching::from_link_prefix(&prefix))
                .with(matching::input_and_source_not_in(&ENDPOINTS))
                .drop(),
            ipv4()
                .with(matching::not_from_loopback())
                .with(matching::destination_in(Ipv4Cidr::LOOPBACK))
                .drop(),
            ipv4()
                .with(matching::not_from_loopback())
                .with(matching::source_in(Ipv4Cidr::LOOPBACK))
                .drop(),
            ipv4()
                .with(matching::not_from_loopback())
                .with(matching::not_from_link_prefix(&prefix))
                .with(matching::source_in(self.config.pod_cidr))
                .drop(),
        ]
    }

    /// Who may reach an endpoint through this host.
    fn forward(&self) -> Vec<Rule> {
        let prefix = self.instance.link_prefix();
        let to_endpoint =
            || Rule::new().with(matching::ipv4()).with(matching::to_link_prefix(&prefix));
        let known = matching::state::ESTABLISHED | matching::state::RELATED;
        vec![
            // A packet that fits no connection would leave with its sender's real address.
            Rule::new()
                .with(matching::ipv4())
                .with(matching::from_link_prefix(&prefix))
                .with(matching::connection_state(matching::state::INVALID))
                .drop(),
            to_endpoint().with(matching::connection_state(known)).accept(),
            to_endpoint().with(matching::destination_was_rewritten()).accept(),
            to_endpoint()
                .with(matching::source_not_in(self.config.cluster_cidr))
                .with(matching::source_not_in_set(&NODES))
                .drop(),
        ]
    }

    /// Whose source is rewritten.
    fn masquerade(&self) -> Vec<Rule> {
        let prefix = self.instance.link_prefix();
        let ipv4 = || Rule::new().with(matching::ipv4());
        vec![
            // Back to its sender: with its own address as source it would be refused there.
            ipv4()
                .with(matching::to_link_prefix(&prefix))
                .with(matching::output_and_source_in(&ENDPOINTS))
                .masquerade(),
            // The host connected to a host port on its loopback: nobody can answer 127.0.0.1.
            ipv4()
                .with(matching::to_link_prefix(&prefix))
                .with(matching::source_in(Ipv4Cidr::LOOPBACK))
                .masquerade(),
            ipv4()
                .with(matching::source_in(self.config.pod_cidr))
                .with(matching::destination_not_in(self.config.cluster_cidr))
                .with(matching::destination_not_in_set(&NODES))
                .masquerade(),
        ]
    }

    fn endpoint(&self, address: Ipv4Addr) -> Element {
        let link = self.instance.link_name(address);
        FieldWriter::default().interface(&link).ipv4(address).element()
    }

    /// Forgets flows to endpoints that lost these ports.
    fn forget_flows_to(
        &self,
        socket: &mut Socket,
        ports: &[(HostPort, Ipv4Addr)],
    ) -> Result<(), FirewallError> {
        let (lost, targets): (Vec<HostPort>, Vec<Ipv4Addr>) = ports.iter().copied().unzip();
        self.forget_flows(socket, &lost, |flow| {
            flow.responder != flow.destination && targets.contains(&flow.responder)
        })
    }

    /// Forgets the flows that `is_stale`, if UDP is concerned at all.
    fn forget_flows(
        &self,
        socket: &mut Socket,
        ports: &[HostPort],
        is_stale: impl Fn(&UdpFlow) -> bool,
    ) -> Result<(), FirewallError> {
        if ports.iter().all(|port| port.host.transport != Transport::Udp) {
            return Ok(());
        }
        conntrack::forget_udp(socket, is_stale)
            .map(drop)
            .map_err(|source| FirewallError::Flows { table: self.table.name.clone(), source })
    }

    fn refuse_collision(&self, socket: &mut Socket) -> Result<(), FirewallError> {
        let tables = nft::list_tables(socket).map_err(self.error("listed"))?;
        let mut others = tables.iter().filter_map(|table| Instance::of_table(table));
        match others.find(|other| other.collides(&self.instance)) {
            Some(other) => Err(FirewallError::InstanceCollision {
                ours: self.instance.to_string(),
                theirs: other.to_string(),
            }),
            None => Ok(()),
        }
    }

    fn commit(&self, transaction: Transaction<'_>) -> Result<(), FirewallError> {
        transaction.commit(&mut self.state.lock().socket).map_err(self.error("changed"))
    }

    fn error(&self, step: &'static str) -> impl FnOnce(NetlinkError) -> FirewallError {
        let table = self.table.name.clone();
        move |source| FirewallError::Rules { table, step, source }
    }
}

/// Place of the spoofing rule among the counting rules of the guard chain.
const SPOOF_COUNTER: usize = 1;

/// Destinations that host ports rewrite: first of one address, then of any of the host's.
fn rewrite() -> Vec<Rule> {
    let ipv4 = || Rule::new().with(matching::ipv4());
    vec![
        ipv4().with(matching::load_destination()).with(matching::rewrite_destination(&HOST_PORTS)),
        ipv4()
            .with(matching::destination_is_local())
            .with(matching::load_destination_as(ANY_ADDRESS))
            .with(matching::rewrite_destination(&HOST_PORTS)),
    ]
}

fn delete_ports(transaction: &mut Transaction<'_>, ports: &[(HostPort, Ipv4Addr)]) {
    let elements: Vec<Element> = ports.iter().map(|(port, target)| port.element(*target)).collect();
    transaction.add_elements(&HOST_PORTS, &elements);
    transaction.delete_elements(&HOST_PORTS, &elements);
}

/// Whether the kernel found a table that cannot become ours by adding to it.
fn is_other_form(error: &NetlinkError) -> bool {
    let codes = [Errno::EXIST, Errno::INVAL, Errno::BUSY, Errno::OPNOTSUPP];
    error.code().is_some_and(|code| codes.contains(&code))
}

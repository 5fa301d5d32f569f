//! Endpoints: the routed link between the host and one network namespace.
//!
//! ```text
//! host                                              namespace
//! podo1234… 02:70:6f:64:6f:01                       eth0 02:70:<address>
//!   route <address>/32 dev podo1234…                  <address>/32, default via 169.254.1.1
//!   permanent neighbour <address>                     permanent neighbour 169.254.1.1
//! ```
//! Holds always
//! - There is no bridge and no ARP: each packet is routed, so rules see every one.
//! - Deleting a link costs 14 to 27 ms and is never waited for by the one who detaches.
//! - Every link is found again by its name, so a crash leaves nothing behind ([`Endpoints::sweep`]).
//!
//! Not here: who gets which address ([`crate::pool`]), what may pass ([`crate::firewall`]).

mod reaper;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::Errno;

use crate::cidr::Ipv4Cidr;
use crate::instance::Instance;
use crate::link::{LOOPBACK_INDEX, Link, MacAddress, VethEnd};
use crate::netlink::{NetlinkError, Protocol, Socket};
use crate::netns::{Netns, NetnsError};
use crate::route::Route;
use crate::sysctl::SysctlError;
use crate::{address, link, neighbor, route, sysctl};
use reaper::Reaper;

/// The router that every namespace sees: an address that exists on no link.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// Name of the link inside.
pub const INTERFACE: &str = "eth0";
/// Address of the host's end of each link; each link is a network of its own, so one is enough.
const HOST_MAC: MacAddress = MacAddress([0x02, 0x70, 0x6f, 0x64, 0x6f, 0x01]);
/// Whether the kernel knows IPv6 at all.
const IPV6_SETTINGS: &str = "/proc/sys/net/ipv6";

/// Why a link could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The kernel refused.
    #[error("link {interface:?} cannot be {step}")]
    Link {
        /// The host's end.
        interface: String,
        /// "created", "configured", "configured inside" …
        step: &'static str,
        /// The cause.
        #[source]
        source: NetlinkError,
    },
    /// The link was deleted by somebody else meanwhile.
    #[error("link {interface:?} vanished while it was configured")]
    Vanished {
        /// The host's end.
        interface: String,
    },
    /// The namespace cannot be entered.
    #[error("network namespace of link {interface:?} is not usable")]
    Netns {
        /// The host's end.
        interface: String,
        /// The cause.
        #[source]
        source: NetnsError,
    },
    /// The loopback inside cannot be prepared.
    #[error("loopback beside link {interface:?} is not usable")]
    Loopback {
        /// The host's end.
        interface: String,
        /// The cause.
        #[source]
        source: SysctlError,
    },
    /// The netlink socket of the endpoints cannot be opened or used.
    #[error("links cannot be listed or deleted")]
    Socket(#[source] NetlinkError),
    /// No thread to delete links.
    #[error("no thread to delete links")]
    Thread(#[source] std::io::Error),
    /// Links were not deleted in time.
    #[error("links were not deleted within {}s", limit.as_secs())]
    Unsettled {
        /// How long was waited.
        limit: Duration,
    },
}

/// What a link needs to know besides its address.
#[derive(Debug, Clone, Copy)]
pub struct LinkSettings {
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Source address of the host's own packets to endpoints.
    pub host_address: Option<HostAddress>,
}

/// A source address of the host's own packets to endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostAddress {
    /// One that the host has.
    Given(Ipv4Addr),
    /// One that each endpoint's link gives it, for a host that has none but loopback: such a one cannot be a source.
    OnLink(Ipv4Addr),
}

impl HostAddress {
    fn ip(self) -> Ipv4Addr {
        match self {
            Self::Given(ip) | Self::OnLink(ip) => ip,
        }
    }
}

/// A link that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The host's end.
    pub host_interface: String,
    /// Ethernet address of the end inside.
    pub mac: MacAddress,
}

/// The links of one instance.
#[derive(Debug)]
pub struct Endpoints {
    instance: Instance,
    has_ipv6: bool,
    socket: Mutex<Socket>,
    reaper: Reaper,
}

impl Endpoints {
    /// Works in the calling thread's namespace, which is the host.
    pub fn open(instance: &Instance) -> Result<Self, EndpointError> {
        let open = || Socket::open(Protocol::Route).map_err(EndpointError::Socket);
        Ok(Self {
            instance: instance.clone(),
            has_ipv6: Path::new(IPV6_SETTINGS).exists(),
            socket: Mutex::new(open()?),
            reaper: Reaper::start(open()?, instance.number()).map_err(EndpointError::Thread)?,
        })
    }

    /// Links the namespace to the host under `address`, and brings its loopback up.
    ///
    /// Repeating it is harmless. A link of the same address to another namespace, left by a crash,
    /// is replaced.
    pub fn attach(
        &self,
        netns: &Netns,
        address: Ipv4Addr,
        settings: LinkSettings,
    ) -> Result<Attached, EndpointError> {
        let name = self.instance.link_name(address);
        let mac = mac_of(address);
        let mut socket = self.socket.lock();
        let link = create(&mut socket, netns, &name, mac, settings.mtu)?;
        let host_route = Route {
            preferred_source: settings.host_address.map(HostAddress::ip),
            ..Route::on_link(Ipv4Cidr::host(address), link.index)
        };
        let mut requests = Vec::with_capacity(5);
        requests.extend(self.has_ipv6.then(|| link::without_ipv6_address(link.index)));
        requests.push(link::set_up(link.index));
        if let Some(HostAddress::OnLink(ip)) = settings.host_address {
            requests.push(address::add(link.index, ip, 32));
        }
        requests.push(route::replace(&host_route));
        requests.push(neighbor::set_permanent(link.index, address, mac));
        socket.execute(&requests).map_err(link_error(&name, "configured"))?;
        drop(socket);
        self.configure_inside(netns, &name, address)?;
        Ok(Attached { host_interface: name, mac })
    }

    fn configure_inside(
        &self,
        netns: &Netns,
        name: &str,
        address: Ipv4Addr,
    ) -> Result<(), EndpointError> {
        let work = || {
            if self.has_ipv6 {
                // Else ::1 is missing where the host's default turns IPv6 off.
                sysctl::set("ipv6/conf/lo/disable_ipv6", "0").map_err(|source| {
                    EndpointError::Loopback { interface: name.to_owned(), source }
                })?;
            }
            let mut socket =
                Socket::open(Protocol::Route).map_err(link_error(name, "configured inside"))?;
            let inside = find(&mut socket, INTERFACE)?
                .ok_or_else(|| EndpointError::Vanished { interface: name.to_owned() })?;
            let everywhere = Ipv4Cidr::EVERYWHERE;
            let index = inside.index;
            let mut requests = Vec::with_capacity(7);
            requests.push(link::set_up(LOOPBACK_INDEX)); // The kernel adds 127.0.0.1 and ::1.
            requests.extend(self.has_ipv6.then(|| link::without_ipv6_address(index)));
            requests.push(address::add(index, address, 32));
            requests.push(link::set_up(index));
            requests.push(neighbor::set_permanent(index, GATEWAY, HOST_MAC));
            requests.push(route::replace(&Route::on_link(Ipv4Cidr::host(GATEWAY), index)));
            requests.push(route::replace(&Route::through(everywhere, index, GATEWAY)));
            socket.execute(&requests).map_err(link_error(name, "configured inside"))?;
            Ok(())
        };
        netns.run(work).map_err(|source| netns_error(name, source))?
    }

    /// Stops traffic to the address and has its link deleted later; `done` learns whether it is
    /// gone, on the deleting thread (or at once, if there is no link).
    pub fn detach_later(
        &self,
        address: Ipv4Addr,
        done: impl FnOnce(bool) + Send + 'static,
    ) -> Result<(), EndpointError> {
        let name = self.instance.link_name(address);
        let mut socket = self.socket.lock();
        let Some(link) = find(&mut socket, &name)? else {
            drop(socket);
            done(true);
            return Ok(());
        };
        let stale = Route::on_link(Ipv4Cidr::host(address), link.index);
        let deleted = socket.execute(&[route::delete(&stale)]).map(drop);
        drop(socket);
        absent_is_fine(deleted, Errno::SRCH).map_err(link_error(&name, "detached"))?;
        self.reaper.delete_later(link.index, Box::new(done));
        Ok(())
    }

    /// Waits until all links handed over so far are deleted.
    pub fn settle(&self) -> Result<(), EndpointError> {
        self.reaper.settle()
    }

    /// Deletes all links of this instance but those of the `live` addresses; returns how many.
    pub fn sweep(&self, live: &BTreeSet<Ipv4Addr>) -> Result<usize, EndpointError> {
        let names: BTreeSet<String> =
            live.iter().map(|address| self.instance.link_name(*address)).collect();
        let prefix = self.instance.link_prefix();
        let mut socket = self.socket.lock();
        let links = link::list(&mut socket).map_err(EndpointError::Socket)?;
        let is_dead = |link: &&Link| link.name.starts_with(&prefix) && !names.contains(&link.name);
        let dead: Vec<u32> = links.iter().filter(is_dead).map(|link| link.index).collect();
        reaper::delete(&mut socket, &dead, self.instance.number())
            .map_err(EndpointError::Socket)?;
        Ok(dead.len())
    }
}

/// The Ethernet address inside: locally administered, and unique as the IP address is.
fn mac_of(address: Ipv4Addr) -> MacAddress {
    let [a, b, c, d] = address.octets();
    MacAddress([0x02, 0x70, a, b, c, d])
}

/// Creates the pair, or finds that it stands already.
fn create(
    socket: &mut Socket,
    netns: &Netns,
    name: &str,
    mac: MacAddress,
    mtu: u32,
) -> Result<Link, EndpointError> {
    let here = VethEnd { name, mac: HOST_MAC };
    let there = VethEnd { name: INTERFACE, mac };
    let request = [link::create_veth(here, there, mtu, netns.as_fd())];
    match socket.execute(&request) {
        Ok(_) => {}
        Err(error) if error.code() == Some(Errno::EXIST) => {
            if let Some(old) = find(socket, name)? {
                if is_pair(&old, netns, name)? {
                    return Ok(old);
                }
                let delete = [link::delete(old.index)];
                absent_is_fine(socket.execute(&delete).map(drop), Errno::NODEV)
                    .map_err(link_error(name, "replaced"))?;
            }
            socket.execute(&request).map_err(link_error(name, "created"))?;
        }
        Err(error) => return Err(link_error(name, "created")(error)),
    }
    find(socket, name)?.ok_or_else(|| EndpointError::Vanished { interface: name.to_owned() })
}

/// Whether the namespace's link is the other end of `link`.
fn is_pair(link: &Link, netns: &Netns, name: &str) -> Result<bool, EndpointError> {
    let inside = netns
        .run(|| {
            let mut socket = Socket::open(Protocol::Route)?;
            link::find(&mut socket, INTERFACE)
        })
        .map_err(|source| netns_error(name, source))?
        .map_err(link_error(name, "inspected"))?;
    let is_other_end = |inside: Link| {
        inside.peer_index == Some(link.index) && link.peer_index == Some(inside.index)
    };
    Ok(inside.is_some_and(is_other_end))
}

fn find(socket: &mut Socket, name: &str) -> Result<Option<Link>, EndpointError> {
    link::find(socket, name).map_err(link_error(name, "found"))
}

fn absent_is_fine(result: Result<(), NetlinkError>, absent: Errno) -> Result<(), NetlinkError> {
    match result {
        Err(error) if error.code() == Some(absent) => Ok(()),
        other => other,
    }
}

fn link_error(interface: &str, step: &'static str) -> impl FnOnce(NetlinkError) -> EndpointError {
    move |source| EndpointError::Link { interface: interface.to_owned(), step, source }
}

fn netns_error(interface: &str, source: NetnsError) -> EndpointError {
    EndpointError::Netns { interface: interface.to_owned(), source }
}

//! Host ports: connections to a port of the host are sent on to an endpoint.
//!
//! One map of the instance's table leads from (address, protocol, port) to (endpoint, port); an
//! entry for all of the host's addresses has 0.0.0.0. The rules that use it are in
//! [`crate::firewall`]. This file owns the entries' form and the index of what is installed.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use crate::nft::{Data, Element, Field, FieldWriter, Set};

#[cfg(test)]
mod tests;

/// The map's form.
pub(crate) static HOST_PORTS: Set = Set::map(
    "hostports",
    &[Field::Ipv4, Field::Protocol, Field::Port],
    &[Field::Ipv4, Field::Port],
);

/// Stands for all addresses of the host in the map's key.
pub(crate) const ANY_ADDRESS: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// Transport protocols that have ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP.
    Tcp = 6,
    /// UDP.
    Udp = 17,
    /// SCTP.
    Sctp = 132,
}

impl Transport {
    fn of_number(number: u8) -> Option<Self> {
        [Self::Tcp, Self::Udp, Self::Sctp].into_iter().find(|known| *known as u8 == number)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

/// A port of the host, of one or all of its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostSocket {
    /// The host's address; 0.0.0.0 for all of them.
    pub address: Ipv4Addr,
    /// The protocol.
    pub transport: Transport,
    /// The port.
    pub port: u16,
}

impl fmt::Display for HostSocket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}/{}", self.address, self.port, self.transport)
    }
}

/// A port of the host and the endpoint's port that it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// What is connected to.
    pub host: HostSocket,
    /// The endpoint's port.
    pub endpoint_port: u16,
}

impl HostPort {
    /// The map's element that leads to the endpoint at `target`.
    pub(crate) fn element(&self, target: Ipv4Addr) -> Element {
        let key = FieldWriter::default()
            .ipv4(self.host.address)
            .protocol(self.host.transport as u8)
            .port(self.host.port);
        key.to(FieldWriter::default().ipv4(target).port(self.endpoint_port))
    }

    /// The port and its target from an element; `None` if it has another form. Pure.
    pub(crate) fn parse(element: &Element) -> Option<(Self, Ipv4Addr)> {
        let Some(Data::Value(data)) = &element.data else { return None };
        let (address, rest) = element.key.split_first_chunk::<4>()?;
        let ([protocol, ..], rest) = rest.split_first_chunk::<4>()?;
        let (target, target_port) = data.split_first_chunk::<4>()?;
        let host = HostSocket {
            address: Ipv4Addr::from(*address),
            transport: Transport::of_number(*protocol)?,
            port: u16::from_be_bytes(*rest.first_chunk()?),
        };
        let endpoint_port = u16::from_be_bytes(*target_port.first_chunk()?);
        Some((Self { host, endpoint_port }, Ipv4Addr::from(*target)))
    }

    /// Whether what is sent to this address and port of the host comes this way.
    pub(crate) fn takes(&self, address: Ipv4Addr, port: u16) -> bool {
        self.host.port == port && (self.host.address == ANY_ADDRESS || self.host.address == address)
    }

    /// Whether connections from the host's own loopback may come this way.
    pub(crate) fn serves_loopback(&self) -> bool {
        self.host.address == ANY_ADDRESS || self.host.address.is_loopback()
    }
}

/// What is installed: who has which port.
#[derive(Debug, Default)]
pub(crate) struct HostPortIndex {
    by_host: BTreeMap<HostSocket, (Ipv4Addr, u16)>,
}

impl HostPortIndex {
    pub(crate) fn from_elements(elements: &[Element]) -> Self {
        let mut index = Self::default();
        for (port, target) in elements.iter().filter_map(HostPort::parse) {
            index.insert(&port, target);
        }
        index
    }

    pub(crate) fn insert(&mut self, port: &HostPort, target: Ipv4Addr) {
        self.by_host.insert(port.host, (target, port.endpoint_port));
    }

    pub(crate) fn remove_all(&mut self, ports: &[(HostPort, Ipv4Addr)]) {
        for (port, _) in ports {
            self.by_host.remove(&port.host);
        }
    }

    /// The endpoint that has the port now, if it is another or has it for another port.
    pub(crate) fn conflict(&self, port: &HostPort, target: Ipv4Addr) -> Option<Ipv4Addr> {
        let found = self.by_host.get(&port.host)?;
        (*found != (target, port.endpoint_port)).then_some(found.0)
    }

    /// The ports whose endpoint `is_wanted`.
    pub(crate) fn select(&self, is_wanted: impl Fn(Ipv4Addr) -> bool) -> Vec<(HostPort, Ipv4Addr)> {
        let found = self.by_host.iter().filter(|(_, (target, _))| is_wanted(*target));
        found
            .map(|(host, (target, port))| (HostPort { host: *host, endpoint_port: *port }, *target))
            .collect()
    }
}

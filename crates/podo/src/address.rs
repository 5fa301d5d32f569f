//! At which address a server is reached: by whom it tells of itself, and by who runs on the same host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The IPv4 address that this host would send from to the outside, if there is a way there.
pub(crate) fn default_ipv4() -> Option<Ipv4Addr> {
    // Addresses for documentation: any outside would do.
    match source(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into())? {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// The same of IPv6.
fn default_ipv6() -> Option<IpAddr> {
    let outside = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    source(Ipv6Addr::UNSPECIFIED.into(), outside.into())
}

/// The address that is chosen towards another. Choosing it sends nothing: a datagram socket only looks up the route.
fn source(any: IpAddr, outside: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((outside, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback())
}

/// At which address others reach a server that listens at `listen`: what the operator says, else where it listens if that is one
/// address, else the node's, else the one towards the outside, IPv4 first (Kubernetes v1.36 `--advertise-address`).
pub(crate) fn advertised(listen: IpAddr, said: Option<IpAddr>, node: Option<IpAddr>) -> IpAddr {
    let one = Some(listen).filter(|listen| !listen.is_unspecified());
    said.or(one)
        .or(node)
        .or_else(|| default_ipv4().map(IpAddr::V4))
        .or_else(default_ipv6)
        .unwrap_or_else(|| own(listen))
}

/// By which address a server that listens at `listen` is called from its own host.
pub(crate) fn local(listen: SocketAddr) -> SocketAddr {
    SocketAddr::new(own(listen.ip()), listen.port())
}

fn own(listen: IpAddr) -> IpAddr {
    match listen {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        one => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn others_are_told_an_address_and_never_that_of_all() {
        for (listen, said, node, expected) in [
            ("127.0.0.1", None, Some("192.0.2.7"), "127.0.0.1"),
            ("192.0.2.3", None, Some("192.0.2.7"), "192.0.2.3"),
            ("192.0.2.3", Some("198.51.100.1"), Some("192.0.2.7"), "198.51.100.1"),
            ("0.0.0.0", None, Some("192.0.2.7"), "192.0.2.7"),
            ("0.0.0.0", Some("198.51.100.1"), None, "198.51.100.1"),
            ("::", None, Some("192.0.2.7"), "192.0.2.7"),
            ("2001:db8::3", None, None, "2001:db8::3"),
        ] {
            let found = advertised(ip(listen), said.map(ip), node.map(ip));
            assert_eq!(found, ip(expected), "{listen} {said:?} {node:?}");
        }
        for all in ["0.0.0.0", "::"] {
            assert!(!advertised(ip(all), None, None).is_unspecified(), "{all}");
        }
    }

    #[test]
    fn who_is_on_the_same_host_calls_a_server_that_listens_everywhere_at_the_loopback_address() {
        for (listen, expected) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("192.0.2.3:1", "192.0.2.3:1"),
            ("[2001:db8::3]:1", "[2001:db8::3]:1"),
        ] {
            assert_eq!(local(listen.parse().expect("an address")).to_string(), expected);
        }
    }
}

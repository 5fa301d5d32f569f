//! Entries survive the way into the kernel's form and back; conflicts are seen.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::{HostPort, HostPortIndex, HostSocket, Transport};
use crate::nft::Element;

fn port(address: &str, transport: Transport, port: u16, endpoint_port: u16) -> HostPort {
    let address = address.parse().unwrap();
    HostPort { host: HostSocket { address, transport, port }, endpoint_port }
}

proptest! {
    #[test]
    fn an_entry_is_read_as_it_was_written(address: u32, number: u16, endpoint: u16, target: u32) {
        for transport in [Transport::Tcp, Transport::Udp, Transport::Sctp] {
            let host = HostSocket { address: address.into(), transport, port: number };
            let entry = HostPort { host, endpoint_port: endpoint };
            let read = HostPort::parse(&entry.element(target.into()));
            prop_assert_eq!(read, Some((entry, Ipv4Addr::from(target))));
        }
    }

    #[test]
    fn any_element_is_read_without_panic(
        key in proptest::collection::vec(any::<u8>(), 0..20),
        data in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let _entry = HostPort::parse(&Element { key, data: Some(crate::nft::Data::Value(data)) });
    }
}

#[test]
fn a_port_conflicts_only_with_the_same_address_protocol_and_number_of_another() {
    let (a, b) = (Ipv4Addr::new(10, 42, 0, 2), Ipv4Addr::new(10, 42, 0, 3));
    let mut index = HostPortIndex::default();
    index.insert(&port("0.0.0.0", Transport::Tcp, 80, 8080), a);
    let conflict = |entry: &HostPort, target| index.conflict(entry, target);
    assert_eq!(conflict(&port("0.0.0.0", Transport::Tcp, 80, 8080), b), Some(a));
    assert_eq!(conflict(&port("0.0.0.0", Transport::Tcp, 80, 8080), a), None);
    assert_eq!(conflict(&port("0.0.0.0", Transport::Tcp, 80, 9090), a), Some(a));
    assert_eq!(conflict(&port("0.0.0.0", Transport::Udp, 80, 8080), b), None);
    assert_eq!(conflict(&port("192.0.2.1", Transport::Tcp, 80, 8080), b), None);
}

//! Connections are read as the kernel writes them.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::{UdpFlow, parse};
use crate::netlink::{Encoder, Messages};

fn tuple(encoder: &mut Encoder, kind: u16, from: Ipv4Addr, to: Ipv4Addr, protocol: u8, port: u16) {
    encoder.nested(kind, |encoder| {
        encoder.nested(1, |encoder| {
            encoder.ipv4(1, from).ipv4(2, to);
        });
        encoder.nested(2, |encoder| {
            encoder.attribute(1, &[protocol]).attribute(3, &port.to_be_bytes());
        });
    });
}

#[test]
fn a_udp_flow_tells_destination_port_and_who_answers() {
    let (client, node, pod) =
        (Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(10, 42, 0, 2));
    let read = |protocol| {
        let mut encoder = Encoder::default();
        encoder.raw(&[2, 0, 0, 0]);
        tuple(&mut encoder, 1, client, node, protocol, 5353);
        tuple(&mut encoder, 2, pod, client, protocol, 40000);
        let body = encoder.finish().unwrap();
        parse(&body).unwrap().map(|(flow, _)| flow)
    };
    let expected = UdpFlow { destination: node, port: 5353, responder: pod };
    assert_eq!(read(17), Some(expected));
    assert_eq!(read(6), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_as_connections_without_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let _direct = parse(&bytes);
        for message in Messages::parse(&bytes).flatten() {
            let _flow = parse(message.body);
        }
    }
}

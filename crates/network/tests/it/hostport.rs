//! Host ports: from outside, from the node, from endpoints, from the endpoint itself.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use podo_network::firewall::FirewallError;
use podo_network::{HostPort, HostSocket, NetworkError, Transport};

use crate::world::{NODE, OUTSIDE, World, is_refused, listen, pod, source_seen};

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

fn tcp(address: Ipv4Addr, port: u16, endpoint_port: u16) -> HostPort {
    HostPort { host: HostSocket { address, transport: Transport::Tcp, port }, endpoint_port }
}

#[test]
fn a_host_port_leads_to_its_endpoint_from_everywhere() {
    let world = World::new();
    let network = world.network("hostport", "10.42.0.0/24");
    let (a, b) = (pod(&network, "a"), pod(&network, "b"));
    let server = listen(&a.netns, ANY, 80);
    assert!(is_refused(&world.outside, NODE, 8080));
    network.add_hostports("a", &[tcp(ANY, 8080, 80)]).unwrap();
    network.add_hostports("a", &[tcp(ANY, 8080, 80)]).unwrap(); // Idempotent.

    assert_eq!(source_seen(&server, &world.outside, NODE, 8080), OUTSIDE);
    assert_eq!(source_seen(&server, &world.node, NODE, 8080), NODE);
    assert_eq!(source_seen(&server, &b.netns, NODE, 8080), b.at.ip);
    // Back to the sender, and from the node's loopback: the node answers for them.
    assert_eq!(source_seen(&server, &a.netns, NODE, 8080), NODE);
    assert_eq!(source_seen(&server, &world.node, Ipv4Addr::LOCALHOST, 8080), NODE);
    // An endpoint's own loopback is its own.
    assert!(is_refused(&b.netns, Ipv4Addr::LOCALHOST, 8080));

    network.remove_hostports("a").unwrap();
    assert!(is_refused(&world.outside, NODE, 8080));
    assert!(is_refused(&world.node, Ipv4Addr::LOCALHOST, 8080));
    network.teardown().unwrap();
}

#[test]
fn a_host_port_of_one_address_serves_that_address_only() {
    let world = World::new();
    let network = world.network("hostip", "10.42.0.0/24");
    let a = pod(&network, "a");
    let server = listen(&a.netns, ANY, 80);
    network.add_hostports("a", &[tcp(NODE, 8080, 80), tcp(Ipv4Addr::LOCALHOST, 9090, 80)]).unwrap();
    assert_eq!(source_seen(&server, &world.outside, NODE, 8080), OUTSIDE);
    assert_eq!(source_seen(&server, &world.node, Ipv4Addr::LOCALHOST, 9090), NODE);
    assert!(is_refused(&world.node, Ipv4Addr::LOCALHOST, 8080));
    assert!(is_refused(&world.outside, NODE, 9090));
    network.teardown().unwrap();
}

#[test]
fn a_host_port_belongs_to_one_endpoint_until_that_is_detached() {
    let world = World::new();
    let network = world.network("conflict", "10.42.0.0/24");
    let (a, b) = (pod(&network, "a"), pod(&network, "b"));
    network.add_hostports("a", &[tcp(ANY, 8080, 80)]).unwrap();
    let result = network.add_hostports("b", &[tcp(ANY, 9999, 80), tcp(ANY, 8080, 80)]);
    let Err(NetworkError::Firewall(FirewallError::HostPortInUse { host, by })) = result else {
        panic!("{result:?}")
    };
    assert_eq!((host.to_string().as_str(), by), ("0.0.0.0:8080/TCP", a.at.ip));
    assert!(is_refused(&world.outside, NODE, 9999), "all or none");

    network.detach("a").unwrap();
    network.add_hostports("b", &[tcp(ANY, 8080, 80)]).unwrap();
    let server = listen(&b.netns, ANY, 80);
    assert_eq!(source_seen(&server, &world.outside, NODE, 8080), OUTSIDE);
    let error = network.add_hostports("a", &[tcp(ANY, 1, 1)]).unwrap_err();
    assert!(matches!(error, NetworkError::NotAttached { .. }));
    network.teardown().unwrap();
}

#[test]
fn udp_has_host_ports_of_its_own_and_answers_come_back() {
    let world = World::new();
    let network = world.network("udp", "10.42.0.0/24");
    let a = pod(&network, "a");
    let host = HostSocket { address: ANY, transport: Transport::Udp, port: 5353 };
    network.add_hostports("a", &[HostPort { host, endpoint_port: 53 }]).unwrap();
    let bind = |port| UdpSocket::bind((ANY, port)).unwrap();
    let server = a.netns.run(|| bind(53)).unwrap();
    let client = world.outside.run(|| bind(0)).unwrap();
    for socket in [&server, &client] {
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    }
    client.send_to(b"ask", (NODE, 5353)).unwrap();
    let mut word = [0; 3];
    let (_, peer) = server.recv_from(&mut word).unwrap();
    server.send_to(b"yes", peer).unwrap();
    let (_, source) = client.recv_from(&mut word).unwrap();
    assert_eq!((&word, source.to_string().as_str()), (b"yes", "192.0.2.1:5353"));
    network.teardown().unwrap();
}

#[test]
fn a_udp_client_that_never_pauses_follows_its_port_to_the_next_endpoint() {
    let world = World::new();
    let network = world.network("flow", "10.42.0.0/24");
    let host = HostSocket { address: ANY, transport: Transport::Udp, port: 5353 };
    let ports = [HostPort { host, endpoint_port: 53 }];
    let bind = |port| {
        let socket = UdpSocket::bind((ANY, port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    };
    let client = world.outside.run(|| bind(0)).unwrap();
    // Received by the node itself, so the node now tracks a flow that goes nowhere else.
    let own = world.node.run(|| bind(5353)).unwrap();
    client.send_to(b"early", (NODE, 5353)).unwrap();
    own.recv_from(&mut [0; 5]).unwrap();
    for (id, word) in [("a", b"first"), ("b", b"later")] {
        let pod = pod(&network, id);
        let server = pod.netns.run(|| bind(53)).unwrap();
        network.add_hostports(id, &ports).unwrap();
        client.send_to(word, (NODE, 5353)).unwrap();
        let mut received = [0; 5];
        server.recv_from(&mut received).unwrap();
        assert_eq!(&received, word);
        network.detach(id).unwrap();
    }
    network.teardown().unwrap();
}

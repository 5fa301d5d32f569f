//! Attacks, each of which must fail, and would succeed without the rule that stops it.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use podo_network::netlink::{Message, Protocol, Socket, flags};
use podo_network::netns::Netns;
use podo_network::nft::{Table, Transaction};
use podo_network::route::{self, Route};
use podo_network::{HostPort, HostSocket, Transport, address, link, sysctl};

use crate::world::{NODE, OUTSIDE, World, cidr, is_refused, listen, pod, source_seen};

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// Index of a link and a socket, inside a namespace.
fn inside(netns: &Netns, name: &str) -> (Socket, u32) {
    let find = || {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        let index = link::find(&mut socket, name).unwrap().unwrap().index;
        (socket, index)
    };
    netns.run(find).unwrap()
}

fn udp(netns: &Netns, address: Ipv4Addr, port: u16) -> UdpSocket {
    let socket = netns.run(|| UdpSocket::bind((address, port)).unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

/// Removes the packet rules, to show that it was they who stopped something.
fn remove_rules(world: &World, instance: &str) {
    let table = Table { name: format!("podo-{instance}") };
    let mut transaction = Transaction::new(&table);
    transaction.delete_table();
    let mut socket = world.node.run(|| Socket::open(Protocol::Netfilter).unwrap()).unwrap();
    transaction.commit(&mut socket).unwrap();
}

#[test]
fn a_packet_with_a_stolen_source_is_dropped_and_counted() {
    let world = World::new();
    let network = world.network("spoof", "10.42.0.0/24");
    let (thief, owner, victim) = (pod(&network, "a"), pod(&network, "b"), pod(&network, "c"));
    let server = udp(&victim.netns, ANY, 53);
    let (mut socket, index) = inside(&thief.netns, "eth0");
    let stolen = [owner.at.ip, NODE, OUTSIDE, Ipv4Addr::new(8, 8, 8, 8)];
    for address in stolen {
        socket.execute(&[address::add(index, address, 32)]).unwrap();
        let forged = udp(&thief.netns, address, 0);
        forged.send_to(b"forged", (victim.at.ip, 53)).unwrap();
    }
    udp(&thief.netns, thief.at.ip, 0).send_to(b"honest", (victim.at.ip, 53)).unwrap();
    let mut word = [0; 6];
    let (_, source) = server.recv_from(&mut word).unwrap();
    // One link is one queue: what was forged would have come first.
    assert_eq!((&word, source.ip()), (b"honest", IpAddr::from(thief.at.ip)));
    assert_eq!(network.spoofed_packets().unwrap(), 4);

    remove_rules(&world, "spoof");
    let forged = udp(&thief.netns, owner.at.ip, 0);
    forged.send_to(b"forged", (victim.at.ip, 53)).unwrap();
    let (_, source) = server.recv_from(&mut word).unwrap();
    assert_eq!((&word, source.ip()), (b"forged", IpAddr::from(owner.at.ip)));
    network.teardown().unwrap();
}

#[test]
fn an_outside_machine_cannot_claim_to_be_an_endpoint() {
    let world = World::new();
    let network = world.network("claim", "10.42.0.0/24");
    let a = pod(&network, "a");
    let server = udp(&world.node, ANY, 53);
    let (mut socket, index) = inside(&world.outside, "up0");
    socket.execute(&[address::add(index, Ipv4Addr::new(10, 42, 0, 77), 32)]).unwrap();
    let forged = udp(&world.outside, Ipv4Addr::new(10, 42, 0, 77), 0);
    forged.send_to(b"forged", (NODE, 53)).unwrap();
    udp(&world.outside, OUTSIDE, 0).send_to(b"honest", (NODE, 53)).unwrap();
    let mut word = [0; 6];
    let (_, source) = server.recv_from(&mut word).unwrap();
    assert_eq!((&word, source.ip()), (b"honest", IpAddr::from(OUTSIDE)));

    remove_rules(&world, "claim");
    forged.send_to(b"forged", (NODE, 53)).unwrap();
    assert_eq!(server.recv_from(&mut word).unwrap().1.ip(), IpAddr::from([10, 42, 0, 77]));
    drop(a);
    network.teardown().unwrap();
}

#[test]
fn endpoints_cannot_reach_what_the_node_serves_on_its_loopback() {
    const DELETE_ADDRESS: u16 = 21;
    let world = World::new();
    let network = world.network("local", "10.42.0.0/24");
    let a = pod(&network, "a");
    // A host port opens the kernel's own door for 127.0.0.0/8 on this link.
    let host = HostSocket { address: ANY, transport: Transport::Tcp, port: 8080 };
    network.add_hostports("a", &[HostPort { host, endpoint_port: 80 }]).unwrap();
    let server = listen(&world.node, Ipv4Addr::LOCALHOST, 10250);
    // The attacker sends 127.0.0.1 out by its link instead of to its own loopback.
    let (mut socket, index) = inside(&a.netns, "eth0");
    let header = [2, 8, 0, 0, 1, 0, 0, 0];
    let delete = Message::new("del", DELETE_ADDRESS, flags::ACKNOWLEDGE, &header, |message| {
        message.ipv4(2, Ipv4Addr::LOCALHOST);
    });
    let target = cidr("127.0.0.1/32");
    let route =
        Route { preferred_source: Some(a.at.ip), ..Route::through(target, index, a.at.gateway) };
    socket.execute(&[delete, route::replace(&route)]).unwrap();
    a.netns.run(|| sysctl::set("ipv4/conf/eth0/route_localnet", "1").unwrap()).unwrap();
    assert!(is_refused(&a.netns, Ipv4Addr::LOCALHOST, 10250));

    remove_rules(&world, "local");
    assert_eq!(source_seen(&server, &a.netns, Ipv4Addr::LOCALHOST, 10250), a.at.ip);
    network.teardown().unwrap();
}

#[test]
fn endpoints_are_reached_from_inside_the_cluster_only() {
    let world = World::new();
    let network = world.network("inside", "10.42.0.0/24");
    let a = pod(&network, "a");
    let server = listen(&a.netns, ANY, 80);
    let (mut socket, index) = inside(&world.outside, "up0");
    let route = Route::through(cidr("10.42.0.0/24"), index, NODE);
    socket.execute(&[route::replace(&route)]).unwrap();
    assert!(is_refused(&world.outside, a.at.ip, 80));
    assert_eq!(source_seen(&server, &world.node, a.at.ip, 80), NODE);

    remove_rules(&world, "inside");
    assert_eq!(source_seen(&server, &world.outside, a.at.ip, 80), OUTSIDE);
    network.teardown().unwrap();
}

#[test]
fn another_node_of_the_cluster_reaches_endpoints_and_sees_their_real_address() {
    let world = World::new();
    let mut config = world.config("nodes", "10.42.0.0/24");
    config.cluster_cidr = cidr("10.42.0.0/16");
    config.node_addresses.push(OUTSIDE); // Now it is one of us.
    let network = world.open(config);
    network.ensure().unwrap();
    let a = pod(&network, "a");
    let (mut socket, index) = inside(&world.outside, "up0");
    let route = Route::through(cidr("10.42.0.0/24"), index, NODE);
    socket.execute(&[route::replace(&route)]).unwrap();
    let server = listen(&a.netns, ANY, 80);
    assert_eq!(source_seen(&server, &world.outside, a.at.ip, 80), OUTSIDE);
    let server = listen(&world.outside, ANY, 80);
    assert_eq!(source_seen(&server, &a.netns, OUTSIDE, 80), a.at.ip);
    network.teardown().unwrap();
}

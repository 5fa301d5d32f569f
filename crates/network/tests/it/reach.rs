//! Who reaches whom, and with which address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use podo_network::link;
use podo_network::netlink::{Protocol, Socket};

use crate::world::{NODE, OUTSIDE, World, is_refused, listen, pod, source_seen, try_connect};

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

#[test]
fn two_endpoints_reach_each_other_on_any_port_and_see_the_real_address() {
    let world = World::new();
    let network = world.network("reach", "10.42.0.0/24");
    let (a, b) = (pod(&network, "a"), pod(&network, "b"));
    assert_ne!(a.at.ip, b.at.ip);
    for port in [80, 8080, 40000] {
        let server = listen(&b.netns, ANY, port);
        assert_eq!(source_seen(&server, &a.netns, b.at.ip, port), a.at.ip);
    }
    let server = listen(&a.netns, ANY, 80);
    assert_eq!(source_seen(&server, &b.netns, a.at.ip, 80), b.at.ip);
    network.teardown().unwrap();
}

#[test]
fn node_and_endpoint_reach_each_other_with_their_real_addresses() {
    let world = World::new();
    let network = world.network("node", "10.42.0.0/24");
    let a = pod(&network, "a");
    let server = listen(&a.netns, ANY, 80);
    assert_eq!(source_seen(&server, &world.node, a.at.ip, 80), NODE);
    let server = listen(&world.node, ANY, 80);
    assert_eq!(source_seen(&server, &a.netns, NODE, 80), a.at.ip);
    network.teardown().unwrap();
}

#[test]
fn a_host_that_has_only_loopback_reaches_its_endpoints_from_an_address_of_the_network() {
    let world = World::new();
    let mut config = world.config("lonely", "10.42.0.0/24");
    config.node_addresses = vec![Ipv4Addr::LOCALHOST];
    let network = world.open(config);
    network.ensure().unwrap();
    let (a, b) = (pod(&network, "a"), pod(&network, "b"));
    for one in [&a, &b] {
        let server = listen(&one.netns, ANY, 80);
        assert_eq!(source_seen(&server, &world.node, one.at.ip, 80), Ipv4Addr::new(10, 42, 0, 1));
    }
    let server = listen(&b.netns, ANY, 80);
    assert_eq!(source_seen(&server, &a.netns, b.at.ip, 80), a.at.ip);
    network.teardown().unwrap();
}

#[test]
fn to_the_outside_the_source_is_the_nodes() {
    let world = World::new();
    let network = world.network("outside", "10.42.0.0/24");
    let a = pod(&network, "a");
    let server = listen(&world.outside, ANY, 80);
    assert_eq!(source_seen(&server, &a.netns, OUTSIDE, 80), NODE);
    network.teardown().unwrap();
}

#[test]
fn both_loopbacks_work_inside_and_are_the_endpoints_own() {
    let world = World::new();
    let network = world.network("loopback", "10.42.0.0/24");
    let (a, b) = (pod(&network, "a"), pod(&network, "b"));
    let loopbacks: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    for address in loopbacks {
        let server = listen(&a.netns, address, 80);
        assert_eq!(source_seen(&server, &a.netns, address, 80), address);
        assert!(is_refused(&b.netns, address, 80));
    }
    let addresses = a.netns.run(|| std::fs::read_to_string("/proc/thread-self/net/if_inet6"));
    let addresses = addresses.unwrap().unwrap();
    let links: Vec<&str> =
        addresses.lines().filter_map(|line| line.split(' ').next_back()).collect();
    assert_eq!(links, ["lo"], "no IPv6 address but ::1");
    network.teardown().unwrap();
}

#[test]
fn an_address_without_endpoint_is_refused_at_once_and_never_sent_outside() {
    let world = World::new();
    let network = world.network("unused", "10.42.0.0/24");
    let a = pod(&network, "a");
    let unused = Ipv4Addr::new(10, 42, 0, 99);
    let started = Instant::now();
    for netns in [&a.netns, &world.node] {
        let error = try_connect(netns, unused, 80, Duration::from_secs(20)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::HostUnreachable);
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    network.teardown().unwrap();
}

#[test]
fn the_links_carry_packets_as_large_as_the_way_outside() {
    let world = World::new();
    let network = world.network("mtu", "10.42.0.0/24");
    let a = pod(&network, "a");
    let find =
        || link::find(&mut Socket::open(Protocol::Route).unwrap(), "eth0").unwrap().unwrap().mtu;
    assert_eq!(a.netns.run(find).unwrap(), 1400);
    network.teardown().unwrap();
}

//! Attach, detach, exhaustion, instances side by side, and nothing left at the end.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use podo_network::link;
use podo_network::netlink::{NetlinkError, Protocol, Socket};
use podo_network::netns::Netns;
use podo_network::pool::PoolError;
use podo_network::route;
use podo_network::{Network, NetworkError, sysctl};

use crate::world::{World, cidr, is_refused, listen, open, pod, source_seen};

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

#[test]
fn forwarding_is_turned_on_once_and_reported() {
    let world = World::new();
    // A namespace begins with what its host has.
    world.node.run(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "0")).unwrap().unwrap();
    let network = world.open(world.config("forward", "10.42.0.0/24"));
    let changed = network.ensure().unwrap().changed_settings;
    let names: Vec<&str> = changed.iter().map(|change| change.name.as_str()).collect();
    assert_eq!(names, ["net.ipv4.ip_forward"]);
    assert_eq!(world.node.run(|| sysctl::read("ipv4/ip_forward")).unwrap().unwrap(), "1");
    assert_eq!(network.ensure().unwrap().changed_settings, []);
    network.teardown().unwrap();
}

#[test]
fn attaching_again_gives_the_same_and_a_new_endpoint_gets_a_new_address() {
    let world = World::new();
    let network = world.network("again", "10.42.0.0/24");
    let a = pod(&network, "a");
    let path = network.create_netns("a").unwrap();
    assert_eq!(network.attach("a", &path).unwrap(), a.at);
    assert_eq!(a.at.ip, Ipv4Addr::new(10, 42, 0, 2));
    network.detach("a").unwrap();
    network.detach("a").unwrap();
    network.detach("never seen").unwrap();
    let a = pod(&network, "a2");
    assert_eq!(a.at.ip, Ipv4Addr::new(10, 42, 0, 3));
    network.teardown().unwrap();
}

#[test]
fn a_detached_endpoint_is_cut_off_at_once_and_its_link_goes_later() {
    let world = World::new();
    let network = world.network("detach", "10.42.0.0/24");
    let (a, b) = (pod(&network, "a"), pod(&network, "b"));
    let server = listen(&a.netns, ANY, 80);
    source_seen(&server, &b.netns, a.at.ip, 80);
    network.detach("a").unwrap();
    assert!(is_refused(&b.netns, a.at.ip, 80));
    network.settle().unwrap();
    assert!(!world.links().contains(&a.at.host_interface));
    assert_eq!(network.endpoints(), [("b".to_owned(), b.at.ip)]);
    assert_eq!(network.leaks(), 0);
    network.teardown().unwrap();
}

#[test]
fn a_namespace_that_ended_first_is_detached_all_the_same() {
    let world = World::new();
    let network = world.network("ended", "10.42.0.0/24");
    let a = pod(&network, "a");
    network.remove_netns("a").unwrap();
    drop(a);
    network.detach("a").unwrap();
    network.settle().unwrap();
    assert_eq!((network.endpoints(), network.leaks()), (Vec::new(), 0));
    network.teardown().unwrap();
}

#[test]
fn a_full_pool_is_said_plainly_and_a_leaving_endpoint_makes_room() {
    let world = World::new();
    let network = world.network("full", "10.42.0.0/29");
    let pods: Vec<_> = (0..5).map(|number| pod(&network, &format!("pod{number}"))).collect();
    let path = network.create_netns("more").unwrap();
    let error = network.attach("more", &path).unwrap_err();
    let NetworkError::Pool(cause @ PoolError::Exhausted { .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(cause.to_string(), "all 5 addresses of 10.42.0.0/29 are in use");

    network.detach("pod3").unwrap();
    let freed = pods.get(3).unwrap().at.ip;
    assert_eq!(network.attach("more", &path).unwrap().ip, freed);
    let (more, other) = (open(&path), pods.first().unwrap());
    let server = listen(&other.netns, ANY, 80);
    assert_eq!(source_seen(&server, &more, other.at.ip, 80), freed);
    network.teardown().unwrap();
}

#[test]
fn two_instances_live_side_by_side_and_one_goes_without_the_other() {
    let world = World::new();
    let first = world.network("first", "10.42.0.0/24");
    let second = world.network("second", "10.44.0.0/24");
    let (a, b) = (pod(&first, "a"), pod(&first, "b"));
    let (c, d) = (pod(&second, "a"), pod(&second, "b"));
    for (one, other) in [(&a, &b), (&c, &d)] {
        let server = listen(&one.netns, ANY, 80);
        assert_eq!(source_seen(&server, &other.netns, one.at.ip, 80), other.at.ip);
    }
    assert_eq!(world.tables(), ["podo-first", "podo-second"]);
    first.teardown().unwrap();
    assert_eq!(world.tables(), ["podo-second"]);
    let server = listen(&c.netns, ANY, 81);
    assert_eq!(source_seen(&server, &d.netns, c.at.ip, 81), d.at.ip);
    second.teardown().unwrap();
    assert_eq!(world.links(), ["lo", "up0"]);
}

#[test]
fn an_instance_with_addresses_that_are_taken_is_refused() {
    let world = World::new();
    let first = world.network("one", "10.42.0.0/24");
    let second = world.open(world.config("two", "10.42.0.0/24"));
    let error = second.ensure().unwrap_err();
    assert!(matches!(error, NetworkError::AddressesInUse { .. }), "{error:?}");
    first.teardown().unwrap();
    second.ensure().unwrap();
    second.teardown().unwrap();
}

#[test]
fn teardown_leaves_no_link_rule_route_or_namespace() {
    let world = World::new();
    let network = world.network("down", "10.42.0.0/24");
    for number in 0..20 {
        pod(&network, &format!("pod{number}"));
    }
    network.detach("pod7").unwrap();
    network.teardown().unwrap();
    network.teardown().unwrap(); // Harmless.
    assert_eq!(world.links(), ["lo", "up0"]);
    assert_eq!(world.tables(), Vec::<String>::new());
    let list = || route::list(&mut Socket::open(Protocol::Route).unwrap()).unwrap();
    let routes: Vec<String> =
        world.node.run(list).unwrap().iter().map(|route| route.destination.to_string()).collect();
    assert_eq!(routes, ["0.0.0.0/0", "192.0.2.0/24"]);
    let pins = world.folder.path().join("down/run/netns");
    assert_eq!(std::fs::read_dir(pins).unwrap().count(), 0);
    assert_eq!(network.endpoints(), []);
    // Usable again, and the round of addresses went on.
    network.ensure().unwrap();
    assert_eq!(pod(&network, "new").at.ip, Ipv4Addr::new(10, 42, 0, 22));
    network.teardown().unwrap();
}

#[test]
fn unusable_input_is_refused_before_anything_is_changed() {
    let world = World::new();
    let mut config = world.config("bad", "10.42.0.0/24");
    config.cluster_cidr = cidr("10.43.0.0/16");
    let open = |config| world.node.run(|| Network::open(config)).unwrap();
    assert!(matches!(open(config.clone()), Err(NetworkError::OutsideCluster { .. })));
    config.instance = "../x".to_owned();
    assert!(matches!(open(config), Err(NetworkError::Instance(_))));
    let network = world.network("good", "10.42.0.0/24");
    let file = world.folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file, world.folder.path().join("absent")] {
        let error = network.attach("a", &path).unwrap_err();
        assert!(matches!(error, NetworkError::Netns(_)), "{error:?}");
    }
    assert_eq!(network.endpoints(), [], "no address was spent");
    assert!(matches!(network.create_netns("../a"), Err(NetworkError::Pool(_))));
    network.teardown().unwrap();
}

#[test]
fn a_refusal_carries_the_kernels_own_words() {
    let netns = Netns::create().unwrap();
    let mut socket = netns.run(|| Socket::open(Protocol::Route).unwrap()).unwrap();
    let mac = link::MacAddress([2, 0, 0, 0, 0, 1]);
    let end = |name| link::VethEnd { name, mac };
    let too_long = "an-interface-name-has-15-characters";
    let request = link::create_veth(end(too_long), end("b"), 1500, netns.as_fd());
    let error = socket.execute(&[request]).unwrap_err();
    let NetlinkError::Refused { text: Some(text), .. } = &error else { panic!("{error:?}") };
    assert!(!text.is_empty());
    let expected = format!("kernel refused to create veth pair ({text:?})");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn reconcile_after_a_clean_run_has_nothing_to_repair() {
    let world = World::new();
    let network = world.network("clean", "10.42.0.0/24");
    let _pods = (pod(&network, "a"), pod(&network, "b"));
    let live = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
    assert_eq!(network.reconcile(&live).unwrap(), podo_network::Reconciled::default());
    network.teardown().unwrap();
}

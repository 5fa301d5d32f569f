//! What a crash leaves is found, kept or removed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use podo_network::netns::Netns;
use podo_network::pool::Pool;
use podo_network::{HostPort, HostSocket, Reconciled, Transport};

use crate::world::{NODE, OUTSIDE, World, cidr, listen, open, pod, source_seen};

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// Dropping a network without detaching leaves in the kernel and on disk what `kill -9` does.
#[test]
fn after_a_crash_the_living_go_on_and_the_dead_are_swept() {
    let world = World::new();
    let network = world.network("crash", "10.42.0.0/24");
    let (a, b) = (pod(&network, "a"), pod(&network, "b"));
    let dead: Vec<_> = (0..4).map(|number| pod(&network, &format!("dead{number}"))).collect();
    let port = |port| HostPort {
        host: HostSocket { address: ANY, transport: Transport::Tcp, port },
        endpoint_port: 80,
    };
    network.add_hostports("a", &[port(8080)]).unwrap();
    network.add_hostports("dead1", &[port(9090), port(9091)]).unwrap();
    let server = listen(&a.netns, ANY, 80);
    drop(network);
    assert_eq!(source_seen(&server, &b.netns, a.at.ip, 80), b.at.ip, "nobody is needed for this");

    let network = world.open(world.config("crash", "10.42.0.0/24"));
    assert!(network.ensure().unwrap().has_kept_host_ports);
    assert_eq!(source_seen(&server, &b.netns, a.at.ip, 80), b.at.ip);
    let live = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
    let repaired = network.reconcile(&live).unwrap();
    let expected = Reconciled { addresses: 4, links: 4, rules: 4, host_ports: 2, pins: 4 };
    assert_eq!(repaired, expected);
    assert_eq!(network.reconcile(&live).unwrap(), Reconciled::default());
    let links = world.links();
    assert!(dead.iter().all(|pod| !links.contains(&pod.at.host_interface)));
    assert_eq!(source_seen(&server, &world.outside, NODE, 8080), OUTSIDE);
    let again = network.attach("a", &network.create_netns("a").unwrap()).unwrap();
    assert_eq!(again, a.at);
    assert_eq!(source_seen(&server, &b.netns, a.at.ip, 80), b.at.ip);
    assert_eq!(pod(&network, "new").at.ip, Ipv4Addr::new(10, 42, 0, 8), "no address used twice");
    network.teardown().unwrap();
}

#[test]
fn a_link_left_by_a_crash_is_replaced_when_its_owner_comes_with_another_namespace() {
    let world = World::new();
    let network = world.network("moved", "10.42.0.0/24");
    let (a, b) = (pod(&network, "a"), pod(&network, "b"));
    let elsewhere = world.folder.path().join("elsewhere");
    let netns = Netns::create_pinned(&elsewhere).unwrap();
    let at = network.attach("a", &elsewhere).unwrap();
    assert_eq!(at, a.at);
    let server = listen(&netns, ANY, 80);
    assert_eq!(source_seen(&server, &b.netns, at.ip, 80), b.at.ip);
    network.teardown().unwrap();
    podo_network::netns::unpin(&elsewhere).unwrap();
}

#[test]
fn a_pin_whose_mount_a_crash_prevented_is_made_good() {
    let world = World::new();
    let path = world.folder.path().join("half");
    std::fs::write(&path, "").unwrap();
    let made = Netns::create_pinned(&path).unwrap();
    let server = listen(&made, ANY, 80); // Works before and after it is opened by path.
    drop(made);
    drop((Netns::create_pinned(&path).unwrap(), open(&path), server));
    podo_network::netns::unpin(&path).unwrap();
    podo_network::netns::unpin(&path).unwrap();
    assert!(!path.exists());
}

/// Where the child of the next test keeps its pool.
const CHILD_FOLDER: &str = "PODO_TEST_POOL";
const CHILD_SEED: &str = "PODO_TEST_SEED";

/// Not a test of its own: the process that the next test kills.
#[test]
fn pool_child() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let seed: u32 = std::env::var(CHILD_SEED).unwrap().parse().unwrap();
    let mut pool = Pool::open(Path::new(&folder), cidr("10.42.0.0/26")).unwrap();
    for step in 0_u32.. {
        let owner = format!("pod{}", step.wrapping_mul(seed | 1) % 50);
        // What is printed was acknowledged; what is announced may or may not happen.
        if pool.address_of(&owner).is_some() && step % 3 == 0 {
            println!("\nrelease {owner}");
            pool.release(&owner).unwrap();
            println!("\nreleased {owner}");
        } else {
            println!("\nallocate {owner}");
            let address = pool.allocate(&owner).unwrap();
            println!("\nallocated {owner} {address}");
        }
    }
}

#[test]
fn a_pool_killed_at_any_moment_has_lost_nothing_that_was_acknowledged() {
    let folder = tempfile::Builder::new().prefix("podotest-network-").tempdir().unwrap();
    let mut known: BTreeMap<String, Ipv4Addr> = BTreeMap::new();
    for seed in 1..25_u32 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::pool_child", "--nocapture"])
            .env(CHILD_FOLDER, folder.path())
            .env(CHILD_SEED, seed.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let kill_at = usize::try_from(seed * seed * 3).unwrap();
        let mut doubtful = None;
        for (number, line) in lines.enumerate() {
            let line = line.unwrap();
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["allocate" | "release", owner] => doubtful = Some((*owner).to_owned()),
                ["allocated", owner, address] => {
                    known.insert((*owner).to_owned(), address.parse().unwrap());
                    doubtful = None;
                }
                ["released", owner] => {
                    known.remove(*owner);
                    doubtful = None;
                }
                _ => {}
            }
            if number == kill_at {
                child.kill().unwrap(); // SIGKILL; lines already written are still read.
            }
        }
        child.wait().unwrap();
        let pool = Pool::open(folder.path(), cidr("10.42.0.0/26")).unwrap();
        let mut found: BTreeMap<String, Ipv4Addr> =
            pool.owners().map(|(owner, address)| (owner.to_owned(), address)).collect();
        let addresses: BTreeSet<Ipv4Addr> = found.values().copied().collect();
        assert_eq!(addresses.len(), found.len(), "an address has two owners");
        if let Some(owner) = doubtful {
            // It was under way: either outcome is right, and becomes the truth.
            known.remove(&owner);
            known.extend(found.remove_entry(&owner));
            found = pool.owners().map(|(owner, address)| (owner.to_owned(), address)).collect();
        }
        assert_eq!(found, known, "after kill {seed}");
    }
}

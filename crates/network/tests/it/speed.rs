//! How long the steps take; printed with `--nocapture`, bounded loosely against regressions.

use std::time::{Duration, Instant};

use crate::world::World;

const ROUNDS: usize = 100;
/// Twenty times what is aimed at: an unoptimised build on a shared machine.
const LIMIT: Duration = Duration::from_millis(30);

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap()
}

#[test]
fn an_endpoint_is_attached_and_detached_quickly() {
    let world = World::new();
    let network = world.network("speed", "10.42.0.0/24");
    let (mut creates, mut attaches, mut detaches) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..ROUNDS {
        let id = format!("pod{number}");
        let started = Instant::now();
        let path = network.create_netns(&id).unwrap();
        creates.push(started.elapsed());
        let started = Instant::now();
        network.attach(&id, &path).unwrap();
        attaches.push(started.elapsed());
    }
    for number in 0..ROUNDS {
        let started = Instant::now();
        network.detach(&format!("pod{number}")).unwrap();
        detaches.push(started.elapsed());
    }
    let started = Instant::now();
    network.settle().unwrap();
    let settle = started.elapsed();
    let (create, attach, detach) = (median(creates), median(attaches), median(detaches));
    println!(
        "create netns {create:?}, attach {attach:?}, detach {detach:?}, \
         {ROUNDS} links gone {settle:?} later"
    );
    assert!(attach < LIMIT && detach < LIMIT, "attach {attach:?}, detach {detach:?}");
    network.teardown().unwrap();
}

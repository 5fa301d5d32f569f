//! How long things take; printed, with bounds far above what is aimed for so that a busy machine does not fail them.

use std::time::{Duration, Instant};

use crate::Test;
use crate::harness::*;

pub(crate) const TESTS: &[Test] =
    &[("sandboxes_and_containers_start_fast", sandboxes_and_containers_start_fast)];

const ROUNDS: usize = 30;
/// What even an emulated processor stays below, and a wait for a timer in each step does not.
const MEDIAN_MAX: Duration = Duration::from_millis(500);

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn sandboxes_and_containers_start_fast() {
    let world = World::new();
    let (mut sandboxes, mut creates, mut starts, mut execs, mut removes) =
        (vec![], vec![], vec![], vec![], vec![]);
    for round in 0..ROUNDS {
        let clock = Instant::now();
        let sandbox = world.launcher.create(&world.sandbox_spec(&format!("s{round}"))).unwrap();
        sandboxes.push(clock.elapsed());
        let spec = world.shell(&format!("c{round}"), "sleep 100");
        let clock = Instant::now();
        sandbox.create_container(&spec).unwrap();
        creates.push(clock.elapsed());
        let clock = Instant::now();
        sandbox.start(&spec.id).unwrap();
        starts.push(clock.elapsed());
        let clock = Instant::now();
        exec(&sandbox, &spec.id, "true");
        execs.push(clock.elapsed());
        let clock = Instant::now();
        world.launcher.remove(sandbox).unwrap();
        removes.push(clock.elapsed());
    }
    let (sandbox, start) = (median(sandboxes), median(starts));
    println!(
        "medians of {ROUNDS}: sandbox {sandbox:?}, create {:?}, start {start:?}, exec of sh to its end {:?}, remove {:?}",
        median(creates),
        median(execs),
        median(removes)
    );
    assert!(sandbox < MEDIAN_MAX && start < MEDIAN_MAX);
}

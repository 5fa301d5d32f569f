//! How long things take; printed, with bounds far above what is aimed for so that a busy machine does not fail them.

use std::time::{Duration, Instant};

use podo_cri::Cri;
use podo_cri::v1::*;

use crate::Test;
use crate::harness::*;

pub(crate) const TESTS: &[Test] = &[("a_pod_is_up_in_milliseconds", a_pod_is_up_in_milliseconds)];

const ROUNDS: usize = 30;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn a_pod_is_up_in_milliseconds() {
    with_world(async |world| {
        let (mut sandboxes, mut creates, mut starts, mut all) = (vec![], vec![], vec![], vec![]);
        let (mut execs, mut stops, mut removes) = (vec![], vec![], vec![]);
        for round in 0..ROUNDS {
            let began = Instant::now();
            let pod = world.plain_pod(&format!("p{round}")).await;
            sandboxes.push(began.elapsed());
            let config = shell("c", "trap 'exit 0' TERM; while :; do sleep 100 & wait; done");
            let clock = Instant::now();
            let id = world.create(&pod, config).await.unwrap();
            creates.push(clock.elapsed());
            let clock = Instant::now();
            world.start(&id).await.unwrap();
            starts.push(clock.elapsed());
            all.push(began.elapsed());
            let clock = Instant::now();
            world.exec(&id, "true").await;
            execs.push(clock.elapsed());
            let clock = Instant::now();
            world.stop(&id, 10).await;
            stops.push(clock.elapsed());
            let clock = Instant::now();
            let request = StopPodSandboxRequest { pod_sandbox_id: pod.clone() };
            world.cri.stop_pod_sandbox(request).await.unwrap();
            world.remove_pod(&pod).await;
            removes.push(clock.elapsed());
        }
        let all = median(all);
        println!(
            "medians of {ROUNDS}: sandbox {:?}, create {:?}, start {:?}, all three {all:?}, \
             exec of sh {:?}, stop {:?}, stop and remove the sandbox {:?}",
            median(sandboxes),
            median(creates),
            median(starts),
            median(execs),
            median(stops),
            median(removes)
        );
        assert!(all < Duration::from_millis(200));
    });
}

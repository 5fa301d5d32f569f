//! The runtime object goes and comes back; the process is killed; the machine boots: nothing is lost and nothing leaks.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use podo_cri::v1::*;
use podo_cri::{Code, Cri, PodoCri};

use crate::Test;
use crate::harness::*;

pub(crate) const TESTS: &[Test] = &[
    ("a_reopened_runtime_finds_everything", a_reopened_runtime_finds_everything),
    ("a_killed_shim_is_told_and_cleared", a_killed_shim_is_told_and_cleared),
    ("after_another_boot_everything_has_ended", after_another_boot_everything_has_ended),
    ("kill_9_at_any_moment_loses_and_leaks_nothing", kill_9_at_any_moment),
    ("verbs_after_shutdown_say_so", verbs_after_shutdown_say_so),
];

fn a_reopened_runtime_finds_everything() {
    with_own_world(async |world| {
        let pod = world.plain_pod("lasting").await;
        let runs = world.launch(&pod, shell("runs", "sleep 100")).await;
        let ended = world.launch(&pod, shell("ended", "exit 9")).await;
        world.ended(&ended).await;
        let script = "until [ -e /dev/shm/go ]; do usleep 2000; done; exit 11";
        let later = world.launch(&pod, shell("later", script)).await;
        let created = world.create(&pod, shell("created", "true")).await.unwrap();
        let before = (world.pod_status(&pod).await, world.status(&runs).await);

        let run_dir = world.base.path().join("run/sandboxes").join(&pod);
        let world = world
            .reopened(|_| {
                fs::write(run_dir.join("shm/go"), "").unwrap();
                let exit = run_dir.join(format!("{later}.exit"));
                let deadline = std::time::Instant::now() + LIMIT;
                while !exit.exists() {
                    assert!(std::time::Instant::now() < deadline, "it ends while nobody listens");
                    std::thread::yield_now();
                }
            })
            .await;
        assert!(world.cri.repaired().is_clean(), "{:?}", world.cri.repaired());
        assert_eq!((world.pod_status(&pod).await, world.status(&runs).await), before);
        assert_eq!(world.status(&ended).await.exit_code, 9);
        let status = world.status(&later).await;
        assert_eq!((status.exit_code, status.reason.as_str()), (11, "Error"));
        assert_eq!(world.status(&created).await.state, ContainerState::Created as i32);
        assert_eq!(world.exec(&runs, "echo here").await, ("here\n".into(), 0));
        world.start(&created).await.unwrap();
        assert_eq!(world.ended(&created).await.exit_code, 0);
        let twice = world.run_pod(world.pod("lasting")).await.unwrap_err();
        assert_eq!(twice.code(), Code::AlreadyExists);
        world.stop(&runs, 1).await;
        assert_eq!(world.status(&runs).await.exit_code, 137, "sleep as PID 1 ignores TERM");
        world
    });
}

fn shim_pid(base: &Path, pod: &str) -> rustix::process::Pid {
    let found = podo_runtime::list(&base.join("run/sandboxes")).unwrap();
    let found = found.into_iter().find(|found| found.id == pod).unwrap();
    rustix::process::Pid::from_raw(found.state.unwrap().record.shim_pid).unwrap()
}

fn a_killed_shim_is_told_and_cleared() {
    with_own_world(async |world| {
        let pod = world.plain_pod("orphan").await;
        let id = world.launch(&pod, shell("c", "sleep 100")).await;
        let shim = shim_pid(world.base.path(), &pod);
        rustix::process::kill_process(shim, rustix::process::Signal::KILL).unwrap();
        let status = world.ended(&id).await;
        assert_eq!((status.exit_code, status.reason.as_str()), (255, "Unknown"));
        let look = async || world.pod_status(&pod).await.state;
        eventually("not ready", look, |state| *state == PodSandboxState::NotReady as i32).await;
        let second = world.plain_pod("second").await;
        let other = world.launch(&second, shell("c", "sleep 100")).await;
        let shim = shim_pid(world.base.path(), &second);
        // The same while nobody listens.
        let world = world
            .reopened(|_| {
                rustix::process::kill_process(shim, rustix::process::Signal::KILL).unwrap();
            })
            .await;
        assert_eq!(world.status(&other).await.exit_code, 255);
        assert_eq!(world.pod_status(&second).await.state, PodSandboxState::NotReady as i32);
        world.remove_pod(&pod).await;
        world
    });
}

fn after_another_boot_everything_has_ended() {
    with_own_world(async |world| {
        let pod = world.plain_pod("before").await;
        let runs = world.launch(&pod, shell("runs", "sleep 100")).await;
        let ended = world.launch(&pod, shell("ended", "exit 9")).await;
        world.ended(&ended).await;
        let world = world
            .reopened(|base| {
                // A boot takes processes, mounts, links and the run directory.
                let shim = shim_pid(base, &pod);
                rustix::process::kill_process(shim, rustix::process::Signal::KILL).unwrap();
                podo_runtime::purge(&base.join("run/sandboxes"), &pod).unwrap();
            })
            .await;
        let status = world.status(&ended).await;
        assert_eq!((status.exit_code, status.reason.as_str()), (9, "Error"));
        let status = world.status(&runs).await;
        assert_eq!((status.exit_code, status.reason.as_str()), (255, "Unknown"));
        assert_eq!(status.labels, map(&[("container", "runs")]));
        assert_eq!(world.pod_status(&pod).await.state, PodSandboxState::NotReady as i32);
        assert!(world.cri.network().endpoints().is_empty());
        world.remove_pod(&pod).await;
        let pod = world.plain_pod("before").await;
        world.launch(&pod, shell("runs", "sleep 100")).await;
        world
    });
}

/// The other process of the next test: makes and removes Pods until it is killed. Tells each that is whole.
pub(crate) fn node_to_be_killed(args: &[String]) -> ExitCode {
    let [base, name] = args else { return ExitCode::FAILURE };
    block_on(async {
        let cri = PodoCri::open(config(Path::new(base), name)).await.unwrap();
        let base = tempfile::tempdir_in(base).unwrap();
        let world = World { base, name: name.clone(), cri };
        for round in 0_u64.. {
            let pod = world.plain_pod(&format!("p{}-{round}", std::process::id())).await;
            world.launch(&pod, shell("c", "sleep 100")).await;
            println!("{pod}");
            if round % 2 == 1 {
                world.remove_pod(&pod).await;
                println!("-{pod}");
            }
        }
    });
    ExitCode::SUCCESS
}

/// So many microseconds.
fn pause(micros: u64) {
    let length = std::time::Duration::from_micros(micros);
    let length = rustix::event::Timespec::try_from(length).unwrap();
    let _ = rustix::event::poll(&mut [], Some(&length));
}

fn kill_9_at_any_moment() {
    const ROUNDS: u64 = 6;
    with_own_world(async |world| {
        let mut world = world;
        let mut repaired_count = 0;
        for round in 0..ROUNDS {
            let name = world.name.clone();
            let mut alive: Vec<String> = Vec::new();
            world = world
                .reopened(|base| {
                    let mut node = Command::new(std::env::current_exe().unwrap())
                        .args(["node-to-be-killed", base.to_str().unwrap(), &name])
                        .stdout(Stdio::piped())
                        .spawn()
                        .unwrap();
                    // Somewhere in its work: after a Pod, and then a few milliseconds that differ from round to round.
                    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(
                        node.stdout.take().unwrap(),
                    ));
                    let first = lines.next().unwrap().unwrap();
                    pause(3_700 * (2 * round + 1));
                    node.kill().unwrap();
                    node.wait().unwrap();
                    let mut told = vec![first];
                    told.extend(lines.map_while(Result::ok));
                    alive = told.iter().filter(|line| !line.starts_with('-')).cloned().collect();
                    // The last one may be on its way out.
                    alive.retain(|pod| !told.contains(&format!("-{pod}")));
                    if alive.len() > 1 && told.len() % 3 == 2 {
                        alive.pop();
                    }
                })
                .await;
            repaired_count += usize::from(!world.cri.repaired().is_clean());
            assert_eq!(world.cri.repaired().leaks, 0);
            for pod in &alive {
                let status = world.pod_status(pod).await;
                assert_eq!(status.state, PodSandboxState::Ready as i32);
                let filter = ContainerFilter { pod_sandbox_id: pod.clone(), ..Default::default() };
                let request = ListContainersRequest { filter: Some(filter) };
                let containers = world.cri.list_containers(request).await.unwrap().containers;
                let [container] = containers.as_slice() else { panic!("{containers:?}") };
                assert_eq!(container.state, ContainerState::Running as i32);
                assert_eq!(world.exec(&container.id, "echo $HOSTNAME").await.1, 0);
            }
            // Everything that is left is whole: no more and no less than what is listed.
            let pods =
                world.cri.list_pod_sandbox(ListPodSandboxRequest::default()).await.unwrap().items;
            let ready =
                pods.iter().filter(|pod| pod.state == PodSandboxState::Ready as i32).count();
            assert_eq!(world.cri.network().endpoints().len(), ready);
            for pod in pods {
                world.remove_pod(&pod.id).await;
            }
        }
        println!("rounds in which something had to be taken away: {repaired_count} of {ROUNDS}");
        world
    });
}

fn verbs_after_shutdown_say_so() {
    with_own_world(async |world| {
        let pod = world.plain_pod("on").await;
        let id = world.launch(&pod, shell("c", "sleep 100")).await;
        let mut events = world.cri.container_events(GetEventsRequest {}).await.unwrap();
        let cri = Arc::clone(&world.cri);
        cri.shutdown().await;
        assert_eq!(events.next().await, None);
        assert_eq!(world.exec_error(&id).await.code(), Code::Unavailable);
        assert_eq!(world.run_pod(world.pod("new")).await.unwrap_err().code(), Code::Unavailable);
        drop(cri);
        let world = world.reopened(|_| {}).await;
        assert_eq!(world.status(&id).await.state, ContainerState::Running as i32);
        world
    });
}

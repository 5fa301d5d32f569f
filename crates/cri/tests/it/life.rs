//! Sandboxes and containers from their making to their removal.

use std::fs;
use std::path::Path;

use podo_cri::v1::*;
use podo_cri::{Code, Cri, Reason, RuntimeEvent};

use crate::Test;
use crate::harness::*;

pub(crate) const TESTS: &[Test] = &[
    ("a_pod_lives_with_two_containers_that_share_localhost", two_containers_share_localhost),
    ("events_tell_every_step_in_its_order", events_tell_every_step_in_its_order),
    ("lists_are_filtered", lists_are_filtered),
    ("stop_asks_first_and_kills_at_the_timeout", stop_asks_first_and_kills_at_the_timeout),
    ("want_of_memory_is_the_reason", want_of_memory_is_the_reason),
    ("a_program_that_is_not_there_is_a_start_error", a_missing_program_is_a_start_error),
    ("names_are_taken_once", names_are_taken_once),
    ("verbs_on_what_is_not_there_say_so", verbs_on_what_is_not_there_say_so),
    ("a_failed_sandbox_leaves_nothing", a_failed_sandbox_leaves_nothing),
    ("a_failed_container_leaves_nothing", a_failed_container_leaves_nothing),
    ("limits_can_be_changed", limits_can_be_changed),
    ("stats_are_those_of_the_cgroups", stats_are_those_of_the_cgroups),
    ("a_killed_sandbox_is_not_ready", a_killed_sandbox_is_not_ready),
];

fn two_containers_share_localhost() {
    with_world(async |world| {
        let pod = world.plain_pod("web").await;
        let status = world.pod_status(&pod).await;
        assert_eq!(status.state, PodSandboxState::Ready as i32);
        assert!(status.network.unwrap().ip.starts_with("10.42.7."));
        assert_eq!(status.annotations, map(&[("note", "kept")]));

        let server =
            world.launch(&pod, shell("server", "nc -l -p 8080 -e echo hello; echo served")).await;
        let client = "until nc 127.0.0.1 8080; do usleep 5000; done; hostname; cat /etc/hostname; \
                      cat /etc/resolv.conf; echo \"$FROM_IMAGE $HOSTNAME\"; df /dev/shm | tail -1";
        let (end, log) = world.run(&pod, shell("client", client)).await;
        assert_eq!((end.exit_code, end.reason.as_str()), (0, "Completed"));
        let lines: Vec<&str> = log.lines().collect();
        let expected = [
            "hello",
            "web",
            "web",
            "search default.svc.cluster.local cluster.local",
            "nameserver 10.43.0.10",
            "options ndots:5",
            "yes web",
        ];
        assert_eq!(lines[..7], expected, "{log}");
        assert!(lines[7].contains("65536") && lines[7].ends_with("/dev/shm"), "{log}");
        let served = world.ended(&server).await;
        assert_eq!(log_content(Path::new(&served.log_path)), "served\n");
        assert!(end.created_at < end.started_at && end.started_at < end.finished_at);
        assert_eq!(end.image.unwrap().image, IMAGE);
        assert!(end.image_id.starts_with("sha256:"));
        assert_eq!(end.user.unwrap().linux.unwrap().uid, 0);

        let raw = fs::read_to_string(&end.log_path).unwrap();
        let mut fields = raw.lines().next().unwrap().splitn(4, ' ');
        let (time, stream) = (fields.next().unwrap(), fields.next());
        assert!(time.ends_with('Z') && time.contains('T'), "{raw}");
        assert_eq!(
            (stream, fields.next(), fields.next()),
            (Some("stdout"), Some("F"), Some("hello"))
        );
        world.remove(&server).await;
        assert!(Path::new(&served.log_path).exists(), "the log is the caller's");
    });
}

fn events_tell_every_step_in_its_order() {
    with_world(async |world| {
        let mut events = world.cri.container_events(GetEventsRequest {}).await.unwrap();
        let pod = world.plain_pod("told").await;
        let container = world.launch(&pod, shell("quick", "exit 3")).await;
        world.ended(&container).await;
        world.remove(&container).await;
        world.remove_pod(&pod).await;
        let mut seen = Vec::new();
        while seen.len() < 8 {
            let next = tokio::time::timeout(LIMIT, events.next()).await.expect("an event");
            let Some(RuntimeEvent::Event(event)) = next else { panic!("{next:?}") };
            let who = if event.container_id == pod { "pod" } else { "container" };
            let kind = ContainerEventType::try_from(event.container_event_type).unwrap();
            seen.push(format!("{who} {kind:?}"));
            if who == "container" && kind == ContainerEventType::Stopped {
                let [status] = event.containers_statuses.as_slice() else { panic!("{event:?}") };
                assert_eq!((status.exit_code, status.reason.as_str()), (3, "Error"));
            }
        }
        assert_eq!(
            seen,
            [
                "pod Created",
                "pod Started",
                "container Created",
                "container Started",
                "container Stopped",
                "container Deleted",
                "pod Stopped",
                "pod Deleted",
            ]
        );
    });
}

fn lists_are_filtered() {
    with_world(async |world| {
        let (a, b) = (world.plain_pod("a").await, world.plain_pod("b").await);
        let one = world.launch(&a, shell("one", "sleep 100")).await;
        let two = world.create(&b, shell("two", "sleep 100")).await.unwrap();
        let list = async |filter: ContainerFilter| {
            let request = ListContainersRequest { filter: Some(filter) };
            let listed = world.cri.list_containers(request).await.unwrap().containers;
            let mut ids: Vec<String> = listed.into_iter().map(|container| container.id).collect();
            ids.sort();
            ids
        };
        let mut both = vec![one.clone(), two.clone()];
        both.sort();
        assert_eq!(list(ContainerFilter::default()).await, both);
        let of_a = ContainerFilter { pod_sandbox_id: a.clone(), ..Default::default() };
        assert_eq!(list(of_a).await, [one.as_str()]);
        let state = Some(ContainerStateValue { state: ContainerState::Created as i32 });
        assert_eq!(list(ContainerFilter { state, ..Default::default() }).await, [two.as_str()]);
        let label_selector = map(&[("container", "two")]);
        let labelled = ContainerFilter { label_selector, ..Default::default() };
        assert_eq!(list(labelled).await, [two]);
        let filter =
            PodSandboxFilter { label_selector: map(&[("app", "a")]), ..Default::default() };
        let request = ListPodSandboxRequest { filter: Some(filter) };
        let items = world.cri.list_pod_sandbox(request).await.unwrap().items;
        assert_eq!(items.iter().map(|item| item.id.as_str()).collect::<Vec<_>>(), [a.as_str()]);
        assert_eq!(items[0].labels, map(&[("app", "a")]));
    });
}

fn stop_asks_first_and_kills_at_the_timeout() {
    with_world(async |world| {
        let pod = world.plain_pod("stop").await;
        let polite = "trap 'echo bye; exit 7' TERM; echo up; while :; do usleep 10000; done";
        let mut by_signal =
            shell("usr1", "trap 'exit 8' USR1; echo up; while :; do usleep 10000; done");
        by_signal.stop_signal = Signal::Usr1 as i32;
        let deaf = "trap '' TERM; echo up; while :; do usleep 10000; done";
        for (config, timeout, expected) in [
            (shell("polite", polite), 20, (7, "Error")),
            (by_signal, 20, (8, "Error")),
            (shell("deaf", deaf), 1, (137, "Error")),
            (shell("now", polite), 0, (137, "Error")),
        ] {
            let id = world.launch(&pod, config).await;
            let log = world.status(&id).await.log_path;
            let look = async || log_content(Path::new(&log));
            eventually("it is up", look, |log| log.contains("up")).await;
            let began = std::time::Instant::now();
            world.stop(&id, timeout).await;
            assert!(began.elapsed().as_secs() < 10, "waited for its end, not for the timeout");
            let status = world.status(&id).await;
            assert_eq!((status.exit_code, status.reason.as_str()), expected);
            world.stop(&id, timeout).await; // Again is fine.
        }
    });
}

fn want_of_memory_is_the_reason() {
    with_world(async |world| {
        let pod = world.plain_pod("oom").await;
        let mut hungry = shell("hungry", "exec tail /dev/zero");
        hungry.linux.as_mut().unwrap().resources = Some(LinuxContainerResources {
            memory_limit_in_bytes: 16 << 20,
            memory_swap_limit_in_bytes: 16 << 20,
            ..Default::default()
        });
        let (status, _) = world.run(&pod, hungry).await;
        assert_eq!((status.exit_code, status.reason.as_str()), (137, "OOMKilled"));
    });
}

fn a_missing_program_is_a_start_error() {
    with_world(async |world| {
        let pod = world.plain_pod("gone").await;
        for (name, program, code, text) in [
            (
                "a",
                "nothing-here",
                127,
                "exec: \"nothing-here\": executable file not found in $PATH",
            ),
            ("b", "/etc/text", 126, "permission denied"),
        ] {
            let mut config = container(name, &[]);
            config.command = vec![program.into()];
            let id = world.create(&pod, config).await.unwrap();
            let error = world.start(&id).await.unwrap_err();
            assert_eq!(error.reason(), Reason::StartError { exit_code: code }, "{error}");
            assert!(error.message().contains(text), "{error}");
            let status = world.status(&id).await;
            assert_eq!(status.state, ContainerState::Exited as i32);
            assert_eq!((status.exit_code, status.reason.as_str()), (128, "StartError"));
            assert!(status.message.contains(text), "{}", status.message);
            let again = world.start(&id).await.unwrap_err();
            assert_eq!(again.code(), Code::FailedPrecondition);
        }
    });
}

fn names_are_taken_once() {
    with_world(async |world| {
        let pod = world.plain_pod("one").await;
        let twice = world.run_pod(world.pod("one")).await.unwrap_err();
        assert_eq!(twice.code(), Code::AlreadyExists);
        let id = world.create(&pod, shell("c", "true")).await.unwrap();
        let twice = world.create(&pod, shell("c", "true")).await.unwrap_err();
        assert_eq!(twice.code(), Code::AlreadyExists);
        let mut next = shell("c", "true");
        next.metadata.as_mut().unwrap().attempt = 1;
        world.create(&pod, next).await.unwrap();
        world.remove(&id).await;
        world.create(&pod, shell("c", "true")).await.unwrap();
        world.remove_pod(&pod).await;
        world.plain_pod("one").await;
    });
}

fn verbs_on_what_is_not_there_say_so() {
    with_world(async |world| {
        let id = "no-such-thing".to_owned();
        let status = ContainerStatusRequest { container_id: id.clone(), verbose: false };
        assert!(world.cri.container_status(status).await.unwrap_err().is_not_found());
        let status = PodSandboxStatusRequest { pod_sandbox_id: id.clone(), verbose: false };
        assert!(world.cri.pod_sandbox_status(status).await.unwrap_err().is_not_found());
        assert!(world.start(&id).await.unwrap_err().is_not_found());
        world.stop(&id, 1).await;
        world.remove(&id).await;
        world.remove_pod(&id).await;
        let pod = world.plain_pod("there").await;
        let mut config = shell("c", "true");
        config.image = Some(ImageSpec { image: "missing:1".into(), ..Default::default() });
        let error = world.create(&pod, config).await.unwrap_err();
        assert!(error.is_not_found(), "{error}");
        let mut privileged = shell("p", "true");
        security(&mut privileged).privileged = true;
        let error = world.create(&pod, privileged).await.unwrap_err();
        assert_eq!(error.message(), "no privileged container allowed in sandbox");
        let request = RunPodSandboxRequest {
            config: Some(world.pod("other")),
            runtime_handler: "kata".into(),
        };
        let error = world.cri.run_pod_sandbox(request).await.unwrap_err();
        assert_eq!(error.message(), "no runtime for \"kata\" is configured");
    });
}

fn a_failed_sandbox_leaves_nothing() {
    with_world(async |world| {
        let mut bad = world.pod("bad");
        let sysctls = map(&[("net.ipv4.no_such_setting", "1")]);
        bad.linux.as_mut().unwrap().sysctls = sysctls;
        world.run_pod(bad).await.unwrap_err();
        let mut first = world.pod("first");
        let port = |host_port| PortMapping { container_port: 80, host_port, ..Default::default() };
        first.port_mappings = vec![port(18_080)];
        let first = world.run_pod(first).await.unwrap();
        let mut second = world.pod("second");
        second.port_mappings = vec![port(18_081), port(18_080)];
        let error = world.run_pod(second.clone()).await.unwrap_err();
        assert_eq!(error.code(), Code::AlreadyExists, "{error}");
        assert!(error.message().contains("18080"), "{error}");
        world.remove_pod(&first).await;
        world.cri.network().settle().unwrap();
        assert_no_pods_left(world);
        let second = world.run_pod(second).await.unwrap();
        world.remove_pod(&second).await;
    });
}

#[track_caller]
fn assert_no_pods_left(world: &World) {
    assert!(world.cri.network().endpoints().is_empty());
    for place in ["run/sandboxes", "run/netns", "data/cri/sandboxes", "data/cri/containers"] {
        let left: Vec<_> = fs::read_dir(world.base.path().join(place)).unwrap().collect();
        assert!(left.is_empty(), "{place}: {left:?}");
    }
    assert!(world.cri.images().rootfs_list().unwrap().is_empty());
}

fn a_failed_container_leaves_nothing() {
    with_world(async |world| {
        let pod = world.plain_pod("bad").await;
        let mut config = shell("c", "true");
        config.mounts = vec![
            Mount {
                container_path: "/image".into(),
                image: Some(ImageSpec { image: IMAGE.into(), ..Default::default() }),
                ..Default::default()
            },
            Mount {
                container_path: "relative".into(),
                host_path: "/".into(),
                ..Default::default()
            },
        ];
        world.create(&pod, config).await.unwrap_err();
        assert!(world.cri.images().rootfs_list().unwrap().is_empty());
        let places =
            ["data/cri/containers", "run/volumes"].map(|place| world.base.path().join(place));
        for place in places {
            assert_eq!(fs::read_dir(&place).unwrap().count(), 0, "{}", place.display());
        }
        world.create(&pod, shell("c", "true")).await.unwrap();
    });
}

fn limits_can_be_changed() {
    with_world(async |world| {
        let pod = world.plain_pod("limits").await;
        let mut config = shell("c", "sleep 100");
        config.linux.as_mut().unwrap().resources = Some(LinuxContainerResources {
            memory_limit_in_bytes: 64 << 20,
            cpu_shares: 512,
            ..Default::default()
        });
        let id = world.launch(&pod, config).await;
        let linux = Some(LinuxContainerResources {
            memory_limit_in_bytes: 128 << 20,
            ..Default::default()
        });
        let request = UpdateContainerResourcesRequest {
            container_id: id.clone(),
            linux,
            ..Default::default()
        };
        world.cri.update_container_resources(request).await.unwrap();
        let shown = world.status(&id).await.resources.unwrap().linux.unwrap();
        assert_eq!((shown.memory_limit_in_bytes, shown.cpu_shares), (128 << 20, 512));
        let request = ContainerStatsRequest { container_id: id };
        let stats = world.cri.container_stats(request).await.unwrap().stats.unwrap();
        let memory = stats.memory.unwrap();
        let limit = memory.available_bytes.unwrap().value + memory.working_set_bytes.unwrap().value;
        assert_eq!(limit, 128 << 20);
        let resources = Some(LinuxContainerResources {
            memory_limit_in_bytes: 256 << 20,
            ..Default::default()
        });
        let request = UpdatePodSandboxResourcesRequest {
            pod_sandbox_id: pod.clone(),
            resources,
            ..Default::default()
        };
        world.cri.update_pod_sandbox_resources(request).await.unwrap();
    });
}

fn stats_are_those_of_the_cgroups() {
    with_world(async |world| {
        let pod = world.plain_pod("busy").await;
        let script = "dd if=/dev/zero of=/tmp/file bs=1024 count=512 2>/dev/null; \
                      i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo worked; sleep 100";
        let id = world.launch(&pod, shell("c", script)).await;
        let log = world.status(&id).await.log_path;
        let look = async || log_content(Path::new(&log));
        eventually("it has worked", look, |log| log.contains("worked")).await;
        let request = ContainerStatsRequest { container_id: id.clone() };
        let stats = world.cri.container_stats(request).await.unwrap().stats.unwrap();
        assert!(stats.cpu.unwrap().usage_core_nano_seconds.unwrap().value > 1_000_000);
        assert!(stats.memory.unwrap().usage_bytes.unwrap().value > 0);
        assert!(stats.writable_layer.unwrap().used_bytes.unwrap().value >= 512 << 10);
        assert_eq!(stats.attributes.unwrap().labels, map(&[("container", "c")]));
        let request = PodSandboxStatsRequest { pod_sandbox_id: pod };
        let stats = world.cri.pod_sandbox_stats(request).await.unwrap().stats.unwrap();
        let linux = stats.linux.unwrap();
        assert_eq!(linux.containers.len(), 1);
        assert!(linux.process.unwrap().process_count.unwrap().value >= 2);
        let interface = linux.network.unwrap().default_interface.unwrap();
        assert_eq!(interface.name, "eth0");
        assert!(interface.rx_bytes.is_some() && interface.tx_bytes.is_some());
        let listed = world
            .cri
            .list_container_stats(ListContainerStatsRequest::default())
            .await
            .unwrap()
            .stats;
        assert_eq!(listed.len(), 1);
    });
}

fn a_killed_sandbox_is_not_ready() {
    with_world(async |world| {
        let mut config = world.pod("victim");
        let context = config.linux.as_mut().unwrap().security_context.as_mut().unwrap();
        context.namespace_options.as_mut().unwrap().pid = NamespaceMode::Pod as i32;
        let pod = world.run_pod(config).await.unwrap();
        let id = world.launch(&pod, shell("c", "sleep 100")).await;
        let state = podo_runtime::list(&world.base.path().join("run/sandboxes")).unwrap();
        let pause = state[0].state.as_ref().unwrap().record.pause_pid;
        let pause = rustix::process::Pid::from_raw(pause).unwrap();
        rustix::process::kill_process(pause, rustix::process::Signal::KILL).unwrap();
        assert_eq!(world.ended(&id).await.exit_code, 137);
        let look = async || world.pod_status(&pod).await.state;
        eventually("not ready", look, |state| *state == PodSandboxState::NotReady as i32).await;
        let error = world.create(&pod, shell("d", "true")).await.unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition);
    });
}

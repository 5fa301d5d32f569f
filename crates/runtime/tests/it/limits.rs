//! Limits: processor, memory, processes; how want of memory shows; statistics; changing them.

use std::time::Duration;

use podo_runtime::Resources;
use podo_runtime::cgroup::{Cgroup, Layout};
use podo_runtime::wire::Event;

use crate::Test;
use crate::harness::*;

pub(crate) const TESTS: &[Test] = &[
    ("s28_processor_time_is_limited", s28_processor_time_is_limited),
    ("s28_memory_is_limited_and_its_want_is_told", s28_memory_is_limited_and_its_want_is_told),
    ("a_child_killed_for_memory_is_an_event", a_child_killed_for_memory_is_an_event),
    (
        "the_limit_of_the_group_holds_for_its_containers",
        the_limit_of_the_group_holds_for_its_containers,
    ),
    ("processes_are_limited", processes_are_limited),
    ("limits_can_be_changed_and_use_is_told", limits_can_be_changed_and_use_is_told),
    ("containers_can_be_frozen", containers_can_be_frozen),
    (
        "cgroups_made_at_once_below_a_new_one_take_processes",
        cgroups_made_at_once_below_a_new_one_take_processes,
    ),
];

const HOG: &str = "dd if=/dev/zero of=/dev/null bs=200M count=1";

fn s28_processor_time_is_limited() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut spec = world.shell("a", "while :; do :; done");
    spec.resources = Resources {
        cpu_quota_us: Some(20_000),
        cpu_period_us: Some(100_000),
        ..Resources::default()
    };
    start(&sandbox, &spec);
    let used = || sandbox.stats(Some("a")).unwrap().cpu_usage_ns;
    let before = (
        std::time::Instant::now(),
        eventually("it uses the processor", used, |used| *used > 20_000_000),
    );
    pause(Duration::from_millis(1000));
    let thousandths = u128::from(used() - before.1) * 1000 / before.0.elapsed().as_nanos();
    assert!(
        (80..320).contains(&thousandths),
        "a fifth of a processor was allowed, {thousandths}/1000 used"
    );
}

fn s28_memory_is_limited_and_its_want_is_told() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut events = sandbox.events().unwrap();
    let mut spec =
        world.container("a", &["dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"]);
    spec.resources = Resources {
        memory_limit_bytes: Some(32 << 20),
        memory_swap_bytes: Some(32 << 20),
        ..Resources::default()
    };
    let exit = run(&sandbox, &spec);
    assert_eq!((exit.exit_code, exit.signal), (137, Some(libc::SIGKILL)));
    assert!(exit.is_oom_killed(), "{exit:?}");
    let first = events.next_event(LIMIT).unwrap().unwrap();
    assert!(
        matches!(&first, Event::OutOfMemory { container, kills } if container == "a" && *kills > 0),
        "{first:?}"
    );
    assert!(matches!(events.next_event(LIMIT).unwrap(), Some(Event::ContainerExited { .. })));
}

fn a_child_killed_for_memory_is_an_event() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut events = sandbox.events().unwrap();
    let mut spec = world.shell("a", &format!("{HOG}; echo survived $?; sleep 100"));
    spec.resources.memory_limit_bytes = Some(32 << 20);
    start(&sandbox, &spec);
    let first = events.next_event(LIMIT).unwrap();
    assert!(matches!(first, Some(Event::OutOfMemory { .. })), "{first:?}");
    eventually("the shell goes on", || world.log("a"), |text| text.contains("survived 137"));
    sandbox.kill("a", libc::SIGKILL).unwrap();
    assert_eq!(sandbox.wait("a", LIMIT).unwrap().oom_kills, 1);
}

fn the_limit_of_the_group_holds_for_its_containers() {
    let world = World::new();
    let mut spec = world.sandbox_spec("s1");
    spec.resources.memory_limit_bytes = Some(48 << 20);
    let sandbox = world.launcher.create(&spec).unwrap();
    let exit = run(&sandbox, &world.shell("a", HOG));
    assert!(exit.exit_code == 137 && exit.is_oom_killed(), "{exit:?}");
}

fn processes_are_limited() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut spec = world.shell("a", "for i in 1 2 3 4 5 6 7 8; do sleep 100 & done; echo all");
    spec.resources.pids_limit = Some(5);
    let exit = run(&sandbox, &spec);
    assert!(
        exit.exit_code != 0 && world.log("a").contains("can't fork"),
        "{exit:?} {}",
        world.log("a")
    );
}

fn limits_can_be_changed_and_use_is_told() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut spec = world.shell("a", "sleep 100 & sleep 100");
    spec.resources = Resources {
        memory_limit_bytes: Some(64 << 20),
        cpu_shares: Some(512),
        ..Resources::default()
    };
    start(&sandbox, &spec);
    let stats = eventually(
        "both run",
        || sandbox.stats(Some("a")).unwrap(),
        |stats| stats.pids == 3 || stats.pids == 2,
    );
    assert_eq!(stats.memory_limit_bytes, Some(64 << 20));
    assert!(
        stats.memory_usage_bytes > 0 && stats.memory_working_set_bytes <= stats.memory_usage_bytes
    );
    for limit in [16_i64 << 20, 256 << 20] {
        let change = Resources {
            memory_limit_bytes: Some(limit),
            memory_swap_bytes: Some(limit),
            ..Resources::default()
        };
        sandbox.update(Some("a"), &change).unwrap();
        assert_eq!(sandbox.stats(Some("a")).unwrap().memory_limit_bytes, u64::try_from(limit).ok());
    }
    let inside = exec(
        &sandbox,
        "a",
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null",
    )
    .0;
    assert_eq!(inside, format!("{}\n", 256 << 20), "programs inside see their limit");
    assert!(sandbox.stats(None).unwrap().memory_usage_bytes >= stats.memory_rss_bytes);
}

fn containers_can_be_frozen() {
    let world = World::new();
    let sandbox = world.sandbox();
    start(&sandbox, &world.shell("a", "while :; do :; done"));
    let used = || sandbox.stats(Some("a")).unwrap().cpu_usage_ns;
    eventually("it runs", used, |used| *used > 1_000_000);
    sandbox.freeze("a", true).unwrap();
    let frozen = eventually(
        "it stands still",
        || {
            (used(), {
                pause(Duration::from_millis(20));
                used()
            })
        },
        |(a, b)| a == b,
    )
    .0;
    sandbox.freeze("a", false).unwrap();
    eventually("it runs again", used, |used| *used > frozen);
    sandbox.freeze("a", true).unwrap();
    sandbox.remove_container("a").unwrap();
}

/// v1: a cpuset without processors takes no process, and neither does what is made in it, for ever.
fn cgroups_made_at_once_below_a_new_one_take_processes() {
    const ROUNDS: usize = 60;
    const MAKERS: usize = 8;
    let layout = Layout::detect().unwrap();
    // The root of a hierarchy of v1 has this file, that of v2 has not.
    let is_v1 = |mount: &&std::path::Path| mount.join("cpuset.cpus").exists();
    let Some(mount) = layout.mount_of("cpuset").filter(is_v1) else {
        return eprintln!("skipped: cpuset is no hierarchy of v1 here");
    };
    for round in 0..ROUNDS {
        let top = format!("podotest-{}-{round}", std::process::id());
        let paths: Vec<String> =
            (0..MAKERS).map(|index| format!("{top}/pods/best/pod{index}")).collect();
        let start = std::sync::Barrier::new(MAKERS);
        std::thread::scope(|scope| {
            for path in &paths {
                scope.spawn(|| {
                    start.wait();
                    Cgroup::new(&layout, path.as_str()).create().unwrap();
                });
            }
        });
        let read =
            |path: &String| std::fs::read_to_string(mount.join(path).join("cpuset.cpus")).unwrap();
        let found: Vec<String> = paths.iter().map(read).collect();
        let whole =
            paths.into_iter().chain([format!("{top}/pods/best"), format!("{top}/pods"), top]);
        for path in whole {
            Cgroup::new(&layout, path).remove().unwrap();
        }
        assert!(found.iter().all(|cpus| !cpus.trim().is_empty()), "round {round}: {found:?}");
    }
}

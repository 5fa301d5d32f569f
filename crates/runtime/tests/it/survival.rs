//! The server dies, the sandboxes live; the shim dies, nothing is left.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use podo_runtime::{Health, Launcher, NetworkMode, Phase, list, purge};

use crate::Test;
use crate::harness::*;

pub(crate) const TESTS: &[Test] = &[
    ("sandboxes_outlive_their_server", sandboxes_outlive_their_server),
    ("an_exit_is_recorded_while_nobody_listens", an_exit_is_recorded_while_nobody_listens),
    ("a_dead_shim_takes_its_processes_along", a_dead_shim_takes_its_processes_along),
    ("another_boot_is_seen", another_boot_is_seen),
    ("a_half_made_sandbox_is_found_and_cleared", a_half_made_sandbox_is_found_and_cleared),
    ("run_directories_are_private", run_directories_are_private),
    ("long_run_directories_work", long_run_directories_work),
    ("nonsense_on_the_socket_hurts_nobody", nonsense_on_the_socket_hurts_nobody),
    ("shim_and_pause_are_small", shim_and_pause_are_small),
];

/// The other process of the next test: makes a sandbox with two containers and waits to be killed.
pub(crate) fn server_to_be_killed(args: &[String]) -> ExitCode {
    let [run_dir, spec, a, b] = args else { return ExitCode::FAILURE };
    let launcher = Launcher::new(Path::new("/proc/self/exe"), run_dir).unwrap();
    let sandbox = launcher.create(&serde_json::from_str(spec).unwrap()).unwrap();
    for container in [a, b] {
        let container: podo_runtime::ContainerSpec = serde_json::from_str(container).unwrap();
        start(&sandbox, &container);
    }
    println!("ready");
    loop {
        pause(LIMIT);
    }
}

fn sandboxes_outlive_their_server() {
    let world = World::new();
    let spec = serde_json::to_string(&world.sandbox_spec("s1")).unwrap();
    let a = serde_json::to_string(&world.shell("a", "sleep 100")).unwrap();
    let b = serde_json::to_string(
        &world.shell("b", "while [ ! -e /dev/shm/end ]; do usleep 1000; done; echo done; exit 9"),
    )
    .unwrap();
    let mut server = Command::new("/proc/self/exe")
        .args(["server-to-be-killed", world.run_dir().to_str().unwrap(), &spec, &a, &b])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(server.stdout.as_mut().unwrap(), &mut ready).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    fs::write(world.run_dir().join("s1/shm/end"), "").unwrap();
    eventually(
        "b ends while no server is there",
        || world.run_dir().join("s1/b.exit").exists(),
        |is_there| *is_there,
    );

    let mut found = list(&world.run_dir()).unwrap();
    assert_eq!(found.len(), 1);
    let found = found.remove(0);
    let phases: Vec<(String, Phase)> = found
        .state
        .unwrap()
        .containers
        .iter()
        .map(|c| (c.created.spec.id.clone(), c.phase()))
        .collect();
    assert_eq!(phases, [("a".into(), Phase::Running), ("b".into(), Phase::Exited)]);
    let Health::Alive(sandbox) = found.health else { panic!("{:?}", found.health) };
    assert_eq!(sandbox.wait("b", LIMIT).unwrap().exit_code, 9);
    assert_eq!(world.log("b"), "done\n");
    assert_eq!(exec(&sandbox, "a", "echo still here").0, "still here\n");
    world.launcher.remove(*sandbox).unwrap();
    assert!(list(&world.run_dir()).unwrap().is_empty());
}

fn an_exit_is_recorded_while_nobody_listens() {
    let world = World::new();
    let sandbox = world.sandbox();
    start(&sandbox, &world.shell("a", "exit 11"));
    drop(sandbox);
    eventually("the record", || world.run_dir().join("s1/a.exit").exists(), |is_there| *is_there);
    let state = list(&world.run_dir()).unwrap().remove(0).state.unwrap();
    let exit = state.containers[0].exited.clone().unwrap();
    assert!(
        exit.exit_code == 11
            && exit.finished_at_ns > state.containers[0].started.as_ref().unwrap().started_at_ns
    );
}

fn a_dead_shim_takes_its_processes_along() {
    let world = World::new();
    let pin = world.base.join("netns");
    let mut spec = world.sandbox_spec("s1");
    spec.network = NetworkMode::Pinned(pin.clone());
    let sandbox = world.launcher.create(&spec).unwrap();
    let mut user = world.shell("a", "sleep 100 & sleep 100");
    user.process.user.user = "www".into();
    let pid = start(&sandbox, &user);
    let record = sandbox.state().unwrap().record;
    let shim = rustix::process::Pid::from_raw(record.shim_pid).unwrap();
    rustix::process::kill_process(shim, rustix::process::Signal::KILL).unwrap();
    for pid in [pid, record.pause_pid] {
        let state = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        eventually("it ends with the shim", state, |stat| stat.is_empty() || stat.contains(") Z"));
    }
    assert!(matches!(sandbox.state(), Err(podo_runtime::RuntimeError::ShimGone { .. })));
    let found = list(&world.run_dir()).unwrap().remove(0);
    assert!(matches!(found.health, Health::ShimGone), "{:?}", found.health);
    assert!(
        found.state.unwrap().containers[0].exited.is_none(),
        "an exit that nobody saw is not made up"
    );
    purge(&world.run_dir(), "s1").unwrap();
    assert!(!pin.exists() && list(&world.run_dir()).unwrap().is_empty());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&world.group), "{mounts}");
}

fn another_boot_is_seen() {
    let world = World::new();
    let sandbox = world.sandbox();
    sandbox.stop().unwrap();
    let file = world.run_dir().join("s1/sandbox.json");
    let text = fs::read_to_string(&file).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    fs::write(&file, text.replace(boot.trim(), "00000000-0000-0000-0000-000000000000")).unwrap();
    let found = list(&world.run_dir()).unwrap().remove(0);
    assert!(matches!(found.health, Health::OtherBoot));
    fs::write(&file, text).unwrap();
    assert!(matches!(list(&world.run_dir()).unwrap().remove(0).health, Health::Alive(_)));
}

fn a_half_made_sandbox_is_found_and_cleared() {
    let world = World::new();
    let mut spec = world.sandbox_spec("s1");
    spec.network = NetworkMode::Pinned("/nonexistent/directory/netns".into());
    assert!(refusal(world.launcher.create(&spec)).starts_with("Mount: pin the network namespace"));
    assert!(list(&world.run_dir()).unwrap().is_empty(), "a failed try leaves nothing");
    let directory = world.run_dir().join("s2");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("shim.log"), "").unwrap();
    fs::write(
        directory.join("sandbox.want"),
        serde_json::to_string(&world.sandbox_spec("s2")).unwrap(),
    )
    .unwrap();
    assert!(matches!(list(&world.run_dir()).unwrap().remove(0).health, Health::Unfinished));
    purge(&world.run_dir(), "s2").unwrap();
    assert!(list(&world.run_dir()).unwrap().is_empty());
    // Whose maker was killed before it had a shim: at once, while it wrote what is wanted, and thereafter.
    for files in [&[][..], &[".sandbox.want.new"], &["sandbox.want"]] {
        fs::create_dir(&directory).unwrap();
        for file in files {
            let spec = world.sandbox_spec("s2");
            fs::write(directory.join(file), serde_json::to_string(&spec).unwrap()).unwrap();
        }
        assert_eq!(list(&world.run_dir()).unwrap().len(), 1, "{files:?}");
        purge(&world.run_dir(), "s2").unwrap();
        assert!(!directory.exists());
    }
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("other"), "").unwrap();
    assert!(list(&world.run_dir()).unwrap().is_empty(), "somebody else's");
}

fn run_directories_are_private() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mode = |path: &str| {
        std::os::unix::fs::MetadataExt::mode(&fs::metadata(world.run_dir().join(path)).unwrap())
            & 0o777
    };
    assert_eq!(
        (mode(""), mode("s1"), mode("s1/shim.sock"), mode("s1/sandbox.json")),
        (0o700, 0o700, 0o600, 0o600)
    );
    drop(sandbox);
    fs::set_permissions(world.run_dir(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let refused = world.launcher.create(&world.sandbox_spec("s2"));
    assert!(matches!(refused, Err(podo_runtime::RuntimeError::RunDirectory { .. })));
    let again = Launcher::new(Path::new("/proc/self/exe"), world.run_dir()).unwrap();
    fs::set_permissions(world.run_dir(), std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .unwrap();
    assert!(matches!(
        again.create(&world.sandbox_spec("s1")),
        Err(podo_runtime::RuntimeError::Exists { .. })
    ));
}

fn long_run_directories_work() {
    let world = World::new();
    let run_dir = world.base.join("x".repeat(100)).join("y".repeat(100));
    let launcher = Launcher::new(Path::new("/proc/self/exe"), &run_dir).unwrap();
    let sandbox = launcher.create(&world.sandbox_spec("s1")).unwrap();
    assert_eq!(run(&sandbox, &world.shell("a", "exit 3")).exit_code, 3);
    launcher.remove(sandbox).unwrap();
}

fn nonsense_on_the_socket_hurts_nobody() {
    let world = World::new();
    let sandbox = world.sandbox();
    for bytes in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[b'P', b'D', 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, b'{', b'x']]
    {
        let mut socket =
            std::os::unix::net::UnixStream::connect(world.run_dir().join("s1/shim.sock")).unwrap();
        std::io::Write::write_all(&mut socket, bytes).unwrap();
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let _ = std::io::Read::read_to_end(&mut socket, &mut Vec::new());
    }
    assert_eq!(run(&sandbox, &world.shell("a", "exit 3")).exit_code, 3);
}

/// Private dirty memory in KiB.
fn private_dirty_kib(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find(|line| line.starts_with("Private_Dirty:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn shim_and_pause_are_small() {
    let world = World::new();
    let sandbox = world.sandbox();
    start(&sandbox, &world.shell("a", "sleep 100"));
    let record = sandbox.state().unwrap().record;
    let (shim, pause) = (private_dirty_kib(record.shim_pid), private_dirty_kib(record.pause_pid));
    println!("private dirty memory: shim {shim} KiB, pause {pause} KiB");
    assert!(shim + pause < 1024, "shim {shim} KiB, pause {pause} KiB");
}

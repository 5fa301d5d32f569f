//! What containers share and what they do not; how they start, end and are removed.

use std::fs;
use std::path::Path;

use podo_runtime::{
    ContainerSpec, FaultKind, IdMap, Mount, MountKind, MountSource, NetworkMode, PidMode,
    ProcessSpec, Propagation, ReadOnly, Rootfs, RuntimeError, Sandbox, SandboxSpec, UserNamespace,
    UserSpec,
};

use crate::Test;
use crate::harness::*;

pub(crate) const TESTS: &[Test] = &[
    (
        "s02_containers_share_network_host_name_and_ipc",
        s02_containers_share_network_host_name_and_ipc,
    ),
    (
        "s03_containers_have_their_own_mounts_and_processes",
        s03_containers_have_their_own_mounts_and_processes,
    ),
    ("s04_the_pause_is_our_own_or_an_image_s", s04_the_pause_is_our_own_or_an_image_s),
    ("s05_volumes_are_shared_at_different_paths", s05_volumes_are_shared_at_different_paths),
    ("one_pid_namespace_can_be_shared", one_pid_namespace_can_be_shared),
    (
        "a_container_can_join_the_processes_of_another",
        a_container_can_join_the_processes_of_another,
    ),
    (
        "processes_are_shared_among_users_of_a_pod_s_own",
        processes_are_shared_among_users_of_a_pod_s_own,
    ),
    ("host_namespaces_can_be_used", host_namespaces_can_be_used),
    ("exit_codes_and_signals_are_told", exit_codes_and_signals_are_told),
    ("programs_that_cannot_run_say_why", programs_that_cannot_run_say_why),
    ("users_groups_and_homes_come_from_the_image", users_groups_and_homes_come_from_the_image),
    ("a_working_directory_is_made", a_working_directory_is_made),
    ("sysctls_are_set_in_the_sandbox_only", sysctls_are_set_in_the_sandbox_only),
    ("stopping_asks_first_and_kills_later", stopping_asks_first_and_kills_later),
    ("killing_the_pause_ends_the_sandbox", killing_the_pause_ends_the_sandbox),
    ("removing_leaves_nothing", removing_leaves_nothing),
    ("removing_takes_cgroups_that_a_container_made", removing_takes_cgroups_that_a_container_made),
    ("a_user_namespace_maps_ids", a_user_namespace_maps_ids),
    ("the_root_can_be_read_only", the_root_can_be_read_only),
];

fn namespace(pid: i32, kind: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap().display().to_string()
}

fn host(kind: &str) -> String {
    namespace(std::process::id().cast_signed(), kind)
}

fn s02_containers_share_network_host_name_and_ipc() {
    let world = World::new();
    let pin = world.base.join("netns");
    let mut spec = world.sandbox_spec("s1");
    spec.network = NetworkMode::Pinned(pin.clone());
    let sandbox = world.launcher.create(&spec).unwrap();
    let a = start(
        &sandbox,
        &world.shell("a", "echo shared >/dev/shm/note; nc -l -p 7000 -e echo hello"),
    );
    let b = start(&sandbox, &world.shell("b", "sleep 100"));
    for kind in ["net", "uts", "ipc"] {
        assert_eq!(namespace(a, kind), namespace(b, kind), "{kind}");
        assert_ne!(namespace(a, kind), host(kind), "{kind} is not the host's");
    }
    let pinned =
        format!("net:[{}]", std::os::unix::fs::MetadataExt::ino(&fs::metadata(&pin).unwrap()));
    assert_eq!(pinned, namespace(a, "net"), "the pinned file is the network namespace");
    assert!(sandbox.network().is_some());
    assert_eq!(exec(&sandbox, "b", "hostname").0, "podohost\n");
    assert_eq!(exec(&sandbox, "b", "hostname other").1, 1, "without CAP_SYS_ADMIN the name stays");
    let heard = eventually(
        "a port of a is reached from b",
        || exec(&sandbox, "b", "nc 127.0.0.1 7000").0,
        |text| text.contains("hello"),
    );
    assert_eq!(heard, "hello\n");
    assert_eq!(exec(&sandbox, "b", "cat /dev/shm/note").0, "shared\n");
    let (_, code) =
        exec(&sandbox, "b", "nc -l -p 7001 >/dev/null 2>&1 & usleep 100000; nc -l -p 7001");
    assert_ne!(code, 0, "a port is used once");
}

fn s03_containers_have_their_own_mounts_and_processes() {
    let world = World::new();
    let sandbox = world.sandbox();
    let a = start(&sandbox, &world.shell("a", "sleep 100"));
    let b = start(&sandbox, &world.shell("b", "sleep 100"));
    for kind in ["mnt", "pid", "cgroup"] {
        assert_ne!(namespace(a, kind), namespace(b, kind), "{kind}");
        assert_ne!(namespace(a, kind), host(kind), "{kind} is not the host's");
    }
    exec(&sandbox, "a", "echo mine >/file");
    assert_eq!(exec(&sandbox, "b", "cat /file").1, 1);
    let seen = exec(&sandbox, "a", "ls -d /proc/[0-9]* | wc -l").0;
    assert!(seen.trim().parse::<u32>().unwrap() <= 4, "only its own processes: {seen}");
    let mounts = exec(&sandbox, "a", "cat /proc/mounts").0;
    let base = world.base.display().to_string();
    let foreign: Vec<&str> = mounts
        .lines()
        .filter(|line| !line.starts_with("overlay") && line.contains(&base))
        .collect();
    assert!(foreign.is_empty(), "none of the host's mounts: {foreign:?}");
    assert_eq!(
        exec(&sandbox, "a", "cat /proc/self/cgroup | grep -v ':/$' | wc -l").0,
        "0\n",
        "its cgroup is the root"
    );
}

fn s04_the_pause_is_our_own_or_an_image_s() {
    let world = World::new();
    let own = world.sandbox();
    let pid = own.state().unwrap().record.pause_pid;
    assert_eq!(fs::read(format!("/proc/{pid}/cmdline")).unwrap(), b"podo\0pause\0");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("CapEff:\t0000000000000000"), "the pause has no powers");
    let mut spec = world.sandbox_spec("image");
    let rootfs = world.rootfs("pause");
    let process =
        ProcessSpec { args: vec!["/bin/sleep".into(), "1000".into()], ..ProcessSpec::default() };
    spec.pause = Some(podo_runtime::PauseImage { rootfs, process });
    let sandbox = world.launcher.create(&spec).unwrap();
    let pid = sandbox.state().unwrap().record.pause_pid;
    assert_eq!(fs::read(format!("/proc/{pid}/cmdline")).unwrap(), b"/bin/sleep\x001000\0");
    assert_eq!(output(&world, &sandbox, "echo works"), "works\n");
}

fn bind(source: &Path, destination: &str, read_only: ReadOnly) -> Mount {
    let kind = MountKind::Bind {
        source: MountSource::Path(source.to_owned()),
        propagation: Propagation::Private,
        idmap: false,
    };
    Mount { destination: destination.into(), kind, read_only }
}

fn s05_volumes_are_shared_at_different_paths() {
    let world = World::new();
    let sandbox = world.sandbox();
    let (volume, hosts) = (world.base.join("volume"), world.base.join("hosts"));
    fs::create_dir(&volume).unwrap();
    fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
    let mut writer = world.shell("writer", "echo data >/data/deep/file; sleep 100");
    writer.mounts =
        vec![bind(&volume, "/data/deep", ReadOnly::No), bind(&hosts, "/etc/hosts", ReadOnly::Top)];
    writer.mounts.push(bind(&hosts, "/dev/termination-log", ReadOnly::No));
    writer.mounts.push(Mount {
        destination: "/cache".into(),
        kind: MountKind::Tmpfs { size_bytes: 4096, mode: 0o1777 },
        read_only: ReadOnly::No,
    });
    let mut reader = world.shell("reader", "sleep 100");
    reader.mounts = vec![bind(&volume, "/mnt", ReadOnly::Recursive)];
    start(&sandbox, &writer);
    start(&sandbox, &reader);
    eventually(
        "the file is seen",
        || exec(&sandbox, "reader", "cat /mnt/file").0,
        |text| text == "data\n",
    );
    let (text, code) = exec(&sandbox, "reader", "echo x >/mnt/file");
    assert!(code != 0 && text.contains("Read-only file system"), "{text}");
    assert_eq!(exec(&sandbox, "writer", "cat /etc/hosts").0, "127.0.0.1 localhost\n");
    assert_ne!(exec(&sandbox, "writer", "echo x >/etc/hosts").1, 0);
    assert_eq!(exec(&sandbox, "writer", "echo bye >/dev/termination-log").1, 0);
    assert_eq!(fs::read_to_string(&hosts).unwrap(), "bye\n");
    assert_ne!(
        exec(&sandbox, "writer", "dd if=/dev/zero of=/cache/x bs=1k count=64").1,
        0,
        "its size is bounded"
    );
    assert_eq!(exec(&sandbox, "writer", "stat -c %a /cache").0, "1777\n");
}

fn one_pid_namespace_can_be_shared() {
    let world = World::new();
    let spec = SandboxSpec { pid: PidMode::Sandbox, ..world.sandbox_spec("s1") };
    let sandbox = world.launcher.create(&spec).unwrap();
    let a = start(&sandbox, &world.shell("a", "sleep 1234 & sleep 100"));
    let b = start(&sandbox, &world.shell("b", "sleep 100"));
    assert_eq!(namespace(a, "pid"), namespace(b, "pid"));
    let seen =
        eventually("b sees a", || exec(&sandbox, "b", "ps").0, |text| text.contains("sleep 1234"));
    assert!(seen.contains("1 0         0:00 podo pause") || seen.contains("podo pause"), "{seen}");
    sandbox.kill("a", libc::SIGKILL).unwrap();
    assert_eq!(sandbox.wait("a", LIMIT).unwrap().signal, Some(libc::SIGKILL));
    eventually(
        "what a left is killed",
        || exec(&sandbox, "b", "ps").0,
        |text| !text.contains("sleep 1234"),
    );
    assert_eq!(exec(&sandbox, "b", "true").1, 0, "b goes on");
}

/// `debug` sees what `a` runs, and ends alone.
fn check_target(world: &World, sandbox: &Sandbox) {
    let a = start(sandbox, &world.shell("a", "sleep 1234 & sleep 100"));
    let mut spec = world.shell("debug", "sleep 4321 & sleep 100");
    spec.pid_target = Some("a".into());
    let debug = start(sandbox, &spec);
    assert_eq!(namespace(a, "pid"), namespace(debug, "pid"));
    assert_ne!(namespace(a, "mnt"), namespace(debug, "mnt"));
    for container in ["a", "debug"] {
        let see = || exec(sandbox, container, "ps").0;
        eventually("all is seen", see, |text| {
            text.contains("sleep 1234") && text.contains("sleep 4321")
        });
    }
    sandbox.kill("debug", libc::SIGKILL).unwrap();
    assert_eq!(sandbox.wait("debug", LIMIT).unwrap().signal, Some(libc::SIGKILL));
    let see = || exec(sandbox, "a", "ps").0;
    eventually("what debug left is killed", see, |text| !text.contains("sleep 4321"));
    sandbox.remove_container("debug").unwrap();
    start(sandbox, &ContainerSpec { rootfs: world.rootfs("again"), id: "again".into(), ..spec });
    sandbox.kill("a", libc::SIGKILL).unwrap();
    sandbox.wait("a", LIMIT).unwrap();
    assert_eq!(sandbox.wait("again", LIMIT).unwrap().signal, Some(libc::SIGKILL));
    let mut late = world.shell("late", "true");
    late.pid_target = Some("a".into());
    sandbox.create_container(&late).unwrap();
    assert_eq!(refusal(sandbox.start("late")), "State: container \"a\" has ended");
}

fn a_container_can_join_the_processes_of_another() {
    let world = World::new();
    check_target(&world, &world.sandbox());
}

fn processes_are_shared_among_users_of_a_pod_s_own() {
    if !podo_runtime::overlay::takes_detached_layers() {
        return eprintln!("skipped: users of a Pod's own need Linux 6.5 or later");
    }
    let world = World::new();
    let ids = vec![IdMap { inside: 0, host: 200_000, count: 65_536 }];
    let sandbox = |id: &str, pid| {
        let user_namespace = Some(UserNamespace { uids: ids.clone(), gids: ids.clone() });
        let spec = SandboxSpec { pid, user_namespace, ..world.sandbox_spec(id) };
        world.launcher.create(&spec).unwrap()
    };
    check_target(&world, &sandbox("s1", PidMode::Container));
    let sandbox = sandbox("s2", PidMode::Sandbox);
    let a = start(&sandbox, &world.shell("b1", "sleep 100"));
    let b = start(&sandbox, &world.shell("b2", "sleep 100"));
    assert_eq!(namespace(a, "pid"), namespace(b, "pid"));
}

fn host_namespaces_can_be_used() {
    let world = World::new();
    let spec = SandboxSpec {
        pid: PidMode::Host,
        network: NetworkMode::Host,
        host_ipc: true,
        ..world.sandbox_spec("s1")
    };
    let sandbox = world.launcher.create(&spec).unwrap();
    let a = start(&sandbox, &world.shell("a", "sleep 100"));
    for kind in ["net", "uts", "ipc", "pid"] {
        assert_eq!(namespace(a, kind), host(kind), "{kind}");
    }
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    assert_eq!(exec(&sandbox, "a", "hostname").0.trim(), host);
    sandbox.kill("a", libc::SIGTERM).unwrap();
    assert_eq!(sandbox.wait("a", LIMIT).unwrap().exit_code, 143);
}

fn exit_codes_and_signals_are_told() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut events = sandbox.events().unwrap();
    let exit = run(&sandbox, &world.shell("seven", "exit 7"));
    assert_eq!((exit.exit_code, exit.signal, exit.is_oom_killed()), (7, None, false));
    start(&sandbox, &world.shell("killed", "sleep 100"));
    sandbox.kill("killed", libc::SIGKILL).unwrap();
    let exit = sandbox.wait("killed", LIMIT).unwrap();
    assert_eq!(
        (exit.exit_code, exit.signal, exit.is_oom_killed()),
        (137, Some(libc::SIGKILL), false)
    );
    let told: Vec<String> =
        (0..2).map(|_| format!("{:?}", events.next_event(LIMIT).unwrap().unwrap())).collect();
    assert!(told[0].contains("seven") && told[1].contains("killed"), "{told:?}");
    assert!(refusal(sandbox.kill("killed", libc::SIGTERM)).starts_with("State"));
    assert!(refusal(sandbox.start("killed")).starts_with("State"));
    assert!(refusal(sandbox.create_container(&world.shell("seven", "true"))).starts_with("Exists"));
    assert!(refusal(sandbox.start("nobody")).starts_with("Missing"));
}

fn programs_that_cannot_run_say_why() {
    let world = World::new();
    let sandbox = world.sandbox();
    for (id, args, cwd, kind, text) in [
        (
            "a",
            &["nope"][..],
            "",
            FaultKind::ProgramNotFound,
            r#"exec: "nope": executable file not found in $PATH"#,
        ),
        (
            "b",
            &["/bin/nope"],
            "",
            FaultKind::ProgramNotFound,
            r#"exec: "/bin/nope": stat /bin/nope: no such file or directory"#,
        ),
        (
            "c",
            &["/etc/passwd"],
            "",
            FaultKind::ProgramPermission,
            r#"exec: "/etc/passwd": permission denied"#,
        ),
        ("d", &["/etc"], "", FaultKind::ProgramPermission, r#"exec: "/etc": is a directory"#),
        ("e", &["/etc/text"], "", FaultKind::ProgramFormat, "exec /etc/text: exec format error"),
        (
            "f",
            &["true"],
            "/etc/passwd",
            FaultKind::WorkingDirectory,
            r#"chdir to cwd ("/etc/passwd") set in config.json failed: not a directory"#,
        ),
    ] {
        if id == "e" {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(world.base.join("image/etc/text"), mode).unwrap();
        }
        let mut spec = world.container(id, args);
        spec.process.cwd = cwd.into();
        sandbox.create_container(&spec).unwrap();
        let Err(RuntimeError::Refused(fault)) = sandbox.start(id) else { panic!("{id} started") };
        assert_eq!((fault.kind, fault.message.as_str()), (kind, text));
        let exit = sandbox.container(id).unwrap().exited.unwrap();
        assert_eq!((exit.exit_code, exit.start_failure), (kind.exit_code(), Some(fault)));
        sandbox.remove_container(id).unwrap();
    }
    start(&sandbox, &world.shell("up", "sleep 100"));
    let spec = podo_runtime::ExecSpec {
        container: "up".into(),
        args: vec!["nope".into()],
        ..Default::default()
    };
    assert!(refusal(sandbox.exec(&spec)).contains("executable file not found in $PATH"));
}

fn users_groups_and_homes_come_from_the_image() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut spec =
        world.shell("a", "id; echo $HOME; echo again >/dev/stdout; grep Cap /proc/self/status");
    spec.process.user =
        UserSpec { user: "www".into(), gid: None, groups: vec![77], merge_image_groups: true };
    sandbox.create_container(&spec).unwrap();
    let (_, identity) = sandbox.start("a").unwrap();
    assert_eq!((identity.uid, identity.gid, identity.groups), (33, 34, vec![34, 50, 77]));
    sandbox.wait("a", LIMIT).unwrap();
    let log = world.log("a");
    assert!(
        log.starts_with("uid=33(www) gid=34(www) groups=34(www),50(logs),77\n/home/www\nagain\n"),
        "{log}"
    );
    assert!(log.contains("CapEff:\t0000000000000000"), "a user has no capabilities: {log}");
    let mut spec = world.shell("b", "true");
    spec.process.user.user = "ghost".into();
    sandbox.create_container(&spec).unwrap();
    assert_eq!(
        refusal(sandbox.start("b")),
        "User: unable to find user ghost: no matching entries in its file"
    );
}

fn a_working_directory_is_made() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut spec = world.shell("a", "pwd; stat -c %a .");
    spec.process.cwd = "/made/for/it".into();
    run(&sandbox, &spec);
    assert_eq!(world.log("a"), "/made/for/it\n755\n");
}

fn sysctls_are_set_in_the_sandbox_only() {
    let world = World::new();
    let mut spec = world.sandbox_spec("s1");
    for (name, value) in
        [("net.ipv4.ip_unprivileged_port_start", "0"), ("kernel.shm_rmid_forced", "1")]
    {
        spec.sysctls.insert(name.into(), value.into());
    }
    let sandbox = world.launcher.create(&spec).unwrap();
    let script =
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced";
    assert_eq!(output(&world, &sandbox, script), "0\n1\n");
    assert_eq!(
        fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap(),
        "1024\n"
    );
    let mut bad = world.sandbox_spec("s2");
    bad.sysctls.insert("kernel.core_pattern".into(), "|/evil".into());
    assert!(refusal(world.launcher.create(&bad)).contains("not in a namespace"));
}

fn stopping_asks_first_and_kills_later() {
    let world = World::new();
    let sandbox = world.sandbox();
    start(
        &sandbox,
        &world.shell("polite", "trap 'exit 5' TERM; echo ready; while :; do usleep 10000; done"),
    );
    let mut other =
        world.shell("usr1", "trap 'exit 6' USR1; echo ready; while :; do usleep 10000; done");
    other.stop_signal = libc::SIGUSR1;
    start(&sandbox, &other);
    start(&sandbox, &world.shell("deaf", "trap '' TERM; echo ready; sleep 100"));
    for id in ["polite", "usr1", "deaf"] {
        eventually("it is ready", || world.log(id), |text| text == "ready\n");
    }
    assert_eq!(sandbox.stop_container("polite", LIMIT).unwrap().exit_code, 5);
    assert_eq!(sandbox.stop_container("usr1", LIMIT).unwrap().exit_code, 6);
    let killed = sandbox.stop_container("deaf", std::time::Duration::from_millis(100)).unwrap();
    assert_eq!(killed.signal, Some(libc::SIGKILL));
    assert_eq!(
        sandbox.stop_container("deaf", LIMIT).unwrap(),
        killed,
        "stopping again tells the same"
    );
}

fn killing_the_pause_ends_the_sandbox() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut events = sandbox.events().unwrap();
    start(&sandbox, &world.shell("a", "sleep 100"));
    let pause = sandbox.state().unwrap().record.pause_pid;
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pause).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    assert_eq!(sandbox.wait("a", LIMIT).unwrap().signal, Some(libc::SIGKILL));
    let told = format!("{:?}", events.next_event(LIMIT).unwrap());
    assert!(told.contains("SandboxExited"), "{told}");
    assert_eq!(sandbox.state().unwrap().exited.unwrap().signal, Some(libc::SIGKILL));
    assert!(
        refusal(
            sandbox.create_container(&world.shell("b", "true")).and_then(|()| sandbox.start("b"))
        )
        .starts_with("State")
    );
}

/// Lines of the host's mounts and cgroups that name this test's world.
fn traces(world: &World) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut traces: Vec<String> =
        mounts.lines().filter(|line| line.contains(&world.group)).map(str::to_owned).collect();
    let mut directories = vec![std::path::PathBuf::from("/sys/fs/cgroup")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory && entry.path().to_string_lossy().contains(&format!("{}/", world.group))
            {
                traces.push(entry.path().display().to_string());
            }
            if is_directory {
                directories.push(entry.path());
            }
        }
    }
    traces
}

fn removing_leaves_nothing() {
    let world = World::new();
    let pin = world.base.join("netns");
    let mut spec = world.sandbox_spec("s1");
    spec.network = NetworkMode::Pinned(pin.clone());
    let sandbox = world.launcher.create(&spec).unwrap();
    let shim = sandbox.state().unwrap().record.shim_pid;
    let a = start(&sandbox, &world.shell("a", "sleep 100"));
    start(&sandbox, &world.shell("b", "sleep 1000 & sleep 1000 & sleep 1000"));
    assert!(!traces(&world).is_empty());
    sandbox.remove_container("b").unwrap();
    assert!(refusal(sandbox.remove_container("b")).starts_with("Missing"));
    world.launcher.remove(sandbox).unwrap();
    assert_eq!(traces(&world), [""; 0]);
    assert!(!pin.exists() && fs::read_dir(world.run_dir()).unwrap().next().is_none());
    for pid in [shim, a] {
        let is_there = || Path::new(&format!("/proc/{pid}")).exists(); // The shim until init has reaped it.
        eventually("it is gone", is_there, |is_there| !is_there);
    }
    podo_runtime::purge(&world.run_dir(), "s1").unwrap();
}

fn removing_takes_cgroups_that_a_container_made() {
    let world = World::new();
    let sandbox = world.sandbox();
    let script = "for one in /sys/fs/cgroup/*/; do mkdir -p $one/own/deeper && made=1; done
        sleep 1000 & echo $! > /sys/fs/cgroup/pids/own/deeper/cgroup.procs 2>/dev/null ||
        echo $! > /sys/fs/cgroup/own/deeper/cgroup.procs; echo ready; wait";
    let mut spec = world.shell("a", script);
    (spec.process.seccomp, spec.privileged) = (None, true);
    start(&sandbox, &spec);
    eventually("it is ready", || world.log("a"), |log| log.contains("ready"));
    assert!(traces(&world).iter().any(|trace| trace.ends_with("own/deeper")));
    sandbox.remove_container("a").unwrap();
    world.launcher.remove(sandbox).unwrap();
    assert_eq!(traces(&world), [""; 0]);
}

fn a_user_namespace_maps_ids() {
    if !podo_runtime::overlay::takes_detached_layers() {
        return eprintln!("skipped: users of a Pod's own need Linux 6.5 or later");
    }
    let world = World::new();
    let ids = vec![IdMap { inside: 0, host: 200_000, count: 65_536 }];
    let spec = SandboxSpec {
        user_namespace: Some(UserNamespace { uids: ids.clone(), gids: ids }),
        ..world.sandbox_spec("s1")
    };
    let sandbox = world.launcher.create(&spec).unwrap();
    let volume = world.base.join("volume");
    fs::create_dir(&volume).unwrap();
    fs::write(volume.join("file"), "content").unwrap();
    let mut container = world.shell("a", "id -u; cat /proc/self/uid_map; echo x >/made; stat -c owner=%u /data/file /etc/passwd /made; sleep 100");
    container.mounts = vec![bind(&volume, "/data", ReadOnly::No)];
    if let MountKind::Bind { idmap, .. } = &mut container.mounts[0].kind {
        *idmap = true;
    }
    let pid = start(&sandbox, &container);
    let log = eventually("it tells", || world.log("a"), |text| text.matches("owner=").count() == 3);
    let words: Vec<&str> = log.split_whitespace().take(4).collect();
    assert_eq!(words, ["0", "0", "200000", "65536"]);
    assert_eq!(
        log.matches("owner=0").count(),
        3,
        "volumes, layers and new files have their owners inside: {log}"
    );
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Uid:\t200000\t200000"), "{status}");
    assert_ne!(namespace(pid, "pid"), host("pid"));
    let made = world.base.join("layers/a/upper/made");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&fs::metadata(made).unwrap()), 200_000);
    let (text, code) = exec(&sandbox, "a", "id -u; echo ok >/dev/null && hostname");
    assert_eq!((text.as_str(), code), ("0\npodohost\n", 0));
    sandbox.kill("a", libc::SIGKILL).unwrap();
    assert_eq!(sandbox.wait("a", LIMIT).unwrap().exit_code, 137);
}

fn the_root_can_be_read_only() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut spec = world.shell("a", "echo x >/file; echo y >/dev/shm/file && cat /dev/shm/file");
    spec.read_only_root = true;
    run(&sandbox, &spec);
    assert_eq!(world.log("a"), "sh: can't create /file: Read-only file system\ny\n");
    let mut plain = world.shell("b", "echo x >/file && cat /file");
    plain.rootfs = Rootfs::Directory(world.base.join("image"));
    run(&sandbox, &plain);
    assert_eq!(world.log("b"), "x\n");
}

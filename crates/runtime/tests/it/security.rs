//! Attacks that must fail, and what a container sees of its fences from inside. Names are those of SECURITY's classes.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use podo_runtime::{
    ContainerSpec, Device, DeviceKind, Mount, MountKind, MountSource, Overlay, Propagation,
    ReadOnly, Rootfs, capabilities, seccomp,
};

use crate::Test;
use crate::harness::*;

pub(crate) const TESTS: &[Test] = &[
    ("capabilities_and_filter_hold_inside", capabilities_and_filter_hold_inside),
    ("no_new_privileges_is_set_on_request", no_new_privileges_is_set_on_request),
    ("masked_and_read_only_paths_hold", masked_and_read_only_paths_hold),
    ("exec_has_the_same_fences_as_the_container", exec_has_the_same_fences_as_the_container),
    ("a_localhost_profile_holds", a_localhost_profile_holds),
    (
        "cve_2019_5736_the_executable_cannot_be_overwritten",
        cve_2019_5736_the_executable_cannot_be_overwritten,
    ),
    (
        "cve_2024_21626_no_descriptor_or_directory_leaks",
        cve_2024_21626_no_descriptor_or_directory_leaks,
    ),
    ("cve_2025_31133_links_in_dev_lead_nowhere", cve_2025_31133_links_in_dev_lead_nowhere),
    ("cve_2019_19921_proc_must_be_a_directory", cve_2019_19921_proc_must_be_a_directory),
    (
        "cve_2021_30465_mounts_stay_inside_while_links_are_exchanged",
        cve_2021_30465_mounts_stay_inside_while_links_are_exchanged,
    ),
    (
        "cve_2021_25741_a_sub_path_stays_in_its_volume",
        cve_2021_25741_a_sub_path_stays_in_its_volume,
    ),
    ("nothing_is_mounted_inside_proc", nothing_is_mounted_inside_proc),
    ("devices_are_those_allowed", devices_are_those_allowed),
    ("the_v2_device_program_is_taken_by_the_kernel", the_v2_device_program_is_taken_by_the_kernel),
    (
        "a_privileged_container_has_the_host_s_devices",
        a_privileged_container_has_the_host_s_devices,
    ),
    ("propagation_goes_as_far_as_asked", propagation_goes_as_far_as_asked),
];

fn status(text: &str, field: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    line.split_whitespace().nth(1).unwrap_or_default().to_owned()
}

fn capabilities_and_filter_hold_inside() {
    let world = World::new();
    let sandbox = world.sandbox();
    let text = output(
        &world,
        &sandbox,
        "cat /proc/self/status; mount -t tmpfs x /tmp; unshare -U true; echo over",
    );
    let default = format!("{:016x}", capabilities::DEFAULT);
    for (field, expected) in [
        ("CapInh", "0000000000000000"),
        ("CapPrm", &default),
        ("CapEff", &default),
        ("CapBnd", &default),
        ("CapAmb", "0000000000000000"),
        ("Seccomp:", "2"),
        ("NoNewPrivs", "0"),
    ] {
        assert_eq!(status(&text, field), expected, "{field}");
    }
    let refused =
        text.matches("Operation not permitted").count() + text.matches("permission denied").count();
    assert_eq!(refused, 2, "{text}");
    let mut free = world.shell("free", "cat /proc/self/status");
    (free.process.seccomp, free.process.capabilities) = (None, 0);
    run(&sandbox, &free);
    assert_eq!(status(&world.log("free"), "Seccomp:"), "0");
    assert_eq!(status(&world.log("free"), "CapBnd"), "0000000000000000");
}

fn no_new_privileges_is_set_on_request() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut spec = world.shell("a", "cat /proc/self/status");
    spec.process.no_new_privileges = true;
    spec.process.user.user = "www".into();
    run(&sandbox, &spec);
    let text = world.log("a");
    assert_eq!(
        (status(&text, "NoNewPrivs"), status(&text, "Seccomp:"), status(&text, "Uid")),
        ("1".into(), "2".into(), "33".into())
    );
}

fn masked_and_read_only_paths_hold() {
    let world = World::new();
    let sandbox = world.sandbox();
    let script = "wc -c </proc/interrupts; wc -c </proc/keys; ls /sys/firmware | wc -l; \
        echo 1 >/proc/sys/kernel/hostname; echo 1 >/proc/irq/default_smp_affinity; touch /sys/x; \
        mkdir $(ls -d /sys/fs/cgroup /sys/fs/cgroup/memory 2>/dev/null | tail -1)/x";
    let text = output(&world, &sandbox, script);
    assert!(text.starts_with("0\n0\n0\n"), "{text}");
    assert_eq!(text.matches("Read-only file system").count(), 4, "{text}");
    let node = output(&world, &sandbox, "stat -c %t:%T /proc/keys /dev/null");
    assert_eq!(node, "1:3\n1:3\n");
}

fn exec_has_the_same_fences_as_the_container() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut spec = world.shell("a", "cat /proc/self/status; sleep 100");
    spec.process.no_new_privileges = true;
    start(&sandbox, &spec);
    let own = eventually("it tells", || world.log("a"), |text| text.contains("nonvoluntary"));
    let (further, _) = exec(&sandbox, "a", "cat /proc/self/status");
    for field in
        ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "Seccomp:", "NoNewPrivs", "Uid", "Gid"]
    {
        assert_eq!(status(&own, field), status(&further, field), "{field}");
    }
    let cgroups = |script: &str| exec(&sandbox, "a", script).0;
    assert_eq!(
        cgroups("cat /proc/self/cgroup"),
        cgroups("cat /proc/1/cgroup"),
        "it is in the container's cgroups"
    );
}

fn a_localhost_profile_holds() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut spec = world.shell("a", "mkdir /new; echo $?");
    let json = br#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}"#;
    spec.process.seccomp = Some(seccomp::from_profile(json, 0).unwrap());
    run(&sandbox, &spec);
    assert!(world.log("a").contains("No space left on device"), "{}", world.log("a"));
}

fn cve_2019_5736_the_executable_cannot_be_overwritten() {
    let world = World::new();
    let spec = podo_runtime::SandboxSpec {
        pid: podo_runtime::PidMode::Sandbox,
        ..world.sandbox_spec("s1")
    };
    let sandbox = world.launcher.create(&spec).unwrap();
    let before = fs::metadata("/proc/self/exe").unwrap();
    // The container sees the pause's executable, and every process being made is one of ours for a moment.
    let mut attacker = world.shell("a", "echo x >/proc/1/exe; echo $?; while :; do for p in /proc/[0-9]*/exe; do case $(readlink $p) in *it*) echo x 2>/dev/null >>$p && echo BROKEN;; esac; done; done");
    attacker.process.capabilities = capabilities::ALL;
    (attacker.process.seccomp, attacker.privileged) = (None, true);
    start(&sandbox, &attacker);
    eventually("the first try fails", || world.log("a"), |text| text.contains('1'));
    for round in 0..20 {
        assert_eq!(exec(&sandbox, "a", "true").1, 0, "{round}");
    }
    let log = world.log("a");
    assert!(log.contains("Read-only file system") && !log.contains("BROKEN"), "{log}");
    let after = fs::metadata("/proc/self/exe").unwrap();
    assert_eq!((before.len(), before.mtime_nsec()), (after.len(), after.mtime_nsec()));
    // The classic form: the container's program is a link to the process' own executable.
    let mut classic = world.container("b", &["/self"]);
    let layers = world.base.join("layers/b/upper");
    symlink("/proc/self/exe", layers.join("self")).unwrap();
    classic.process.capabilities = capabilities::ALL;
    sandbox.create_container(&classic).unwrap();
    let _ = sandbox.start("b"); // Whatever it does, it runs from a mount that cannot be written through.
    let _ = sandbox.kill_all("b");
}

fn cve_2024_21626_no_descriptor_or_directory_leaks() {
    let world = World::new();
    let sandbox = world.sandbox();
    let count = "for f in /proc/$$/fd/*; do readlink $f; done; pwd";
    start(&sandbox, &world.shell("a", &format!("{count}; sleep 100")));
    let own = eventually("it tells", || world.log("a"), |text| text.contains("/\n"));
    let kinds: Vec<&str> = own.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(kinds, ["/dev/null", "pipe", "pipe", "/"], "{own}");
    let (further, _) = exec(&sandbox, "a", count);
    assert_eq!(further.lines().count(), 4, "{further}");
    for number in 3..40 {
        let mut spec = world.shell(&format!("cwd{number}"), "pwd");
        spec.process.cwd = format!("/proc/self/fd/{number}");
        sandbox.create_container(&spec).unwrap();
        let refused = refusal(sandbox.start(&spec.id));
        assert!(refused.starts_with("WorkingDirectory"), "{number}: {refused}");
    }
}

/// A container whose image has been prepared by an attacker.
fn hostile(world: &World, id: &str, script: &str, prepare: impl FnOnce(&Path)) -> ContainerSpec {
    let mut spec = world.shell(id, script);
    let layer = world.base.join(format!("hostile-{id}"));
    fs::create_dir_all(&layer).unwrap();
    prepare(&layer);
    if let Rootfs::Overlay(Overlay { lower, .. }) = &mut spec.rootfs {
        lower.insert(0, layer);
    }
    spec
}

fn cve_2025_31133_links_in_dev_lead_nowhere() {
    let world = World::new();
    let sandbox = world.sandbox();
    let victim = world.base.join("victim");
    fs::write(&victim, "untouched").unwrap();
    let path = victim.clone();
    let mut spec = hostile(
        &world,
        "a",
        "stat -c %t:%T /dev/null /dev/console; echo x >/dev/null; wc -c </proc/keys",
        |layer| {
            fs::create_dir_all(layer.join("dev")).unwrap();
            for name in ["null", "console", "ptmx", "pts", "shm", "zero"] {
                symlink(&path, layer.join("dev").join(name)).unwrap();
            }
        },
    );
    (spec.tty, spec.stdin) = (true, podo_runtime::Stdin::Open);
    run(&sandbox, &spec);
    assert_eq!(world.log("a"), "1:3\n88:0\n0\n");
    // /dev itself as a link is refused, whatever it points to.
    let linked = hostile(&world, "b", "true", |layer| symlink("/tmp", layer.join("dev")).unwrap());
    sandbox.create_container(&linked).unwrap();
    assert!(refusal(sandbox.start("b")).starts_with("Mount: mount /dev"));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    assert!(!fs::metadata(&victim).unwrap().file_type().is_char_device());
}

fn cve_2019_19921_proc_must_be_a_directory() {
    let world = World::new();
    let sandbox = world.sandbox();
    for name in ["proc", "sys"] {
        let spec =
            hostile(&world, name, "true", |layer| symlink("/tmp", layer.join(name)).unwrap());
        sandbox.create_container(&spec).unwrap();
        let refused = refusal(sandbox.start(name));
        assert!(refused.starts_with(&format!("Mount: mount /{name}")), "{refused}");
    }
}

fn bind(source: MountSource, destination: &str) -> Mount {
    let kind = MountKind::Bind { source, propagation: Propagation::Private, idmap: false };
    Mount { destination: destination.into(), kind, read_only: ReadOnly::No }
}

fn cve_2021_30465_mounts_stay_inside_while_links_are_exchanged() {
    let world = World::new();
    let sandbox = world.sandbox();
    let volume = world.base.join("volume");
    fs::create_dir_all(volume.join("real")).unwrap();
    symlink("/../../../../../../../../", volume.join("link")).unwrap();
    let mut attacker = world.shell("attacker", "cd /vol; mkdir tmp; while :; do mv -T real tmp/x 2>/dev/null; mv -T link real; mv -T real link; mv -T tmp/x real; done");
    attacker.mounts = vec![bind(MountSource::Path(volume.clone()), "/vol")];
    start(&sandbox, &attacker);
    // Other tests mount on this host as well.
    let ours = || -> Vec<String> {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let base = world.base.to_string_lossy();
        let is_ours = |line: &&str| line.contains(&*base) || line.contains("/hit");
        table.lines().filter(is_ours).map(str::to_owned).collect()
    };
    let before = ours();
    let marker = world.base.join("marker");
    fs::create_dir(&marker).unwrap();
    for round in 0..60 {
        let id = format!("v{round}");
        let mut victim = world.shell(&id, "ls /; sleep 100");
        victim.mounts = vec![
            bind(MountSource::Path(volume.clone()), "/vol"),
            bind(MountSource::Path(marker.clone()), &format!("/vol/real/hit{round}")),
        ];
        sandbox.create_container(&victim).unwrap();
        // Refusing is fine: the place was gone at that moment. Leaving the root is not.
        if let Ok((pid, _)) = sandbox.start(&id) {
            let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
            let place = mounts
                .lines()
                .find(|line| line.contains(&format!("hit{round} ")))
                .unwrap_or_default();
            assert!(place.contains(" /"), "{mounts}");
        }
        sandbox.remove_container(&id).unwrap();
        assert!(!Path::new(&format!("/hit{round}")).exists(), "made on the host");
    }
    assert_eq!(ours(), before, "mounted on the host");
}

fn cve_2021_25741_a_sub_path_stays_in_its_volume() {
    let world = World::new();
    let sandbox = world.sandbox();
    let volume = world.base.join("volume");
    fs::create_dir_all(volume.join("..data")).unwrap();
    fs::write(volume.join("..data/key"), "good").unwrap();
    symlink("..data/key", volume.join("key")).unwrap();
    symlink("/etc", volume.join("etc")).unwrap();
    symlink("../../..", volume.join("up")).unwrap();
    let with = |id: &str, path: &str| {
        let mut spec = world.shell(id, "cat /mnt");
        spec.mounts = vec![bind(
            MountSource::Beneath { root: volume.clone(), path: PathBuf::from(path) },
            "/mnt",
        )];
        sandbox.create_container(&spec).unwrap();
        sandbox.start(id)
    };
    with("good", "key").unwrap();
    sandbox.wait("good", LIMIT).unwrap();
    assert_eq!(world.log("good"), "good\n");
    for (id, path) in
        [("a", "etc"), ("b", "up"), ("c", "etc/passwd"), ("d", "../image"), ("e", "/etc")]
    {
        assert!(refusal(with(id, path)).starts_with("Mount: open"), "{path}");
    }
}

fn nothing_is_mounted_inside_proc() {
    let world = World::new();
    let sandbox = world.sandbox();
    let empty = world.base.join("empty");
    fs::create_dir(&empty).unwrap();
    for (id, place) in
        [("a", "/proc"), ("b", "/proc/sys"), ("c", "/proc/self/attr"), ("d", "/trick/1")]
    {
        let mut spec =
            hostile(&world, id, "true", |layer| symlink("/proc", layer.join("trick")).unwrap());
        spec.mounts = vec![bind(MountSource::Path(empty.clone()), place)];
        sandbox.create_container(&spec).unwrap();
        assert!(
            refusal(sandbox.start(id)).contains("nothing can be mounted inside /proc"),
            "{place}"
        );
    }
}

fn devices_are_those_allowed() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut spec = world.shell("a", "mknod /dev/mem c 1 1; head -c 1 /dev/mem; mknod /dev/z c 1 5 && head -c 1 /dev/z | wc -c; stat -c %t:%T:%a /dev/own; sleep 100");
    spec.devices = vec![Device {
        path: "/dev/own".into(),
        kind: DeviceKind::Character,
        major: 1,
        minor: 5,
        mode: 0o640,
        uid: 0,
        gid: 0,
        access: "rwm".into(),
    }];
    start(&sandbox, &spec);
    let log = eventually("it tells", || world.log("a"), |text| text.contains("1:5"));
    assert!(
        log.contains("/dev/mem: Operation not permitted") && log.contains("1\n1:5:640\n"),
        "{log}"
    );
}

fn the_v2_device_program_is_taken_by_the_kernel() {
    // This machine may have the device controller on v1; a v2 mount beside it takes the program as well.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let Some(line) = mounts.lines().find(|line| line.contains(" - cgroup2 ")) else {
        eprintln!("SKIP the_v2_device_program_is_taken_by_the_kernel: no cgroup v2 is mounted");
        return;
    };
    let mount = line.split(' ').nth(4).unwrap();
    let name = format!("podotest-runtime-{}-bpf", std::process::id());
    let directory = Path::new(mount).join(&name);
    fs::create_dir(&directory).unwrap();
    let attached = podo_runtime::cgroup::attach_default_devices(&directory);
    let script = format!(
        "echo 0 >{}/cgroup.procs; head -c 1 /dev/zero >/dev/null && head -c 1 /dev/kmsg",
        directory.display()
    );
    let result =
        std::process::Command::new("busybox").args(["sh", "-c", &script]).output().unwrap();
    eventually("it is empty", || fs::remove_dir(&directory).is_ok(), |is_gone| *is_gone);
    attached.unwrap();
    let text = String::from_utf8_lossy(&result.stderr).into_owned();
    assert!(
        text.contains("/dev/kmsg: Operation not permitted") && !text.contains("/dev/zero"),
        "{text}"
    );
}

fn a_privileged_container_has_the_host_s_devices() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut spec = world.shell("a", "ls /dev; mount -t tmpfs x /tmp && echo mounted; echo >/proc/sys/kernel/domainname && echo written");
    spec.privileged = true;
    (spec.process.capabilities, spec.process.seccomp) = (capabilities::ALL, None);
    run(&sandbox, &spec);
    let log = world.log("a");
    assert!(
        log.contains("kmsg\n") && log.contains("mounted\n") && log.contains("written\n"),
        "{log}"
    );
}

fn propagation_goes_as_far_as_asked() {
    let world = World::new();
    let sandbox = world.sandbox();
    let shared = world.base.join("shared");
    fs::create_dir_all(shared.join("below")).unwrap();
    rustix::mount::mount_bind(&shared, &shared).unwrap();
    rustix::mount::mount_change(&shared, rustix::mount::MountPropagationFlags::SHARED).unwrap();
    for (id, propagation) in [
        ("p", Propagation::Private),
        ("s", Propagation::HostToContainer),
        ("b", Propagation::Bidirectional),
    ] {
        let mut spec = world.shell(id, "sleep 100");
        spec.mounts = vec![bind(MountSource::Path(shared.clone()), "/mnt")];
        if let MountKind::Bind { propagation: own, .. } = &mut spec.mounts[0].kind {
            *own = propagation;
        }
        start(&sandbox, &spec);
    }
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("podotest", shared.join("below"), "tmpfs", flags, None).unwrap();
    fs::write(shared.join("below/file"), "").unwrap();
    let seen = ["p", "s", "b"].map(|id| exec(&sandbox, id, "ls /mnt/below").0);
    sandbox.stop().unwrap();
    rustix::mount::unmount(shared.join("below"), rustix::mount::UnmountFlags::DETACH).unwrap();
    rustix::mount::unmount(&shared, rustix::mount::UnmountFlags::DETACH).unwrap();
    assert_eq!(seen, ["", "file\n", "file\n"]);
}

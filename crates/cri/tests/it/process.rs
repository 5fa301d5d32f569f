//! What runs in a container, as whom and with which powers.

use podo_cri::v1::*;
use podo_image::RunConfig;

use crate::Test;
use crate::harness::*;

pub(crate) const TESTS: &[Test] = &[
    ("command_and_args_go_by_the_four_cases", command_and_args_go_by_the_four_cases),
    ("users_and_groups_are_resolved_in_the_image", users_and_groups_are_resolved_in_the_image),
    ("powers_are_as_asked", powers_are_as_asked),
    ("privileged_containers_have_all_powers", privileged_containers_have_all_powers),
    ("a_read_only_root_cannot_be_written", a_read_only_root_cannot_be_written),
    ("namespaces_are_shared_as_asked", namespaces_are_shared_as_asked),
    ("a_user_namespace_maps_root_away", a_user_namespace_maps_root_away),
    ("the_built_in_image_runs_the_executable", the_built_in_image_runs_the_executable),
    ("a_pause_image_holds_the_namespaces", a_pause_image_holds_the_namespaces),
];

fn list(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn command_and_args_go_by_the_four_cases() {
    with_world(async |world| {
        let run = RunConfig {
            entrypoint: list("echo entry"),
            cmd: list("cmd"),
            env: list("PATH=/bin"),
            ..RunConfig::default()
        };
        world.add_image("cases:1", &[], &run);
        let pod = world.plain_pod("cases").await;
        for (index, (command, args, expected)) in [
            ("", "", "entry cmd\n"),
            ("", "args", "entry args\n"),
            ("echo command", "", "command\n"),
            ("echo command", "args", "command args\n"),
        ]
        .into_iter()
        .enumerate()
        {
            let mut config = container(&format!("c{index}"), &[]);
            config.image = Some(ImageSpec { image: "cases:1".into(), ..Default::default() });
            (config.command, config.args) = (list(command), list(args));
            assert_eq!(world.run(&pod, config).await.1, expected, "{command:?} {args:?}");
        }
    });
}

fn users_and_groups_are_resolved_in_the_image() {
    with_world(async |world| {
        let run = RunConfig {
            user: "www".into(),
            env: list("PATH=/bin"),
            working_dir: "/home/www".into(),
            ..RunConfig::default()
        };
        world.add_image("www:1", &[], &run);
        let pod = world.plain_pod("users").await;
        let script = "id; echo $HOME; pwd";
        let of_image = |name: &str| {
            let mut config = shell(name, script);
            config.image = Some(ImageSpec { image: "www:1".into(), ..Default::default() });
            config
        };
        let (status, log) = world.run(&pod, of_image("image")).await;
        assert_eq!(log, "uid=33(www) gid=34(www) groups=34(www),50(logs)\n/home/www\n/home/www\n");
        let user = status.user.unwrap().linux.unwrap();
        assert_eq!((user.uid, user.gid, user.supplemental_groups), (33, 34, vec![34, 50]));

        let mut config = of_image("given");
        config.working_dir = "/var/lib/data".into();
        let context = security(&mut config);
        context.run_as_user = Some(Int64Value { value: 1000 });
        context.run_as_group = Some(Int64Value { value: 3000 });
        context.supplemental_groups = vec![4000];
        let (_, log) = world.run(&pod, config).await;
        assert_eq!(log, "uid=1000 gid=3000 groups=3000,4000\n/\n/var/lib/data\n");

        let mut config = shell("strict", "id");
        let context = security(&mut config);
        context.run_as_username = "www".into();
        context.supplemental_groups_policy = SupplementalGroupsPolicy::Strict as i32;
        let (_, log) = world.run(&pod, config).await;
        assert_eq!(log, "uid=33(www) gid=34(www) groups=34(www)\n");

        let mut config = shell("nobody", "id");
        security(&mut config).run_as_username = "stranger".into();
        let id = world.create(&pod, config).await.unwrap();
        let error = world.start(&id).await.unwrap_err();
        assert!(error.message().contains("unable to find user stranger"), "{error}");
    });
}

fn powers_are_as_asked() {
    with_world(async |world| {
        let pod = world.plain_pod("powers").await;
        let script = "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status | tr -s '\\t\\n' ' '; \
                      cat /proc/self/oom_score_adj; wc -c < /proc/interrupts";
        let (_, log) = world.run(&pod, shell("plain", script)).await;
        let expected = "CapEff: 00000000a80425fb NoNewPrivs: 0 Seccomp: 2 0\n0\n";
        assert_eq!(log, expected);
        let mut config = shell("own", script);
        config.linux.as_mut().unwrap().resources =
            Some(LinuxContainerResources { oom_score_adj: 500, ..Default::default() });
        let context = security(&mut config);
        context.no_new_privs = true;
        context.seccomp = Some(SecurityProfile {
            profile_type: ProfileType::Unconfined as i32,
            ..Default::default()
        });
        context.capabilities = Some(Capability {
            add_capabilities: list("NET_ADMIN"),
            drop_capabilities: list("ALL"),
            ..Default::default()
        });
        let (_, log) = world.run(&pod, config).await;
        let expected = "CapEff: 0000000000001000 NoNewPrivs: 1 Seccomp: 0 500\n0\n";
        assert_eq!(log, expected);
    });
}

fn privileged_containers_have_all_powers() {
    with_world(async |world| {
        let mut pod = world.pod("root");
        pod.linux.as_mut().unwrap().security_context.as_mut().unwrap().privileged = true;
        let pod = world.run_pod(pod).await.unwrap();
        let mut config = shell("c", "grep -E 'Seccomp:' /proc/self/status; ls /dev | wc -l");
        security(&mut config).privileged = true;
        let (_, log) = world.run(&pod, config).await;
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines[0], "Seccomp:\t0");
        let (_, log) = world.run(&pod, shell("plain", "ls /dev | wc -l")).await;
        let count = |text: &str| text.trim().parse::<usize>().unwrap();
        assert!(count(lines[1]) > count(&log), "{lines:?} {log}");
    });
}

fn a_read_only_root_cannot_be_written() {
    with_world(async |world| {
        let pod = world.plain_pod("ro").await;
        let script = "touch /tmp/x; touch /etc/resolv.conf; touch /dev/shm/x && echo shm";
        let mut config = shell("c", script);
        security(&mut config).readonly_rootfs = true;
        let (_, log) = world.run(&pod, config).await;
        assert_eq!(log.matches("Read-only file system").count(), 2, "{log}");
        assert!(log.contains("shm\n"), "{log}");
    });
}

fn namespaces_are_shared_as_asked() {
    with_world(async |world| {
        let mut shared = world.pod("shared");
        let context = shared.linux.as_mut().unwrap().security_context.as_mut().unwrap();
        context.namespace_options = Some(NamespaceOption::default());
        let shared = world.run_pod(shared).await.unwrap();
        world.launch(&shared, shell("other", "exec sleep 4711")).await;
        let look = "until ps | grep -q '[s]leep 4711'; do usleep 5000; done; echo seen";
        let mut looks = shell("looks", look);
        security(&mut looks).namespace_options = Some(NamespaceOption::default());
        assert_eq!(world.run(&shared, looks).await.1, "seen\n");

        let own = world.plain_pod("own").await;
        let (_, log) = world.run(&own, shell("alone", "echo $$; ps | grep -c sleep")).await;
        assert!(log.starts_with("1\n"), "{log}");
        let debug = |target: &str| {
            let mut config = shell("debug", "ps | grep -c '[s]leep 4711'");
            security(&mut config).namespace_options = Some(NamespaceOption {
                pid: NamespaceMode::Target as i32,
                target_id: target.into(),
                ..Default::default()
            });
            config
        };
        let refused = async |target: &str| {
            world.create(&own, debug(target)).await.unwrap_err().message().to_owned()
        };
        let invalid =
            |id: &str, why: &str| format!("invalid target container: container {id:?} {why}");
        assert_eq!(refused("x").await, invalid("x", "does not exist"));
        let other = world.launch(&shared, shell("elsewhere", "sleep 100")).await;
        let why = format!("(sandbox {shared}) does not belong to sandbox {own}");
        assert_eq!(refused(&other).await, invalid(&other, &why));
        let waits = world.create(&own, shell("waits", "true")).await.unwrap();
        let why = "is not running - in state CONTAINER_CREATED";
        assert_eq!(refused(&waits).await, invalid(&waits, why));
        let target = world.launch(&own, shell("target", "sleep 4711")).await;
        assert_eq!(world.run(&own, debug(&target)).await.1, "1\n");
    });
}

fn a_user_namespace_maps_root_away() {
    with_world(async |world| {
        let mapping = IdMapping { host_id: 200_000, container_id: 0, length: 65_536 };
        let mut config = world.pod("mapped");
        let context = config.linux.as_mut().unwrap().security_context.as_mut().unwrap();
        context.namespace_options.as_mut().unwrap().userns_options = Some(UserNamespace {
            mode: NamespaceMode::Pod as i32,
            uids: vec![mapping.clone()],
            gids: vec![mapping],
        });
        let pod = world.run_pod(config).await.unwrap();
        let script = "id -u; cat /proc/self/uid_map; cat /etc/hostname; touch /tmp/x && echo wrote";
        let (_, log) = world.run(&pod, shell("c", script)).await;
        let words: Vec<&str> = log.split_whitespace().collect();
        assert_eq!(words, ["0", "0", "200000", "65536", "mapped", "wrote"], "{log}");
    });
}

fn the_built_in_image_runs_the_executable() {
    with_world(async |world| {
        let pod = world.plain_pod("hello").await;
        let mut config = container("c", &[]);
        config.image =
            Some(ImageSpec { image: "podo.local/hello:1.2.3".into(), ..Default::default() });
        let (status, log) = world.run(&pod, config).await;
        assert_eq!((status.exit_code, log.as_str()), (0, "hello from the executable\n"));
    });
}

fn a_pause_image_holds_the_namespaces() {
    block_on(async {
        let name = "docker.io/library/pause:1";
        let image = Some(name.to_owned());
        let world =
            World::with(|config| podo_cri::CriConfig { pause_image: image, ..config }).await;
        let run = RunConfig { entrypoint: list("/bin/sleep 4712"), ..RunConfig::default() };
        world.add_image(name, &[], &run);
        let mut config = world.pod("paused");
        let context = config.linux.as_mut().unwrap().security_context.as_mut().unwrap();
        context.namespace_options = Some(NamespaceOption::default());
        let pod = world.run_pod(config).await.unwrap();
        let mut looks = shell("looks", "ps | grep -c '[s]leep 4712'");
        security(&mut looks).namespace_options = Some(NamespaceOption::default());
        assert_eq!(world.run(&pod, looks).await.1, "1\n");
        world.end().await;
    });
}

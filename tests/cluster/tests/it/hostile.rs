//! Containers that attack their host, the node or their neighbours, by the known classes; each attack must fail.

use std::fs;
use std::path::Path;

use podo_cluster_tests::api::JSON;
use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::pods::{also, idle, is_ready, once, pod, shell};
use podo_cluster_tests::{Cluster, PATIENCE, leaks, until};
use serde_json::{Value, json};

use crate::on_cluster;

/// How much more memory a flood may cost the server.
const GROWTH_MAX_KIB: u64 = 64 * 1024;

fn attack(it: &Cluster, name: &str, script: &str) -> String {
    it.output(&once(name, script))
}

/// Resident memory of a process.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

/// CVE-2019-5736: what is behind /proc/self/exe of anything in a container is not writable from there.
#[test]
fn the_hosts_binary_cannot_be_overwritten_through_proc_self_exe() {
    on_cluster(|it| {
        let before = fs::metadata(it.binary()).unwrap();
        let mut made =
            pod("exe", json!({"shareProcessNamespace": true, "containers": [idle("main")]}));
        made["spec"]["containers"][0]["securityContext"] =
            json!({"capabilities": {"add": ["SYS_PTRACE"]}});
        it.ready(&made);
        // With a shared PID namespace the pause process is process 1: its file is Podo's own.
        let script = "for p in /proc/[0-9]*; do (echo owned > $p/exe) 2>/dev/null && echo wrote $p; cat /dev/null >> $p/exe && echo appended $p; done 2>/dev/null; echo end";
        let out = it.exec("exe", "main", script);
        let after = fs::metadata(it.binary()).unwrap();
        assert_eq!(before.len(), after.len());
        assert_eq!(before.modified().unwrap(), after.modified().unwrap(), "{out}");
        assert!(it.podo(&["image", "ls"]).code == 0, "the binary still runs");
    });
}

/// CVE-2024-21626, CVE-2016-9962: no descriptor and no working directory of the host's leaks into a container.
#[test]
fn no_descriptor_of_the_host_leaks_into_a_container() {
    on_cluster(|it| {
        // What the shell was given, its child has as well; the child opens one more: the directory that it lists.
        let script = "ls -l /proc/self/fd 2>/dev/null | awk '/->/ {print $(NF-2), $NF}'; pwd";
        it.ready(&pod(
            "fds",
            json!({"containers": [shell("main", &format!("{script}; exec sleep 3600"))]}),
        ));
        let run = it.log_with("fds", "main", "\n/\n");
        for (how, out) in [("run", run), ("exec", it.exec("fds", "main", script))] {
            for line in out.lines().filter(|line| line.contains(' ')) {
                let (number, target) = line.split_once(' ').unwrap();
                let is_stream = matches!(number, "0" | "1" | "2")
                    && (target == "/dev/null"
                        || target.starts_with("pipe:")
                        || target.starts_with("socket:"));
                let is_own = number == "3" && target.ends_with("/fd");
                assert!(is_stream || is_own, "{how}: {out}");
            }
            assert!(out.ends_with("/\n"), "{how}: the working directory is the root: {out}");
        }
    });
}

/// CVE-2016-9962: who looks at the processes of exec all the time, before they have become the program, sees nothing of the host's.
#[test]
fn a_process_of_exec_shows_nothing_of_the_host_while_it_begins() {
    on_cluster(|it| {
        let script = "echo begun
            while [ ! -e /stop ]; do
              for link in /proc/[0-9]*/exe /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/fd/*; do
                readlink $link 2>/dev/null
                [ -e $link/etc/shadow ] && echo shadow
              done >> /seen
              sort -u /seen > /seen.once; mv /seen.once /seen
            done
            cat /seen; echo ended; exec sleep 3600";
        it.ready(&pod("watches", json!({"containers": [shell("main", script)]})));
        it.log_with("watches", "main", "begun\n");
        for _ in 0..25 {
            it.exec("watches", "main", "true");
        }
        it.exec("watches", "main", "touch /stop");
        let log = it.log_with("watches", "main", "ended\n");
        let is_own = |line: &str| {
            ["/", "/bin/busybox", "/dev/null", "/seen", "/seen.once"].contains(&line)
                || ["pipe:", "socket:", "/proc/"].iter().any(|kind| line.starts_with(kind))
        };
        let seen = log.lines().filter(|line| !["begun", "ended"].contains(line));
        let others: Vec<&str> = seen.filter(|line| !is_own(line)).collect();
        assert!(others.is_empty(), "{others:?}");
    });
}

#[test]
fn a_working_directory_through_proc_does_not_lead_to_the_host() {
    on_cluster(|it| {
        for (name, path) in [
            ("fd7", "/proc/self/fd/7"),
            ("fd3", "/proc/self/fd/3/../../.."),
            ("root", "/proc/1/root"),
        ] {
            let mut made = once(
                name,
                "cat ../../../../etc/hostname 2>/dev/null; ls ../../../../root 2>/dev/null; echo end",
            );
            made["spec"]["containers"][0]["workingDir"] = json!(path);
            it.create_pod(&made);
            let seen = it.until(name, "has an outcome", |pod| {
                podo_cluster_tests::pods::has_ended(pod)
                    || !podo_cluster_tests::pods::waiting(pod, "main").is_empty()
                        && podo_cluster_tests::pods::waiting(pod, "main") != "ContainerCreating"
            });
            let host = fs::read_to_string("/etc/hostname").unwrap_or_default();
            if seen["status"]["phase"] == "Succeeded" {
                let log = it.log(name, "");
                assert!(host.trim().is_empty() || !log.contains(host.trim()), "{path}: {log}");
            }
        }
    });
}

/// CVE-2025-31133, CVE-2025-52565, CVE-2025-52881: kernel files stay masked and read-only.
#[test]
fn kernel_files_are_masked_and_read_only() {
    on_cluster(|it| {
        let script = "
            for f in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /proc/latency_stats; do
              [ -e $f ] && head -c 16 $f 2>/dev/null | grep -q . && echo read $f; done
            for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/kernel/hostname /sys/power/state /proc/irq/default_smp_affinity; do
              (echo x > $f) 2>/dev/null && echo wrote $f; done
            mount -t tmpfs none /mnt 2>/dev/null && echo mounted
            umount /proc 2>/dev/null && echo unmounted
            ls /sys/firmware /proc/acpi /proc/scsi 2>/dev/null | grep -v : | grep . && echo listed
            echo end";
        let log = attack(it, "kernel", script);
        assert_eq!(log, "end\n");
        let core = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
        assert_ne!(core, "x\n");
    });
}

/// CVE-2022-29162, CVE-2022-27650: the same capabilities by run and by exec, none inheritable.
#[test]
fn capabilities_are_few_the_same_for_exec_and_not_inheritable() {
    on_cluster(|it| {
        let read = "grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status";
        it.ready(&pod(
            "caps",
            json!({"containers": [shell("main", &format!("{read}; exec sleep 3600"))]}),
        ));
        let run = it.log_with("caps", "main", "Seccomp:\t");
        assert_eq!(run, it.exec("caps", "main", read));
        let value = |name: &str| {
            let line = run.lines().find(|line| line.starts_with(name)).unwrap();
            u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
        };
        assert_eq!(value("CapInh"), 0);
        assert_eq!(value("CapAmb"), 0);
        assert_eq!(value("CapEff"), 0xa804_25fb, "the fourteen of the OCI runtimes");
        assert_eq!(value("CapBnd"), value("CapEff"));
        let drop = json!({"securityContext": {"capabilities": {"drop": ["ALL"]}, "allowPrivilegeEscalation": false}});
        let mut made = once("none", read);
        made["spec"]["containers"][0] = also(made["spec"]["containers"][0].clone(), drop);
        let log = it.output(&made);
        assert!(
            log.contains("CapEff:\t0000000000000000") && log.contains("NoNewPrivs:\t1"),
            "{log}"
        );
    });
}

#[test]
fn devices_cannot_be_made_and_used() {
    on_cluster(|it| {
        let script = "for d in '8 0' '254 0' '253 0' '1 1'; do set -- $d; mknod /d$1$2 b $1 $2 2>/dev/null; mknod /c$1$2 c $1 $2 2>/dev/null; done
            for f in /d* /c*; do [ -e $f ] && head -c 1 $f >/dev/null 2>&1 && echo read $f; done
            echo x > /dev/null && head -c 1 /dev/zero | wc -c; echo end";
        let log = attack(it, "devices", script);
        assert_eq!(log, "1\nend\n");
    });
}

/// CVE-2017-1002101, CVE-2021-25741: a subPath that is a link does not lead out of its volume.
#[test]
fn a_sub_path_that_is_a_link_stays_in_its_volume() {
    on_cluster(|it| {
        let mount = json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]});
        let init = also(
            shell("plant", "ln -s / /v/root; ln -s /etc /v/etc; ln -s ../../../../../../etc /v/up"),
            mount,
        );
        for (name, path) in [
            ("link-root", "root"),
            ("link-etc", "etc"),
            ("link-up", "up"),
            ("link-deep", "root/etc"),
        ] {
            let main = also(
                shell(
                    "main",
                    "cat /stolen/hostname /stolen/etc/hostname 2>/dev/null; ls /stolen; exec sleep 3600",
                ),
                json!({"volumeMounts": [{"name": "v", "mountPath": "/stolen", "subPath": path}]}),
            );
            let spec = json!({"initContainers": [init.clone()], "containers": [main], "volumes": [{"name": "v", "emptyDir": {}}]});
            it.create_pod(&pod(name, spec));
            let seen = it.until(name, "has an outcome", |pod| {
                is_ready(pod)
                    || podo_cluster_tests::pods::waiting(pod, "main")
                        == "CreateContainerConfigError"
            });
            if is_ready(&seen) {
                let log = it.log(name, "main");
                assert!(!log.contains("shadow") && !log.contains("passwd"), "{name}: {log}");
            }
        }
    });
}

/// CVE-2026-53489: neither log nor termination message is read through a link that a container has made.
#[test]
fn a_link_in_place_of_the_termination_message_is_not_followed() {
    on_cluster(|it| {
        let script = "rm -f /dev/termination-log; ln -s /etc/shadow /dev/termination-log; umount /dev/termination-log 2>/dev/null; true";
        let ended = it.ended(&once("message", script));
        let message =
            podo_cluster_tests::pods::container(&ended, "main")["state"]["terminated"]["message"]
                .clone();
        assert!(message.is_null() || !message.as_str().unwrap().contains("root:"), "{message}");
    });
}

/// CVE-2022-31030, CVE-2020-8557: floods of output and of files are bounded.
#[test]
fn a_flood_of_exec_output_costs_the_server_little_memory() {
    on_cluster(|it| {
        it.ready(&pod("flood", json!({"containers": [idle("main")]})));
        let before = resident_kib(it.pid());
        // Nobody reads what this prints.
        let mut child = it.start_kubectl(
            &it.own(),
            &["exec", "flood", "--", "sh", "-c", "yes | head -c 300000000; echo"],
        );
        let mut peak = 0;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(2);
        while std::time::Instant::now() < deadline {
            peak = peak.max(resident_kib(it.pid()));
            podo_cluster_tests::patience::pause(std::time::Duration::from_millis(20));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(peak < before + GROWTH_MAX_KIB, "{before} KiB grew to {peak}");
        let uid = |pod: &Value| pod["metadata"]["uid"].as_str().unwrap().to_owned();
        let seen = it.api.get(&format!("{PODS}/flood")).ok();
        assert!(!uid(&seen).is_empty());
        until("the command ends with its reader", PATIENCE, || {
            let out = it.exec("flood", "main", "ps | grep -c '[y]es' || true");
            if out.trim() == "0" { Ok(()) } else { Err(out) }
        });
    });
}

#[test]
fn run_state_is_closed_to_others() {
    use std::os::unix::fs::MetadataExt as _;
    on_cluster(|it| {
        it.ready(&pod("closed", json!({"containers": [idle("main")]})));
        let run = Path::new("/run/podo").join(it.instance());
        for folder in [run.as_path(), it.data_dir().as_path()] {
            assert_eq!(fs::metadata(folder).unwrap().mode() & 0o077, 0, "{}", folder.display());
        }
        for file in [run.join("control.sock"), it.kubeconfig()] {
            assert_eq!(fs::metadata(&file).unwrap().mode() & 0o177, 0, "{}", file.display());
        }
        assert!(!leaks::cgroups(&it.instance()).is_empty());
    });
}

/// CVE-2018-1002105, CVE-2022-3294: a node cannot be made to lead the API server elsewhere.
#[test]
fn a_node_address_that_points_at_the_host_itself_is_not_followed() {
    on_cluster(|it| {
        it.create("/api/v1/nodes", &json!({"metadata": {"name": "evil"}}));
        for address in ["127.0.0.1", "169.254.169.254"] {
            let status = json!({"status": {"addresses": [{"type": "InternalIP", "address": address}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": it.options.ports.0}}}});
            it.api
                .patch("/api/v1/nodes/evil/status", podo_cluster_tests::api::STRATEGIC, &status)
                .ok();
            let made = pod(
                &format!("led-{}", address.replace('.', "-")),
                json!({"nodeName": "evil", "containers": [idle("main")]}),
            );
            let name = it.create_pod(&made);
            let answer = it.api.get(&format!("{PODS}/{name}/log"));
            assert!(answer.status >= 400, "{address}: {} {}", answer.status, answer.text());
            it.api
                .request(
                    "DELETE",
                    &format!("{PODS}/{name}"),
                    &[("content-type", JSON)],
                    "{\"gracePeriodSeconds\":0}",
                )
                .ok();
        }
    });
}

#[test]
fn seccomp_profiles_of_the_runtime_and_of_the_node_forbid_what_they_say() {
    on_cluster(|it| {
        let profiles = it.data_dir().join("kubelet/seccomp/own");
        fs::create_dir_all(&profiles).unwrap();
        let rule =
            json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13});
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
        fs::write(profiles.join("no-folders.json"), profile.to_string()).unwrap();
        let script =
            "grep ^Seccomp: /proc/self/status; mkdir /x 2>&1; unshare -U echo apart 2>&1; true";
        let with = |name: &str, profile: Value| {
            let mut made = once(name, script);
            made["spec"]["securityContext"] = json!({"seccompProfile": profile});
            it.output(&made)
        };
        let unconfined = with("unconfined", json!({"type": "Unconfined"}));
        assert_eq!(unconfined, "Seccomp:\t0\napart\n");
        let default = with("default", json!({"type": "RuntimeDefault"}));
        assert!(default.starts_with("Seccomp:\t2\nunshare: "), "{default}");
        assert!(default.ends_with(": Operation not permitted\n"), "{default}");
        let own = json!({"type": "Localhost", "localhostProfile": "own/no-folders.json"});
        let own = with("own", own);
        assert_eq!(
            own,
            "Seccomp:\t2\nmkdir: can't create directory '/x': Permission denied\napart\n"
        );
    });
}

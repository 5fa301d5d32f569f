//! Pods that ask for what they must not get: settings of the host, users that are root after all, profiles and repositories from
//! elsewhere.

use std::fs;

use podo_cluster_tests::cluster::{NODE, PODS};
use podo_cluster_tests::pods::{also, container, idle, is_ready, once, pod, shell, waiting};
use podo_cluster_tests::{images, with_cluster};
use podo_image::RunConfig;
use podo_image::build::{Compression, ImageBuilder, LayerBuilder};
use serde_json::{Value, json};

use crate::image_failures::{Store, is_fit};
use crate::on_cluster;

fn with_sysctl(name: &str, setting: &str, value: &str) -> Value {
    let mut made = once(name, "cat /proc/sys/kernel/shm_rmid_forced");
    made["spec"]["securityContext"] = json!({"sysctls": [{"name": setting, "value": value}]});
    made
}

/// CVE-2022-0811 (cr8escape), CVE-2024-3154: only settings of the Pod's own namespaces, and one value for each.
#[test]
fn a_pod_sets_no_setting_of_the_host() {
    on_cluster(|it| {
        let read = || fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
        let before = read();
        let evil = "|/bin/sh -c owned";
        for (name, setting, value) in [
            ("pattern", "kernel.core_pattern", evil),
            ("slashes", "kernel/core_pattern", evil),
            ("memory", "vm.overcommit_memory", "1"),
            ("files", "fs.file-max", "1"),
        ] {
            let ended = it.ended(&with_sysctl(name, setting, value));
            assert_eq!(ended["status"]["reason"], "SysctlForbidden", "{name}: {}", ended["status"]);
        }
        let joined = format!("1+kernel.core_pattern={evil} #");
        let lines = format!("1\nkernel.core_pattern={evil}");
        for (name, value) in [("joined", joined), ("lines", lines)] {
            it.create_pod(&with_sysctl(name, "kernel.shm_rmid_forced", &value));
            it.event(name, "FailedCreatePodSandBox");
        }
        let climbing = with_sysctl("climbing", "net.ipv4/../../kernel.core_pattern", evil);
        assert_eq!(it.api.post(PODS, &climbing).status, 422);
        assert_eq!(read(), before);
        assert_eq!(it.output(&with_sysctl("own", "kernel.shm_rmid_forced", "1")), "1\n");
    });
}

/// CVE-2024-40635, CVE-2019-11245: a user of an image whose number does not fit, or who is root by another name, is not let in where root
/// must not be, and is nowhere taken for root.
#[test]
fn a_user_of_an_image_does_not_become_root() {
    if !is_fit("images with false users") {
        return;
    }
    let top = || {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nadmin:x:0:0::/:/bin/sh\nwrap:x:4294967296:4294967296::/:/bin/sh\nminus:x:-1:0::/:/bin/sh\n";
        LayerBuilder::new().file("etc/passwd", 0o644, passwd).unwrap().finish().unwrap()
    };
    let image = |user: &str| {
        let config = RunConfig { user: user.to_owned(), ..images::config(&[], &["id", "-u"]) };
        let builder =
            ImageBuilder::new().layer(images::busybox_layer().unwrap(), Compression::Gzip);
        builder.layer(top(), Compression::Gzip).config(config).build().unwrap()
    };
    let users = [
        ("zero", "0"),
        ("zeros", "000"),
        ("wrapped", "4294967296"),
        ("wrapped-group", "4294967296:4294967296"),
        ("long", "18446744073709551616"),
        ("negative", "-4294967296"),
        ("plus", "+0"),
        ("named", "admin"),
        ("named-wrap", "wrap"),
        ("named-minus", "minus"),
    ];
    let pushed: Vec<_> = users.iter().map(|(name, user)| (*name, image(user))).collect();
    let store = Store::new();
    store.add(&pushed, |_| {});
    with_cluster(store.options(), |it| {
        let made = |name: String, image: &str, context: Value| {
            let main = json!({"name": "main", "image": format!("{image}:1"), "imagePullPolicy": "IfNotPresent", "securityContext": context});
            pod(&name, json!({"restartPolicy": "Never", "containers": [main]}))
        };
        for (name, user) in users {
            let strict = format!("strict-{name}");
            it.create_pod(&made(strict.clone(), name, json!({"runAsNonRoot": true})));
            it.until(&strict, "is refused", |pod| {
                waiting(pod, "main") == "CreateContainerConfigError"
            });
            // Where root is allowed, who is not root must not be it either.
            if !matches!(name, "zero" | "zeros" | "named" | "plus") {
                let free = format!("free-{name}");
                let ended = it.ended(&made(free.clone(), name, json!({})));
                let state = &container(&ended, "main")["state"]["terminated"];
                assert_ne!(state["exitCode"], 0, "{user}: {} {state}", it.log(&free, ""));
            }
        }
        // The same image runs as the user that its Pod names.
        let named =
            made("given".to_owned(), "zero", json!({"runAsNonRoot": true, "runAsUser": 1000}));
        assert_eq!(it.output(&named), "1000\n");
    });
}

/// CVE-2026-30892, CVE-2023-25173: a further process has the user and the groups of the container, none of its own and none more.
#[test]
fn a_further_process_is_the_same_user_as_the_container() {
    on_cluster(|it| {
        let context = json!({"runAsUser": 1000, "runAsGroup": 3000, "supplementalGroups": [4000], "fsGroup": 5000});
        let read = "id; grep Groups /proc/self/status; cat /root/x 2>&1";
        let mut made = pod(
            "same",
            json!({"containers": [shell("main", &format!("{read}; exec sleep 3600"))]}),
        );
        made["spec"]["securityContext"] = context;
        it.ready(&made);
        let own = it.log_with("same", "main", "/root/x");
        assert!(
            own.contains("uid=1000") && own.contains("gid=3000") && !own.contains("(root)"),
            "{own}"
        );
        assert_eq!(it.exec("same", "main", &format!("{read}; true")), own);
    });
}

/// CVE-2023-2431, CVE-2024-10220, CVE-2025-1767, CVE-2025-0426 and those of checkpoints (CVE-2026-50195, CVE-2026-53489): an empty profile
/// is not none, no repository is cloned, nothing is checkpointed.
#[test]
fn what_is_not_offered_is_refused_and_not_passed_over() {
    on_cluster(|it| {
        let with_profile = |name: &str, profile: Value| {
            let mut made = once(name, "grep Seccomp: /proc/self/status");
            made["spec"]["containers"][0]["securityContext"] =
                json!({"seccompProfile": {"type": "Localhost", "localhostProfile": profile}});
            made
        };
        for profile in [Value::Null, json!("../../etc/passwd"), json!("a/../../b")] {
            let (code, _, text) = it.api.post(PODS, &with_profile("refused", profile)).failure();
            assert!(code == 422 && text.contains("localhostProfile"), "{text}");
        }
        for (name, profile, reason) in [
            ("empty", "", "CreateContainerConfigError"),
            ("absent", "absent.json", "CreateContainerError"),
        ] {
            it.create_pod(&with_profile(name, json!(profile)));
            it.until(name, "is refused", |pod| waiting(pod, "main") == reason);
        }

        let mark = it.folder.join("hook-ran");
        let mut cloning = pod(
            "cloning",
            json!({"containers": [also(idle("main"), json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}))]}),
        );
        cloning["spec"]["volumes"] = json!([{"name": "v", "gitRepo":
            {"repository": format!("ext::sh -c touch% {}", mark.display()), "directory": "."}}]);
        it.create_pod(&cloning);
        let event = it.event("cloning", "FailedMount");
        let text = event["message"].as_str().unwrap();
        assert!(text.ends_with("git-repo volume plugin has been disabled"), "{text}");
        assert!(!is_ready(&it.api.get(&format!("{PODS}/cloning")).ok()));
        assert!(!mark.exists());

        it.ready(&pod("kept", json!({"containers": [idle("main")]})));
        let path = format!("/api/v1/nodes/{NODE}/proxy/checkpoint/default/kept/main");
        let answer = it.api.post(&path, &json!({}));
        assert_eq!(answer.status, 404, "{}", answer.text());
    });
}

//! kubectl on objects: what is printed by `podo kubectl` is what a real kubectl prints (S60 – S62, S64).

use std::io::{BufRead as _, BufReader};

use podo_cluster_tests::cluster::NODE;
use podo_cluster_tests::kubectl::{Kubectl, of_our_version, settled};
use podo_cluster_tests::pods::{idle, once, pod};
use podo_cluster_tests::{Cluster, PATIENCE, Ran, skip, until};
use serde_json::json;

use crate::on_cluster;

/// Runs a command with our kubectl and with the real one; both must say the same and end the same. Returns what was said.
#[track_caller]
pub(crate) fn same(it: &Cluster, args: &[&str]) -> String {
    let (own, difference) = compared(it, args);
    assert_eq!(difference, None);
    own
}

/// What our kubectl says, and how what the real one says differs from it.
pub(crate) fn compared(it: &Cluster, args: &[&str]) -> (String, Option<String>) {
    let own = it.kubectl(args);
    let Some(real) = real_for(args) else { return (own.out, None) };
    let real = it.run(&real, args, "");
    // A lease renewed or an event counted between the two is no difference of theirs: then ours says the same a moment later.
    let difference = difference(args, &own, &real);
    let difference = difference.and_then(|_| self::difference(args, &it.kubectl(args), &real));
    (own.out, difference)
}

/// The real kubectl that a command is compared with.
fn real_for(args: &[&str]) -> Option<Kubectl> {
    let real = of_our_version();
    if real.is_none() {
        skip(&format!("comparison of {args:?}"), "there is no real kubectl v1.36");
    }
    real
}

fn difference(args: &[&str], own: &Ran, real: &Ran) -> Option<String> {
    let plain = |ran: &Ran| {
        let (out, err) = (settled(&ran.out), settled(&ran.err));
        format!("code {}\n--- standard output\n{out}\n--- standard error\n{err}", ran.code)
    };
    let (own, real) = (plain(own), plain(real));
    (own != real).then(|| format!("{args:?}\n=== own {own}\n=== real {real}"))
}

/// Runs a command once for each kubectl, with `{}` in it the name of an object of its own; both must say the same but for that name.
#[track_caller]
pub(crate) fn same_on_own(it: &Cluster, args: &[&str], input: &str) -> String {
    let (own, difference) = compared_on_own(it, args, input);
    assert_eq!(difference, None);
    own
}

/// What our kubectl says about an object of its own, and how what the real one says about another differs from it.
pub(crate) fn compared_on_own(
    it: &Cluster,
    args: &[&str],
    input: &str,
) -> (String, Option<String>) {
    let run = |kubectl: &Kubectl, name: &str| {
        let args: Vec<String> = args.iter().map(|arg| arg.replace("{}", name)).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut ran = it.run(kubectl, &args, &input.replace("{}", name));
        ran.out = ran.out.replace(name, "{}");
        ran.err = ran.err.replace(name, "{}");
        ran
    };
    let own = run(&it.own(), "of-own");
    let real = real_for(args).map(|real| run(&real, "of-real"));
    let difference = real.and_then(|real| difference(args, &own, &real));
    (own.out, difference)
}

const MANIFEST: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {}\n  labels: {app: x}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  - name: main\n    image: busybox\n    command: [sleep, '3600']\n";

#[test]
fn s60_create_apply_and_delete_say_what_they_did() {
    on_cluster(|it| {
        assert_eq!(same_on_own(it, &["create", "-f", "-"], MANIFEST), "pod/{} created\n");
        same_on_own(it, &["create", "-f", "-"], MANIFEST);
        assert_eq!(
            same_on_own(it, &["delete", "pod", "{}"], ""),
            "pod \"{}\" deleted from default namespace\n"
        );
        assert_eq!(same_on_own(it, &["apply", "-f", "-"], MANIFEST), "pod/{} created\n");
        assert_eq!(same_on_own(it, &["apply", "-f", "-"], MANIFEST), "pod/{} unchanged\n");
        // `y` is a boolean to YAML, which no label is.
        same_on_own(it, &["apply", "-f", "-"], &MANIFEST.replace("app: x", "app: y"));
        let changed = MANIFEST.replace("app: x", "app: w, more: z");
        assert_eq!(same_on_own(it, &["apply", "-f", "-"], &changed), "pod/{} configured\n");
        let pruned = MANIFEST.replace("app: x", "app: w");
        same_on_own(it, &["apply", "-f", "-"], &pruned);
        let seen = it.api.get("/api/v1/namespaces/default/pods/of-own").ok();
        assert_eq!(
            seen["metadata"]["labels"],
            json!({"app": "w"}),
            "what the manifest dropped is dropped"
        );
        let last =
            &seen["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
        assert!(last.as_str().unwrap().ends_with("}\n"), "{last}");
        let forbidden = MANIFEST.replace("'3600'", "'1'");
        same_on_own(it, &["apply", "-f", "-"], &forbidden);
        assert_eq!(
            same_on_own(it, &["delete", "-f", "-"], MANIFEST),
            "pod \"{}\" deleted from default namespace\n"
        );
        same_on_own(it, &["delete", "pod", "{}"], "");
        same_on_own(it, &["delete", "pod", "{}", "--ignore-not-found"], "");
    });
}

#[test]
fn s60_create_without_a_file() {
    on_cluster(|it| {
        for args in [
            vec!["create", "configmap", "{}", "--from-literal=a=b", "--from-literal=c=d"],
            vec!["create", "secret", "generic", "{}", "--from-literal=a=b"],
            vec!["create", "serviceaccount", "{}"],
            vec!["create", "namespace", "{}"],
            vec!["create", "role", "{}", "--verb=get,list", "--resource=pods"],
            vec!["create", "rolebinding", "{}", "--role=x", "--serviceaccount=default:default"],
            vec!["create", "clusterrole", "{}", "--verb=get", "--resource=nodes"],
            vec![
                "create",
                "configmap",
                "{}",
                "--from-literal=a=b",
                "--dry-run=client",
                "-o",
                "yaml",
            ],
            vec!["create", "configmap", "{}", "--nosuch"],
        ] {
            same_on_own(it, &args, "");
        }
        // What `get -o yaml` printed can be created again.
        let copy = "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: '{}', resourceVersion: '12'}\n";
        same_on_own(it, &["create", "-f", "-"], copy);
        let data = it.api.get("/api/v1/namespaces/default/configmaps/of-own").ok()["data"].clone();
        assert_eq!(data, json!({"a": "b", "c": "d"}));
    });
}

#[test]
fn s61_get_in_all_its_forms() {
    on_cluster(|it| {
        let mut one = pod("one", json!({"containers": [idle("main")]}));
        one["metadata"]["labels"] = json!({"app": "web", "tier": "front"});
        it.ready(&one);
        it.ended(&once("two", "exit 1"));
        let table = same(it, &["get", "pods"]);
        let head: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(head, ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
        assert!(settled(&table).contains("one 1/1 Running 0 <age>"), "{table}");
        let ages: Vec<&str> =
            table.lines().skip(1).filter_map(|line| line.split(' ').next_back()).collect();
        let seconds = |age: &&str| age.strip_suffix('s')?.parse::<u32>().ok();
        assert!(ages.iter().all(|age| seconds(age).is_some_and(|age| age < 120)), "{table}");
        for args in [
            vec!["get", "po", "one", "-o", "yaml"],
            vec!["get", "po", "one", "-o", "json"],
            vec!["get", "pods", "-o", "wide"],
            vec!["get", "pods", "--show-labels"],
            vec!["get", "pods", "-l", "app=web"],
            vec!["get", "pods", "-l", "app=none"],
            vec!["get", "pods", "-o", "name"],
            vec!["get", "pods", "--no-headers"],
            vec!["get", "pods", "-A"],
            vec!["get", "pods", "--sort-by=.metadata.name"],
            vec!["get", "pods", "--field-selector=status.phase=Failed"],
            vec!["get", "pods", "-L", "app"],
            vec!["get", "pods", "-o", "jsonpath={.items[*].metadata.name}"],
            vec![
                "get",
                "pods",
                "-o",
                "jsonpath={range .items[*]}{.metadata.name}{\"\\t\"}{.status.phase}{\"\\n\"}{end}",
            ],
            vec!["get", "pods", "-o", "custom-columns=N:.metadata.name,P:.status.phase"],
            vec!["get", "pods", "-o", "go-template={{range .items}}{{.metadata.name}} {{end}}"],
            vec!["get", "pod", "none"],
            vec!["get", "pod", "one", "none"],
            vec!["get", "nosuch"],
            vec!["get", "pods,configmaps"],
            vec!["get", "all"],
            vec!["get", "nodes"],
            vec!["get", "node", NODE, "-o", "wide"],
            vec!["get", "namespaces"],
            vec!["get", "sa,secrets", "-n", "kube-system"],
            vec!["get", "clusterroles", "view"],
            vec!["get", "events", "-n", "none"],
            vec!["get", "pods", "-o", "nosuch"],
            vec!["get", "--raw", "/version"],
        ] {
            same(it, &args);
        }
    });
}

#[test]
fn s61_get_watches() {
    on_cluster(|it| {
        for (name, kubectl) in [("of-own", Some(it.own())), ("of-real", of_our_version())] {
            let Some(kubectl) = kubectl else { continue };
            it.ready(&pod(&format!("before-{name}"), json!({"containers": [idle("main")]})));
            let mut child = it.start_kubectl(&kubectl, &["get", "pods", "-w", "--no-headers"]);
            let mut lines =
                BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
            // What is there is listed first; what comes after that comes by the watch.
            assert!(lines.any(|line| line.starts_with("before-")));
            // The Pod waits for its volume until it has been seen waiting.
            let volume = json!({"name": "v", "configMap": {"name": name}});
            it.create_pod(&pod(name, json!({"containers": [idle("main")], "volumes": [volume]})));
            let mut seen = Vec::new();
            for line in lines.filter(|line| line.starts_with(name)) {
                let words: Vec<&str> = line.split_whitespace().collect();
                seen.push(format!("{} {}", words[1], words[2]));
                match words[1..3] {
                    ["0/1", "ContainerCreating"] => {
                        let map = json!({"metadata": {"name": name}});
                        it.api.post("/api/v1/namespaces/default/configmaps", &map);
                    }
                    ["1/1", "Running"] => break,
                    _ => {}
                }
            }
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(seen.first().map(String::as_str), Some("0/1 Pending"), "{seen:?}");
            assert!(seen.contains(&"0/1 ContainerCreating".to_owned()), "{seen:?}");
        }
    });
}

#[test]
fn s61_a_watch_of_nothing_waits_without_a_word() {
    on_cluster(|it| {
        for kubectl in [Some(it.own()), of_our_version()].into_iter().flatten() {
            let mut child = it.start_kubectl(&kubectl, &["get", "cm", "-w", "-l", "x=y"]);
            let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
            let maps = "/api/v1/namespaces/default/configmaps";
            // Each try is another change, until one comes after the watch has begun.
            let (seen, first) = std::sync::mpsc::channel();
            let reader = std::thread::spawn(move || lines.for_each(|line| drop(seen.send(line))));
            let mut number = 0;
            until("the watch tells of a change", PATIENCE, || {
                number += 1;
                let map = json!({"metadata": {"name": format!("m{number}"), "labels": {"x": "y"}}});
                it.api.post(maps, &map);
                it.api.delete(&format!("{maps}/m{number}"));
                first.try_recv().map_err(|error| error.to_string())
            });
            child.kill().unwrap();
            reader.join().unwrap();
            let told = child.wait_with_output().unwrap();
            assert_eq!(settled(&String::from_utf8_lossy(&told.stderr)), "", "{kubectl:?}");
        }
    });
}

#[test]
fn s62_describe_shows_status_conditions_and_events() {
    on_cluster(|it| {
        let mut one = pod("one", json!({"containers": [idle("main")]}));
        one["metadata"]["labels"] = json!({"app": "web"});
        it.ready(&one);
        it.event("one", "Started");
        let text = same(it, &["describe", "pod", "one"]);
        for part in [
            "Status:           Running",
            "Conditions:",
            "Events:",
            "Scheduled",
            "Pulled",
            "Created",
            "Started",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        for args in [
            vec!["describe", "pods"],
            vec!["describe", "pods", "-l", "app=web"],
            vec!["describe", "pod", "none"],
            vec!["describe", "namespace", "default"],
            vec!["describe", "serviceaccount", "default"],
            vec!["describe", "configmap", "kube-root-ca.crt"],
            vec!["describe", "clusterrole", "view"],
        ] {
            same(it, &args);
        }
        let own = it.kubectl(&["describe", "node", NODE]).ok();
        assert!(
            own.contains("Allocated resources:") && own.contains("Non-terminated Pods:"),
            "{own}"
        );
    });
}

#[test]
fn s64_explain_has_types_descriptions_and_required() {
    on_cluster(|it| {
        let pods = same(it, &["explain", "pods"]);
        assert!(pods.starts_with("KIND:       Pod\nVERSION:    v1\n"), "{pods}");
        assert!(
            pods.contains("Pod is a collection of containers that can run on a host."),
            "{pods}"
        );
        let spec = same(it, &["explain", "pod.spec"]);
        assert!(spec.contains("containers\t<[]Container> -required-"), "{spec}");
        for args in [
            vec!["explain", "pod.spec.containers.resources"],
            vec!["explain", "pod.spec.restartPolicy"],
            vec!["explain", "configmap", "--recursive"],
            vec!["explain", "pod.nosuch"],
            vec!["explain", "nosuch"],
            vec!["explain", "roles.rules", "--api-version=rbac.authorization.k8s.io/v1"],
        ] {
            same(it, &args);
        }
    });
}

//! Descriptors: how manifests come in and what they look like when read back (S10 – S14, S16 – S18).

use podo_cluster_tests::Cluster;
use podo_cluster_tests::binary::workspace;
use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::kubectl::Kubectl;
use podo_cluster_tests::pods::{also, container, idle, is_ready, once, pod, shell};
use serde_json::{Value, json};

use crate::on_cluster;

const YAML: &str = "application/yaml";

#[test]
fn s10_manifests_come_as_yaml_and_json_one_or_many() {
    on_cluster(|it| {
        let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-yaml}\ndata: {a: b}\n";
        let maps = "/api/v1/namespaces/default/configmaps";
        let made = it.api.request("POST", maps, &[("content-type", YAML)], yaml).ok();
        assert_eq!(made["data"]["a"], "b");
        let read = it.api.request("GET", &format!("{maps}/from-yaml"), &[("accept", YAML)], "");
        assert!(read.text().starts_with("apiVersion: v1\n"), "{}", read.text());
        let file = it.folder.join("many.yaml");
        let many = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\n---\n# nothing\n---\n{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"two\"}}\n";
        std::fs::write(&file, many).unwrap();
        let out = it.kubectl(&["apply", "-f", &file.to_string_lossy()]).ok();
        assert_eq!(out, "configmap/one created\nconfigmap/two created\n");
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "three"}}]});
        let out = it.run(&it.own(), &["apply", "-f", "-"], &list.to_string()).ok();
        assert_eq!(out, "configmap/three created\n");
    });
}

#[test]
fn s11_metadata_is_kept_and_the_servers_part_is_added() {
    on_cluster(|it| {
        let object = json!({"metadata": {
            "generateName": "made-", "labels": {"app": "x"}, "annotations": {"note": "한국어"},
            "finalizers": ["example.com/hold"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "u"}]}});
        let maps = "/api/v1/namespaces/default/configmaps";
        let made = it.create(maps, &object);
        let meta = &made["metadata"];
        let name = meta["name"].as_str().unwrap();
        assert!(name.starts_with("made-") && name.len() == 10, "{name}");
        for key in ["uid", "resourceVersion", "creationTimestamp"] {
            assert!(meta[key].is_string(), "{key}: {meta:#}");
        }
        assert_eq!(meta["namespace"], "default");
        assert_eq!(meta["annotations"]["note"], "한국어");
        assert!(meta["managedFields"][0]["fieldsV1"].is_object(), "{meta:#}");
        let gone = it.api.delete(&format!("{maps}/{name}")).ok();
        assert!(
            gone["metadata"]["deletionTimestamp"].is_string(),
            "the finalizer holds it: {gone:#}"
        );
        let patch = json!({"metadata": {"finalizers": null}});
        it.api.patch(&format!("{maps}/{name}"), podo_cluster_tests::api::MERGE, &patch).ok();
        assert_eq!(it.api.get(&format!("{maps}/{name}")).status, 404);
    });
}

#[test]
fn s12_s13_a_minimal_manifest_reads_back_with_every_default() {
    on_cluster(|it| {
        let spec = json!({"containers": [{"name": "k", "image": "luksa/kubia", "ports": [{"containerPort": 8080}]}]});
        let made = it.ready(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "small"}, "spec": spec}));
        let spec = &made["spec"];
        for (key, value) in [
            ("dnsPolicy", json!("ClusterFirst")),
            ("enableServiceLinks", json!(true)),
            ("preemptionPolicy", json!("PreemptLowerPriority")),
            ("priority", json!(0)),
            ("restartPolicy", json!("Always")),
            ("schedulerName", json!("default-scheduler")),
            ("securityContext", json!({})),
            ("serviceAccount", json!("default")),
            ("serviceAccountName", json!("default")),
            ("terminationGracePeriodSeconds", json!(30)),
        ] {
            assert_eq!(spec[key], value, "{key}");
        }
        let main = &spec["containers"][0];
        assert_eq!(main["imagePullPolicy"], "Always", "no tag means the newest");
        assert_eq!(main["terminationMessagePath"], "/dev/termination-log");
        assert_eq!(main["terminationMessagePolicy"], "File");
        assert_eq!(main["resources"], json!({}));
        assert_eq!(main["ports"][0]["protocol"], "TCP");
        assert_eq!(
            main["volumeMounts"][0]["mountPath"],
            "/var/run/secrets/kubernetes.io/serviceaccount"
        );
        assert_eq!(
            spec["tolerations"],
            json!([
            {"effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300},
            {"effect": "NoExecute", "key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 300}])
        );
        let token = &spec["volumes"][0];
        assert!(token["name"].as_str().unwrap().starts_with("kube-api-access-"), "{token}");
        assert_eq!(
            token["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"],
            3607
        );
        let sources = &token["projected"]["sources"];
        assert_eq!(sources[0]["serviceAccountToken"]["path"], "token");
        assert_eq!(
            sources[1]["configMap"],
            json!({"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]})
        );
        let namespace = json!({"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}});
        assert_eq!(sources[2]["downwardAPI"], json!({"items": [namespace]}));
        assert_eq!(token["projected"]["defaultMode"], 420);
        assert_eq!(main["volumeMounts"][0]["readOnly"], true);
        takes_its_token_along(it, &made);
        assert!(made["metadata"]["selfLink"].is_null());
        it.api.delete(&format!("{PODS}/small?gracePeriodSeconds=1")).ok();
    });
}

/// A Pod made of what was read back, with one more container, has the token where it was and no second one.
fn takes_its_token_along(it: &Cluster, made: &Value) {
    let mut again = made.clone();
    again["metadata"] = json!({"name": "again"});
    again["spec"]["containers"].as_array_mut().unwrap().push(idle("more"));
    let again = it.api.post(&format!("{PODS}?dryRun=All"), &again).ok();
    let volumes = again["spec"]["volumes"].as_array().unwrap();
    assert_eq!(volumes.len(), 1, "{volumes:?}");
    assert_eq!(again["spec"]["containers"][1]["volumeMounts"][0]["name"], volumes[0]["name"]);
}

#[test]
fn s12_the_yaml_that_is_read_back_has_the_form_of_document_004() {
    on_cluster(|it| {
        let file = workspace().join("examples/004/kubia-manual.yaml");
        it.kubectl(&["apply", "-f", &file.to_string_lossy()]).ok();
        it.until("kubia-manual", "is ready", is_ready);
        let text = it.kubectl(&["get", "po", "kubia-manual", "-o", "yaml"]).ok();
        let (_, spec) = text.split_once("\nspec:\n").unwrap();
        let (spec, status) = spec.split_once("\nstatus:\n").unwrap();
        let volume = spec.lines().find(|line| line.contains("name: kube-api-access-")).unwrap();
        let volume = volume.trim().trim_start_matches("- ").trim_start_matches("name: ");
        assert_eq!(
            spec.replace(volume, "VOLUME"),
            include_str!("manifests/kubia-manual.spec.yaml").trim_end()
        );
        for line in ["  phase: Running", "  qosClass: BestEffort", "    restartCount: 0"] {
            assert!(status.lines().any(|own| own == line), "{line}\n{status}");
        }
        it.api.delete(&format!("{PODS}/kubia-manual?gracePeriodSeconds=1")).ok();
    });
}

#[test]
fn s12_s14_status_names_images_and_containers_in_full() {
    on_cluster(|it| {
        let init = [shell("first", "true")];
        let spec = json!({"initContainers": init, "containers": [idle("main")]});
        let made = it.ready(&pod("full", spec));
        let status = &made["status"];
        assert_eq!(status["phase"], "Running");
        assert_eq!(status["hostIP"], "192.0.2.1");
        assert_eq!(status["hostIPs"], json!([{"ip": "192.0.2.1"}]));
        assert_eq!(status["podIPs"], json!([{"ip": status["podIP"]}]));
        assert_eq!(status["qosClass"], "BestEffort");
        assert!(status["startTime"].is_string());
        assert_eq!(status["observedGeneration"], 1);
        let main = container(&made, "main");
        assert_eq!(main["image"], "docker.io/library/busybox:latest");
        let digest = main["imageID"].as_str().unwrap();
        assert!(digest.starts_with("docker.io/library/busybox@sha256:"), "{digest}");
        assert!(main["containerID"].as_str().unwrap().starts_with("podo://"), "{main}");
        assert_eq!(
            (&main["ready"], &main["started"], &main["restartCount"]),
            (&json!(true), &json!(true), &json!(0))
        );
        assert_eq!(main["lastState"], json!({}));
        assert_eq!(main["user"]["linux"], json!({"uid": 0, "gid": 0, "supplementalGroups": [0]}));
        assert_eq!(main["resources"], json!({}));
        let first = &status["initContainerStatuses"][0];
        for key in ["image", "imageID", "resources", "user"] {
            assert_eq!(first[key], main[key], "{key}");
        }
        assert!(first["containerID"].as_str().unwrap().starts_with("podo://"), "{first}");
        let order: Vec<&str> = status["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["type"].as_str().unwrap())
            .collect();
        assert_eq!(
            order,
            [
                "PodReadyToStartContainers",
                "Initialized",
                "Ready",
                "ContainersReady",
                "PodScheduled"
            ]
        );
        for condition in status["conditions"].as_array().unwrap() {
            assert_eq!(condition["status"], "True", "{condition}");
            assert!(
                condition["lastTransitionTime"].is_string()
                    && condition.get("lastProbeTime").is_some()
            );
            assert_eq!(condition["observedGeneration"], 1, "{condition}");
        }
    });
}

#[test]
fn s16_variables_refer_to_earlier_ones_and_two_dollars_escape() {
    on_cluster(|it| {
        let env = json!([
            {"name": "A", "value": "one"}, {"name": "B", "value": "$(A)-two"}, {"name": "C", "value": "$$(A)"},
            {"name": "D", "value": "$(LATER) $(NONE)"}, {"name": "LATER", "value": "x"},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}}]);
        let script = "echo \"$B|$C|$D|$NODE|$CPU\"; echo \"args $0\"; hostname -i | grep -q \"$IP\" && echo same";
        let mut made = once("expand", script);
        let main = also(
            made["spec"]["containers"][0].clone(),
            json!({
            "env": env, "args": ["$(A) $$(A)"], "resources": {"limits": {"memory": "64Mi"}}}),
        );
        made["spec"]["containers"][0] = main;
        let log = it.output(&made);
        assert_eq!(log, "one-two|$(A)|$(LATER) $(NONE)|node-1|64\nargs one $(A)\nsame\n");
    });
}

#[test]
fn s17_bad_manifests_are_refused_and_nothing_is_stored() {
    on_cluster(|it| {
        let kubectls = [it.own()].into_iter().chain(podo_cluster_tests::kubectl::of_our_version());
        for kubectl in kubectls {
            refuses_bad_manifests(it, &kubectl);
        }
        let pods = it.api.get(PODS).ok();
        assert_eq!(pods["items"], json!([]));
    });
}

fn refuses_bad_manifests(it: &Cluster, kubectl: &Kubectl) {
    let refused = |name: &str| {
        let file = workspace().join("examples").join(name);
        it.run(kubectl, &["apply", "-f", &file.to_string_lossy()], "").refused()
    };
    let text = refused("004/refused-indentation.yaml");
    let wanted = "refused-indentation.yaml: error converting YAML to JSON: yaml: line 8: mapping values are not allowed in this context";
    assert!(text.contains(wanted), "{text}");
    let text = refused("002/refused-kind.yaml");
    // kubectl takes a kind in lower case for the real one; the server does not.
    assert!(text.contains("no kind \"pod\" is registered for version \"v1\""), "{text}");
    let text = refused("000/refused-dump.yaml");
    assert!(text.contains("strict decoding error"), "{text}");
    for field in [
        "spec.containers[0].resources.terminationMessagePath",
        "spec.containers[0].resources.volumeMounts",
    ] {
        assert!(text.contains(&format!("unknown field \"{field}\"")), "{text}");
    }
}

#[test]
fn s17_wrong_values_name_the_field_and_the_reason() {
    on_cluster(|it| {
        let bad: [(Value, &str); 4] = [
            (json!({"containers": []}), "spec.containers: Required value"),
            (
                json!({"containers": [{"name": "A_b", "image": "x"}]}),
                "spec.containers[0].name: Invalid value: \"A_b\": a lowercase RFC 1123 label must consist of",
            ),
            (
                json!({"restartPolicy": "Sometimes", "containers": [{"name": "a", "image": "x"}]}),
                "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            ),
            (
                json!({"containers": [{"name": "a", "image": "x", "ports": [{"containerPort": 70000}]}]}),
                "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            ),
        ];
        for (spec, message) in bad {
            let (code, reason, text) = it.api.post(PODS, &pod("bad", spec)).failure();
            assert_eq!((code, reason.as_str()), (422, "Invalid"), "{text}");
            assert!(text.contains(message), "{text}");
        }
        assert_eq!(it.api.get(PODS).ok()["items"], json!([]));
    });
}

#[test]
fn s18_command_and_args_over_entrypoint_and_cmd() {
    on_cluster(|it| {
        let image =
            |more: Value| also(json!({"image": "show:1", "imagePullPolicy": "IfNotPresent"}), more);
        let cases = [
            (json!({"name": "neither"}), "image-entry image-arg\n"),
            (json!({"name": "command", "command": ["/start.sh", "own"]}), "own\n"),
            (json!({"name": "args", "args": ["own-arg"]}), "image-entry own-arg\n"),
            (
                json!({"name": "both", "command": ["/start.sh", "own"], "args": ["own-arg"]}),
                "own own-arg\n",
            ),
        ];
        let containers: Vec<Value> = cases.iter().map(|(more, _)| image(more.clone())).collect();
        it.ended(&pod("four", json!({"restartPolicy": "Never", "containers": containers})));
        for (more, printed) in cases {
            let name = more["name"].as_str().unwrap();
            assert_eq!(it.log("four", name), printed, "{name}");
        }
    });
}

#[test]
fn s10_unknown_fields_warn_or_are_refused_as_the_request_wants() {
    on_cluster(|it| {
        let mut made = pod("fields", json!({"containers": [shell("main", "true")]}));
        made["spec"]["colour"] = json!("red");
        let strict = it.api.post(&format!("{PODS}?fieldValidation=Strict"), &made).failure();
        assert_eq!(strict.0, 400);
        assert!(
            strict.2.ends_with("strict decoding error: unknown field \"spec.colour\""),
            "{}",
            strict.2
        );
        let warned = it.api.post(&format!("{PODS}?dryRun=All"), &made);
        assert_eq!(warned.headers["warning"], "299 - \"unknown field \\\"spec.colour\\\"\"");
        assert!(warned.ok()["spec"]["colour"].is_null());
    });
}

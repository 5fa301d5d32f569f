//! Whole classes of command lines, each said to our kubectl and to the real one of the version that we speak: both must answer the same (S60 – S68).
//!
//! A line is split at blanks; single quotes keep blanks. `{}` is an object of one's own. What differs from run to run by nature is
//! not compared here: `-o json` of what was made twice, tokens, the order of events of one moment, and that of the keys of data,
//! which v1.33 describes in no order.

use podo_cluster_tests::Cluster;
use podo_cluster_tests::pods::{idle, is_ready, once, pod, shell};
use serde_json::json;

use crate::kubectl::{compared, compared_on_own};
use crate::on_cluster;

/// The words of a line.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in line.chars() {
        match (letter, words.last_mut()) {
            ('\'', _) => is_quoted = !is_quoted,
            (' ', _) if !is_quoted => words.push(String::new()),
            (_, Some(word)) => word.push(letter),
            _ => {}
        }
    }
    words
}

/// Both kubectls about the same objects.
#[track_caller]
fn alike(it: &Cluster, lines: &[&str]) {
    all_alike(lines.iter().map(|line| compared(it, &slices(&words(line))).1));
}

/// Each kubectl about an object of its own.
#[track_caller]
fn alike_on_own(it: &Cluster, lines: &[&str]) {
    all_alike(lines.iter().map(|line| compared_on_own(it, &slices(&words(line)), "").1));
}

fn slices(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// One run tells of all lines that differ.
#[track_caller]
fn all_alike(differences: impl Iterator<Item = Option<String>>) {
    let differences: Vec<String> = differences.flatten().collect();
    assert!(differences.is_empty(), "{} differ\n{}", differences.len(), differences.join("\n\n"));
}

/// A Pod with two containers that have said something, one that failed, one that cannot be placed, and what else there is to look at.
fn furnish(it: &Cluster) {
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"},
         "data": {"lines": "x\ny\n"}, "binaryData": {"bin": "AAEC"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hidden"}, "stringData": {"pass": "hunter2"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front", "labels": {"app": "web"}},
         "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}, {"name": "other", "port": 81, "targetPort": 9}]}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "outside"},
         "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "nodePort": 30080}]}},
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 1000, "description": "much"},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "reader"},
         "rules": [{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "reads"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
         "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}, {"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}]},
        {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "turn"}, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 10}},
    ]});
    it.run(&it.own(), &["apply", "-f", "-"], &objects.to_string()).ok();
    let mut talks = shell("main", "echo hello; echo world; exec sleep 3600");
    talks["env"] = json!([{"name": "A", "value": "b"}, {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]);
    talks["resources"] = json!({"requests": {"cpu": "10m"}, "limits": {"memory": "50Mi"}});
    talks["volumeMounts"] = json!([{"name": "c", "mountPath": "/c", "readOnly": true}]);
    let mut one = pod(
        "one",
        json!({
            "initContainers": [shell("setup", "echo init")],
            "containers": [talks, shell("side", "echo side; exec sleep 3600")],
            "volumes": [{"name": "c", "configMap": {"name": "settings"}}],
        }),
    );
    one["metadata"]["labels"] = json!({"app": "web", "tier": "front"});
    one["metadata"]["annotations"] = json!({"note": "some <text>"});
    it.ready(&one);
    it.ended(&once("failing", "echo bad; exit 3"));
    let mut lost = pod("pending", json!({"containers": [idle("main")]}));
    lost["spec"]["nodeSelector"] = json!({"no": "such"});
    it.create_pod(&lost);
    it.event("pending", "FailedScheduling");
}

#[test]
fn s61_get_by_flags_and_by_mistake() {
    on_cluster(|it| {
        furnish(it);
        alike(it, GET_FORMS);
        alike(it, GET_SELECTIONS);
        alike(it, GET_MISTAKES);
    });
}

const GET_FORMS: &[&str] = &[
    "get pods -owide",
    "get pods -o JSON",
    "get pods -A -o wide",
    "get pods -L app,tier",
    "get pods -L app -L tier --show-labels",
    "get pods --show-kind",
    "get pods --show-kind --no-headers",
    "get pods -o jsonpath='{.items[?(@.status.phase==\"Running\")].metadata.name}'",
    "get pods -o jsonpath='{.items[0]}'",
    "get pods -o jsonpath='{.items[0:2].metadata.name}'",
    "get pods -o jsonpath='{.items[-1:].metadata.name}'",
    "get pods -o jsonpath={.nosuch}",
    "get pods -o jsonpath={.nosuch} --allow-missing-template-keys=false -n none",
    "get pod one -o jsonpath='{.metadata.labels.app}{\"\\n\"}{.metadata.annotations}'",
    "get pod one -o jsonpath-as-json={.spec.containers[*].name}",
    "get pods -o custom-columns=N:.metadata.labels,P:.spec.containers[*].image",
    "get pods -o custom-columns=N:.metadata.name --no-headers",
    "get pods -o go-template='{{len .items}} {{index .items 0 \"metadata\" \"name\"}}'",
    "get pods -o go-template='{{.nosuch}}'",
    "get pods --template={{.kind}}",
    "get pods -o yaml --sort-by=.metadata.name",
    "get pod one -o yaml --show-managed-fields",
    "get pods,svc -o wide",
    "get pods,cm,svc -o name",
    "get pods,cm -o json",
    "get pods/one cm/settings",
    "get all -A",
    "get all -o name",
    "get ns default -o yaml",
    "get secret hidden -o jsonpath={.data.pass}",
    "get cm settings -o yaml",
    "get svc -o wide",
    "get roles,rolebindings -o wide",
    "get clusterrolebindings",
    "get priorityclasses",
    "get leases -A",
    "get endpoints,endpointslices",
    "get node --show-labels",
    "get deployments -n none",
    "get --raw /healthz",
];

const GET_SELECTIONS: &[&str] = &[
    "get pods --sort-by={.status.phase}",
    "get pods --sort-by=.status.containerStatuses[0].restartCount",
    "get pods --sort-by=.nosuch",
    "get pods -o name --sort-by=.nosuch",
    "get pods --sort-by=[[[",
    "get pods,svc --sort-by=.metadata.name",
    "get pods --field-selector=status.phase!=Running",
    "get pods --field-selector=nosuch=x",
    "get pods --field-selector=",
    "get pods -A --field-selector=metadata.name=one",
    "get pods -l 'a in'",
    "get pods -l 'app in (web,crash)'",
    "get pods -l !app",
    "get pods --chunk-size=1",
    "get pods --chunk-size=-1",
    "get po,po",
    "get pods one one",
    "get pod none --ignore-not-found",
    "get pod none one --ignore-not-found",
    "get pod none --ignore-not-found -o json",
    "get pods -n none",
    "get pods -n none -o json",
    "get pods -n none -o custom-columns=A:.b",
    "get pods --all-namespaces=true -o name",
    "get pods -w=false",
    "get pods.v1. one",
    "get events --field-selector=involvedObject.name=none",
    "get pods --as=jane",
    "get secrets --as=jane -o json",
];

const GET_MISTAKES: &[&str] = &[
    "get",
    "get -f",
    "get -f /nosuch",
    "get pods -f /nosuch",
    "get pods -k /nosuch",
    "get pods -o",
    "get pods -n",
    "get pods --sort-by",
    "get pods -Z",
    "get pods --watch=maybe",
    "get pods --chunk-size=x",
    "get pods --output-watch-events",
    "get pods -o name --show-labels",
    "get pods -o jsonpath=",
    "get pods -o jsonpath",
    "get pods -o jsonpath='{.items[}'",
    "get pods -o jsonpath='{.items[*][\"a\",\"b\"]}'",
    "get pods -o go-template",
    "get pods -o custom-columns",
    "get pods -o custom-columns=A",
    "get pods one -A",
    "get pods one -l app=web",
    "get pods/one none",
    "get pod/one/x",
    "get pod/",
    "get pods one --subresource=nosuch",
    "get pods.v1 one",
    "get nosuch.apps x",
    "get --raw /nosuch",
    "get --raw nosuch",
    "get --raw /version pods",
    "get --raw /version -o json",
    "get pods --context=nosuch",
    "get pods --cluster=nosuch",
    "get pods --kubeconfig=/nosuch",
    "get pods --request-timeout=abc",
    "get pods --token=bad",
    "get pods --as-group=x",
];

#[test]
fn s62_describe_of_every_kind() {
    on_cluster(|it| {
        furnish(it);
        it.event("one", "Started");
        alike(it, DESCRIBE);
    });
}

/// Events of one moment have no order of their own, so Pods are described without them but for one.
const DESCRIBE: &[&str] = &[
    "describe pod one --show-events=false",
    "describe pod failing --show-events=false",
    "describe pod pending",
    "describe pods -l app=web --show-events=false",
    "describe pods -A --show-events=false",
    "describe po/one cm/settings --show-events=false",
    "describe pod on --show-events=false",
    "describe pod one none --show-events=false",
    "describe",
    "describe nosuch",
    "describe pods -n none",
    "describe pods one -l app=web",
    "describe pods -l 'a in'",
    "describe -f /nosuch",
    "describe pods one -o yaml",
    "describe pod one --show-events=maybe",
    "describe node --show-events=false",
    "describe ns --show-events=false",
    "describe svc --show-events=false",
    "describe secret hidden",
    "describe cm settings",
    "describe role reader",
    "describe rolebinding reads",
    "describe clusterrole cluster-admin",
    "describe clusterrolebinding --show-events=false",
    "describe sa --show-events=false",
    "describe priorityclass high",
    "describe lease turn",
    "describe endpointslices --show-events=false",
];

#[test]
fn s60_files_that_are_right_and_wrong() {
    on_cluster(|it| {
        let each = FILES.iter();
        all_alike(each.map(|(line, input)| compared_on_own(it, &slices(&words(line)), input).1));
    });
}

const HEAD: &str = "apply -f -";
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{}'}\ndata: {a: b}\n";
const CHANGED: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{}'}\ndata: {a: c}\n";

/// What kubectl is given, and on its standard input.
const FILES: &[(&str, &str)] = &[
    (HEAD, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{}', labels: {a: true}}\n"),
    (
        "create -f -",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{}', annotations: {a: 1}}\n",
    ),
    (HEAD, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{}', labels: [a]}\n"),
    (HEAD, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 1}\n"),
    (HEAD, "apiVersion: v1\nkind: ConfigMap\nmetadata: x\n"),
    (HEAD, "apiVersion: v1\nkind: ConfigMap\n"),
    (HEAD, "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: x-}\n"),
    (HEAD, "apiVersion: v1\nmetadata: {name: x}\n"),
    ("create -f -", "kind: Pod\nmetadata: {name: x}\n"),
    (HEAD, "- a\n- b\n"),
    (HEAD, "just text\n"),
    (HEAD, ""),
    (HEAD, "---\n---\n"),
    (HEAD, "a: b: c\n"),
    ("create -f -", "a:\n\t- b\n"),
    (HEAD, "{\"apiVersion\": \"v1\", "),
    (
        HEAD,
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"{}-a\"}} {\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"{}-b\"}}",
    ),
    (HEAD, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{}'}\ndata: {a: 1}\n"),
    (HEAD, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{}'}\nfoo: 1\nbar: 2\n"),
    (
        "apply -f - --validate=warn",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{}'}\nfoo: 1\n",
    ),
    (
        "create -f - --validate=warn --warnings-as-errors",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{}-w'}\nfoo: 1\n",
    ),
    ("create -f - --warnings-as-errors --dry-run=server", MAP),
    ("apply -f - --validate=nosuch", MAP),
    (HEAD, MAP),
    (HEAD, MAP),
    ("apply -f - --dry-run=client", CHANGED),
    ("apply -f - --dry-run=server", CHANGED),
    ("apply -f - --dry-run=nosuch", CHANGED),
    ("apply -f - -o name", CHANGED),
    ("apply -f - --force-conflicts", CHANGED),
    ("apply -f - --server-side --dry-run=client", CHANGED),
    ("apply -f - -l 'a in'", CHANGED),
    ("apply -f - x", CHANGED),
    ("apply", ""),
    ("apply x", ""),
    ("apply -f", ""),
    ("apply -f /nosuch", ""),
    ("apply view-last-applied cm {}", ""),
    ("apply view-last-applied cm none", ""),
    ("create", ""),
    ("create nosuch", ""),
    ("create -f -", MAP),
    ("create -f - --dry-run=client", MAP),
    (HEAD, "apiVersion: v1\nkind: Pod\nmetadata: {name: '{}'}\nspec: {}\n"),
    (
        "create -f -",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: 'UP{}'}\nspec: {containers: [{name: A_, image: x}, {image: y}]}\n",
    ),
    (
        HEAD,
        "apiVersion: v1\nkind: Pod\nmetadata: {name: '{}'}\nspec: {containers: [{name: a, image: x, ports: [{containerPort: abc}]}]}\n",
    ),
    ("create -f -", "apiVersion: v1\nkind: Secret\nmetadata: {name: '{}'}\ndata: {a: '!!'}\n"),
    ("delete -f -", MAP),
    ("delete -f - --ignore-not-found", MAP),
    ("delete -f /nosuch", ""),
];

#[test]
fn s60_create_by_flags() {
    on_cluster(|it| alike_on_own(it, CREATE));
}

const CREATE: &[&str] = &[
    "create configmap",
    "create configmap a b",
    "create cm {} --from-literal=a",
    "create cm {} --from-literal=a=b --from-literal=a=c",
    "create cm {} --from-file=/nosuch",
    "create cm {} --from-literal='bad key=b' --dry-run=client -o yaml",
    "create cm {} --from-literal=a=<b> --from-literal=c=d --dry-run=client -o json",
    "create cm {} --from-literal=a=b --dry-run=nosuch",
    "create cm {} --from-literal=a=b -o nosuch",
    "create cm {} --from-literal=a=b -o wide",
    "create cm {} -n none",
    "create cm {} -o name",
    "create cm {}",
    "create cm Bad_{}",
    "create secret generic {} --from-literal=a=b --type=foo --dry-run=client -o yaml",
    "create secret generic",
    "create secret nosuch {}",
    "create secret docker-registry {}",
    "create secret docker-registry {} --docker-server=s --docker-username=u --docker-password=p --dry-run=client -o yaml",
    "create secret tls {}",
    "create secret tls {} --cert=/nosuch --key=/nosuch",
    "create role {} --verb=nosuch --resource=pods --dry-run=client -o json",
    "create role {} --verb=get --resource=nosuch",
    "create role {} --verb=get",
    "create role {} --resource=pods",
    "create role {} --verb=get --resource=pods,pods/log,leases.coordination.k8s.io --resource-name=x --dry-run=client -o yaml",
    "create rolebinding {} --role=x --clusterrole=y",
    "create rolebinding {} --clusterrole=view --user=u --group=g --serviceaccount=a:b --dry-run=client -o json",
    "create rolebinding {} --role=x --serviceaccount=bad",
    "create clusterrole {} --verb=get --non-resource-url=x",
    "create clusterrole {} --verb=get --non-resource-url=/x --dry-run=client -o yaml",
    "create clusterrolebinding {}",
    "create service clusterip {} --tcp=80:8080 --dry-run=client -o json",
    "create service clusterip {}",
    "create service clusterip {} --tcp=abc",
    "create service nodeport {} --tcp=80:81 --node-port=30099 --dry-run=client -o yaml",
    "create service externalname {}",
    "create priorityclass {} --value=x",
    "create priorityclass {} --value=10 --preemption-policy=nosuch",
    "create priorityclass {} --value=10",
    "create deployment {} --image=x --replicas=2 --port=80 --dry-run=client -o yaml -- sleep 1",
    "create deployment {}",
    "create cronjob {} --image=x",
    "create ingress {} --rule=a/b=svc:80,tls=s --rule=a/c*=svc:http --dry-run=client -o yaml",
    "create ingress {}",
    "create token nosuch",
    "create token default --duration=1s",
    "create token default --duration=x",
];

#[test]
fn s63_s68_logs_exec_attach_and_port_forward() {
    on_cluster(|it| {
        furnish(it);
        alike(it, STREAMS);
    });
}

const STREAMS: &[&str] = &[
    "logs",
    "logs a b c",
    "logs one",
    "logs one side",
    "logs one main -c side",
    "logs pod/one -c setup",
    "logs one -c main --tail=0",
    "logs one -c main --tail=-5",
    "logs one -c main --tail=x",
    "logs one --since=1h",
    "logs one --since=x",
    "logs one --since=-1s",
    "logs one --since-time=x",
    "logs one --since-time=2020-01-01T00:00:00Z",
    "logs one --since-time=2020-01-01T00:00:00Z --since=1s",
    "logs one --limit-bytes=3",
    "logs one --limit-bytes=-3",
    "logs one -c main --timestamps",
    "logs one --all-containers -c main",
    "logs one --all-pods",
    "logs -l app=web",
    "logs -l app=web one",
    "logs -l app=web one two",
    "logs svc/front",
    "logs cm/settings",
    "logs nosuch/x",
    "logs pending",
    "logs failing",
    "logs failing -f",
    "logs failing --previous",
    "exec",
    "exec one",
    "exec one echo hi",
    "exec pod/one -- echo hi",
    "exec svc/front -- echo hi",
    "exec one -c side -- sh -c 'echo out; exit 3'",
    "exec failing -- true",
    "exec one -f /nosuch -- true",
    "exec one --pod-running-timeout=x -- true",
    "exec one -c main -- sh -c 'kill -9 $$'",
    "attach",
    "attach one two three",
    "attach none",
    "attach failing",
    "port-forward",
    "port-forward one",
    "port-forward none 80",
    "port-forward one 0",
    "port-forward one 99999",
    "port-forward one :nosuch",
    "port-forward pending 8080:80",
    "port-forward svc/front 8080:nosuch",
    "port-forward svc/front 8080:99",
    "port-forward one 8080 --address=192.0.2.99",
];

#[test]
fn s64_s68_explain_and_ask() {
    on_cluster(|it| {
        furnish(it);
        alike(it, QUESTIONS);
    });
}

const QUESTIONS: &[&str] = &[
    "explain",
    "explain pods a",
    "explain nosuch",
    "explain pods --api-version=v2",
    "explain pod --recursive",
    "explain pod.spec.containers.livenessProbe --recursive",
    "explain pod.spec.nosuch.x",
    "explain node.status.capacity",
    "explain service.spec.ports.targetPort",
    "explain pod.spec.containers.env.valueFrom",
    "explain leases.spec",
    "explain pods --output=nosuch",
    "api-resources x",
    "api-resources --api-group=nosuch",
    "api-resources --verbs=list,watch --sort-by=kind",
    "api-resources --categories=all --no-headers",
    "api-resources --sort-by=x",
    "api-versions",
    "api-versions x",
    "version x",
    "version -o nosuch",
    "cluster-info",
    "cluster-info dump -o nosuch",
    "cluster-info dump -o name",
    "auth can-i approve pods",
    "auth can-i sign pods",
    "auth whoami -o jsonpath={.status.userInfo.groups}",
    "auth whoami -o nosuch",
    "auth whoami --as=jane --as-group=a --as-group=b",
    "auth can-i",
    "auth can-i get pods a b",
    "auth can-i get nosuch",
    "auth can-i get nosuch.apps",
    "auth can-i nosuchverb pods",
    "auth can-i get /healthz",
    "auth can-i get nodes -n x",
    "auth can-i get pods --subresource=log --as=jane -q",
    "auth can-i list --list",
    "auth can-i --list --no-headers",
    "config view -o json",
    "config view --raw",
    "config view --minify --flatten",
    "config view --minify --context=nosuch",
    "config view x",
    "config nosuch",
    "config get-contexts nosuch",
    "config get-contexts -o json",
    "config get-clusters",
    "config get-users",
    "config use-context nosuch",
    "config delete-context nosuch",
    "events --for pod/none",
    "events --for nosuch/x",
    "events --types=nosuch",
    "events --for pod/pending",
];

#[test]
fn s66_s68_change_wait_run_and_delete() {
    on_cluster(|it| {
        for name in ["of-own", "of-real"] {
            it.create_pod(&pod(name, json!({"containers": [idle("main")]})));
        }
        for name in ["of-own", "of-real"] {
            it.until(name, "is ready", is_ready);
        }
        alike_on_own(it, CHANGES);
    });
}

const CHANGES: &[&str] = &[
    "label",
    "label pod",
    "label pod {}",
    "label pod {} 'a=bad value!'",
    "label pod {} a=b a-",
    "label pod {} a=b=c",
    "label pod {} a=b",
    "label pod {} --list",
    "label pods -l none=none z=w",
    "label pod {} q=r --dry-run=server",
    "label pod {} q=r --dry-run",
    "label pod {} q=r --dry-run=true",
    "label pod {} q=q --dry-run=false",
    "label pod none a=b",
    "annotate pod {} 'bad key!=x'",
    "annotate pod {} a=b a-",
    "patch",
    "patch pod {}",
    "patch pod {} -p ''",
    "patch pod {} --type=nosuch -p '{}'",
    "patch pod {} --type=json -p '[{\"op\":\"remove\",\"path\":\"/metadata/labels/none\"}]'",
    "patch pod {} -p 'metadata: {labels: {y: aml}}'",
    "patch pod {} -p '{\"metadata\":{\"labels\":{\"p\":\"s\"}}}' --dry-run=client",
    "patch pod {} -p '{\"metadata\":{\"labels\":{\"p\":\"s\"}}}' --dry-run=server",
    "patch pod {} -p '{\"metadata\":{\"labels\":{\"p\":1}}}'",
    "patch pod {} --patch-file=/nosuch",
    "patch nosuch x -p {}",
    "wait",
    "wait pod/{}",
    "wait pod/{} --for=condition=ready --timeout=5s",
    "wait pod/{} --for=condition=Ready=false --timeout=1s",
    "wait pod/{} --for=jsonpath={.status.phase} --timeout=5s",
    "wait pod/{} --for=jsonpath={.status.nosuch} --timeout=1s",
    "wait pod/{} --for=jsonpath={ --timeout=1s",
    "wait pod/{} --for=nosuch",
    "wait pod/none --for=create --timeout=1s",
    "wait pod/none --for=condition=Ready --timeout=1s",
    "wait pod/{} --for=delete --timeout=1s",
    "wait pods -l app=none --for=condition=Ready --timeout=1s",
    "wait pod/{} --for=condition=Ready --timeout=x",
    "run",
    "run {}-a",
    "run {}-a --image=",
    "run {}-a --image=Not::Valid",
    "run {}-a --image='a b'",
    "run {}-a --image=busybox --restart=Sometimes",
    "run {}-a --image=busybox --env=A",
    "run {}-a --image=busybox -t",
    "run {}-a --image=busybox --rm",
    "run {}-a --image=busybox -it --dry-run=client",
    "run {}-a --image=busybox --expose",
    "run {}-a --image=busybox --port=80 --expose --dry-run=client -o yaml",
    "run {}-a --image=busybox --image-pull-policy=x",
    "run {}-a --image=busybox --save-config --dry-run=client -o yaml",
    "run {}-a --image=busybox --dry-run=client -o json",
    "run {}-a --image=busybox --overrides='{\"spec\":{\"containers\":[{\"name\":\"x\",\"image\":\"y\"}]}}' --dry-run=client -o json",
    "run {}-a --image=busybox --overrides='[{\"op\":\"add\",\"path\":\"/spec/hostname\",\"value\":\"x\"}]' --override-type=json --dry-run=client -o json",
    "run {}-a --image=busybox --overrides=nonsense",
    "run {}-a --image=busybox --override-type=x --overrides={}",
    "delete",
    "delete --all",
    "delete pod",
    "delete pods --all pod",
    "delete pods --all -l x=y",
    "delete pods --all -n none",
    "delete pods -l 'a in'",
    "delete pods -l app=none",
    "delete pod {} --now --grace-period=5",
    "delete pod {} --grace-period=x",
    "delete pod {} --timeout=x",
    "delete pod {} --cascade=nosuch",
    "delete pod {} --cascade=false --dry-run=client",
    "delete pod {} --dry-run",
    "delete pod {} -o yaml",
    "delete pod {} --field-selector=metadata.name=x",
    "delete pod/{} cm/none --dry-run=server",
    "delete pod {} --force --dry-run=client",
    "delete pod {} --force --grace-period=0",
    "delete pod {} --ignore-not-found",
    "delete nosuch x",
];

#[test]
fn s66_s68_labels_selectors_and_overrides_of_flags() {
    on_cluster(|it| {
        it.ready(&pod("one", json!({"containers": [idle("main")]})));
        alike_on_own(it, LABELS);
        alike_on_own(it, OVERRIDES);
    });
}

const LABELS: &[&str] = &[
    "run {}-a --image=busybox --dry-run=client -o yaml --labels=a=b,c=d",
    "run {}-a --image=busybox --dry-run=client -o yaml --labels=a=b=c",
    "run {}-a --image=busybox --dry-run=client -o yaml --labels=a==b",
    "run {}-a --image=busybox --dry-run=client -o yaml --labels=a=b,,c=d",
    "run {}-a --image=busybox --dry-run=client -o yaml --labels=,",
    "run {}-a --image=busybox --dry-run=client -o yaml --labels==b",
    "run {}-a --image=busybox --dry-run=client -o yaml --labels=a",
    "run {}-a --image=busybox --dry-run=client -o yaml --labels=a=",
    "run {}-a --image=busybox --dry-run=client -o yaml --labels=",
    "expose pod one --name={} --port=1 --selector=a=b --dry-run=client -o yaml",
    "expose pod one --name={} --port=1 --selector=a==b --dry-run=client -o yaml",
    "expose pod one --name={} --port=1 --selector==b --dry-run=client -o yaml",
    "expose pod one --name={} --port=1 --selector=a=b, --dry-run=client -o yaml",
    "expose pod one --name={} --port=1 --labels=a=b=c --dry-run=client -o yaml",
    "create pdb {} --min-available=1 --selector=a==b,c --dry-run=client -o yaml",
    "create pdb {} --min-available=1 --selector='a in (c,b),d notin (e)' --dry-run=client -o yaml",
    "create pdb {} --min-available=1 --selector='!a' --dry-run=client -o yaml",
    "create pdb {} --min-available=1 --selector='a!=b' --dry-run=client -o yaml",
    "create pdb {} --min-available=1 --selector='a>1' --dry-run=client -o yaml",
    "create pdb {} --min-available=1 --selector=a=b=c --dry-run=client -o yaml",
    "create pdb {} --min-available=1 --selector=a=b, --dry-run=client -o yaml",
    "create clusterrole {} --aggregation-rule=a=b=c,d=e --dry-run=client -o yaml",
    "create clusterrole {} --aggregation-rule=a=b, --dry-run=client -o yaml",
    "create clusterrole {} --aggregation-rule=a --dry-run=client -o yaml",
];

const OVERRIDES: &[&str] = &[
    "run {}-a --image=busybox --dry-run=client -o yaml --overrides='spec: {hostNetwork: true}'",
    "run {}-a --image=busybox --dry-run=client -o yaml --overrides='{\"spec\":{}} x'",
    "run {}-a --image=busybox --dry-run=client -o yaml --overrides=null",
    "run {}-a --image=busybox --dry-run=client -o yaml --overrides='{\"spec\":{\"hostNetwork\":\"x\"}}'",
    "run {}-a --image=busybox --dry-run=client -o yaml --overrides='{\"spec\":{\"nosuch\":1}}'",
    "run {}-a --image=busybox --dry-run=client -o yaml --override-type=strategic --overrides='{\"spec\":{\"containers\":[{\"name\":\"{}-a\",\"tty\":true}]}}'",
    "run {}-a --image=busybox --dry-run=client -o yaml --override-type=strategic --overrides=[]",
    "run {}-a --image=busybox --dry-run=client -o yaml --override-type=strategic --overrides=null",
    "run {}-a --image=busybox --dry-run=client -o yaml --override-type=strategic --overrides='{bad'",
    "run {}-a --image=busybox --dry-run=client -o yaml --override-type=json --overrides={}",
    "run {}-a --image=busybox --dry-run=client -o yaml --override-type=json --overrides=1",
    "run {}-a --image=busybox --dry-run=client -o yaml --override-type=json --overrides='{bad'",
    "run {}-a --image=busybox --dry-run=client -o yaml --override-type=json --overrides='[{\"op\":\"test\",\"path\":\"/kind\",\"value\":1}]'",
    "run {}-a --image=busybox --dry-run=client -o yaml --override-type=json --overrides='[{\"op\":\"remove\",\"path\":\"/nosuch\"}]'",
    "run {}-a --image=busybox --dry-run=client -o yaml --override-type=json --overrides='[{\"op\":\"remove\",\"path\":\"/spec/nosuch/x\"}]'",
    "run {}-a --image=busybox --dry-run=client -o yaml --override-type=json --overrides='[{\"op\":\"replace\",\"path\":\"/nosuch\",\"value\":1}]'",
    "run {}-a --image=busybox --dry-run=client -o yaml --override-type=json --overrides='[{\"op\":\"remove\",\"path\":\"/spec/nosuch\"}]'",
    "run {}-a --image=busybox --dry-run=client -o yaml --override-type=json --overrides='[{\"op\":\"move\",\"from\":\"/spec/nosuch\",\"path\":\"/spec/x\"}]'",
    "run {}-a --image=busybox --dry-run=client -o yaml --override-type=json --overrides='[{\"op\":\"copy\",\"from\":\"/nosuch\",\"path\":\"/x\"}]'",
    "run {}-a --image=busybox --dry-run=client -o yaml --override-type=json --overrides='[{\"op\":\"add\",\"path\":\"/nosuch/x\",\"value\":1}]'",
    "run {}-a --image=busybox --dry-run=client -o yaml --override-type=json --overrides='[{\"op\":\"nosuch\",\"path\":\"/x\"}]'",
    "run {}-a --image=busybox --dry-run=client -o yaml --override-type=json --overrides='[{\"path\":\"/x\"}]'",
];

/// A real kubectl stops at the first kind that the server does not serve; ours leaves it out.
#[test]
fn s68_cluster_info_dump_is_all_that_there_is_to_look_at() {
    on_cluster(|it| {
        it.ready(&pod(
            "one",
            json!({"containers": [shell("main", "echo hello; exec sleep 3600")]}),
        ));
        it.ended(&once("two", "echo bye"));
        let own = it.kubectl(&["cluster-info", "dump"]).ok();
        if let Some(real) = podo_cluster_tests::kubectl::of_our_version() {
            // A node's heartbeat moves on, and with it the version of every list.
            let settled = |text: &str| {
                let lines = text.lines().filter(|line| {
                    !line.contains("\"resourceVersion\"") && !line.contains("HeartbeatTime\"")
                });
                lines.map(|line| format!("{line}\n")).collect::<String>()
            };
            let real = it.run(&real, &["cluster-info", "dump"], "").out;
            assert!(real.contains("EventList"), "{real}");
            let (own, real) = (settled(&own), settled(&real));
            let from = own.bytes().zip(real.bytes()).take_while(|(own, real)| own == real).count();
            assert_eq!(from, real.len(), "own: {}", &own[from.saturating_sub(80)..]);
        }
        for list in ["NodeList", "EventList", "ServiceList", "PodList"] {
            assert!(own.contains(&format!("\"kind\": \"{list}\"")), "{list}");
        }
        for (pod, log) in [("one", "hello"), ("two", "bye")] {
            let logs = format!("logs for container main of pod default/{pod} ====\n");
            assert!(own.contains(&format!("==== START {logs}{log}\n==== END {logs}")), "{pod}");
        }
        let folder = it.folder.join("dump");
        let into = format!("--output-directory={}", folder.display());
        let said =
            it.kubectl(&["cluster-info", "dump", &into, "--namespaces=default", "-o", "yaml"]).ok();
        assert_eq!(said, format!("Cluster info dumped to {}\n", folder.display()));
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(read("nodes.yaml").contains("kind: NodeList\n"));
        assert!(read("default/pods.yaml").contains("name: two\n"));
        assert!(read("default/two/logs.txt").contains("\nbye\n"));
        assert!(!folder.join("kube-system").exists());
    });
}

#[test]
fn s68_auth_reconcile_adds_what_is_missing_and_takes_away_what_is_too_much() {
    on_cluster(|it| {
        let each = RECONCILE.iter();
        all_alike(each.map(|(line, input)| compared_on_own(it, &slices(&words(line)), input).1));
    });
}

/// What each line is told to reconcile, one after another on the same objects.
const RECONCILE: &[(&str, &str)] = &[
    ("auth reconcile", ""),
    ("auth reconcile -f nosuch.yaml", ""),
    ("auth reconcile -f - --dry-run=client", ROLE),
    ("auth reconcile -f -", BAD_ROLE),
    ("get role {} -o jsonpath={.rules}", ""),
    ("auth reconcile -f -", ROLE),
    ("auth reconcile -f -", ROLE),
    ("get role {} -o jsonpath={.rules}", ""),
    ("auth reconcile -f -", WIDER_ROLE),
    ("get role {} -o jsonpath={.rules}{.metadata.labels}", ""),
    ("auth reconcile -f - --remove-extra-permissions --dry-run=client", ROLE),
    ("auth reconcile -f - --remove-extra-permissions", ROLE),
    ("get role {} -o jsonpath={.rules}{.metadata.labels}", ""),
    ("auth reconcile -f - -o name", WIDER_ROLE),
    ("annotate role {} rbac.authorization.kubernetes.io/autoupdate=false", ""),
    ("auth reconcile -f - --remove-extra-permissions", ROLE),
    ("get role {} -o jsonpath={.rules}", ""),
    ("auth reconcile -f -", BINDING),
    ("auth reconcile -f -", BINDING),
    ("auth reconcile -f -", OTHER_SUBJECTS),
    ("get rolebinding {} -o jsonpath={.subjects[*].name}", ""),
    ("auth reconcile -f - --remove-extra-subjects", OTHER_SUBJECTS),
    ("get rolebinding {} -o jsonpath={.subjects[*].name}", ""),
    ("auth reconcile -f -", OTHER_ROLE),
    ("get rolebinding {} -o jsonpath={.roleRef.name}{.subjects[*].name}", ""),
    ("auth reconcile -f -", MAP),
    ("auth reconcile -f -", AGGREGATED),
    ("auth reconcile -f - -o jsonpath={.aggregationRule} --dry-run=client", AGGREGATED),
    ("delete clusterrole {}", ""),
];

const ROLE: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: '{}', namespace: default}\nrules:\n- {apiGroups: [''], resources: [pods, pods/log], verbs: [get, list]}\n";
/// In YAML `y` is a truth value.
const BAD_ROLE: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: '{}', namespace: default}\nrules:\n- {apiGroups: [''], resources: [pods], resourceNames: [y], verbs: [get]}\n";
const WIDER_ROLE: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: '{}', namespace: default, labels: {a: b}}\nrules:\n- {apiGroups: ['', apps], resources: [pods], resourceNames: [x, z], verbs: [get, delete]}\n- {apiGroups: [''], resources: ['*/log'], verbs: ['*']}\n";
const BINDING: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: '{}', namespace: default}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: '{}'}\nsubjects:\n- {apiGroup: rbac.authorization.k8s.io, kind: User, name: jane}\n- {kind: ServiceAccount, name: default, namespace: default}\n";
const OTHER_SUBJECTS: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: '{}', namespace: default}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: '{}'}\nsubjects:\n- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: devs}\n- {apiGroup: rbac.authorization.k8s.io, kind: User, name: jane}\n";
const OTHER_ROLE: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: '{}', namespace: default}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}\nsubjects:\n- {apiGroup: rbac.authorization.k8s.io, kind: User, name: joe}\n";
const AGGREGATED: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: '{}'}\naggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}\nrules: []\n";

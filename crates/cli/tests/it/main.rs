//! kubectl against a server in the same process; where a real kubectl is at hand, it must say the same.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]
#![expect(clippy::print_stderr, reason = "a comparison that is left out is told")]

mod fake;
mod files;

use std::io::{self, Write};
use std::process::Command;
use std::sync::{Arc, Mutex};

use fake::Fake;
use podo_cli::{Defaults, Streams};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What a command said.
#[derive(Debug, PartialEq)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

/// Output that a test can read while the command holds it.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A server with a kubeconfig for it.
struct Cluster {
    fake: Fake,
    folder: TempDir,
}

impl Cluster {
    fn new() -> Self {
        let fake = Fake::start(&objects());
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "current-context: c\nclusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{}'}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\n",
            fake.port
        );
        std::fs::write(folder.path().join("config"), config).unwrap();
        Self { fake, folder }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }

    fn arguments(&self, line: &str) -> Vec<String> {
        let config = self.folder.path().join("config").to_string_lossy().into_owned();
        let mut words = vec!["--kubeconfig".to_owned(), config];
        words.extend(split(line));
        words
    }

    /// Runs our kubectl.
    fn ours(&self, line: &str) -> Said {
        let (out, err) = (Shared::default(), Shared::default());
        let streams = Streams {
            input: Box::new(io::empty()),
            output: Box::new(out.clone()),
            errors: Box::new(err.clone()),
            is_process: false,
        };
        let mut args = vec!["kubectl".into()];
        args.extend(self.arguments(line).into_iter().map(Into::into));
        let code = podo_cli::kubectl::run(args, Defaults::default(), streams);
        Said { code: code.into(), out: out.text(), err: err.text() }
    }

    /// Runs the kubectl of the machine; `None` if there is none.
    fn real(&self, line: &str) -> Option<Said> {
        let output = Command::new("kubectl")
            .args(self.arguments(line))
            .env("HOME", self.folder.path())
            .output()
            .ok()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        Some(Said { code, out: text(&output.stdout), err: text(&output.stderr) })
    }
}

/// Words between spaces; single quotes keep spaces.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for c in line.chars() {
        match c {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn objects() -> Vec<Value> {
    let pod = |name: &str, image: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "labels": {"app": name, "tier": "x"}},
            "spec": {"containers": [{"name": "main", "image": image, "args": ["a <b>", "c"]}, {"name": "side", "image": "s"}]},
            "status": {"phase": "Running"},
        })
    };
    vec![
        pod("web", "nginx:1"),
        pod("db10", "pg"),
        pod("db9", "pg"),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm", "namespace": "default"}, "data": {"b": "l1\nl2\n", "yes": "true", "n": "012", "empty": ""}}),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "dep", "namespace": "default"}, "spec": {"replicas": 1}}),
        json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e1", "namespace": "default"}, "message": "red \u{1b}[31m\nmore"}),
    ]
}

/// Both kubectls, each on a server of its own, must say the same for every line, one after the other.
#[track_caller]
fn same(lines: &[&str]) {
    let (ours, real) = (Cluster::new(), Cluster::new());
    if real.real("version --client").is_none() {
        eprintln!("SKIP comparison: there is no kubectl on this machine");
        return;
    }
    for line in lines {
        assert_eq!(Some(ours.ours(line)), real.real(line), "{line}");
    }
}

#[test]
fn get_shows_what_a_real_kubectl_shows() {
    same(&[
        "get pods",
        "get po -o wide",
        "get pods --no-headers",
        "get pods --show-labels",
        "get pods -L app,tier",
        "get pods -l app=web",
        "get pods -A",
        "get pods,cm",
        "get all",
        "get pod web nope",
        "get pod nope --ignore-not-found",
        "get nope",
        "get pods -n empty",
        "get nodes",
        "get pod/web cm/cm",
        "get pods web cm/cm",
        "get ev",
        "get pods --sort-by=.metadata.name",
        "get deploy.apps",
        "get deployments.v1.apps dep",
    ]);
}

#[test]
fn get_writes_objects_as_a_real_kubectl_does() {
    same(&[
        "get pod web -o yaml",
        "get pods -o json",
        "get cm cm -o yaml",
        "get pods,cm -o name",
        "get pods -o jsonpath={.items[*].metadata.name}",
        "get pod web -o 'jsonpath={range .spec.containers[*]}{.name}{\"\\t\"}{.image}{\"\\n\"}{end}'",
        "get pod web -o jsonpath={.metadata.labels}",
        "get pods -o custom-columns=N:.metadata.name,I:.spec.containers[*].image,X:.x",
        "get pods -o 'go-template={{range .items}}{{.metadata.name}} {{len .spec.containers}}{{\"\\n\"}}{{end}}'",
        "get cm cm -o 'go-template={{.data}}'",
    ]);
}

#[test]
fn changes_are_told_as_a_real_kubectl_tells_them() {
    same(&[
        "label pod web x=y",
        "label pod web x=y",
        "label pod web x=z",
        "label pod web x=z --overwrite",
        "label pod web x-",
        "label pod web nope-",
        "annotate pod web a=b",
        "annotate pod web a=c",
        "patch cm cm --type=merge -p '{\"data\":{\"k\":\"v\"}}'",
        "patch cm cm --type=merge -p '{\"data\":{\"k\":\"v\"}}'",
        "patch cm cm",
        "get cm cm -o yaml",
        "delete pod nope",
        "delete pods",
    ]);
}

#[test]
fn apply_creates_then_changes_then_leaves_alone() {
    let cluster = Cluster::new();
    let text = |value: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: new}}\ndata: {{a: '{value}'}}\n"
        )
    };
    let path = cluster.file("new.yaml", &text("1"));
    let line = format!("apply -f {path}");
    assert_eq!(cluster.ours(&line).out, "configmap/new created\n");
    assert_eq!(cluster.ours(&line).out, "configmap/new unchanged\n");
    cluster.file("new.yaml", &text("2").replace("{a:", "{b:"));
    assert_eq!(cluster.ours(&line).out, "configmap/new configured\n");
    assert_eq!(cluster.ours("get cm new -o jsonpath={.data}").out, "{\"b\":\"2\"}");
    let requests = cluster.fake.state.lock().unwrap().requests.join("\n");
    for part in [
        "POST /api/v1/namespaces/default/configmaps?fieldManager=kubectl-client-side-apply&fieldValidation=Strict",
        "\"kubectl.kubernetes.io/last-applied-configuration\":\"{\\\"apiVersion\\\":\\\"v1\\\",\\\"data\\\":{\\\"a\\\":\\\"1\\\"},\\\"kind\\\":\\\"ConfigMap\\\",\\\"metadata\\\":{\\\"annotations\\\":{},\\\"name\\\":\\\"new\\\",\\\"namespace\\\":\\\"default\\\"}}\\n\"",
        "\"data\":{\"a\":null,\"b\":\"2\"}",
    ] {
        assert!(requests.contains(part), "{part} is not in\n{requests}");
    }
}

#[test]
fn files_that_are_wrong_are_refused_in_kubectls_words() {
    let cluster = Cluster::new();
    let check = |name: &str, text: &str, expected: &str| {
        let path = cluster.file(name, text);
        let said = cluster.ours(&format!("create -f {path}"));
        assert_eq!((said.code, said.err.replace(&path, "F")), (1, expected.to_owned()), "{name}");
    };
    check(
        "syntax.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n   bad: y\n",
        "error: error parsing F: error converting YAML to JSON: yaml: line 5: mapping values are not allowed in this context\n",
    );
    check(
        "kind.yaml",
        "apiVersion: v1\nkind: pod\nmetadata: {name: x}\n",
        "error: error validating \"F\": error validating data: failed to check CRD: failed to list CRDs: the server could not find the requested resource; if you choose to ignore these errors, turn validation off with --validate=false\n",
    );
    check(
        "group.yaml",
        "apiVersion: no.such/v1\nkind: Pod\nmetadata: {name: x}\n",
        "error: resource mapping not found for name: \"x\" namespace: \"\" from \"F\": no matches for kind \"Pod\" in version \"no.such/v1\"\nensure CRDs are installed first\n",
    );
    check(
        "there.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\n",
        "Error from server (AlreadyExists): error when creating \"F\": configmaps \"cm\" already exists\n",
    );
    check(
        "invalid.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: invalid}\n",
        "The ConfigMap \"invalid\" is invalid: \n* spec.a: Required value\n* spec.b: Invalid value: 1\n",
    );
    check("empty.yaml", "", "error: no objects passed to create\n");
    check(
        "untyped.yaml",
        "metadata: {name: x}\n",
        "error: error validating \"F\": error validating data: [apiVersion not set, kind not set]; if you choose to ignore these errors, turn validation off with --validate=false\n",
    );
}

#[test]
fn a_warning_of_the_server_is_told_once() {
    let cluster = Cluster::new();
    let path = cluster.file(
        "two.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: warnme1}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: warnme2}\n",
    );
    let said = cluster.ours(&format!("create -f {path}"));
    assert_eq!(said.err, "Warning: unknown field \"spec.warnme\"\n");
}

#[test]
fn delete_names_the_namespace_and_waits() {
    let cluster = Cluster::new();
    let said = cluster.ours("delete pod web db9 --timeout=5s");
    assert_eq!(
        said.out,
        "pod \"web\" deleted from default namespace\npod \"db9\" deleted from default namespace\n"
    );
    assert_eq!(said.code, 0);
    let requests = cluster.fake.state.lock().unwrap().requests.join("\n");
    assert!(
        requests.contains("GET /api/v1/namespaces/default/pods?fieldSelector=metadata.name%3Dweb"),
        "{requests}"
    );
}

#[test]
fn run_makes_the_pod_that_its_flags_describe() {
    let cluster = Cluster::new();
    let said = cluster.ours("run p --image=i --restart-policy=Never --host-network --service-account=s --termination-grace-period-seconds=7 --env=A=b --port=80 --labels=x=y --overrides={\"spec\":{\"nodeName\":\"n\"}} --dry-run=client -o json --command -- sh -c 'a b'");
    let pod: Value = serde_json::from_str(&said.out).unwrap();
    let expected = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"x": "y"}, "name": "p"},
        "spec": {
            "containers": [{
                "command": ["sh", "-c", "a b"], "env": [{"name": "A", "value": "b"}], "image": "i",
                "name": "p", "ports": [{"containerPort": 80}], "resources": {},
            }],
            "dnsPolicy": "ClusterFirst", "hostNetwork": true, "nodeName": "n", "restartPolicy": "Never",
            "serviceAccountName": "s", "terminationGracePeriodSeconds": 7,
        },
        "status": {},
    });
    assert_eq!(pod, expected);
}

#[test]
fn config_changes_the_file_it_was_given() {
    let cluster = Cluster::new();
    let path = cluster.folder.path().join("config").display().to_string();
    for (line, expected) in [
        ("config set-context d --cluster=c --user=u --namespace=n", "Context \"d\" created.\n"),
        ("config use-context d", "Switched to context \"d\".\n"),
        ("config current-context", "d\n"),
        ("config get-contexts -o name", "c\nd\n"),
        ("config set-context --current --namespace=m", "Context \"d\" modified.\n"),
        ("config view -o jsonpath={.contexts[1].context.namespace}", "m"),
        ("config view -o jsonpath={.users[0].user.token}", "REDACTED"),
        ("config rename-context d e", "Context \"d\" renamed to \"e\".\n"),
    ] {
        let said = cluster.ours(line);
        assert_eq!((said.out.as_str(), said.err.as_str()), (expected, ""), "{line}");
    }
    let said = cluster.ours("config delete-context c");
    assert_eq!(said.out, format!("deleted context c from {path}\n"));
}

#[test]
fn flags_are_read_as_kubectl_reads_them() {
    let cluster = Cluster::new();
    for (line, code, err) in [
        ("get pods --watch=false --no-headers=true", 0, ""),
        (
            "get pods --nonsense",
            1,
            "error: unknown flag: --nonsense\nSee 'kubectl get --help' for usage.\n",
        ),
        ("version --client", 0, ""),
        ("label pod web =x", 1, "error: at least one label update is required\n"),
        ("annotate pod web a=b", 0, ""),
        // The same once more is no change.
        ("annotate pod web a=b", 0, ""),
        (
            "get pods --subresource=status",
            1,
            "error: subresource cannot be used when bulk resources are specified\n",
        ),
        ("config set a.b c", 1, "error: unable to parse a.b after [] at api.Config\n"),
        ("config unset users.nosuch", 0, ""),
        (
            "create token t --bound-object-uid=x",
            1,
            "error: --bound-object-uid can only be set if --bound-object-kind is provided\n",
        ),
        ("create cm c --from-file==x", 1, "error: key name for file path x missing\n"),
        (
            "delete ns nosuch -n default",
            1,
            "Warning: deleting cluster-scoped resources, not scoped to the provided namespace\nError from server (NotFound): namespaces \"nosuch\" not found\n",
        ),
        (
            "get pods -n empty -o jsonpath={.items[0].metadata.name}",
            1,
            "error: error executing jsonpath \"{.items[0].metadata.name}\": Error executing template: array index out of bounds: index 0, length 0. Printing more information for debugging the template:\n\ttemplate was:\n\t\t{.items[0].metadata.name}\n\tobject given to jsonpath engine was:\n\t\tmap[string]interface {}{\"apiVersion\":\"v1\", \"items\":[]interface {}{}, \"kind\":\"List\", \"metadata\":map[string]interface {}{\"resourceVersion\":\"\"}}\n\n\n",
        ),
        (
            "get pods -o nonsense",
            1,
            "error: unable to match a printer suitable for the output format \"nonsense\", allowed formats are: custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,template,templatefile,wide,yaml\n",
        ),
        ("wait pod/web", 1, "error: unrecognized condition: []\n"),
        ("nonsense", 1, "error: unknown command \"nonsense\" for \"kubectl\"\n"),
        ("run p", 1, "error: required flag(s) \"image\" not set\n"),
        // A client's dry run does not ask whether the server serves the kind.
        ("create rolebinding r --role=x --user=eve --dry-run=client", 0, ""),
        (
            "create rolebinding r --role=x --user=eve",
            1,
            "error: failed to create rolebinding: the server could not find the requested resource (post rolebindings.rbac.authorization.k8s.io)\n",
        ),
    ] {
        let said = cluster.ours(line);
        assert_eq!((said.code, said.err.as_str()), (code, err), "{line}");
    }
}

#[test]
fn a_server_that_is_not_there_is_told_with_its_address() {
    let cluster = Cluster::new();
    let said = cluster.ours("get pods --server http://127.0.0.1:1");
    assert_eq!(
        said.err,
        "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?\n"
    );
    assert_eq!(said.code, 1);
}

use super::*;
use serde_json::{Value, json};

fn fetched() -> Fetched {
    let config_map = json!({"data": {"KEY": "from-map", "bad=key": "x", "OTHER": "o"}});
    let secret = json!({"data": {"KEY": "c2VjcmV0", "ODD": "//7D"}});
    Fetched {
        config_maps: [
            ("map".to_owned(), Ok(Some(serde_json::from_value(config_map).expect("a map")))),
            ("none".to_owned(), Ok(None)),
        ]
        .into(),
        secrets: [
            ("sec".to_owned(), Ok(Some(serde_json::from_value(secret).expect("a secret")))),
            ("none".to_owned(), Ok(None)),
        ]
        .into(),
    }
}

fn made(container: Value, pod_dir: &Path) -> Result<Environment, EnvError> {
    let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]}});
    let pod = PodView::new(serde_json::from_value(pod).expect("a Pod"));
    let services = [
        ("DB_SERVICE_HOST".to_owned(), "10.43.0.9".to_owned()),
        ("X".to_owned(), "svc".to_owned()),
    ];
    let input = EnvInput {
        pod: &pod,
        pod_dir,
        pod_ips: &["10.42.0.2".to_owned()],
        node: &NodeFacts::default(),
        fetched: &fetched(),
        services: &services,
    };
    environment(&pod.spec.containers[0], input)
}

fn check(container: Value) -> Result<(String, Vec<String>), String> {
    let made = made(container, Path::new("/nowhere")).map_err(|error| error.to_string())?;
    let text: Vec<String> = made
        .variables
        .iter()
        .map(|(key, value)| format!("{key}={}", String::from_utf8_lossy(value)))
        .collect();
    Ok((text.join(" "), made.skipped))
}

fn lines(env: Value) -> String {
    check(json!({"name": "c", "env": env})).expect("an environment").0
}

fn error(env: Value) -> String {
    check(json!({"name": "c", "env": env})).expect_err("an error")
}

#[test]
fn a_value_sees_what_came_earlier_and_the_services() {
    let env = json!([
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)-$(LATER)-$$(A)-$(DB_SERVICE_HOST)"},
        {"name": "LATER", "value": "2"},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]);
    assert_eq!(
        lines(env),
        "A=1 B=1-$(LATER)-$(A)-10.43.0.9 LATER=2 IP=10.42.0.2 DB_SERVICE_HOST=10.43.0.9 X=svc"
    );
}

#[test]
fn what_the_pod_sets_hides_the_variable_of_a_service() {
    let env = json!([{"name": "X", "value": "own"}, {"name": "Y", "value": "$(X)"}]);
    assert_eq!(lines(env), "X=own Y=own DB_SERVICE_HOST=10.43.0.9");
}

#[test]
fn env_goes_before_env_from_and_names_that_cannot_be_are_told() {
    let container = json!({"name": "c",
        "envFrom": [{"configMapRef": {"name": "map"}}, {"prefix": "S_", "secretRef": {"name": "sec"}},
            {"configMapRef": {"name": "none", "optional": true}}],
        "env": [{"name": "KEY", "value": "$(KEY)!"}]});
    let (text, skipped) = check(container).expect("an environment");
    assert_eq!(
        text,
        "KEY=from-map! OTHER=o S_KEY=secret S_ODD=\u{fffd}\u{fffd}\u{fffd} DB_SERVICE_HOST=10.43.0.9 X=svc"
    );
    assert_eq!(
        skipped,
        [
            "Keys [bad=key] from the EnvFrom configMap n/map were skipped since they are considered invalid environment variable names."
        ]
    );
}

#[test]
fn references_that_lead_nowhere_are_told_unless_they_are_optional() {
    let map = |name: &str, key: &str, optional: bool| json!([{"name": "V", "valueFrom": {"configMapKeyRef": {"name": name, "key": key, "optional": optional}}}]);
    let secret = |name: &str, key: &str| json!([{"name": "V", "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}]);
    assert_eq!(error(map("none", "k", false)), "configmap \"none\" not found");
    assert_eq!(error(map("map", "k", false)), "couldn't find key k in ConfigMap n/map");
    assert_eq!(error(secret("none", "k")), "secret \"none\" not found");
    assert_eq!(error(secret("sec", "k")), "couldn't find key k in Secret n/sec");
    assert_eq!(lines(map("none", "k", true)), "DB_SERVICE_HOST=10.43.0.9 X=svc");
    assert_eq!(lines(secret("sec", "KEY")), "V=secret DB_SERVICE_HOST=10.43.0.9 X=svc");
}

#[test]
fn the_bytes_of_a_secret_stay_as_they_are() {
    let env = json!([
        {"name": "V", "valueFrom": {"secretKeyRef": {"name": "sec", "key": "ODD"}}},
        {"name": "W", "value": "<$(V)>"}]);
    let container = json!({"name": "c", "env": env, "envFrom": [{"secretRef": {"name": "sec"}}]});
    let made = made(container, Path::new("/nowhere")).expect("an environment");
    let value =
        |name: &str| made.variables.iter().find(|(key, _)| key == name).expect("one").1.as_slice();
    assert_eq!(value("V"), b"\xff\xfe\xc3");
    assert_eq!(value("ODD"), b"\xff\xfe\xc3");
    assert_eq!(value("W"), b"<\xff\xfe\xc3>");
}

#[test]
fn a_value_comes_from_a_file_of_a_volume() {
    let folder = tempfile::tempdir().expect("a folder");
    let volume = folder.path().join("volumes/kubernetes.io~empty-dir/v");
    std::fs::create_dir_all(&volume).expect("made");
    std::fs::write(volume.join("env"), "A='one'\nB=two\n").expect("written");
    let told = |volume: &str, path: &str, key: &str, optional: bool| {
        let from = json!({"volumeName": volume, "path": path, "key": key, "optional": optional});
        let env = json!([{"name": "V", "valueFrom": {"fileKeyRef": from}}]);
        match made(json!({"name": "c", "env": env}), folder.path()) {
            Ok(made) => made.text("V").unwrap_or("left out".to_owned()),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(told("v", "env", "A", false), "one");
    std::fs::write(volume.join("env"), "A='one'\nE=''\n").expect("written");
    let missing = |key: &str| {
        format!("environment variable key {key:?} not found in file {:?}", volume.join("env"))
    };
    assert_eq!(told("v", "env", "C", false), missing("C"));
    assert_eq!(told("v", "env", "E", false), missing("E"));
    assert_eq!(told("v", "env", "C", true), "left out");
    assert_eq!(told("v", "none", "A", true), "couldn't parse env file");
    let unknown = "cannot find the volume \"w\" referenced by FileKeyRef";
    assert_eq!(told("w", "env", "A", true), unknown);
}

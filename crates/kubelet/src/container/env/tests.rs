use super::*;
use serde_json::{Value, json};

fn fetched() -> Fetched {
    let config_map = json!({"data": {"KEY": "from-map", "bad=key": "x", "OTHER": "o"}});
    let secret = json!({"data": {"KEY": "c2VjcmV0"}});
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

fn check(container: Value) -> Result<(String, Vec<String>), String> {
    let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {"containers": [container]}});
    let pod = PodView::new(serde_json::from_value(pod).expect("a Pod"));
    let services = [
        ("DB_SERVICE_HOST".to_owned(), "10.43.0.9".to_owned()),
        ("X".to_owned(), "svc".to_owned()),
    ];
    let input = EnvInput {
        pod: &pod,
        pod_ips: &["10.42.0.2".to_owned()],
        node: &NodeFacts::default(),
        fetched: &fetched(),
        services: &services,
    };
    let made = environment(&pod.spec.containers[0], input).map_err(|error| error.to_string())?;
    let text: Vec<String> =
        made.variables.iter().map(|(key, value)| format!("{key}={value}")).collect();
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
    assert_eq!(text, "KEY=from-map! OTHER=o S_KEY=secret DB_SERVICE_HOST=10.43.0.9 X=svc");
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

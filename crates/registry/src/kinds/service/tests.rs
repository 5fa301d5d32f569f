//! Services through the steps of a write, as far as they need no allocation.

use podo_api::Value;
use podo_api::field::Errors;
use serde_json::json;

use super::{SERVICE, carry, init_families};

fn service(spec: &Value) -> Value {
    let mut service = json!({"metadata": {"name": "s", "namespace": "n"}, "spec": spec});
    (SERVICE.default)(&mut service);
    service
}

/// The spec after a change from `old` to `new`, or what is wrong.
fn change(new: &Value, old: &Value) -> Result<Value, String> {
    let old = service(old);
    let mut new = service(new);
    carry(&mut new, Some(&old));
    init_families(&mut new, Some(&old)).map_err(|errors| errors.to_string())?;
    (SERVICE.prepare_update)(&mut new, &old);
    let mut errors = Errors::new();
    (SERVICE.validate_update)(&new, &old, &mut errors);
    if errors.is_empty() { Ok(new["spec"].take()) } else { Err(errors.to_string()) }
}

fn allocated(ports: Value) -> Value {
    json!({
        "type": "NodePort", "ports": ports, "clusterIP": "10.43.0.9", "clusterIPs": ["10.43.0.9"],
        "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
    })
}

#[test]
fn an_update_that_leaves_out_what_the_server_gave_keeps_it() {
    let old = allocated(
        json!([{"name": "a", "port": 80, "nodePort": 30001}, {"name": "b", "port": 81, "nodePort": 30002}]),
    );
    let new = json!({"type": "NodePort", "ports": [{"name": "b", "port": 8081}, {"name": "a", "port": 80}]});
    let spec = change(&new, &old).expect("is valid");
    assert_eq!(spec["clusterIPs"], json!(["10.43.0.9"]));
    assert_eq!(spec["ports"][0]["nodePort"], 30002);
    assert_eq!(spec["ports"][1]["nodePort"], 30001);
}

#[test]
fn a_type_without_node_ports_loses_them_unless_the_client_adds_one() {
    let old = allocated(json!([{"port": 80, "nodePort": 30001}]));
    let port = |node_port: i64| json!({"type": "ClusterIP", "ports": [{"port": 80, "nodePort": node_port}]});
    let spec = change(&port(30001), &old).expect("is valid");
    assert_eq!(spec["ports"][0].get("nodePort"), None);
    assert_eq!(
        change(&port(30005), &old).expect_err("is refused"),
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"
    );
}

#[test]
fn an_external_name_has_no_address() {
    let old = allocated(json!([{"port": 80, "nodePort": 30001}]));
    let mut new = old.clone();
    new["type"] = json!("ExternalName");
    new["externalName"] = json!("a.b");
    let spec = change(&new, &service(&old)["spec"]).expect("is valid");
    for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        assert_eq!(spec.get(field), None, "{field}");
    }
}

#[test]
fn an_address_can_be_given_back_only_with_the_type() {
    let old = allocated(json!([{"port": 80, "nodePort": 30001}]));
    let mut new = old.clone();
    new["clusterIP"] = json!("10.43.0.10");
    assert_eq!(
        change(&new, &old).expect_err("is refused"),
        "spec.clusterIPs[0]: Invalid value: [\"10.43.0.10\"]: may not change once set"
    );
}

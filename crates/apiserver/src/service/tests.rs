//! Allocation without a store: what is taken is given.

use podo_api::Value;
use podo_registry::service;
use serde_json::json;

use super::pool::{Addresses, PoolError, Ports, Taken};
use super::{Allocators, Choices, Free, Needs, Reservation};
use crate::api::Settings;

fn free(taken: Taken) -> Free {
    let settings = Settings {
        service_cidr: ([10, 43, 0, 0].into(), 16),
        node_ports: (30_000, 32_767),
        issuer: String::new(),
        ca_pem: String::new(),
    };
    Free::new(&settings, taken)
}

fn of_spec(spec: &Value) -> Value {
    let mut service = json!({"metadata": {"name": "s", "namespace": "n"}, "spec": spec});
    let definition = podo_registry::find("", "v1", "services").expect("is served");
    (definition.default)(&mut service);
    service
}

/// The spec after the allocation, or what is wrong.
fn allocate(spec: &Value, old: Option<&Value>, taken: Taken) -> Result<(Value, Choices), String> {
    let old = old.map(of_spec);
    let mut new = of_spec(spec);
    service::carry(&mut new, old.as_ref());
    service::init_families(&mut new, old.as_ref()).map_err(|errors| errors.to_string())?;
    let mut free = free(taken);
    let needs = Needs::of(&new, old.as_ref());
    free.complete(&mut new, old.as_ref(), needs).map_err(|status| status.message)?;
    Ok((new["spec"].take(), free.choices))
}

fn ports_taken(ports: &[u16]) -> Taken {
    Taken { ports: ports.iter().copied().collect(), ..Taken::default() }
}

#[test]
fn a_new_service_gets_an_address_of_the_upper_part() {
    let (spec, choices) =
        allocate(&json!({"ports": [{"port": 80}]}), None, Taken::default()).expect("is valid");
    let address: std::net::Ipv4Addr =
        spec["clusterIP"].as_str().expect("has one").parse().expect("is one");
    assert_eq!(spec["clusterIPs"], json!([address.to_string()]));
    assert!(address.octets()[2] > 0, "{address} is left to those who ask for it");
    assert!(choices.addresses.contains(&address));
    assert_eq!(choices.ports.len(), 0);
}

#[test]
fn an_address_is_had_once() {
    let taken = Taken { addresses: [[10, 43, 0, 77].into()].into(), ..Taken::default() };
    let wanted = |ip: &str| {
        allocate(&json!({"ports": [{"port": 80}], "clusterIP": ip}), None, taken.clone())
    };
    assert!(wanted("10.43.0.78").is_ok());
    let refused = |ip: &str, why: &str| {
        let message = format!(
            "Service \"s\" is invalid: spec.clusterIPs: Invalid value: [\"{ip}\"]: failed to allocate IP {ip}: {why}"
        );
        assert_eq!(wanted(ip).expect_err("is refused"), message);
    };
    refused("10.43.0.77", "provided IP is already allocated");
    for outside in ["10.44.0.1", "10.43.0.0", "10.43.255.255"] {
        refused(outside, "the provided network does not match the current range");
    }
}

#[test]
fn headless_services_and_names_need_no_address() {
    for spec in
        [json!({"clusterIP": "None"}), json!({"type": "ExternalName", "externalName": "a.b"})]
    {
        let (_, choices) = allocate(&spec, None, Taken::default()).expect("is valid");
        assert_eq!(choices, Choices::default());
    }
}

#[test]
fn ports_of_one_number_share_a_node_port() {
    let spec = json!({"type": "NodePort", "ports": [
        {"name": "a", "port": 53}, {"name": "b", "port": 53, "protocol": "UDP"}, {"name": "c", "port": 80},
    ]});
    let (spec, choices) = allocate(&spec, None, Taken::default()).expect("is valid");
    let port = |index: usize| spec["ports"][index]["nodePort"].as_i64().expect("has one");
    assert_eq!(port(0), port(1));
    assert_ne!(port(0), port(2));
    assert_eq!(choices.ports.len(), 2);
}

#[test]
fn a_node_port_is_had_once_and_lies_in_the_range() {
    let check = |ports: Value, why: &str| {
        let spec = json!({"type": "NodePort", "ports": ports});
        let found = allocate(&spec, None, ports_taken(&[30_011]));
        assert_eq!(
            found.expect_err("is refused"),
            format!("Service \"s\" is invalid: spec.ports{why}")
        );
    };
    check(
        json!([{"port": 80, "nodePort": 30_011}]),
        "[0].nodePort: Invalid value: 30011: provided port is already allocated",
    );
    check(
        json!([{"port": 80, "nodePort": 29_999}]),
        "[0].nodePort: Invalid value: 29999: provided port is not in the valid range. The range of valid ports is 30000-32767",
    );
    check(
        json!([{"name": "a", "port": 80, "nodePort": 30_012}, {"name": "b", "port": 81, "nodePort": 30_012}]),
        "[1].nodePort: Invalid value: 30012: provided port is already allocated",
    );
}

#[test]
fn a_load_balancer_can_go_without_node_ports() {
    let spec = json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": [{"port": 80}]});
    let (spec, choices) = allocate(&spec, None, Taken::default()).expect("is valid");
    assert_eq!(spec["ports"][0].get("nodePort"), None);
    assert_eq!(choices.ports.len(), 0);
}

#[test]
fn a_load_balancer_that_stays_local_has_a_health_check_port() {
    let spec =
        json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]});
    let (spec, choices) = allocate(&spec, None, Taken::default()).expect("is valid");
    assert!(spec["healthCheckNodePort"].as_i64().is_some_and(|port| port >= 30_000));
    assert_eq!(choices.ports.len(), 2);
}

#[test]
fn a_changed_service_keeps_what_it_has_and_gets_what_it_lacks() {
    let old = json!({
        "type": "NodePort", "ports": [{"name": "a", "port": 80, "nodePort": 30_001}],
        "clusterIP": "10.43.0.9", "clusterIPs": ["10.43.0.9"], "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    });
    let mut new = old.clone();
    new["ports"] = json!([{"name": "a", "port": 80}, {"name": "b", "port": 81}]);
    let (spec, choices) = allocate(&new, Some(&old), ports_taken(&[30_001])).expect("is valid");
    assert_eq!(spec["ports"][0]["nodePort"], 30_001);
    assert_eq!(choices.ports.len(), 1);
    assert_eq!(choices.addresses.len(), 0);
}

#[test]
fn a_name_that_becomes_a_service_gets_an_address() {
    let old = json!({"type": "ExternalName", "externalName": "a.b"});
    let new = json!({"type": "ClusterIP", "ports": [{"port": 80}]});
    let (_, choices) = allocate(&new, Some(&old), Taken::default()).expect("is valid");
    assert_eq!(choices.addresses.len(), 1);
}

#[test]
fn a_choice_is_given_up_with_its_reservation() {
    let allocators = Allocators::default();
    let choices = Choices { ports: [30_001].into(), ..Choices::default() };
    allocators.0.lock().ports.extend([30_001, 30_002]);
    drop(Reservation { allocators: allocators.clone(), choices });
    assert_eq!(allocators.0.lock().ports, [30_002].into());
}

#[test]
fn a_full_range_says_so_after_the_lower_part_was_used_too() {
    let mut addresses = Addresses::new(([10, 0, 0, 0].into(), 27), [].into());
    for _ in 0..30 {
        addresses.take_any().expect("one is free");
    }
    assert_eq!(addresses.take_any(), Err(PoolError::Full));
    let mut ports = Ports::new((30_000, 30_002), [30_001].into());
    for _ in 0..2 {
        ports.take_any().expect("one is free");
    }
    assert_eq!(ports.take_any(), Err(PoolError::Full));
}

//! The canonical form of subsets: every (address, port) once, addresses that have the same ports together.

use std::collections::BTreeMap;

use podo_api::Value;
use serde_json::{Map, json};

use crate::kinds::pod::view::{at, int, list, text};

/// What tells addresses apart: the IP, and the object behind it.
type Key = (String, String);

/// What tells ports apart; `None` stands for "no port".
type Port = Option<(i64, String, String, String)>;

/// The addresses of a port, and whether they are ready.
type Readiness = BTreeMap<Key, bool>;

/// How many pairs of an address and a port are put in order. A body has room for subsets with a thousand times as many, which no
/// client makes: they stay as they come.
const PAIRS_MAX: usize = 1_000_000;

/// The same endpoints in canonical form. An address that is both ready and not ready at a port is not ready.
pub(super) fn repack(subsets: &[Value]) -> Vec<Value> {
    if subsets.iter().map(pairs).fold(0, usize::saturating_add) > PAIRS_MAX {
        return subsets.to_vec();
    }
    let mut addresses: BTreeMap<Key, &Value> = BTreeMap::new();
    let mut ports: BTreeMap<Port, (Option<&Value>, Readiness)> = BTreeMap::new();
    for subset in subsets {
        for (port, value) in ports_of(subset) {
            let readiness = &mut ports.entry(port).or_insert((value, Readiness::new())).1;
            for (name, is_ready) in [("addresses", true), ("notReadyAddresses", false)] {
                for address in list(subset, name) {
                    let key = key(address);
                    addresses.entry(key.clone()).or_insert(address);
                    readiness.entry(key).and_modify(|was| *was &= is_ready).or_insert(is_ready);
                }
            }
        }
    }
    let mut groups: BTreeMap<Vec<(Key, bool)>, Vec<&Value>> = BTreeMap::new();
    for (value, readiness) in ports.into_values() {
        groups.entry(readiness.into_iter().collect()).or_default().extend(value);
    }
    groups.into_iter().map(|(readiness, ports)| subset(&readiness, &ports, &addresses)).collect()
}

/// How many pairs of an address and a port a subset stands for.
fn pairs(subset: &Value) -> usize {
    let [ports, ready, others] =
        ["ports", "addresses", "notReadyAddresses"].map(|name| list(subset, name).len());
    ports.max(1).saturating_mul(ready + others)
}

fn ports_of(subset: &Value) -> Vec<(Port, Option<&Value>)> {
    let ports = list(subset, "ports");
    if ports.is_empty() {
        return vec![(None, None)];
    }
    let key = |port: &Value| {
        let field = |name| text(port, name).to_owned();
        (int(port, "port").unwrap_or(0), field("protocol"), field("name"), field("appProtocol"))
    };
    ports.iter().map(|port| (Some(key(port)), Some(port))).collect()
}

fn key(address: &Value) -> Key {
    (text(address, "ip").to_owned(), text(at(address, "targetRef"), "uid").to_owned())
}

fn subset(readiness: &[(Key, bool)], ports: &[&Value], addresses: &BTreeMap<Key, &Value>) -> Value {
    let mut subset = Map::new();
    for (name, wanted) in [("addresses", true), ("notReadyAddresses", false)] {
        let chosen: Vec<Value> = readiness
            .iter()
            .filter(|(_, is_ready)| *is_ready == wanted)
            .filter_map(|(key, _)| addresses.get(key).map(|&address| address.clone()))
            .collect();
        if !chosen.is_empty() {
            subset.insert(name.to_owned(), chosen.into());
        }
    }
    if !ports.is_empty() {
        subset.insert("ports".to_owned(), json!(ports));
    }
    Value::Object(subset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(number: i64) -> Value {
        json!({"port": number, "protocol": "TCP"})
    }

    #[test]
    fn addresses_with_the_same_ports_come_together() {
        let subsets = json!([
            {"addresses": [{"ip": "10.0.0.2"}], "ports": [port(80)]},
            {"addresses": [{"ip": "10.0.0.1"}], "ports": [port(80)]},
            {"addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}], "ports": [port(81)]},
        ]);
        let expected = json!([
            {"addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}], "ports": [port(80), port(81)]},
        ]);
        let repacked = repack(subsets.as_array().expect("a list"));
        assert_eq!(json!(repacked), expected);
        assert_eq!(repack(&repacked), repacked);
    }

    #[test]
    fn not_ready_wins_over_ready() {
        let subsets = [
            json!({"addresses": [{"ip": "10.0.0.1"}], "ports": [port(80)]}),
            json!({"notReadyAddresses": [{"ip": "10.0.0.1"}], "ports": [port(80)]}),
        ];
        let expected = json!([{"notReadyAddresses": [{"ip": "10.0.0.1"}], "ports": [port(80)]}]);
        assert_eq!(json!(repack(&subsets)), expected);
    }

    #[test]
    fn more_pairs_than_are_put_in_order_stay_as_they_come() {
        let numbers = 0..2000;
        let ports: Vec<Value> = numbers.clone().map(port).rev().collect();
        let addresses: Vec<Value> = numbers
            .map(|number| json!({"ip": format!("10.0.{}.{}", number / 250, number % 250)}))
            .collect();
        let subsets = [json!({"addresses": addresses, "ports": ports})];
        assert_eq!(repack(&subsets), subsets);
    }

    #[test]
    fn addresses_without_ports_stay() {
        let subsets = [json!({"addresses": [{"ip": "10.0.0.1"}]})];
        assert_eq!(repack(&subsets), subsets);
    }
}

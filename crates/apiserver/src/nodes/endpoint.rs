//! Where the kubelet of a node listens.

use std::net::{IpAddr, SocketAddr};

use podo_api::status::GroupResource;
use podo_api::{Status, Value, tree};
use podo_store::Key;

use crate::api::Api;
use crate::storage;

/// Where kubelets listen that do not say (Kubernetes v1.36 `ports.KubeletPort`).
const KUBELET_PORT: u16 = 10250;

/// The address and port of a node's kubelet.
pub(crate) fn of_node(api: &Api, node: &str) -> Result<SocketAddr, Status> {
    let entry =
        api.store.get(&Key::new("nodes", node)).map_err(|error| storage::read_failed(&error))?;
    let Some(entry) = entry else {
        return Err(Status::not_found(GroupResource { group: "", resource: "nodes" }, node));
    };
    of(&entry.value.view(), node)
}

fn of(object: &Value, node: &str) -> Result<SocketAddr, Status> {
    let addresses = tree::items_at(object, &["status", "addresses"]);
    let first = |kind: &str| {
        let found = addresses.iter().find(|address| tree::str_at(address, &["type"]) == kind)?;
        tree::str_at(found, &["address"]).parse::<IpAddr>().ok()
    };
    let Some(address) = first("InternalIP").or_else(|| first("ExternalIP")) else {
        return Err(Status::internal(format!(
            "no preferred addresses found; known addresses: {}",
            shown(addresses)
        )));
    };
    if !is_dialled(address) {
        return Err(Status::bad_request(format!("address {address} of node {node} not allowed")));
    }
    let port = tree::int_at(object, &["status", "daemonEndpoints", "kubeletEndpoint", "Port"]);
    let port = port
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port != 0)
        .unwrap_or(KUBELET_PORT);
    Ok(SocketAddr::new(address, port))
}

fn shown(addresses: &[Value]) -> String {
    let shown: Vec<&str> =
        addresses.iter().map(|address| tree::str_at(address, &["address"])).collect();
    format!("[{}]", shown.join(" "))
}

/// A node tells its own address. It cannot make the server talk to a link's metadata service or to many (CVE-2020-8555,
/// CVE-2022-3294); the loopback is where the node of a single machine is, and only who has the cluster's certificate for it is
/// believed there.
fn is_dialled(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_unspecified() || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast())
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_dialled(v4.into()),
            None => !(v6.is_unspecified() || v6.is_unicast_link_local() || v6.is_multicast()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(addresses: &[(&str, &str)], port: u16, expected: Result<&str, &str>) {
        let addresses: Vec<Value> = addresses
            .iter()
            .map(|(kind, address)| json!({"type": kind, "address": address}))
            .collect();
        let object = json!({"status": {"addresses": addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}});
        let found =
            of(&object, "n").map(|address| address.to_string()).map_err(|status| status.message);
        assert_eq!(found.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn the_internal_address_is_asked_at_the_port_that_the_node_tells() {
        check(
            &[("Hostname", "n"), ("ExternalIP", "192.0.2.9"), ("InternalIP", "192.0.2.1")],
            4711,
            Ok("192.0.2.1:4711"),
        );
        check(&[("ExternalIP", "2001:db8::1")], 0, Ok("[2001:db8::1]:10250"));
        check(&[("InternalIP", "127.0.0.1")], 0, Ok("127.0.0.1:10250"));
    }

    #[test]
    fn a_node_without_an_address_or_with_one_that_is_nobodys_is_not_asked() {
        let none = "Internal error occurred: no preferred addresses found; known addresses: [n]";
        check(&[("Hostname", "n")], 0, Err(none));
        for address in
            ["169.254.169.254", "0.0.0.0", "224.0.0.1", "::ffff:169.254.169.254", "fe80::1"]
        {
            let parsed: IpAddr = address.parse().expect("an address");
            check(
                &[("InternalIP", address)],
                0,
                Err(&format!("address {parsed} of node n not allowed")),
            );
        }
    }
}

//! The proxy subresources: which server in the cluster a request for a Pod, a Service or a Node means (Kubernetes v1.36
//! `ResourceLocation` of each).
//!
//! Holds always
//! - An address is dialled only where it is one of the network: none of the machine's own, of its links, or of many
//!   (CVE-2020-8555, CVE-2022-3294). It is the address itself that objects hold, so there is no name that could change its
//!   meaning in between.
//! - An address of a Service counts only if a Pod of its namespace has it, so that who writes Endpoints reaches nothing else
//!   (CVE-2021-25740).
//!
//! Not here: how the request is handed on ([`crate::nodes`]).

use std::net::{IpAddr, SocketAddr};

use http::request::Parts;
use podo_api::{Status, Value, tree};

use crate::api::Api;
use crate::call::Target;
use crate::http::header_text;
use crate::nodes::{Backend, Channel, kubelet_address};
use crate::verbs::find;

/// A name in a URL: `name`, `name:port` or `scheme:name:port`.
struct Id<'a> {
    is_tls: bool,
    name: &'a str,
    port: &'a str,
}

impl<'a> Id<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (scheme, name, port) = match parts.as_slice() {
            [name] => ("", *name, ""),
            [name, port] => ("", *name, *port),
            [scheme, name, port] => (*scheme, *name, *port),
            _ => return None,
        };
        let is_known = matches!(scheme, "" | "http" | "https");
        (is_known && !name.is_empty()).then_some(Self { is_tls: scheme == "https", name, port })
    }

    fn channel(&self) -> Channel {
        if self.is_tls { Channel::Tls } else { Channel::Plain }
    }

    /// The port, or the one of the scheme where there is none.
    fn port_number(&self, port: &str) -> Result<u16, Status> {
        match port {
            "" => Ok(if self.is_tls { 443 } else { 80 }),
            text => text.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
                Status::unavailable(format!(
                    "error trying to reach service: dial tcp: lookup tcp/{text}: unknown port"
                ))
            }),
        }
    }
}

/// Where a request for a proxy goes.
pub(super) fn backend(api: &Api, target: &Target, parts: &Parts) -> Result<Backend, Status> {
    let id = Id::parse(&target.name).ok_or_else(|| {
        let kind = target.definition.names.singular;
        Status::bad_request(format!(
            "invalid {kind} request {}",
            podo_api::field::quoted(&target.name)
        ))
    })?;
    let named = Target { name: id.name.into(), subresource: None, ..target.clone() };
    let (address, channel) = match target.definition.names.plural {
        "pods" => (of_pod(&find(api, &named)?.view(), &id)?, id.channel()),
        "services" => (of_service(api, &named, &target.name, &id)?, id.channel()),
        _ => of_node(api, &id)?,
    };
    let is_namespaced = target.definition.is_namespaced();
    let (prefix, path) =
        split(parts.uri.path(), is_namespaced).ok_or_else(Status::no_such_resource)?;
    let host = header_text(&parts.headers, "host").map(str::to_owned);
    let host = host.or_else(|| parts.uri.authority().map(ToString::to_string));
    Ok(Backend {
        address,
        channel,
        prefix: prefix.to_owned(),
        path: clean(path),
        query: parts.uri.query().map(str::to_owned),
        host: host.unwrap_or_else(|| address.to_string()),
    })
}

fn of_pod(pod: &Value, id: &Id<'_>) -> Result<SocketAddr, Status> {
    let first_port = || {
        let containers = tree::items_at(pod, &["spec", "containers"]).iter();
        let mut ports = containers.flat_map(|container| tree::items_at(container, &["ports"]));
        ports.next().and_then(|port| tree::int_at(port, &["containerPort"]))
    };
    let port = match id.port {
        "" => first_port().map(|port| port.to_string()).unwrap_or_default(),
        port => port.to_owned(),
    };
    let address = tree::items_at(pod, &["status", "podIPs"]).first();
    let address = address.map_or("", |address| tree::str_at(address, &["ip"]));
    Ok(SocketAddr::new(proxied_address(address)?, id.port_number(&port)?))
}

fn of_node(api: &Api, id: &Id<'_>) -> Result<(SocketAddr, Channel), Status> {
    let kubelet = kubelet_address(api, id.name)?;
    if id.port.is_empty() || id.port == kubelet.port().to_string() {
        return Ok((kubelet, Channel::Kubelet));
    }
    let address = proxied_address(&kubelet.ip().to_string())?;
    Ok((SocketAddr::new(address, id.port_number(id.port)?), id.channel()))
}

fn of_service(api: &Api, service: &Target, asked: &str, id: &Id<'_>) -> Result<SocketAddr, Status> {
    let port = match id.port.parse::<i64>() {
        Err(_) => id.port.to_owned(),
        Ok(number) => port_name(&find(api, service)?.view(), number).ok_or_else(|| {
            Status::unavailable(format!(
                "no service port {number} found for service {}",
                podo_api::field::quoted(id.name)
            ))
        })?,
    };
    let nobody = |id: &str| {
        let id = podo_api::field::quoted(id);
        Status::unavailable(format!("no endpoints available for service {id}"))
    };
    let kind = |plural| {
        podo_registry::find("", "v1", plural)
            .ok_or_else(|| Status::internal(format!("{plural} are not served")))
    };
    let endpoints = find(api, &Target { definition: kind("endpoints")?, ..service.clone() })?;
    let endpoints = endpoints.view();
    let subsets = tree::items_at(&endpoints, &["subsets"]);
    if subsets.is_empty() {
        return Err(nobody(id.name));
    }
    let pods = Target { definition: kind("pods")?, ..service.clone() };
    for subset in turned(subsets) {
        let ports = tree::items_at(subset, &["ports"]).iter();
        for found in ports.filter(|found| tree::str_at(found, &["name"]) == port) {
            let number = tree::int_at(found, &["port"]).and_then(|port| u16::try_from(port).ok());
            let addresses = turned(tree::items_at(subset, &["addresses"]));
            let mut alive = addresses.filter(|address| is_of_pod(api, &pods, address));
            if let (Some(number), Some(address)) = (number, alive.next()) {
                let address = proxied_address(tree::str_at(address, &["ip"]))?;
                return Ok(SocketAddr::new(address, number));
            }
        }
    }
    Err(nobody(asked))
}

fn port_name(service: &Value, number: i64) -> Option<String> {
    let mut ports = tree::items_at(service, &["spec", "ports"]).iter();
    let found = ports.find(|port| tree::int_at(port, &["port"]) == Some(number))?;
    Some(tree::str_at(found, &["name"]).to_owned())
}

/// Whether the address of an endpoint is that of the Pod that it names.
fn is_of_pod(api: &Api, pods: &Target, address: &Value) -> bool {
    let text = |path: &[&str]| tree::str_at(address, path);
    if text(&["targetRef", "namespace"]) != &*pods.namespace {
        return false;
    }
    let target = Target { name: text(&["targetRef", "name"]).into(), ..pods.clone() };
    let Ok(pod) = find(api, &target) else { return false };
    let pod = pod.view();
    tree::items_at(&pod, &["status", "podIPs"])
        .iter()
        .any(|found| tree::str_at(found, &["ip"]) == text(&["ip"]))
}

/// All items, from a random one on, so that all get their share.
fn turned(items: &[Value]) -> impl Iterator<Item = &Value> {
    let random = usize::from(u16::from_le_bytes(podo_base::random_bytes()));
    let start = random.checked_rem(items.len()).unwrap_or(0);
    items.iter().cycle().skip(start).take(items.len())
}

/// An address that may be dialled: one that Go calls global unicast.
fn proxied_address(text: &str) -> Result<IpAddr, Status> {
    text.parse()
        .ok()
        .filter(is_global_unicast)
        .ok_or_else(|| Status::bad_request("address not allowed"))
}

fn is_global_unicast(address: &IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            !(v4.is_unspecified()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast())
        }
        IpAddr::V6(v6) => {
            !(v6.is_unspecified()
                || v6.is_loopback()
                || v6.is_unicast_link_local()
                || v6.is_multicast())
        }
    }
}

/// Splits a path behind `proxy`: after `api/v1/namespaces/<namespace>/<resource>/<name>/proxy`, or without the namespace.
fn split(path: &str, is_namespaced: bool) -> Option<(&str, &str)> {
    let mut left = if is_namespaced { 7 } else { 5 };
    let mut at = path.len() - path.trim_start_matches('/').len();
    while left > 0 {
        let segment = path.get(at..)?.split('/').next()?;
        // A slash that is encoded separates as well where paths are routed.
        left = usize::checked_sub(left, 1 + segment.to_ascii_lowercase().matches("%2f").count())?;
        at += segment.len() + 1;
    }
    Some(path.split_at(at - 1))
}

/// A path without empty segments and dots. Whether it ends in a slash is kept; where there is none at all it stays empty.
fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment.to_ascii_lowercase().replace("%2e", ".").as_str() {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    let end = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    if path.is_empty() { String::new() } else { format!("/{}{end}", kept.join("/")) }
}

#[cfg(test)]
mod tests;

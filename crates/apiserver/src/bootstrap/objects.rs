//! The objects that must be there, and how one of them is made.

use std::net::{Ipv4Addr, SocketAddr};

use podo_api::{Status, Value, json as wire, managed_fields, meta, tree};
use podo_base::Timestamp;
use podo_registry::{Definition, Generation, StatusPolicy};
use serde_json::json;

use super::{policy, reconcile};
use crate::api::Api;

/// Who manages the fields of these objects.
const MANAGER: &str = "kube-apiserver";

/// Namespaces that are always there.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

const CRITICAL: [(&str, i64, &str); 2] = [
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
];

/// How an object that is there is brought in line: the object as it should be, or `None` if it is good (present, wanted).
type Mend = fn(&Value, &Value) -> Option<Value>;

/// What is set on a new object that no client would send, after its fields were recorded as ours.
type Complete = Box<dyn Fn(&mut Value, Timestamp) + Send + Sync>;

/// One object that must be there.
pub(super) struct Wanted {
    pub(super) definition: &'static Definition,
    value: Value,
    mend: Mend,
    complete: Complete,
}

impl Wanted {
    pub(super) fn name(&self) -> &str {
        meta::name(&self.value)
    }

    pub(super) fn namespace(&self) -> &str {
        meta::namespace(&self.value)
    }

    /// The object with all that a create gives it.
    pub(super) fn new_object(&self, now: Timestamp) -> Result<Value, Status> {
        let definition = self.definition;
        let mut value = self.decoded()?;
        let names = &definition.names;
        let live =
            managed_fields::blank(Some(definition.schema()), &names.api_version(), names.kind);
        self.track(&live, &mut value, now);
        meta::set(&mut value, "uid", podo_base::uid());
        meta::set(&mut value, "creationTimestamp", now.to_rfc3339());
        (definition.prepare_create)(&mut value);
        if definition.generation != Generation::None {
            meta::set(&mut value, "generation", 1);
        }
        (self.complete)(&mut value, now);
        wire::settle(&mut value, definition.schema()).map_err(Status::internal)?;
        Ok(value)
    }

    /// The present object brought in line; `None` if it is.
    pub(super) fn mended(&self, present: &Value, now: Timestamp) -> Result<Option<Value>, Status> {
        let Some(mut value) = (self.mend)(present, &self.decoded()?) else { return Ok(None) };
        let definition = self.definition;
        wire::settle(&mut value, definition.schema()).map_err(Status::internal)?;
        if definition.generation != Generation::None {
            meta::set(&mut value, "generation", meta::generation(present) + 1);
        }
        self.track(present, &mut value, now);
        Ok(Some(value))
    }

    /// The value as if a client had sent it.
    fn decoded(&self) -> Result<Value, Status> {
        let mut value = self.value.clone();
        tree::set(&mut value, "kind", self.definition.names.kind);
        tree::set(&mut value, "apiVersion", self.definition.names.api_version());
        (self.definition.default)(&mut value);
        wire::settle(&mut value, self.definition.schema()).map_err(Status::internal)?;
        Ok(value)
    }

    fn track(&self, live: &Value, value: &mut Value, now: Timestamp) {
        let api_version = self.definition.names.api_version();
        let status = managed_fields::Filter::except(&[&["status"]]);
        let versions = managed_fields::SingleVersion {
            api_version: &api_version,
            ty: Some(self.definition.schema()),
            filter: (self.definition.status == StatusPolicy::Separate).then_some(&status),
        };
        let request = managed_fields::Request {
            manager: MANAGER,
            api_version: &api_version,
            kind: self.definition.names.kind,
            subresource: "",
            now: &now.to_rfc3339(),
            versions: &versions,
        };
        managed_fields::update(live, value, &request);
    }
}

/// Collects the objects of kinds that are served.
#[derive(Default)]
struct Collected(Vec<Wanted>);

impl Collected {
    fn add(&mut self, group: &str, plural: &str, value: Value, mend: Mend) {
        self.add_complete(group, plural, value, mend, Box::new(|_, _| {}));
    }

    fn add_complete(
        &mut self,
        group: &str,
        plural: &str,
        value: Value,
        mend: Mend,
        complete: Complete,
    ) {
        if let Some(definition) = podo_registry::find(group, "v1", plural) {
            self.0.push(Wanted { definition, value, mend, complete });
        }
    }
}

/// Everything that must be there.
pub(super) fn all(api: &Api, address: SocketAddr) -> Vec<Wanted> {
    let mut all = Collected::default();
    namespaces(&mut all);
    roles(&mut all);
    for (name, value, description) in CRITICAL {
        let class = json!({"metadata": {"name": name}, "value": value, "description": description});
        all.add("scheduling.k8s.io", "priorityclasses", class, reconcile::keep);
    }
    service(&mut all, first_service_address(api.settings.service_cidr), address);
    service_range(&mut all, api.settings.service_cidr);
    let authentication = json!({
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": {"client-ca-file": api.settings.ca_pem},
    });
    all.add("", "configmaps", authentication, reconcile::data);
    all.0
}

fn namespaces(all: &mut Collected) {
    for name in NAMESPACES {
        let namespace =
            json!({"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}});
        let complete: Complete = Box::new(|namespace, _| {
            tree::set(namespace, "spec", json!({"finalizers": ["kubernetes"]}));
            tree::set(namespace, "status", json!({"phase": "Active"}));
        });
        all.add_complete("", "namespaces", namespace, reconcile::keep, complete);
    }
}

fn roles(all: &mut Collected) {
    const RBAC: &str = "rbac.authorization.k8s.io";
    for role in policy::cluster_roles() {
        let sum = policy::sum_of(meta::name(&role));
        // The aggregation controller keeps the rules of a sum; until it runs they are what it would make them.
        let complete: Complete = Box::new(move |role, _| {
            if let Some(sum) = sum {
                tree::set(role, "rules", json!(policy::aggregated_rules(sum)));
            }
        });
        all.add_complete(RBAC, "clusterroles", role, reconcile::role, complete);
    }
    for role in policy::roles() {
        all.add(RBAC, "roles", role, reconcile::role);
    }
    for binding in policy::cluster_role_bindings() {
        all.add(RBAC, "clusterrolebindings", binding, reconcile::binding);
    }
    for binding in policy::role_bindings() {
        all.add(RBAC, "rolebindings", binding, reconcile::binding);
    }
}

/// The first address of the range of Services, which is the API server's own.
pub(crate) fn first_service_address((base, prefix): (Ipv4Addr, u8)) -> Ipv4Addr {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    Ipv4Addr::from((u32::from(base) & mask) + 1)
}

/// The Service `kubernetes` and where it leads.
fn service(all: &mut Collected, cluster_ip: Ipv4Addr, server: SocketAddr) {
    let (address, port) = (server.ip(), server.port());
    let service = json!({
        "metadata": {
            "name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}],
            "clusterIP": cluster_ip.to_string(), "type": "ClusterIP", "sessionAffinity": "None",
            "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster",
        },
    });
    let complete: Complete = Box::new(move |service, _| {
        let spec = tree::as_map(service).entry("spec").or_insert(Value::Null);
        tree::set(spec, "clusterIPs", json!([cluster_ip.to_string()]));
        tree::set(spec, "ipFamilies", json!(["IPv4"]));
    });
    all.add_complete("", "services", service, reconcile::service, complete);
    let endpoints = json!({
        "metadata": {
            "name": "kubernetes", "namespace": "default", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [{
            "addresses": [{"ip": address.to_string()}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        }],
    });
    all.add("", "endpoints", endpoints, reconcile::endpoints);
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    let slice = json!({
        "metadata": {
            "name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": family,
        "endpoints": [{"addresses": [address.to_string()], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "protocol": "TCP", "port": port}],
    });
    all.add("discovery.k8s.io", "endpointslices", slice, reconcile::endpoint_slice);
}

/// The range of Services as an object, and the address of its first Service.
fn service_range(all: &mut Collected, (base, prefix): (Ipv4Addr, u8)) {
    let range = json!({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": [format!("{base}/{prefix}")]}});
    let complete: Complete = Box::new(|range, now| {
        let condition = json!({
            "type": "Ready", "status": "True", "lastTransitionTime": now.to_rfc3339(), "reason": "",
            "message": "Kubernetes default Service CIDR is ready",
        });
        tree::set(range, "status", json!({"conditions": [condition]}));
        let fields = json!({"f:status": {"f:conditions": {"k:{\"type\":\"Ready\"}": {
            ".": {}, "f:lastTransitionTime": {}, "f:message": {}, "f:status": {}, "f:type": {},
        }}}});
        let entry = json!({
            "manager": "kubernetes-service-cidr-controller", "operation": "Apply",
            "apiVersion": "networking.k8s.io/v1", "time": now.to_rfc3339(), "fieldsType": "FieldsV1",
            "fieldsV1": fields, "subresource": "status",
        });
        let mut entries = tree::items_at(range, &["metadata", "managedFields"]).to_vec();
        entries.push(entry);
        meta::set(range, "managedFields", entries);
    });
    all.add_complete("networking.k8s.io", "servicecidrs", range, reconcile::keep, complete);
    let address = json!({
        "metadata": {
            "name": first_service_address((base, prefix)).to_string(),
            "labels": {
                "ipaddress.kubernetes.io/ip-family": "IPv4",
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "kubernetes"}},
    });
    all.add("networking.k8s.io", "ipaddresses", address, reconcile::keep);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_service_address_follows_the_address_of_the_range() {
        for (range, expected) in [((10, 43, 0, 0), "10.43.0.1"), ((10, 43, 7, 9), "10.43.0.1")] {
            let base = Ipv4Addr::new(range.0, range.1, range.2, range.3);
            assert_eq!(first_service_address((base, 16)).to_string(), expected);
        }
    }
}

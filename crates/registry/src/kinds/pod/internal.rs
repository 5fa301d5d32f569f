//! Values as the errors of Kubernetes v1.36 show them: in the form of its internal types, which have Go's field names, no
//! `omitempty` and, in a few places, another structure than the served types.
//!
//! Structure comes from the schema table; here are only the differences: names that are not the JSON name with a capital
//! letter, fields in another order, and the host namespaces, which the internal form keeps in the Pod's security context.

use podo_api::Value;
use podo_api::schema::{Field, Presence, Scalar, Shape, TypeRef, builtin};

use super::view::at;

/// Go's names of the internal fields where they are not the JSON name with a capital letter.
const GO_NAMES: &[(&str, &str)] = &[
    ("apiVersion", "APIVersion"),
    ("awsElasticBlockStore", "AWSElasticBlockStore"),
    ("cephfs", "CephFS"),
    ("csi", "CSI"),
    ("diskURI", "DataDiskURI"),
    ("dnsConfig", "DNSConfig"),
    ("dnsPolicy", "DNSPolicy"),
    ("fc", "FC"),
    ("fsGroup", "FSGroup"),
    ("fsGroupChangePolicy", "FSGroupChangePolicy"),
    ("fsType", "FSType"),
    ("gcePersistentDisk", "GCEPersistentDisk"),
    ("gmsaCredentialSpec", "GMSACredentialSpec"),
    ("gmsaCredentialSpecName", "GMSACredentialSpecName"),
    ("grpc", "GRPC"),
    ("httpGet", "HTTPGet"),
    ("httpHeaders", "HTTPHeaders"),
    ("ip", "IP"),
    ("iqn", "IQN"),
    ("iscsi", "ISCSI"),
    ("iscsiInterface", "ISCSIInterface"),
    ("nfs", "NFS"),
    ("os", "OS"),
    ("pdName", "PDName"),
    ("rbd", "RBD"),
    ("seLinuxChangePolicy", "SELinuxChangePolicy"),
    ("seLinuxOptions", "SELinuxOptions"),
    ("storageos", "StorageOS"),
    ("tcpSocket", "TCPSocket"),
    ("tty", "TTY"),
    ("wwids", "WWIDs"),
    ("chapAuthDiscovery", "DiscoveryCHAPAuth"),
    ("chapAuthSession", "SessionCHAPAuth"),
];

/// Go's names of internal fields of one type.
const GO_NAMES_OF: &[(&str, &str, &str)] = &[
    ("core/v1.CephFSVolumeSource", "user", "User"),
    ("core/v1.GlusterfsVolumeSource", "endpoints", "EndpointsName"),
    ("core/v1.PhotonPersistentDiskVolumeSource", "pdID", "PdID"),
    ("core/v1.RBDVolumeSource", "image", "RBDImage"),
    ("core/v1.RBDVolumeSource", "keyring", "Keyring"),
    ("core/v1.RBDVolumeSource", "monitors", "CephMonitors"),
    ("core/v1.RBDVolumeSource", "pool", "RBDPool"),
    ("core/v1.RBDVolumeSource", "user", "RadosUser"),
];

/// The fields of the internal types whose order is not that of the served ones.
const ORDER: &[(&str, &[&str])] = &[
    (
        "core/v1.PodSpec",
        &[
            "volumes",
            "initContainers",
            "containers",
            "ephemeralContainers",
            "restartPolicy",
            "terminationGracePeriodSeconds",
            "activeDeadlineSeconds",
            "dnsPolicy",
            "nodeSelector",
            "serviceAccountName",
            "automountServiceAccountToken",
            "nodeName",
            "securityContext",
            "imagePullSecrets",
            "hostname",
            "subdomain",
            "setHostnameAsFQDN",
            "affinity",
            "schedulerName",
            "tolerations",
            "hostAliases",
            "priorityClassName",
            "priority",
            "preemptionPolicy",
            "dnsConfig",
            "readinessGates",
            "runtimeClassName",
            "overhead",
            "enableServiceLinks",
            "topologySpreadConstraints",
            "os",
            "schedulingGates",
            "resourceClaims",
            "resources",
            "hostnameOverride",
            "schedulingGroup",
        ],
    ),
    (
        "core/v1.PodSecurityContext",
        &[
            "seLinuxOptions",
            "windowsOptions",
            "runAsUser",
            "runAsGroup",
            "runAsNonRoot",
            "supplementalGroups",
            "supplementalGroupsPolicy",
            "fsGroup",
            "fsGroupChangePolicy",
            "sysctls",
            "seccompProfile",
            "appArmorProfile",
            "seLinuxChangePolicy",
        ],
    ),
    (
        "core/v1.Volume",
        &[
            "name",
            "hostPath",
            "emptyDir",
            "gcePersistentDisk",
            "awsElasticBlockStore",
            "gitRepo",
            "secret",
            "nfs",
            "iscsi",
            "glusterfs",
            "persistentVolumeClaim",
            "rbd",
            "quobyte",
            "flexVolume",
            "cinder",
            "cephfs",
            "flocker",
            "downwardAPI",
            "fc",
            "azureFile",
            "configMap",
            "vsphereVolume",
            "azureDisk",
            "photonPersistentDisk",
            "projected",
            "portworxVolume",
            "scaleIO",
            "storageos",
            "csi",
            "ephemeral",
            "image",
        ],
    ),
];

/// What the internal form of a Pod's security context has before its own fields, and whether Go keeps it as a pointer.
const HOST_FIELDS: &[(&str, &str, bool)] = &[
    ("hostNetwork", "HostNetwork", false),
    ("hostPID", "HostPID", false),
    ("hostIPC", "HostIPC", false),
    ("shareProcessNamespace", "ShareProcessNamespace", true),
    ("hostUsers", "HostUsers", true),
];

/// The internal form of a value of a type, in one line.
pub(crate) fn compact(value: &Value, ty: &str) -> String {
    write(value, ty, Style::Compact)
}

/// The internal form of a value of a type, each field in a line of its own.
pub(crate) fn pretty(value: &Value, ty: &str) -> String {
    write(value, ty, Style::Pretty)
}

fn write(value: &Value, ty: &str, style: Style) -> String {
    let mut writer = Writer { out: String::new(), style, depth: 0, host: &Value::Null };
    if let Some(ty) = builtin().get(ty) {
        writer.structure(value, ty);
    }
    writer.out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Compact,
    Pretty,
}

struct Writer<'a> {
    out: String,
    style: Style,
    depth: usize,
    /// The Pod's spec, whose host namespaces its security context shows.
    host: &'a Value,
}

impl<'a> Writer<'a> {
    fn structure(&mut self, value: &'a Value, ty: TypeRef<'_>) {
        let name = &*ty.get().name;
        if !name.starts_with("core/") {
            self.served(value, ty);
            return;
        }
        if name == "core/v1.PodSpec" {
            self.host = value;
        }
        self.open('{');
        let mut is_first = true;
        if name == "core/v1.PodSecurityContext" {
            self.host_fields(&mut is_first);
        }
        for field in fields(ty) {
            self.label(&go_name(name, &field.name), &mut is_first);
            self.value(at(value, &field.name), field, ty);
        }
        self.close('}', is_first);
    }

    fn host_fields(&mut self, is_first: &mut bool) {
        for &(json, go, is_pointer) in HOST_FIELDS {
            self.label(go, is_first);
            match at(self.host, json) {
                Value::Null if is_pointer => self.out.push_str("null"),
                value => {
                    self.out.push_str(if value.as_bool() == Some(true) { "true" } else { "false" });
                }
            }
        }
    }

    /// A type that the internal form shares with the served one: just what JSON has.
    fn served(&mut self, value: &Value, ty: TypeRef<'_>) {
        self.open('{');
        let mut is_first = true;
        for field in ty.fields() {
            if let Some(inner) = value.get(&*field.name) {
                self.label(&field.name, &mut is_first);
                self.json(inner, &field.shape, ty);
            }
        }
        self.close('}', is_first);
    }

    fn json(&mut self, value: &Value, shape: &Shape, ty: TypeRef<'_>) {
        match (value, shape) {
            (Value::Object(_), Shape::Struct(id)) => self.served(value, ty.schema().at(*id)),
            (Value::Array(items), Shape::List(item)) => {
                self.open('[');
                for (index, value) in items.iter().enumerate() {
                    self.separate(index == 0);
                    self.json(value, item, ty);
                }
                self.close(']', items.is_empty());
            }
            (Value::Object(_), _) => self.map(value),
            (value, _) => self.out.push_str(&value.to_string()),
        }
    }

    fn value(&mut self, value: &'a Value, field: &Field, ty: TypeRef<'_>) {
        let is_pointer = matches!(field.presence, Presence::Pointer | Presence::NullablePointer);
        match &field.shape {
            _ if value.is_null() && is_pointer => self.out.push_str("null"),
            shape => self.shape(value, shape, ty),
        }
    }

    fn shape(&mut self, value: &'a Value, shape: &Shape, ty: TypeRef<'_>) {
        match shape {
            Shape::Struct(id) => self.structure(value, ty.schema().at(*id)),
            Shape::List(item) => match value.as_array() {
                None => self.out.push_str("null"),
                Some(items) => self.list(items, item, ty),
            },
            Shape::Map(_) if value.is_null() => self.out.push_str("null"),
            Shape::Map(_) => self.map(value),
            Shape::Scalar(scalar) => self.scalar(value, *scalar),
        }
    }

    fn list(&mut self, items: &'a [Value], item: &Shape, ty: TypeRef<'_>) {
        self.open('[');
        for (index, value) in items.iter().enumerate() {
            self.separate(index == 0);
            self.shape(value, item, ty);
        }
        self.close(']', items.is_empty());
    }

    fn map(&mut self, value: &Value) {
        self.open('{');
        let mut entries: Vec<_> = value.as_object().into_iter().flatten().collect();
        entries.sort_unstable_by_key(|&(key, _)| key);
        let mut is_first = true;
        for (key, value) in entries {
            self.label(key, &mut is_first);
            self.out.push_str(&value.to_string());
        }
        self.close('}', is_first);
    }

    fn scalar(&mut self, value: &Value, scalar: Scalar) {
        match (scalar, value) {
            (_, Value::Null) => self.out.push_str(zero(scalar)),
            (_, value) => self.out.push_str(&value.to_string()),
        }
    }

    fn label(&mut self, name: &str, is_first: &mut bool) {
        self.separate(*is_first);
        *is_first = false;
        self.out.push_str(&Value::from(name).to_string());
        self.out.push_str(if self.style == Style::Pretty { ": " } else { ":" });
    }

    fn separate(&mut self, is_first: bool) {
        if !is_first {
            self.out.push(',');
        }
        self.line();
    }

    fn open(&mut self, bracket: char) {
        self.out.push(bracket);
        self.depth += 1;
    }

    fn close(&mut self, bracket: char, is_empty: bool) {
        self.depth -= 1;
        if !is_empty {
            self.line();
        }
        self.out.push(bracket);
    }

    fn line(&mut self) {
        if self.style == Style::Pretty {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', self.depth));
        }
    }
}

fn zero(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::String => "\"\"",
        Scalar::Bool => "false",
        Scalar::Int32 | Scalar::Int64 | Scalar::Double | Scalar::IntOrString => "0",
        Scalar::Quantity => "\"0\"",
        Scalar::Bytes | Scalar::Time | Scalar::MicroTime | Scalar::Any => "null",
    }
}

/// The fields of a type in the order of the internal form.
fn fields(ty: TypeRef<'_>) -> Vec<&Field> {
    let of_type = |order: &[&str]| order.iter().filter_map(|name| ty.field(name)).collect();
    let name = &*ty.get().name;
    if let Some((_, order)) = ORDER.iter().find(|(listed, _)| *listed == name) {
        return of_type(order);
    }
    match builtin().get("core/v1.Container") {
        Some(container) if name == "core/v1.EphemeralContainer" => {
            let mut order: Vec<&str> =
                container.fields().iter().map(|field| &*field.name).collect();
            order.push("targetContainerName");
            of_type(&order)
        }
        _ => ty.fields().iter().collect(),
    }
}

fn go_name(ty: &str, json: &str) -> String {
    let of_type = GO_NAMES_OF.iter().find(|(name, field, _)| *name == ty && *field == json);
    if let Some((_, _, go)) = of_type {
        return (*go).to_owned();
    }
    if let Some((_, go)) = GO_NAMES.iter().find(|(name, _)| *name == json) {
        return (*go).to_owned();
    }
    let mut letters = json.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_that_are_not_set_are_shown_with_their_zero_value() {
        let claim = json!({"name": "a", "resourceClaimName": "x"});
        assert_eq!(
            compact(&claim, "core/v1.PodResourceClaim"),
            r#"{"Name":"a","ResourceClaimName":"x","ResourceClaimTemplateName":null}"#
        );
    }

    #[test]
    fn host_namespaces_are_part_of_the_security_context() {
        let spec =
            json!({"hostPID": true, "hostUsers": false, "containers": [], "securityContext": {}});
        let text = compact(&spec, "core/v1.PodSpec");
        assert!(
            text.contains(
                r#""SecurityContext":{"HostNetwork":false,"HostPID":true,"HostIPC":false,"ShareProcessNamespace":null,"HostUsers":false,"SELinuxOptions":null"#
            ),
            "{text}"
        );
    }

    #[test]
    fn shared_types_keep_their_served_form() {
        let term = json!({"topologyKey": "k", "labelSelector": {"matchLabels": {"a": "b"}}});
        let text = pretty(&term, "core/v1.PodAffinityTerm");
        assert!(
            text.starts_with(
                "{\n \"LabelSelector\": {\n  \"matchLabels\": {\n   \"a\": \"b\"\n  }\n },\n"
            ),
            "{text}"
        );
    }
}

//! The descriptions of Kubernetes' types and fields, which OpenAPI, `explain` and table headers show.
//!
//! They are not the project's own: the build takes them from the documentation of `k8s-openapi` and packs them, with the
//! values of enumerations from `enums.tsv`. A type's texts are unpacked when they are first asked for and then kept.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::sync::LazyLock;

use parking_lot::Mutex;

static BLOCKS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptions.bin"));
static INDEX: &str = include_str!(concat!(env!("OUT_DIR"), "/descriptions.index"));

/// The texts of a type by field, its own under the empty name; or the values of an enumeration.
type Texts = BTreeMap<&'static str, &'static str>;

static UNPACKED: LazyLock<Mutex<HashMap<String, &'static Texts>>> = LazyLock::new(Mutex::default);

/// The description of a type of the schema table, such as `core/v1.Pod`; empty if there is none.
pub fn of_type(ty: &str) -> &'static str {
    field(ty, "")
}

/// The description of a field of a type; empty if there is none.
pub fn field(ty: &str, field: &str) -> &'static str {
    texts(ty).and_then(|texts| texts.get(field)).copied().unwrap_or("")
}

/// The values of an enumeration, such as `core/v1.Protocol`, in order.
pub fn values(enumeration: &str) -> impl Iterator<Item = &'static str> {
    texts(enumeration).into_iter().flatten().map(|(value, _)| *value)
}

fn texts(ty: &str) -> Option<&'static Texts> {
    let mut unpacked = UNPACKED.lock();
    if let Some(texts) = unpacked.get(ty) {
        return Some(texts);
    }
    let texts: &'static Texts = Box::leak(Box::new(unpack(block(ty)?)));
    unpacked.insert(ty.to_owned(), texts);
    Some(texts)
}

/// The packed texts of a type. The index is sorted by name.
fn block(ty: &str) -> Option<&'static [u8]> {
    let line = INDEX.lines().find(|line| line.split('\t').next() == Some(ty))?;
    let mut numbers = line.split('\t').skip(1).map(str::parse::<usize>);
    let (Some(Ok(offset)), Some(Ok(length))) = (numbers.next(), numbers.next()) else {
        return None;
    };
    BLOCKS.get(offset..offset + length)
}

/// The texts live as long as the process: there are as many as types, and each is unpacked once.
fn unpack(block: &[u8]) -> Texts {
    let mut text = String::new();
    if flate2::read::DeflateDecoder::new(block).read_to_string(&mut text).is_err() {
        return Texts::new();
    }
    let text: &'static str = String::leak(text);
    let mut parts = text.split('\0');
    let mut texts = Texts::new();
    while let (Some(name), Some(text)) = (parts.next(), parts.next()) {
        texts.insert(name, text);
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_fields_are_described() {
        assert!(of_type("core/v1.Pod").starts_with("Pod is a collection of containers"));
        assert!(
            field("meta/v1.ObjectMeta", "creationTimestamp")
                .contains("\n\nPopulated by the system.")
        );
        assert!(field("core/v1.ServiceSpec", "clusterIPs").contains("clusterIPs[0]"));
        assert_eq!(field("core/v1.Pod", "nosuch"), "");
        assert_eq!(of_type("nosuch"), "");
        assert!(field("meta/v1.TypeMeta", "kind").starts_with("Kind is a string value"));
        assert!(
            field("core/v1.PodSpec", "setHostnameAsFQDN").contains(r"HKEY_LOCAL_MACHINE\\SYSTEM\\")
        );
    }

    #[test]
    fn values_of_enumerations_are_in_order() {
        let of = |enumeration| values(enumeration).collect::<Vec<_>>();
        assert_eq!(of("core/v1.Protocol"), ["SCTP", "TCP", "UDP"]);
        assert_eq!(of("core/v1.IPFamily"), ["", "IPv4", "IPv6"]);
        assert_eq!(values("core/v1.Protocol").next(), Some("SCTP"));
        assert_eq!(values("core/v1.RestartPolicy").next(), Some("Always"));
        assert!(of("nosuch").is_empty());
    }
}

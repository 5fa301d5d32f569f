//! The schema as ownership sees it: every value is a scalar, a list or a map, and lists and maps may be owned as a whole.

use std::borrow::Cow;

use serde_json::Value;

use super::path::PathElement;
use crate::schema::{Field, ListType, Scalar, Schema, Shape, TypeRef};

/// Structs that are owned and replaced as a whole wherever they stand (`x-kubernetes-map-type: atomic` on the type, Kubernetes v1.36).
/// The schema table has the mark of fields only. Sorted.
const ATOMIC_TYPES: &[&str] = &[
    "admissionregistration/v1.MatchResources",
    "admissionregistration/v1.NamedRuleWithOperations",
    "admissionregistration/v1.ParamKind",
    "admissionregistration/v1.ParamRef",
    "admissionregistration/v1.Variable",
    "admissionregistration/v1alpha1.MatchResources",
    "admissionregistration/v1alpha1.NamedRuleWithOperations",
    "admissionregistration/v1alpha1.ParamKind",
    "admissionregistration/v1alpha1.ParamRef",
    "admissionregistration/v1alpha1.Variable",
    "admissionregistration/v1beta1.MatchResources",
    "admissionregistration/v1beta1.NamedRuleWithOperations",
    "admissionregistration/v1beta1.ParamKind",
    "admissionregistration/v1beta1.ParamRef",
    "admissionregistration/v1beta1.Variable",
    "autoscaling/v1.CrossVersionObjectReference",
    "core/v1.ConfigMapKeySelector",
    "core/v1.EndpointAddress",
    "core/v1.EndpointPort",
    "core/v1.FileKeySelector",
    "core/v1.LocalObjectReference",
    "core/v1.NodeSelector",
    "core/v1.NodeSelectorTerm",
    "core/v1.ObjectFieldSelector",
    "core/v1.ObjectReference",
    "core/v1.ResourceFieldSelector",
    "core/v1.ScopeSelector",
    "core/v1.SecretKeySelector",
    "core/v1.SecretReference",
    "core/v1.TopologySelectorTerm",
    "core/v1.TypedLocalObjectReference",
    "discovery/v1.EndpointPort",
    "meta/v1.LabelSelector",
    "meta/v1.OwnerReference",
    "networking/v1.ServiceBackendPort",
    "rbac/v1.RoleRef",
    "rbac/v1.Subject",
];

/// Fields whose struct is owned field by field although its type is atomic (`x-kubernetes-map-type: granular` on the field,
/// Kubernetes v1.36).
const GRANULAR_FIELDS: &[(&str, &str)] = &[("core/v1.PersistentVolumeSpec", "claimRef")];

/// The type of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Node<'a> {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    List(List<'a>),
    /// A struct.
    Struct {
        /// Its fields.
        ty: TypeRef<'a>,
        /// Whether it is owned as a whole.
        is_atomic: bool,
    },
    /// A map.
    Map {
        /// The shape of its values.
        value: &'a Shape,
        /// The schema of the shape.
        schema: &'a Schema,
        /// Whether it is owned as a whole.
        is_atomic: bool,
    },
    /// Any value, owned as a whole.
    Opaque,
    /// Any value; maps are owned key by key.
    Deduced,
}

/// The type of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct List<'a> {
    /// The shape of the items; `None` for any.
    item: Option<(&'a Shape, &'a Schema)>,
    items: ListType,
    keys: &'a [Cow<'static, str>],
}

/// What a value is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar,
    List,
    Map,
    /// Nothing tells which; it is treated as a map.
    Open,
}

impl<'a> Node<'a> {
    /// An object of this type, or of any.
    pub(super) fn root(ty: Option<TypeRef<'a>>) -> Self {
        ty.map_or(Self::Deduced, |ty| Self::Struct { ty, is_atomic: false })
    }

    fn of_field(field: &'a Field, schema: &'a Schema) -> Self {
        let node = Self::of_shape(&field.shape, schema);
        match node {
            Self::List(list) => Self::List(List { items: field.list, keys: &field.keys, ..list }),
            Self::Struct { ty, is_atomic } => {
                Self::Struct { ty, is_atomic: is_atomic || field.is_atomic }
            }
            Self::Map { value, schema, .. } => {
                Self::Map { value, schema, is_atomic: field.is_atomic }
            }
            Self::Deduced if field.go_type == "runtime.RawExtension" => Self::Opaque,
            other => other,
        }
    }

    fn of_shape(shape: &'a Shape, schema: &'a Schema) -> Self {
        match shape {
            Shape::Scalar(Scalar::Any) => Self::Deduced,
            Shape::Scalar(scalar) => Self::Scalar(*scalar),
            Shape::Struct(id) => {
                let ty = schema.at(*id);
                Self::Struct { ty, is_atomic: is_atomic_type(&ty.get().name) }
            }
            Shape::Map(value) => Self::Map { value, schema, is_atomic: false },
            Shape::List(item) => {
                Self::List(List { item: Some((item, schema)), items: ListType::Atomic, keys: &[] })
            }
        }
    }

    /// What the value is taken for. Types fix it but for those that take any value.
    pub(super) fn kind(self, value: Option<&Value>) -> Kind {
        match self {
            Self::Scalar(_) => Kind::Scalar,
            Self::List(_) => Kind::List,
            Self::Struct { .. } | Self::Map { .. } => Kind::Map,
            Self::Opaque | Self::Deduced => match value {
                None | Some(Value::Null) => Kind::Open,
                Some(Value::Array(_)) => Kind::List,
                Some(Value::Object(_)) => Kind::Map,
                Some(_) => Kind::Scalar,
            },
        }
    }

    /// Whether a map or struct is owned as a whole.
    pub(super) fn is_atomic(self) -> bool {
        match self {
            Self::Struct { is_atomic, .. } | Self::Map { is_atomic, .. } => is_atomic,
            Self::Opaque => true,
            _ => false,
        }
    }

    /// Whether the type says nothing about the keys of its maps.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Deduced)
    }

    /// The type as that of a list.
    pub(super) fn list(self) -> List<'a> {
        match self {
            Self::List(list) => list,
            _ => List { item: None, items: ListType::Atomic, keys: &[] },
        }
    }

    /// Whether a struct has this field.
    pub(super) fn declares(self, name: &str) -> bool {
        matches!(self, Self::Struct { ty, .. } if ty.field(name).is_some())
    }

    /// The type of what is under a key; `None` if a struct has no such field.
    pub(super) fn child(self, name: &str) -> Option<Self> {
        match self {
            Self::Struct { ty, .. } => {
                ty.field(name).map(|field| match Self::of_field(field, ty.schema()) {
                    Self::Struct { ty: inner, is_atomic: true }
                        if GRANULAR_FIELDS.contains(&(&*ty.get().name, name)) =>
                    {
                        Self::Struct { ty: inner, is_atomic: false }
                    }
                    node => node,
                })
            }
            Self::Map { value, schema, .. } => Some(Self::of_shape(value, schema)),
            Self::Opaque => Some(Self::Opaque),
            _ => Some(Self::Deduced),
        }
    }

    /// The type of what a step leads to; `None` if nothing is known of it.
    pub(super) fn at(self, element: &PathElement) -> Option<Self> {
        match (self, element) {
            (Self::List(list), PathElement::Key(_)) => Some(list.item_node()),
            (Self::List(_) | Self::Scalar(_), _) => None,
            (node, PathElement::Field(name)) => node.child(name),
            _ => None,
        }
    }
}

/// Whether a struct type is owned and replaced as a whole.
pub fn is_atomic_type(name: &str) -> bool {
    ATOMIC_TYPES.binary_search(&name).is_ok()
}

impl<'a> List<'a> {
    /// Whether the list is owned as a whole.
    pub(super) fn is_atomic(self) -> bool {
        self.items == ListType::Atomic
    }

    /// The type of the items.
    pub(super) fn item_node(self) -> Node<'a> {
        self.item.map_or(Node::Opaque, |(shape, schema)| Node::of_shape(shape, schema))
    }

    /// The step to an item of a list that is not atomic, or why there is none.
    pub(super) fn element(self, item: &Value) -> Result<PathElement, String> {
        if self.items != ListType::Map {
            return set_element(item).map(|()| PathElement::Value(item.clone()));
        }
        let map = keyed_item(item)?;
        let mut fields = Vec::with_capacity(self.keys.len());
        for key in self.keys {
            let value = match map.get(&**key) {
                Some(value) => Some(value.clone()),
                None => self.key_default(key),
            };
            fields.extend(value.map(|value| (Box::from(&**key), value)));
        }
        if fields.is_empty() {
            return Err(self.no_key());
        }
        Ok(PathElement::key(fields))
    }

    /// Whether [`Self::element`] would give a step; cheaper.
    pub(super) fn check(self, item: &Value) -> Result<(), String> {
        if self.items != ListType::Map {
            return set_element(item);
        }
        let map = keyed_item(item)?;
        let has_key =
            |key: &Cow<'static, str>| map.contains_key(&**key) || self.key_default(key).is_some();
        if self.keys.iter().any(has_key) { Ok(()) } else { Err(self.no_key()) }
    }

    fn no_key(self) -> String {
        let keys: Vec<String> = self.keys.iter().map(|key| crate::field::quoted(key)).collect();
        format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
            keys.join(" ")
        )
    }

    /// What a key field that is not set counts as: its default, or Go's zero value if it is always written.
    fn key_default(self, key: &str) -> Option<Value> {
        let (Shape::Struct(id), schema) = self.item? else {
            return None;
        };
        schema.at(*id).field(key)?.default_value()
    }
}

fn keyed_item(item: &Value) -> Result<&serde_json::Map<String, Value>, String> {
    match item {
        Value::Object(map) => Ok(map),
        Value::Null => Err("associative list with keys may not have a null element".to_owned()),
        _ => Err("associative list with keys may not have non-map elements".to_owned()),
    }
}

fn set_element(item: &Value) -> Result<(), String> {
    let problem = match item {
        Value::Object(_) => "associative list without keys has an element that's a map type",
        Value::Array(_) => "not supported: associative list with lists as elements",
        Value::Null => "associative list without keys has an element that's an explicit null",
        _ => return Ok(()),
    };
    Err(problem.to_owned())
}

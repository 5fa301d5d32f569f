//! The schemas of a document: the types that its kinds are made of, in OpenAPI's words.

use std::collections::BTreeSet;

use podo_api::Value;
use podo_api::managed_fields::is_atomic_type;
use podo_api::schema::{Field, ListType, PatchStrategy, Presence, Scalar, Shape, TypeRef, builtin};
use podo_registry::KINDS;
use serde_json::{Map, json};

/// Where a document holds its schemas.
pub(super) const PLACE: &str = "#/components/schemas/";

/// The schemas that are referred to so far.
#[derive(Default)]
pub(super) struct Schemas {
    /// The names of those that were given out.
    done: BTreeSet<String>,
    wanted: BTreeSet<String>,
}

/// The groups whose types live elsewhere than in `io.k8s.api`.
const MODULES: &[(&str, &str)] = &[
    ("meta", "io.k8s.apimachinery.pkg.apis.meta"),
    ("apiextensions", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions"),
    ("apiregistration", "io.k8s.kube-aggregator.pkg.apis.apiregistration"),
    ("pkg", "io.k8s.apimachinery.pkg"),
];

/// The name of a type in OpenAPI: `io.k8s.api.core.v1.Pod` for `core/v1.Pod`.
fn definition_name(ty: &str) -> String {
    match ty.split_once('/') {
        Some((group, rest)) => {
            let module = MODULES
                .iter()
                .find(|(name, _)| *name == group)
                .map(|(_, module)| (*module).to_owned());
            format!("{}.{rest}", module.unwrap_or_else(|| format!("io.k8s.api.{group}")))
        }
        None => match ty {
            "Quantity" => "io.k8s.apimachinery.pkg.api.resource.Quantity".to_owned(),
            "IntOrString" => "io.k8s.apimachinery.pkg.util.intstr.IntOrString".to_owned(),
            other => format!("io.k8s.apimachinery.pkg.runtime.{other}"),
        },
    }
}

impl Schemas {
    /// A reference to a type, which the document will hold.
    pub(super) fn reference(&mut self, ty: &str) -> Value {
        self.wanted.insert(ty.to_owned());
        json!({"$ref": format!("{PLACE}{}", definition_name(ty))})
    }

    fn schema(&mut self, ty: TypeRef<'_>) -> Value {
        let name = &*ty.get().name;
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in ty.fields() {
            properties.insert(field.name.clone().into_owned(), self.property(name, field, ty));
            if field.is_required {
                required.push(Value::from(&*field.name));
            }
        }
        let mut schema = json!({"type": "object"});
        describe(&mut schema, podo_descriptions::of_type(name));
        if !properties.is_empty() {
            schema["properties"] = properties.into();
        }
        if !required.is_empty() {
            required.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
            schema["required"] = required.into();
        }
        if is_atomic_type(name) {
            schema["x-kubernetes-map-type"] = "atomic".into();
        }
        let kinds = kinds_of(name);
        if !kinds.is_empty() {
            schema["x-kubernetes-group-version-kind"] = kinds.into();
        }
        schema
    }

    fn property(&mut self, owner: &str, field: &Field, ty: TypeRef<'_>) -> Value {
        let mut property = match &*field.go_type {
            // To the table it is a value like any other that has no type of its own.
            "v1.FieldsV1" => self.reference("meta/v1.FieldsV1"),
            _ => self.shape(&field.shape, ty),
        };
        // A reference cannot have members beside it, so it is wrapped.
        if property.get("$ref").is_some() {
            property = json!({"allOf": [property]});
        }
        // What an object is of is no field of its own: it has no tag in protobuf.
        let is_of_object = field.tag == 0 && matches!(&*field.name, "kind" | "apiVersion");
        let owner = if is_of_object { "meta/v1.TypeMeta" } else { owner };
        describe(&mut property, podo_descriptions::field(owner, &field.name));
        if let Some(default) = default(field) {
            property["default"] = default;
        }
        enumerate(&mut property, field);
        extensions(&mut property, field);
        property
    }

    fn shape(&mut self, shape: &Shape, ty: TypeRef<'_>) -> Value {
        match shape {
            Shape::Struct(id) => {
                let name = ty.schema().at(*id).get().name.clone();
                self.reference(&name)
            }
            Shape::List(item) => json!({"type": "array", "items": self.shape(item, ty)}),
            Shape::Map(item) => {
                json!({"type": "object", "additionalProperties": self.shape(item, ty)})
            }
            Shape::Scalar(scalar) => self.scalar(*scalar),
        }
    }

    fn scalar(&mut self, scalar: Scalar) -> Value {
        match scalar {
            Scalar::String => json!({"type": "string"}),
            Scalar::Bool => json!({"type": "boolean"}),
            Scalar::Int32 => json!({"type": "integer", "format": "int32"}),
            Scalar::Int64 => json!({"type": "integer", "format": "int64"}),
            Scalar::Double => json!({"type": "number", "format": "double"}),
            Scalar::Bytes => json!({"type": "string", "format": "byte"}),
            Scalar::Quantity => self.reference("Quantity"),
            Scalar::IntOrString => self.reference("IntOrString"),
            Scalar::Time => self.reference("meta/v1.Time"),
            Scalar::MicroTime => self.reference("meta/v1.MicroTime"),
            Scalar::Any => self.reference("RawExtension"),
        }
    }
}

/// Gives the schemas that are referred to, with their names: also those that the schemas given before refer to.
impl Iterator for Schemas {
    type Item = (String, Value);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let ty = self.wanted.pop_first()?;
            let name = definition_name(&ty);
            if self.done.insert(name.clone()) {
                let schema = match builtin().get(&ty) {
                    Some(known) => self.schema(known),
                    None => scalar_definition(&ty),
                };
                return Some((name, schema));
            }
        }
    }
}

/// The type that is a kind of every group.
const EVERYWHERE: &str = "meta/v1.DeleteOptions";

/// The kinds whose objects or lists are of a type.
fn kinds_of(ty: &str) -> Vec<Value> {
    let mut kinds = BTreeSet::new();
    for kind in KINDS {
        let (group, version) = (kind.names.group, kind.names.version);
        if kind.ty == ty {
            kinds.insert((group, version, kind.names.kind.to_owned()));
        } else if ty.strip_suffix("List") == Some(kind.ty) {
            kinds.insert((group, version, kind.list_kind()));
        } else if ty == EVERYWHERE {
            kinds.insert((group, version, "DeleteOptions".to_owned()));
        }
        for subresource in kind.subresources.iter().filter(|subresource| subresource.ty == ty) {
            let (group, version, name) = subresource.kind;
            kinds.insert((group, version, name.to_owned()));
        }
    }
    let value = |(group, version, kind)| json!({"group": group, "version": version, "kind": kind});
    kinds.into_iter().map(value).collect()
}

/// Types that are one value.
fn scalar_definition(ty: &str) -> Value {
    let mut schema = match ty {
        "Quantity" => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        "IntOrString" => {
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
        }
        "meta/v1.Time" | "meta/v1.MicroTime" => json!({"type": "string", "format": "date-time"}),
        _ => json!({"type": "object"}),
    };
    describe(&mut schema, podo_descriptions::of_type(ty));
    schema
}

/// The default of a field: its own, or an empty struct if Go's field is no pointer.
fn default(field: &Field) -> Option<Value> {
    match (&field.shape, field.presence) {
        (Shape::Struct(_), Presence::OmitEmpty | Presence::Always) => Some(json!({})),
        _ => field.default_value(),
    }
}

/// Lists the values of an enumeration; where the field is a single one, its description does so too.
fn enumerate(property: &mut Value, field: &Field) {
    if field.enumeration.is_empty() {
        return;
    }
    let values: Vec<_> = podo_descriptions::values(&field.enumeration).collect();
    let listed: Value = values.iter().copied().collect();
    match field.shape {
        Shape::List(_) => property["items"]["enum"] = listed,
        Shape::Map(_) => property["additionalProperties"]["enum"] = listed,
        _ => {
            let mut text = property["description"].as_str().unwrap_or("").to_owned();
            text.push_str("\n\nPossible enum values:");
            for value in values {
                text.push_str(&format!("\n - `{}`", Value::from(value)));
            }
            property["description"] = text.trim_start().into();
            property["enum"] = listed;
        }
    }
}

fn describe(schema: &mut Value, text: &str) {
    if !text.is_empty() {
        schema["description"] = text.into();
    }
}

fn extensions(property: &mut Value, field: &Field) {
    if matches!(field.shape, Shape::List(_)) {
        match field.list {
            ListType::Atomic => property["x-kubernetes-list-type"] = "atomic".into(),
            ListType::Set => property["x-kubernetes-list-type"] = "set".into(),
            ListType::Map => {
                property["x-kubernetes-list-type"] = "map".into();
                let keys: Vec<Value> = field.keys.iter().map(|key| Value::from(&**key)).collect();
                property["x-kubernetes-list-map-keys"] = keys.into();
            }
        }
    }
    if field.is_atomic {
        property["x-kubernetes-map-type"] = "atomic".into();
    }
    let strategy = match field.patch {
        PatchStrategy::Default => return,
        PatchStrategy::Merge => "merge",
        PatchStrategy::RetainKeys => "retainKeys",
        PatchStrategy::MergeRetainKeys => "merge,retainKeys",
        PatchStrategy::Replace => "replace",
    };
    property["x-kubernetes-patch-strategy"] = strategy.into();
    if !field.merge_key.is_empty() {
        property["x-kubernetes-patch-merge-key"] = (*field.merge_key).into();
    }
}

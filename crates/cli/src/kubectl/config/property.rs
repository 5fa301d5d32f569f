//! Properties by their path, as `config set` and `config unset` name them: `contexts.NAME.namespace`.
//!
//! What there is, and its names, are those of client-go's structs, which differ from the file's in places.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::fault::Fault;
use super::super::normal::boolean;
use super::super::print::go::base64_decoded;
use super::super::value::object_mut;

/// What a property holds.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Text,
    Bool,
    /// Bytes, in the file as base64.
    Bytes,
    Texts,
    /// A struct behind a pointer: nothing in it has a path.
    Whole,
    /// A map of no structs: nothing in it has a path.
    Map,
    Record(&'static Record),
    /// Entries by name; in the file a list. With the name that the file gives the value of an entry.
    Entries(&'static str, &'static Record),
}

/// A struct: its name in Go and its fields, each with its name in a path and in the file.
#[derive(Debug)]
struct Record {
    name: &'static str,
    fields: &'static [(&'static str, &'static str, Shape)],
}

static CONFIG: Record = Record {
    name: "api.Config",
    fields: &[
        ("kind", "kind", Shape::Text),
        ("apiVersion", "apiVersion", Shape::Text),
        ("preferences", "preferences", Shape::Record(&PREFERENCES)),
        ("clusters", "clusters", Shape::Entries("cluster", &CLUSTER)),
        ("users", "users", Shape::Entries("user", &USER)),
        ("contexts", "contexts", Shape::Entries("context", &CONTEXT)),
        ("current-context", "current-context", Shape::Text),
        ("extensions", "extensions", Shape::Map),
    ],
};

static PREFERENCES: Record = Record {
    name: "api.Preferences",
    fields: &[("colors", "colors", Shape::Bool), ("extensions", "extensions", Shape::Map)],
};

static CLUSTER: Record = Record {
    name: "api.Cluster",
    fields: &[
        ("server", "server", Shape::Text),
        ("tls-server-name", "tls-server-name", Shape::Text),
        ("insecure-skip-tls-verify", "insecure-skip-tls-verify", Shape::Bool),
        ("certificate-authority", "certificate-authority", Shape::Text),
        ("certificate-authority-data", "certificate-authority-data", Shape::Bytes),
        ("proxy-url", "proxy-url", Shape::Text),
        ("disable-compression", "disable-compression", Shape::Bool),
        ("extensions", "extensions", Shape::Map),
    ],
};

static USER: Record = Record {
    name: "api.AuthInfo",
    fields: &[
        ("client-certificate", "client-certificate", Shape::Text),
        ("client-certificate-data", "client-certificate-data", Shape::Bytes),
        ("client-key", "client-key", Shape::Text),
        ("client-key-data", "client-key-data", Shape::Bytes),
        ("token", "token", Shape::Text),
        ("tokenFile", "tokenFile", Shape::Text),
        ("act-as", "as", Shape::Text),
        ("act-as-uid", "as-uid", Shape::Text),
        ("act-as-groups", "as-groups", Shape::Texts),
        ("act-as-user-extra", "as-user-extra", Shape::Map),
        ("username", "username", Shape::Text),
        ("password", "password", Shape::Text),
        ("auth-provider", "auth-provider", Shape::Whole),
        ("exec", "exec", Shape::Whole),
        ("extensions", "extensions", Shape::Map),
    ],
};

static CONTEXT: Record = Record {
    name: "api.Context",
    fields: &[
        ("cluster", "cluster", Shape::Text),
        ("user", "user", Shape::Text),
        ("namespace", "namespace", Shape::Text),
        ("extensions", "extensions", Shape::Map),
    ],
};

impl Record {
    fn field(&self, name: &str) -> Option<(&'static str, Shape)> {
        let found = self.fields.iter().find(|(known, ..)| *known == name);
        found.map(|(_, key, shape)| (*key, *shape))
    }
}

/// What is done to a property.
#[derive(Debug, Clone, Copy)]
pub(super) enum Edit<'a> {
    Set {
        value: &'a str,
        /// Whether bytes are given as they are, not as base64.
        is_raw: bool,
    },
    Unset,
}

/// A property: the field of the kubeconfig, for entries a name, and a field of what is found there.
#[derive(Debug)]
pub(super) struct Property {
    key: &'static str,
    shape: Shape,
    name: Option<String>,
    field: Option<(&'static str, Shape)>,
}

impl Property {
    /// Reads a path. Names may hold dots: they end where a known field follows.
    pub(super) fn parse(path: &str) -> Result<Self, Fault> {
        let parts: Vec<&str> = path.split('.').collect();
        let unknown = |after: &str, record: &Record| {
            Fault::refused(format!("unable to parse {path} after [{after}] at {}", record.name))
        };
        let deep = || Fault::refused(format!("unable to parse one or more field values of {path}"));
        let (key, shape) = CONFIG.field(parts[0]).ok_or_else(|| unknown("", &CONFIG))?;
        let rest = &parts[1..];
        let mut property = Self { key, shape, name: None, field: None };
        match shape {
            _ if rest.is_empty() => {}
            Shape::Record(record) => {
                let after = format!("{{{key} {}}}", record.name);
                let field = record.field(rest[0]).ok_or_else(|| unknown(&after, record))?;
                if rest.len() > 1 {
                    return Err(deep());
                }
                property.field = Some(field);
            }
            Shape::Entries(_, record) => {
                let end = rest.iter().skip(1).position(|part| record.field(part).is_some());
                let end = end.map_or(rest.len(), |at| at + 1);
                property.name = Some(rest[..end].join("."));
                property.field = rest.get(end).and_then(|name| record.field(name));
                if rest.len() > end + 1 {
                    return Err(deep());
                }
            }
            _ => return Err(deep()),
        }
        Ok(property)
    }

    /// The entry that is meant: the field that lists it, and its name.
    pub(super) fn entry(&self) -> Option<(&'static str, &str)> {
        self.name.as_deref().map(|name| (self.key, name))
    }

    /// Whether it tells what the file is, not what is in it.
    pub(super) fn is_of_format(&self) -> bool {
        matches!(self.key, "kind" | "apiVersion")
    }

    pub(super) fn is_current_context(&self) -> bool {
        self.key == "current-context"
    }

    /// Changes a kubeconfig.
    pub(super) fn edit(&self, document: &mut Value, edit: Edit<'_>) -> Result<(), Fault> {
        match (self.shape, &self.name, self.field) {
            (Shape::Entries(inner, _), Some(name), field) => {
                self.edit_entry(document, inner, name, field, edit)
            }
            (Shape::Record(_), _, Some((key, shape))) => {
                change(&mut document[self.key], key, shape, edit)
            }
            _ => change(document, self.key, self.shape, edit),
        }
    }

    fn edit_entry(
        &self,
        document: &mut Value,
        inner: &str,
        name: &str,
        field: Option<(&'static str, Shape)>,
        edit: Edit<'_>,
    ) -> Result<(), Fault> {
        if !document[self.key].is_array() {
            document[self.key] = json!([]);
        }
        let Some(list) = document[self.key].as_array_mut() else {
            return Ok(());
        };
        let Some((key, shape)) = field else {
            if let Edit::Set { .. } = edit {
                return Err(no_value_of_map());
            }
            list.retain(|entry| entry["name"] != name);
            return Ok(());
        };
        if let Some(entry) = list.iter_mut().find(|entry| entry["name"] == name) {
            return change(&mut entry[inner], key, shape, edit);
        }
        if let Edit::Unset = edit {
            return Err(Fault::refused(format!("current map key `{name}` is invalid")));
        }
        let mut entry = json!({"name": name, inner: {}});
        change(&mut entry[inner], key, shape, edit)?;
        list.push(entry);
        Ok(())
    }
}

fn no_value_of_map() -> Fault {
    Fault::refused("can't set a map to a value: map[]")
}

/// Changes a field of an object.
fn change(place: &mut Value, key: &str, shape: Shape, edit: Edit<'_>) -> Result<(), Fault> {
    let Edit::Set { value, is_raw } = edit else {
        object_mut(place).remove(key);
        return Ok(());
    };
    let value: Value = match shape {
        Shape::Text => value.into(),
        Shape::Bool => boolean(value).map_err(Fault::refused)?.into(),
        Shape::Bytes if is_raw => STANDARD.encode(value).into(),
        Shape::Bytes => {
            let bytes = base64_decoded(value)
                .map_err(|why| Fault::refused(format!("error decoding input value: {why}")))?;
            STANDARD.encode(bytes).into()
        }
        Shape::Texts => return Err(Fault::refused("unrecognized slice type. string")),
        Shape::Map | Shape::Entries(..) => return Err(no_value_of_map()),
        Shape::Whole => return Err(Fault::refused(format!("{key} cannot be set as a whole"))),
        Shape::Record(_) => {
            let has_colors = place[key]["colors"] == true;
            return Err(Fault::refused(format!(
                "unable to locate path config.navigationStep{{stepValue:\"\", stepType:reflect.Type(nil)}} under {{{has_colors} map[]}}"
            )));
        }
    };
    object_mut(place).insert(key.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Edit, Property};

    fn document() -> Value {
        json!({
            "current-context": "a",
            "contexts": [{"name": "a", "context": {"cluster": "c", "namespace": "n"}}],
            "clusters": [{"name": "my.dotted", "cluster": {"server": "s"}}],
        })
    }

    #[track_caller]
    fn check(path: &str, edit: Edit<'_>, expected: Result<(&str, Value), &str>) {
        let mut document = document();
        let done = Property::parse(path).and_then(|property| property.edit(&mut document, edit));
        match (done, expected) {
            (Ok(()), Ok((pointer, value))) => {
                assert_eq!(document.pointer(pointer).unwrap_or(&Value::Null), &value, "{path}");
            }
            (Err(fault), Err(why)) => assert_eq!(fault.to_string(), why, "{path}"),
            (done, _) => panic!("{path}: {done:?} {document}"),
        }
    }

    #[test]
    fn a_property_is_set_where_its_path_leads() {
        let set = |value| Edit::Set { value, is_raw: false };
        check("contexts.a.namespace", set("x"), Ok(("/contexts/0/context/namespace", json!("x"))));
        check(
            "contexts.b.user",
            set("u"),
            Ok(("/contexts/1", json!({"name": "b", "context": {"user": "u"}}))),
        );
        check(
            "clusters.my.dotted.server",
            set("t"),
            Ok(("/clusters/0/cluster/server", json!("t"))),
        );
        check(
            "clusters.x.insecure-skip-tls-verify",
            set("1"),
            Ok(("/clusters/1/cluster/insecure-skip-tls-verify", json!(true))),
        );
        check("users.u.act-as", set("x"), Ok(("/users/0/user/as", json!("x"))));
        check("current-context", set("x"), Ok(("/current-context", json!("x"))));
        check("preferences.colors", set("true"), Ok(("/preferences/colors", json!(true))));
        check(
            "users.u.client-key-data",
            Edit::Set { value: "hi", is_raw: true },
            Ok(("/users/0/user/client-key-data", json!("aGk="))),
        );
        check("contexts.a.nosuch", set("x"), Err("can't set a map to a value: map[]"));
        check(
            "contexts.a.namespace.x",
            set("x"),
            Err("unable to parse one or more field values of contexts.a.namespace.x"),
        );
        check("nosuch.x", set("x"), Err("unable to parse nosuch.x after [] at api.Config"));
        check(
            "preferences.x",
            set("x"),
            Err(
                "unable to parse preferences.x after [{preferences api.Preferences}] at api.Preferences",
            ),
        );
        check(
            "users.u.client-key-data",
            set("a!"),
            Err("error decoding input value: illegal base64 data at input byte 1"),
        );
    }

    #[test]
    fn a_property_is_unset_where_its_path_leads() {
        check(
            "contexts.a.namespace",
            Edit::Unset,
            Ok(("/contexts/0/context/namespace", Value::Null)),
        );
        check("contexts.a", Edit::Unset, Ok(("/contexts", json!([]))));
        check("contexts", Edit::Unset, Ok(("/contexts", Value::Null)));
        check("contexts.b.namespace", Edit::Unset, Err("current map key `b` is invalid"));
    }
}

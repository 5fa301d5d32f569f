//! Secret: settings that only those may see who need them. `stringData` is a way to write and is never kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podo_api::field::{Errors, Path};
use podo_api::{Value, json, meta, tree};
use serde_json::json as value;

use super::configmap::freeze;
use super::pod::view::{at, entries, get, text};
use crate::metadata::IMMUTABLE;
use crate::{Column, Definition, Description, Names, Selectable, name, table};

/// The size of all values together (Kubernetes v1.36 `core.MaxSecretSize`).
pub(super) const DATA_BYTES_MAX: usize = 1024 * 1024;

/// The annotation that names the account of a token Secret.
const ACCOUNT_ANNOTATION: &str = "kubernetes.io/service-account.name";

/// Secret.
pub(crate) static SECRET: Definition = Definition {
    names: Names {
        kind: "Secret",
        plural: "secrets",
        singular: "secret",
        ..Definition::BASE.names
    },
    ty: "core/v1.Secret",
    columns: &[
        table::NAME,
        Column {
            name: "Type",
            kind: "string",
            format: "",
            description: Description::Field("core/v1.Secret", "type"),
            priority: 0,
            cell: |secret| text(secret, "type").into(),
        },
        Column {
            name: "Data",
            kind: "string",
            format: "",
            description: Description::Field("core/v1.Secret", "data"),
            priority: 0,
            cell: |secret| entries(secret, "data").len().into(),
        },
        table::AGE,
    ],
    selectable: &[Selectable { label: "type", read: |secret| text(secret, "type").to_owned() }],
    default,
    validate,
    validate_update,
    ..Definition::BASE
};

fn default(secret: &mut Value) {
    if let Some(Value::Object(given)) = tree::take(secret, "stringData") {
        let data = tree::as_map(secret).entry("data").or_insert_with(|| value!({}));
        for (key, text) in given {
            tree::set(data, &key, STANDARD.encode(text.as_str().unwrap_or("")));
        }
    }
    tree::set_default(secret, "type", "Opaque");
}

/// The size of what a base64 text stands for.
pub(super) fn decoded_len(content: &Value) -> usize {
    let text = content.as_str().unwrap_or("").trim_end_matches('=');
    text.len() * 3 / 4
}

fn validate(secret: &Value, errors: &mut Errors) {
    let path = Path::new("data");
    let mut total = 0;
    for (key, content) in entries(secret, "data") {
        errors.invalid_all(&path.key(key), key, name::config_map_key(key));
        total += decoded_len(content);
    }
    if total > DATA_BYTES_MAX {
        errors.too_long(&path, DATA_BYTES_MAX);
    }
    demand_keys(secret, &path, errors);
}

/// The keys that a type demands.
fn demand_keys(secret: &Value, path: &Path, errors: &mut Errors) {
    let data = at(secret, "data");
    let mut require = |key: &str| errors.required(&path.key(key), "");
    match text(secret, "type") {
        "kubernetes.io/service-account-token"
            if meta::annotation(secret, ACCOUNT_ANNOTATION).is_none_or(str::is_empty) =>
        {
            let path = Path::new("metadata").child("annotations").key(ACCOUNT_ANNOTATION);
            errors.required(&path, "");
        }
        "kubernetes.io/dockercfg" => json_object(data, ".dockercfg", path, errors),
        "kubernetes.io/dockerconfigjson" => json_object(data, ".dockerconfigjson", path, errors),
        "kubernetes.io/basic-auth"
            if ["username", "password"].iter().all(|key| data.get(key).is_none()) =>
        {
            require("username");
            require("password");
        }
        "kubernetes.io/ssh-auth" if text(data, "ssh-privatekey").is_empty() => {
            require("ssh-privatekey");
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"].into_iter().filter(|key| data.get(key).is_none()) {
                require(key);
            }
        }
        _ => {}
    }
}

fn json_object(data: &Value, key: &str, path: &Path, errors: &mut Errors) {
    let path = path.key(key);
    let Some(content) = get(data, key) else {
        errors.required(&path, "");
        return;
    };
    let bytes = STANDARD.decode(content.as_str().unwrap_or("")).unwrap_or_default();
    if let Err(error) = is_json_object(&bytes) {
        errors.invalid(&path, "<secret contents redacted>", error);
    }
}

/// Whether Go would read the bytes as a map; otherwise its error.
fn is_json_object(bytes: &[u8]) -> Result<(), String> {
    json::check_syntax(bytes)?;
    let found = match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{' | b'n') | None => return Ok(()),
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "bool",
        Some(_) => "number",
    };
    Err(format!("json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"))
}

fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    let (now, before) = (text(new, "type"), text(old, "type"));
    if now != before {
        errors.invalid(&Path::new("type"), now, IMMUTABLE);
    }
    freeze(new, old, &["data"], errors);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kept_as_data_and_wins_over_it() {
        let mut secret = value!({"data": {"a": "MQ==", "b": "Mg=="}, "stringData": {"a": "3"}});
        default(&mut secret);
        let expected = value!({"data": {"a": "Mw==", "b": "Mg=="}, "type": "Opaque"});
        assert_eq!(secret, expected);
        default(&mut secret);
        assert_eq!(secret, expected);
    }

    #[test]
    fn size_is_that_of_the_bytes_not_of_their_base64() {
        for size in 0..10 {
            assert_eq!(decoded_len(&STANDARD.encode(vec![0; size]).into()), size);
        }
    }

    #[test]
    fn a_docker_configuration_is_a_json_object() {
        let check = |text: &str| is_json_object(text.as_bytes()).err().unwrap_or_default();
        assert_eq!(check("{\"auths\":{}}"), "");
        assert_eq!(check("null"), "");
        let why = "json: cannot unmarshal array into Go value of type map[string]interface {}";
        assert_eq!(check(" []"), why);
        assert_eq!(check(""), "unexpected end of JSON input");
    }
}

//! ServiceAccount: who a Pod is to the API. Its `/token` gives tokens.

use podo_api::{Value, meta, tree};
use serde_json::json;

use super::pod::view::{list, text};
use crate::{Definition, Names, Subresource, Verb, table};

/// The annotation that once bound Pods to the Secrets that their account lists.
const ENFORCE_ANNOTATION: &str = "kubernetes.io/enforce-mountable-secrets";

/// ServiceAccount.
pub(crate) static SERVICE_ACCOUNT: Definition = Definition {
    names: Names {
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        singular: "serviceaccount",
        short: &["sa"],
        ..Definition::BASE.names
    },
    ty: "core/v1.ServiceAccount",
    subresources: &[Subresource {
        name: "token",
        kind: ("authentication.k8s.io", "v1", "TokenRequest"),
        ty: "authentication/v1.TokenRequest",
        verbs: &[Verb::Create],
    }],
    columns: &[table::NAME, table::AGE],
    prepare_create: keep_names_of_secrets,
    prepare_update: |new, _| keep_names_of_secrets(new),
    warnings,
    returns_deleted: true,
    ..Definition::BASE
};

/// Of the Secrets only the names are kept.
fn keep_names_of_secrets(account: &mut Value) {
    let secrets: Vec<Value> = list(account, "secrets")
        .iter()
        .map(|secret| json!({"name": text(secret, "name")}))
        .collect();
    if !secrets.is_empty() {
        tree::set(account, "secrets", secrets);
    }
}

fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let has = |account: &Value| meta::annotation(account, ENFORCE_ANNOTATION).is_some();
    if !has(new) || old.is_some_and(has) {
        return Vec::new();
    }
    vec![format!(
        "metadata.annotations[{ENFORCE_ANNOTATION}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
    )]
}

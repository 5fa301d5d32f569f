//! The rules that Roles, ClusterRoles and their bindings share.

use podo_api::field::{Errors, Path, quoted};
use podo_api::table::Cell;
use podo_api::{Value, tree};
use serde_json::json;

use super::pod::view::{at, list, not_supported, text};
use crate::name;
use crate::table::{AGE, NAME};
use crate::{Column, Description};

/// The API group of the four kinds.
pub(super) const GROUP: &str = "rbac.authorization.k8s.io";

/// Whether rules and subjects are those of a namespaced kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Role or RoleBinding.
    Namespace,
    /// ClusterRole or ClusterRoleBinding.
    Cluster,
}

/// Validates the rules of a role.
pub(super) fn rules(role: &Value, reach: Reach, errors: &mut Errors) {
    for (index, rule) in list(role, "rules").iter().enumerate() {
        validate_rule(rule, reach, &Path::new("rules").index(index), errors);
    }
}

fn validate_rule(rule: &Value, reach: Reach, path: &Path, errors: &mut Errors) {
    let is_empty = |field: &str| list(rule, field).is_empty();
    if is_empty("verbs") {
        errors.required(&path.child("verbs"), "verbs must contain at least one value");
    }
    if !is_empty("nonResourceURLs") {
        let path = path.child("nonResourceURLs");
        let urls = at(rule, "nonResourceURLs");
        if reach == Reach::Namespace {
            let why = "namespaced rules cannot apply to non-resource URLs";
            errors.invalid_value(&path, urls.clone(), why);
        }
        if ["apiGroups", "resources", "resourceNames"].iter().any(|field| !is_empty(field)) {
            let why = "rules cannot apply to both regular resources and non-resource URLs";
            errors.invalid_value(&path, urls.clone(), why);
        }
        return;
    }
    if is_empty("apiGroups") {
        let why = "resource rules must supply at least one api group";
        errors.required(&path.child("apiGroups"), why);
    }
    if is_empty("resources") {
        let why = "resource rules must supply at least one resource";
        errors.required(&path.child("resources"), why);
    }
}

/// Sets the defaults of a binding: the group of the role and of users and groups.
pub(super) fn default_binding(binding: &mut Value) {
    let role = tree::as_map(binding).entry("roleRef").or_insert_with(|| json!({}));
    tree::set_default(role, "apiGroup", GROUP);
    for subject in tree::items_mut(binding, "subjects") {
        if matches!(text(subject, "kind"), "User" | "Group") {
            tree::set_default(subject, "apiGroup", GROUP);
        }
    }
}

/// Validates a binding; `kinds` are those of the roles that it can refer to.
pub(super) fn binding(binding: &Value, kinds: &[&str], reach: Reach, errors: &mut Errors) {
    let (role, path) = (at(binding, "roleRef"), Path::new("roleRef"));
    let group = text(role, "apiGroup");
    if group != GROUP {
        not_supported(errors, &path.child("apiGroup"), group, &[GROUP]);
    }
    let kind = text(role, "kind");
    if !kinds.contains(&kind) {
        not_supported(errors, &path.child("kind"), kind, kinds);
    }
    let role_name = text(role, "name");
    if role_name.is_empty() {
        errors.required(&path.child("name"), "");
    } else {
        let problems = name::path_segment(role_name, false);
        errors.invalid_all(&path.child("name"), role_name, problems);
    }
    for (index, subject) in list(binding, "subjects").iter().enumerate() {
        validate_subject(subject, reach, &Path::new("subjects").index(index), errors);
    }
}

fn validate_subject(subject: &Value, reach: Reach, path: &Path, errors: &mut Errors) {
    let subject_name = text(subject, "name");
    if subject_name.is_empty() {
        errors.required(&path.child("name"), "");
    }
    let group = text(subject, "apiGroup");
    let expected = match text(subject, "kind") {
        "ServiceAccount" => {
            if !subject_name.is_empty() {
                let problems = name::dns_subdomain(subject_name, false);
                errors.invalid_all(&path.child("name"), subject_name, problems);
            }
            ""
        }
        "User" | "Group" => GROUP,
        kind => {
            not_supported(errors, &path.child("kind"), kind, &["ServiceAccount", "User", "Group"]);
            return;
        }
    };
    if group != expected {
        not_supported(errors, &path.child("apiGroup"), group, &[expected]);
    }
    if expected.is_empty() && reach == Reach::Cluster && text(subject, "namespace").is_empty() {
        errors.required(&path.child("namespace"), "");
    }
}

/// The role of a binding never changes: whoever may change subjects could otherwise hand out another role.
pub(super) fn same_role(new: &Value, old: &Value, errors: &mut Errors) {
    let (now, before) = (at(new, "roleRef"), at(old, "roleRef"));
    if now != before {
        let shown = format!(
            "{{\"APIGroup\":{},\"Kind\":{},\"Name\":{}}}",
            quoted(text(now, "apiGroup")),
            quoted(text(now, "kind")),
            quoted(text(now, "name"))
        );
        errors.invalid_text(&Path::new("roleRef"), shown, "cannot change roleRef");
    }
}

/// The columns of a binding; the texts describe the column of its role and those of its subjects.
pub(super) const fn columns(texts: [&'static str; 4]) -> [Column; 6] {
    [
        NAME,
        Column {
            name: "Role",
            kind: "string",
            format: "",
            description: Description::Text(texts[0]),
            priority: 0,
            cell: |binding| {
                let role = at(binding, "roleRef");
                format!("{}/{}", text(role, "kind"), text(role, "name")).into()
            },
        },
        AGE,
        subjects("Users", texts[1], |binding| subject_names(binding, "User").into()),
        subjects("Groups", texts[2], |binding| subject_names(binding, "Group").into()),
        subjects("ServiceAccounts", texts[3], |binding| {
            subject_names(binding, "ServiceAccount").into()
        }),
    ]
}

const fn subjects(
    name: &'static str,
    description: &'static str,
    cell: fn(&Value) -> Cell,
) -> Column {
    let description = Description::Text(description);
    Column { name, kind: "string", format: "", description, priority: 1, cell }
}

fn subject_names(binding: &Value, kind: &str) -> String {
    let chosen = list(binding, "subjects").iter().filter(|subject| text(subject, "kind") == kind);
    let name = |subject: &Value| match kind {
        "ServiceAccount" => format!("{}/{}", text(subject, "namespace"), text(subject, "name")),
        _ => text(subject, "name").to_owned(),
    };
    chosen.map(name).collect::<Vec<_>>().join(", ")
}

//! ClusterRole: what may be done in the whole cluster, or in a namespace that a RoleBinding names. Its rules may be collected
//! from other ClusterRoles by label.

use podo_api::Value;
use podo_api::field::{Errors, Path};

use super::pod::labels;
use super::pod::view::{get, list};
use super::rbac::{self, Reach};
use crate::{Definition, Names, Scope, name, table};

/// ClusterRole.
pub(crate) static CLUSTER_ROLE: Definition = Definition {
    names: Names {
        group: rbac::GROUP,
        kind: "ClusterRole",
        plural: "clusterroles",
        singular: "clusterrole",
        ..Definition::BASE.names
    },
    ty: "rbac/v1.ClusterRole",
    scope: Scope::Cluster,
    check_name: name::path_segment,
    columns: &[table::NAME, table::CREATED_AT],
    validate,
    allows_create_on_update: true,
    ..Definition::BASE
};

fn validate(role: &Value, errors: &mut Errors) {
    rbac::rules(role, Reach::Cluster, errors);
    let Some(aggregation) = get(role, "aggregationRule") else { return };
    let path = Path::new("aggregationRule").child("clusterRoleSelectors");
    let selectors = list(aggregation, "clusterRoleSelectors");
    if selectors.is_empty() {
        let why = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        errors.required(&path, why);
    }
    for (index, selector) in selectors.iter().enumerate() {
        let path = path.index(index);
        let before = errors.iter().len();
        labels::selector_at(errors, selector, &path);
        // Upstream then makes a selector of it, which fails for the same reasons.
        if errors.iter().len() > before {
            errors.invalid_value(&path, Value::Null, "invalid label selector.");
        }
    }
}

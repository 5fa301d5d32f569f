//! RoleBinding: who has a role in one namespace.

use super::rbac::{self, Reach};
use super::resource::is_new;
use crate::{Column, Definition, Names, name};

const TY: &str = "rbac/v1.RoleBinding";

/// The kinds of roles that it can refer to, in the order of the error text.
const ROLES: &[&str] = &["Role", "ClusterRole"];

static COLUMNS: [Column; 6] = rbac::columns([
    "RoleRef can reference a Role in the current namespace or a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the Authorizer must return an error.",
    "Users in the roleBinding",
    "Groups in the roleBinding",
    "ServiceAccounts in the roleBinding",
]);

/// RoleBinding.
pub(crate) static ROLE_BINDING: Definition = Definition {
    names: Names {
        group: rbac::GROUP,
        kind: "RoleBinding",
        plural: "rolebindings",
        singular: "rolebinding",
        ..Definition::BASE.names
    },
    ty: TY,
    check_name: name::path_segment,
    columns: &COLUMNS,
    default: rbac::default_binding,
    validate: |binding, errors| {
        if is_new(binding) {
            rbac::binding(binding, ROLES, Reach::Namespace, errors);
        }
    },
    validate_update: |new, old, errors| {
        rbac::binding(new, ROLES, Reach::Namespace, errors);
        rbac::same_role(new, old, errors);
    },
    allows_create_on_update: true,
    ..Definition::BASE
};

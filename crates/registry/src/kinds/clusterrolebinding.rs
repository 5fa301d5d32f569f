//! ClusterRoleBinding: who has a role in the whole cluster.

use super::rbac::{self, Reach};
use super::resource::is_new;
use crate::{Column, Definition, Names, Scope, name};

const TY: &str = "rbac/v1.ClusterRoleBinding";

/// The kind of roles that it can refer to.
const ROLES: &[&str] = &["ClusterRole"];

static COLUMNS: [Column; 6] = rbac::columns([
    "RoleRef can only reference a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the Authorizer must return an error.",
    "Users in the clusterRoleBinding",
    "Groups in the clusterRoleBinding",
    "ServiceAccounts in the clusterRoleBinding",
]);

/// ClusterRoleBinding.
pub(crate) static CLUSTER_ROLE_BINDING: Definition = Definition {
    names: Names {
        group: rbac::GROUP,
        kind: "ClusterRoleBinding",
        plural: "clusterrolebindings",
        singular: "clusterrolebinding",
        ..Definition::BASE.names
    },
    ty: TY,
    scope: Scope::Cluster,
    check_name: name::path_segment,
    columns: &COLUMNS,
    default: rbac::default_binding,
    validate: |binding, errors| {
        if is_new(binding) {
            rbac::binding(binding, ROLES, Reach::Cluster, errors);
        }
    },
    validate_update: |new, old, errors| {
        rbac::binding(new, ROLES, Reach::Cluster, errors);
        rbac::same_role(new, old, errors);
    },
    allows_create_on_update: true,
    ..Definition::BASE
};

//! Role: what may be done in one namespace.

use super::rbac::{self, Reach};
use crate::{Definition, Names, name, table};

/// Role.
pub(crate) static ROLE: Definition = Definition {
    names: Names {
        group: rbac::GROUP,
        kind: "Role",
        plural: "roles",
        singular: "role",
        ..Definition::BASE.names
    },
    ty: "rbac/v1.Role",
    check_name: name::path_segment,
    columns: &[table::NAME, table::CREATED_AT],
    validate: |role, errors| rbac::rules(role, Reach::Namespace, errors),
    allows_create_on_update: true,
    ..Definition::BASE
};

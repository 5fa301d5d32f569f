//! Lease: who holds something, and until when. Nodes show by theirs that they live, controllers by theirs which of them leads.

use podo_api::field::{Errors, Path};
use podo_api::{Value, tree};

use super::pod::view::{at, has, int, text};
use crate::{Column, Definition, Description, Names, table};

/// Lease.
pub(crate) static LEASE: Definition = Definition {
    names: Names {
        group: "coordination.k8s.io",
        kind: "Lease",
        plural: "leases",
        singular: "lease",
        ..Definition::BASE.names
    },
    ty: "coordination/v1.Lease",
    checks_finalizers: false,
    columns: &[
        table::NAME,
        Column {
            name: "Holder",
            kind: "string",
            format: "",
            description: Description::Field("coordination/v1.LeaseSpec", "holderIdentity"),
            priority: 0,
            cell: |lease| text(at(lease, "spec"), "holderIdentity").into(),
        },
        table::AGE,
    ],
    prepare_create: drop_strategy,
    prepare_update: |new, old| {
        if !has(at(old, "spec"), "strategy") {
            drop_strategy(new);
        }
    },
    validate,
    allows_unconditional_update: false,
    allows_create_on_update: true,
    ..Definition::BASE
};

/// Coordinated leader election (KEP-4355) is off by default, and its fields with it.
fn drop_strategy(lease: &mut Value) {
    if let Some(spec) = tree::as_map(lease).get_mut("spec") {
        tree::set(spec, "strategy", Value::Null);
        tree::set(spec, "preferredHolder", Value::Null);
    }
}

fn validate(lease: &Value, errors: &mut Errors) {
    let (spec, path) = (at(lease, "spec"), Path::new("spec"));
    if let Some(seconds) = int(spec, "leaseDurationSeconds").filter(|&seconds| seconds <= 0) {
        errors.invalid_value(
            &path.child("leaseDurationSeconds"),
            seconds,
            "must be greater than 0",
        );
    }
    if let Some(count) = int(spec, "leaseTransitions").filter(|&count| count < 0) {
        errors.invalid_value(
            &path.child("leaseTransitions"),
            count,
            "must be greater than or equal to 0",
        );
    }
}

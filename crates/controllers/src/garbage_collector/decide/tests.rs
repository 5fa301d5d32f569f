use serde_json::json;

use super::*;

fn ownership(owners: &[&str], finalizers: &[&str], is_deleting: bool) -> Ownership {
    let references: Vec<_> = owners.iter().map(|uid| json!({"uid": uid})).collect();
    let deletion = is_deleting.then_some("2026-01-01T00:00:00Z");
    serde_json::from_value(json!({
        "ownerReferences": references, "finalizers": finalizers, "deletionTimestamp": deletion,
    }))
    .expect("an ownership")
}

#[test]
fn a_deletion_is_carried_out_before_owners_are_asked() {
    for (owners, finalizers, is_deleting, expected) in [
        (&["u"][..], &[][..], false, Duty::Judge),
        (&["u"], &["foregroundDeletion"], false, Duty::Judge),
        (&["u"], &["orphan"], false, Duty::Judge),
        (&["u"], &[], true, Duty::Nothing),
        (&["u"], &["a/b"], true, Duty::Nothing),
        (&["u"], &["a/b", "foregroundDeletion"], true, Duty::AwaitDependents),
        (&[], &["foregroundDeletion"], true, Duty::AwaitDependents),
        (&["u"], &["orphan"], true, Duty::Orphan),
        (&[], &[], false, Duty::Nothing),
    ] {
        assert_eq!(
            duty(&ownership(owners, finalizers, is_deleting)),
            expected,
            "{owners:?} {finalizers:?} {is_deleting}"
        );
    }
}

/// `owners` is a letter for each: solid, waiting, dangling. Dependents: none, some, or some that wait themselves.
#[track_caller]
fn check(owners: &str, dependents: &str, finalizers: &[&str], expected: &str) {
    let uids: Vec<String> = (0..owners.len()).map(|index| format!("u{index}")).collect();
    let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
    let standings: Vec<Standing> = owners
        .chars()
        .map(|owner| match owner {
            's' => Standing::Solid,
            'w' => Standing::Waiting,
            _dangling => Standing::Dangling,
        })
        .collect();
    let dependents = Dependents { exist: dependents != "none", wait: dependents == "waiting" };
    let said = match verdict(&ownership(&uids, finalizers, false), &standings, dependents) {
        Verdict::Keep => "keep".to_owned(),
        Verdict::Unlink(owners) => format!("unlink {}", owners.join(" ")),
        Verdict::Delete { propagation, unblocks } => {
            format!("delete {propagation}{}", if unblocks { " unblocked" } else { "" })
        }
    };
    assert_eq!(said, expected);
}

#[test]
fn who_has_a_living_owner_stays_and_loses_the_others() {
    check("s", "none", &[], "keep");
    check("ss", "waiting", &[], "keep");
    check("sd", "none", &[], "unlink u1");
    check("wsd", "some", &[], "unlink u0 u2");
}

#[test]
fn who_has_none_is_deleted_as_its_finalizers_say() {
    check("d", "some", &[], "delete Background");
    check("dd", "none", &["orphan"], "delete Orphan");
    check("d", "none", &["a/b", "foregroundDeletion"], "delete Foreground");
    check("w", "none", &[], "delete Background");
}

#[test]
fn whose_owner_waits_is_deleted_in_the_foreground_if_it_has_dependents() {
    check("w", "some", &[], "delete Foreground");
    check("dw", "some", &["orphan"], "delete Foreground");
    check("w", "waiting", &[], "delete Foreground unblocked");
}

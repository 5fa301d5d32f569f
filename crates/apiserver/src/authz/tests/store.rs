//! Decisions follow the store.

use serde_json::json;

use crate::authz::Attributes;
use crate::authz::testing::{RBAC, user, world};

#[test]
fn a_role_counts_from_its_commit_until_its_removal() {
    let world = world();
    let u = user("u", &[]);
    let list = Attributes {
        verb: "list",
        version: "v1",
        resource: "pods",
        namespace: "n",
        ..Attributes::path(&u)
    };
    let denied = "pods is forbidden: User \"u\" cannot list resource \"pods\" in API group \"\" in the namespace \"n\"";
    assert_eq!(world.may(&list), Err(denied.to_owned()));
    let rule = json!({"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]});
    let role = json!({"metadata": {"name": "r", "namespace": "n"}, "rules": [rule]});
    let binding = json!({
        "metadata": {"name": "b", "namespace": "n"},
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "apiGroup": RBAC, "name": "u"}],
    });
    world.put(RBAC, "rolebindings", &binding);
    let dangling = format!("{denied}: RBAC: role.rbac.authorization.k8s.io \"r\" not found");
    assert_eq!(world.may(&list), Err(dangling));
    world.put(RBAC, "roles", &role);
    assert_eq!(world.may(&list), Ok(()));
    world.put("", "configmaps", &json!({"metadata": {"name": "unrelated", "namespace": "n"}}));
    assert_eq!(world.may(&list), Ok(()));
    world.remove(RBAC, "rolebindings", "n", "b");
    assert_eq!(world.may(&list), Err(denied.to_owned()));
}

#[test]
fn masters_may_do_everything_and_nobody_else_by_name() {
    let world = world();
    let (master, pretender) = (user("m", &["system:masters"]), user("system:masters", &[]));
    for path in [true, false] {
        let ask = |user| {
            let of = Attributes::path(user);
            if path {
                world.may(&Attributes { verb: "get", path: "/secret", ..of })
            } else {
                world.may(&Attributes { verb: "delete", resource: "nodes", ..of })
            }
        };
        assert_eq!((ask(&master), ask(&pretender).is_err()), (Ok(()), true));
    }
}

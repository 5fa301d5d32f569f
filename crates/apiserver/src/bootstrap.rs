//! What is there before anybody has made anything: namespaces, default roles, priority classes, the `kubernetes` Service.
//!
//! [`ensure`] makes what is missing and mends what was changed, as the post-start hooks of Kubernetes v1.36 do: a default role
//! gets back what it lacks and keeps what was added to it, unless its annotation says to leave it alone.
//!
//! Writes    Namespaces, the four RBAC kinds, PriorityClasses, and in `default` and `kube-system` a few named objects.
//! Holds always
//! - A second run right after the first writes nothing.
//! - A crash in between leaves less, and the next start goes on.
//!
//! Not here: what controllers make (service accounts, `kube-root-ca.crt`), and who is asked: it writes as the system itself.

mod cluster_roles;
mod controller_roles;
mod namespaced_roles;
mod objects;
mod policy;
mod reconcile;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use podo_api::Status;
use podo_store::{CommitError, Expect, Op, Txn, Write};

use crate::api::Api;
use crate::authz::Rule;
use crate::storage::{self, Stored};
pub(crate) use objects::first_service_address;

use objects::Wanted;

/// How often everything is compared anew because somebody else wrote in between: another server that starts.
const ATTEMPTS_MAX: usize = 8;

/// What nodes may do, for the Node authorizer.
pub(crate) fn node_rules() -> Vec<Rule> {
    cluster_roles::NODE_RULES.iter().map(|line| policy::rule(line)).collect()
}

/// Makes and mends the objects. A kind that is not served is left out. `address` is where Pods reach the server: the endpoint of
/// the `kubernetes` Service.
pub(crate) async fn ensure(api: &Api, address: SocketAddr) -> Result<(), Status> {
    let wanted = objects::all(api, address);
    for _ in 0..ATTEMPTS_MAX {
        let mut ops = Vec::new();
        for object in &wanted {
            ops.extend(plan(api, object)?);
        }
        if commit(api, ops).await? {
            return Ok(());
        }
    }
    Err(Status::internal("others keep changing the default objects"))
}

/// What is to be done about one object, if anything.
fn plan(api: &Api, wanted: &Wanted) -> Result<Option<Op<Stored>>, Status> {
    let definition = wanted.definition;
    let key = storage::key(definition, wanted.namespace(), wanted.name());
    let entry = api.store.get(&key).map_err(|error| storage::read_failed(&error))?;
    let now = api.clock.now();
    let (value, expect) = match entry {
        None => (Some(wanted.new_object(now)?), Expect::Absent),
        Some(entry) => {
            (wanted.mended(&entry.value.value(), now)?, Expect::Revision(entry.revision))
        }
    };
    let op = |value| Op { key, expect, change: Write::Put(storage::draft(definition, &value)) };
    Ok(value.map(op))
}

/// Commits each object for itself, since each has a version of its own, but all at once: the store makes them durable together.
/// `false` if somebody else was faster with one of them.
async fn commit(api: &Api, ops: Vec<Op<Stored>>) -> Result<bool, Status> {
    let commits: Vec<_> =
        ops.into_iter().map(|op| api.store.commit(Txn { ops: vec![op] })).collect();
    let mut is_first = true;
    for committed in futures_util::future::join_all(commits).await {
        match committed {
            Ok(_) => {}
            Err(CommitError::Conflict { .. }) => is_first = false,
            Err(error) => {
                let resource = podo_api::status::GroupResource { group: "", resource: "objects" };
                return Err(storage::commit_failed(&error, resource, "default"));
            }
        }
    }
    Ok(is_first)
}

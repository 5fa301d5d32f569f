//! Events live for an hour: what a Lease of etcd does upstream, a sweep does here.

use std::sync::Arc;
use std::time::Duration;

use podo_api::meta;
use podo_base::{Stop, Timestamp};
use podo_store::{Expect, Txn};

use crate::api::Api;
use crate::verbs::all_of;

/// How long an Event lives after its last change (Kubernetes v1.36 `--event-ttl`).
const LIFE: Duration = Duration::from_secs(3600);

/// How often old ones are looked for.
const PERIOD: Duration = Duration::from_secs(60);

/// Removes old Events until `stop`.
pub(crate) async fn run(api: Arc<Api>, stop: Stop) {
    while stop.sleep(PERIOD).await {
        sweep(&api).await;
    }
}

async fn sweep(api: &Api) {
    let Some(events) = podo_registry::find("", "v1", "events") else { return };
    let now = api.clock.now();
    let Ok(entries) = all_of(api, events, "") else { return };
    for entry in entries {
        let value = entry.value.view();
        let last = ["lastTimestamp", "eventTime"]
            .iter()
            .filter_map(|field| Timestamp::parse(podo_api::tree::str_at(&value, &[field])))
            .chain(Timestamp::parse(meta::str(&value, "creationTimestamp")))
            .max();
        if last.is_some_and(|last| now.since(last) < LIFE) {
            continue;
        }
        let txn = Txn::delete(entry.key.clone(), Expect::Revision(entry.revision));
        if let Err(error) = api.store.commit(txn).await {
            // It changed meanwhile, or the store says what is wrong with every write.
            tracing::debug!(%error, "an old event stays for now");
        }
    }
}

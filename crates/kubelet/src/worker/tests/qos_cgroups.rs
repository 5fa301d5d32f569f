//! What the cgroups of the QoS classes become as Pods come and go.

use std::collections::BTreeMap;
use std::io;

use tokio::sync::watch;

use super::*;
use crate::{ClassCgroups, ClassLimits};

/// Notes what was set instead of setting it.
#[derive(Debug, Default)]
pub(super) struct SeenCgroups(watch::Sender<BTreeMap<String, i64>>);

impl ClassCgroups for SeenCgroups {
    fn set(&self, path: &str, limits: ClassLimits) -> io::Result<()> {
        self.0.send_modify(|seen| {
            seen.insert(path.to_owned(), limits.cpu_shares);
        });
        Ok(())
    }
}

impl SeenCgroups {
    /// Waits until a cgroup has so many shares.
    async fn has(&self, path: &str, shares: i64) {
        let mut seen = self.0.subscribe();
        let wait = seen.wait_for(|seen| seen.get(path) == Some(&shares));
        let waited = tokio::time::timeout(PATIENCE, wait).await.map(drop);
        assert!(waited.is_ok(), "{path} {shares}: {:?}", self.0.borrow());
    }
}

#[tokio::test(start_paused = true)]
async fn burstable_pods_weigh_what_they_ask_for_while_they_are_there() {
    let node = node().await;
    node.cgroups.has("/kubepods/burstable", 2).await;
    node.cgroups.has("/kubepods/besteffort", 2).await;
    let mut asks = container("a");
    asks["resources"] = json!({"requests": {"cpu": "250m"}});
    node.put(json!({"containers": [asks]}));
    node.running().await;
    node.cgroups.has("/kubepods/burstable", 256).await;
    node.server.delete_pod("n", "p", 30);
    node.wait(Value::is_null).await;
    node.cgroups.has("/kubepods/burstable", 2).await;
}

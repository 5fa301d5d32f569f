//! The cgroups above those of Pods: `kubepods` for all, and one for each QoS class that is not guaranteed.
//!
//! `kubepods` gets what the node may give away, `burstable` the CPU that its Pods ask for in all, `besteffort` the least that there
//! is; so who asked for CPU gets it before who did not. Set when the node agent starts and whenever what Pods hold changes.
//!
//! Source of the rules: Kubernetes v1.36 `pkg/kubelet/cm` (`qosContainerManagerImpl`, `enforceNodeAllocatable: [pods]`).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use podo_api::quantity::Quantity;
use podo_base::Stop;

use crate::blocking;
use crate::container::resources::{class_cgroup, cpu_shares};
use crate::context::Context;
use crate::pod::QosClass;

/// After a cgroup could not be set, the next attempt.
const RETRY: Duration = Duration::from_secs(10);

/// What is set of a cgroup above those of Pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassLimits {
    /// Relative CPU time in cgroup v1's unit.
    pub cpu_shares: i64,
    /// Bytes of memory; no limit if absent.
    pub memory_bytes: Option<i64>,
}

/// Who can set cgroups above those of Pods. The container runtime interface knows only those of sandboxes and containers, so
/// whoever starts the node agent says how.
pub trait ClassCgroups: Send + Sync + std::fmt::Debug + 'static {
    /// Makes the cgroup at `path`, below the same root as the runtime's, where it is missing, and limits it.
    fn set(&self, path: &str, limits: ClassLimits) -> io::Result<()>;
}

/// Keeps the cgroups as they ought to be until `stop`.
pub(crate) async fn run(
    ctx: Arc<Context>,
    memory_bytes: i64,
    cgroups: Arc<dyn ClassCgroups>,
    stop: Stop,
) {
    // What Pods hold is known once all of them are.
    if stop.or(ctx.pods.synced()).await.is_none() {
        return;
    }
    let cpu = ctx.facts.allocatable.get("cpu").map_or(0, Quantity::milli_value);
    let mut asked = ctx.registry.burstable_milli_cpu();
    loop {
        let burstable = *asked.borrow_and_update();
        let wanted = wanted(&ctx.config.cgroup_root, cpu, memory_bytes, burstable);
        let step = async {
            if set_all(&cgroups, wanted).await {
                return asked.changed().await.is_ok();
            }
            let change = tokio::time::timeout(RETRY, asked.changed()).await;
            !matches!(change, Ok(Err(_)))
        };
        if stop.or(step).await != Some(true) {
            return;
        }
    }
}

async fn set_all(cgroups: &Arc<dyn ClassCgroups>, wanted: [(String, ClassLimits); 3]) -> bool {
    let cgroups = Arc::clone(cgroups);
    let set = move || wanted.iter().try_for_each(|(path, limits)| cgroups.set(path, *limits));
    let set = blocking::run(set).await;
    set.inspect_err(|error| tracing::warn!(%error, "cgroups of the QoS classes not set")).is_ok()
}

/// The cgroups in an order in which they can be made, from thousandths of a CPU.
fn wanted(
    cgroup_root: &str,
    node_cpu: i64,
    memory_bytes: i64,
    burstable_cpu: i64,
) -> [(String, ClassLimits); 3] {
    let path = |class: QosClass| class_cgroup(class, cgroup_root);
    let limits = |cpu: i64| ClassLimits { cpu_shares: cpu_shares(cpu), memory_bytes: None };
    let memory_bytes = Some(memory_bytes).filter(|bytes| *bytes > 0);
    [
        (path(QosClass::Guaranteed), ClassLimits { memory_bytes, ..limits(node_cpu) }),
        (path(QosClass::Burstable), limits(burstable_cpu)),
        (path(QosClass::BestEffort), limits(0)),
    ]
}

#[cfg(test)]
mod tests;

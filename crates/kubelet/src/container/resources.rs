//! Requests and limits as cgroup settings, the out-of-memory score, and the place in the tree of cgroups.
//!
//! Source of the formulas: Kubernetes v1.36 `pkg/kubelet/cm` and `pkg/kubelet/qos`.

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_api::quantity::Quantity;
use podo_cri::v1;
use serde::{Deserialize, Serialize};

use crate::container::downward::NodeFacts;
use crate::pod::{self, PodView, QosClass, Role};

/// The kernel's bounds of `cpu.shares`.
const SHARES: std::ops::RangeInclusive<i64> = 2..=262_144;
/// The period of the CPU quota, in microseconds.
const QUOTA_PERIOD: i64 = 100_000;
/// The least quota that the kernel takes, in microseconds.
const QUOTA_MIN: i64 = 1_000;
/// Score of containers that must not be killed.
const SCORE_GUARANTEED: i64 = -997;
/// Score of containers that go first.
const SCORE_BEST_EFFORT: i64 = 1_000;
/// Priority from which a Pod is critical.
const CRITICAL_PRIORITY: i32 = 2_000_000_000;
/// The priority class of Pods without which their node does not work.
const NODE_CRITICAL: &str = "system-node-critical";

/// CPU shares for so many thousandths of a CPU.
pub(crate) fn cpu_shares(milli_cpu: i64) -> i64 {
    (milli_cpu.saturating_mul(1024) / 1000).clamp(*SHARES.start(), *SHARES.end())
}

/// CPU quota per period for so many thousandths of a CPU; 0, which is none, for none.
pub(crate) fn cpu_quota(milli_cpu: i64) -> i64 {
    if milli_cpu == 0 {
        return 0;
    }
    (milli_cpu.saturating_mul(QUOTA_PERIOD) / 1000).max(QUOTA_MIN)
}

/// CPU and memory of a cgroup as its settings have them; 0 where there is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Amounts {
    pub(crate) cpu_shares: i64,
    /// Microseconds per [`QUOTA_PERIOD`].
    pub(crate) cpu_quota: i64,
    pub(crate) memory_limit: i64,
}

impl Amounts {
    /// Those of a container.
    pub(crate) fn of_container(pod: &PodView, container: &k8s::Container) -> Self {
        let cpu_limit = limit(pod, container, "cpu").map_or(0, |limit| limit.milli_value());
        let requests = container.resources.as_ref().and_then(|all| all.requests.as_ref());
        let cpu_request =
            pod::amount(requests, "cpu").map_or(cpu_limit, |asked| asked.milli_value());
        Self {
            cpu_shares: cpu_shares(cpu_request),
            cpu_quota: cpu_quota(cpu_limit),
            memory_limit: limit(pod, container, "memory").map_or(0, |limit| limit.value()),
        }
    }

    /// Those of a Pod as a whole.
    pub(crate) fn of_pod(pod: &PodView) -> Self {
        let cpu_limit = pod::pod_limit(&pod.spec, "cpu").map_or(0, |limit| limit.milli_value());
        let memory_limit = pod::pod_limit(&pod.spec, "memory").map_or(0, |limit| limit.value());
        Self {
            cpu_shares: cpu_shares(pod::pod_request(&pod.spec, "cpu").milli_value()),
            cpu_quota: cpu_quota(cpu_limit),
            memory_limit,
        }
    }

    /// Those that a runtime tells.
    pub(crate) fn of_runtime(told: &v1::LinuxContainerResources) -> Self {
        let period = if told.cpu_period > 0 { told.cpu_period } else { QUOTA_PERIOD };
        Self {
            cpu_shares: told.cpu_shares,
            cpu_quota: told.cpu_quota.max(0).saturating_mul(QUOTA_PERIOD) / period,
            memory_limit: told.memory_limit_in_bytes.max(0),
        }
    }

    /// What leaves room for these and for others.
    pub(crate) fn widest(self, other: Self) -> Self {
        let wider = |one: i64, other: i64| if one == 0 { 0 } else { one.max(other) };
        let widest = |one: i64, other: i64| if other == 0 { 0 } else { wider(one, other) };
        Self {
            cpu_shares: self.cpu_shares.max(other.cpu_shares),
            cpu_quota: widest(self.cpu_quota, other.cpu_quota),
            memory_limit: widest(self.memory_limit, other.memory_limit),
        }
    }

    /// The same with everything else of some settings.
    pub(crate) fn put_into(
        self,
        settings: v1::LinuxContainerResources,
    ) -> v1::LinuxContainerResources {
        v1::LinuxContainerResources {
            cpu_period: QUOTA_PERIOD,
            cpu_quota: self.cpu_quota,
            cpu_shares: self.cpu_shares,
            memory_limit_in_bytes: self.memory_limit,
            ..settings
        }
    }

    /// The CPU that the shares stand for, in thousandths (Kubernetes v1.36 `SharesToMilliCPU`).
    pub(crate) fn milli_cpu_request(self) -> i64 {
        self.cpu_shares.saturating_mul(1000).saturating_add(1023) / 1024
    }

    /// The CPU that the quota stands for, in thousandths.
    pub(crate) fn milli_cpu_limit(self) -> i64 {
        self.cpu_quota.saturating_mul(1000) / QUOTA_PERIOD
    }
}

/// The settings of a container's cgroup.
pub(crate) fn of_container(
    pod: &PodView,
    role: Role,
    container: &k8s::Container,
    node: &NodeFacts,
) -> v1::LinuxContainerResources {
    let amounts = Amounts::of_container(pod, container);
    amounts.put_into(v1::LinuxContainerResources {
        // `NoSwap`: memory and swap together are no more than memory.
        memory_swap_limit_in_bytes: amounts.memory_limit,
        // On v2 a container runs out of memory as a whole (`singleProcessOOMKill` off).
        unified: [("memory.oom.group".to_owned(), "1".to_owned())].into(),
        oom_score_adj: oom_score(pod, role, container, node.memory_bytes),
        hugepage_limits: hugepages(container, node),
        ..v1::LinuxContainerResources::default()
    })
}

/// A container's limit; the Pod's own where it has none (KEP-2837).
fn limit(pod: &PodView, container: &k8s::Container, name: &str) -> Option<Quantity> {
    pod::limit(container, name).or_else(|| pod::pod_level_limit(&pod.spec, name))
}

/// The settings of a Pod's cgroup.
pub(crate) fn of_pod(pod: &PodView) -> v1::LinuxContainerResources {
    Amounts::of_pod(pod).put_into(v1::LinuxContainerResources::default())
}

/// Limits of huge pages of each size that the node has, `2Mi` as `2MB`: who asks for none gets none.
fn hugepages(container: &k8s::Container, node: &NodeFacts) -> Vec<v1::HugepageLimit> {
    let names =
        node.allocatable.keys().filter_map(|name| Some((name, name.strip_prefix("hugepages-")?)));
    names
        .map(|(name, size)| v1::HugepageLimit {
            page_size: format!("{}B", size.strip_suffix('i').unwrap_or(size)),
            limit: pod::limit(container, name)
                .and_then(|limit| u64::try_from(limit.value()).ok())
                .unwrap_or(0),
        })
        .collect()
}

/// How willingly the kernel kills a container when memory runs out.
pub(crate) fn oom_score(
    pod: &PodView,
    role: Role,
    container: &k8s::Container,
    node_memory_bytes: i64,
) -> i64 {
    if is_node_critical(pod) {
        return SCORE_GUARANTEED;
    }
    match pod.qos_class() {
        QosClass::Guaranteed => return SCORE_GUARANTEED,
        QosClass::BestEffort => return SCORE_BEST_EFFORT,
        QosClass::Burstable => {}
    }
    let spare = spare_request(pod);
    let score = |of: &k8s::Container| {
        burstable_score(pod::request(of, "memory").value() + spare, node_memory_bytes)
    };
    let own = score(container);
    if role != Role::Sidecar {
        return own;
    }
    // A sidecar goes no sooner than the container that asks for the least of those that it serves (KEP-753).
    let soonest = pod.spec.containers.iter().map(score).max();
    own.min(soonest.unwrap_or(own))
}

fn is_node_critical(pod: &PodView) -> bool {
    pod.spec.priority.is_some_and(|priority| priority >= CRITICAL_PRIORITY)
        && pod.spec.priority_class_name.as_deref() == Some(NODE_CRITICAL)
}

/// The memory that a Pod asks for beyond what its containers do, for each of them (KEP-2837).
fn spare_request(pod: &PodView) -> i64 {
    let of_pod = pod.spec.resources.as_ref();
    let Some(asked) = of_pod.and_then(|all| pod::amount(all.requests.as_ref(), "memory")) else {
        return 0;
    };
    let spare = asked.value() - pod::containers_request(&pod.spec, "memory").value();
    let count = pod.spec.containers.len() + pod.init_containers().len();
    spare.max(0) / i64::try_from(count.max(1)).unwrap_or(i64::MAX)
}

fn burstable_score(request: i64, node_memory_bytes: i64) -> i64 {
    let share = i128::from(request) * 1000 / i128::from(node_memory_bytes.max(1));
    let score = 1000 - i64::try_from(share).unwrap_or(1000);
    // Stays between what is guaranteed and what goes first.
    score.clamp(1000 + SCORE_GUARANTEED, SCORE_BEST_EFFORT - 1)
}

/// Where a Pod's cgroup is, below the cgroup file system's root.
pub(crate) fn cgroup_parent(pod: &PodView, cgroup_root: &str) -> String {
    format!("{}/pod{}", class_cgroup(pod.qos_class(), cgroup_root), pod.uid())
}

/// Where the cgroup of a QoS class is; that of guaranteed Pods is that of all.
pub(crate) fn class_cgroup(class: QosClass, cgroup_root: &str) -> String {
    let class = match class {
        QosClass::Guaranteed => "",
        QosClass::Burstable => "/burstable",
        QosClass::BestEffort => "/besteffort",
    };
    let root = cgroup_root.trim_matches('/');
    let separator = if root.is_empty() { "" } else { "/" };
    format!("{separator}{root}/kubepods{class}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn view(spec: Value) -> PodView {
        let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec});
        PodView::new(serde_json::from_value(pod).expect("a Pod"))
    }

    fn main_container(resources: Value) -> PodView {
        view(json!({"containers": [{"name": "c", "resources": resources}]}))
    }

    #[test]
    fn cpu_becomes_shares_and_a_quota() {
        for (milli, shares, quota) in [
            (0, 2, 0),
            (1, 2, 1000),
            (250, 256, 25_000),
            (1500, 1536, 150_000),
            (9_000_000, 262_144, 900_000_000),
        ] {
            assert_eq!((cpu_shares(milli), cpu_quota(milli)), (shares, quota), "{milli}");
        }
    }

    fn first(pod: &PodView) -> v1::LinuxContainerResources {
        let amount = |name: &str| (name.to_owned(), "0".parse().expect("a quantity"));
        let allocatable = [amount("memory"), amount("hugepages-1Gi"), amount("hugepages-2Mi")];
        let node = NodeFacts {
            allocatable: allocatable.into(),
            memory_bytes: 1 << 30,
            ..NodeFacts::default()
        };
        of_container(pod, Role::Main, &pod.spec.containers[0], &node)
    }

    /// Shares, quota and the limit of memory in MiB.
    fn amounts(spec: Value) -> (i64, i64, i64) {
        let found = first(&view(spec));
        (found.cpu_shares, found.cpu_quota, found.memory_limit_in_bytes >> 20)
    }

    #[test]
    fn a_limit_stands_in_for_a_missing_request() {
        let resources = json!({"limits": {"cpu": "500m", "memory": "64Mi"}});
        let spec = json!({"containers": [{"name": "c", "resources": resources}]});
        assert_eq!(amounts(spec), (512, 50_000, 64));
    }

    #[test]
    fn the_pods_own_limits_stand_in_for_missing_ones() {
        let of_pod = json!({"limits": {"cpu": "1", "memory": "128Mi"}});
        let spec = |resources: Value| json!({"resources": of_pod, "containers": [{"name": "c", "resources": resources}]});
        assert_eq!(amounts(spec(json!({}))), (1024, 100_000, 128));
        assert_eq!(amounts(spec(json!({"requests": {"cpu": "250m"}}))), (256, 100_000, 128));
        assert_eq!(
            amounts(spec(json!({"limits": {"cpu": "500m", "memory": "64Mi"}}))),
            (512, 50_000, 64)
        );
    }

    #[test]
    fn huge_pages_that_nobody_asks_for_are_none() {
        let limits = |resources: Value| -> Vec<(String, u64)> {
            let found = first(&main_container(resources)).hugepage_limits.into_iter();
            found.map(|one| (one.page_size, one.limit)).collect()
        };
        let sizes = |large: u64, small: u64| [("1GB".to_owned(), large), ("2MB".to_owned(), small)];
        assert_eq!(limits(json!({})), sizes(0, 0));
        assert_eq!(limits(json!({"limits": {"hugepages-2Mi": "4Mi"}})), sizes(0, 4 << 20));
        assert_eq!(limits(json!({"limits": {"hugepages-64Ki": "64Ki"}})), sizes(0, 0));
    }

    #[test]
    fn who_asked_for_more_memory_is_killed_later() {
        let score = |resources: Value| {
            let pod = main_container(resources);
            oom_score(&pod, Role::Main, &pod.spec.containers[0], 1 << 30)
        };
        assert_eq!(score(json!({})), 1000);
        assert_eq!(score(json!({"requests": {"memory": "512Mi"}})), 500);
        assert_eq!(score(json!({"requests": {"cpu": "1"}})), 999);
        assert_eq!(score(json!({"requests": {"memory": "2Gi"}})), 3);
        assert_eq!(score(json!({"limits": {"cpu": "1", "memory": "1Gi"}})), -997);
    }

    #[test]
    fn only_what_its_node_needs_is_spared_whatever_it_asks_for() {
        for (class, expected) in
            [("system-node-critical", -997), ("system-cluster-critical", 1000), ("mine", 1000)]
        {
            let pod = view(json!({"priority": 2_000_001_000, "priorityClassName": class,
                "containers": [{"name": "c"}]}));
            let found = oom_score(&pod, Role::Main, &pod.spec.containers[0], 1 << 30);
            assert_eq!(found, expected, "{class}");
        }
    }

    #[test]
    fn what_a_pod_asks_for_beyond_its_containers_counts_for_each_of_them() {
        let pod = view(json!({"resources": {"requests": {"memory": "768Mi"}}, "containers": [
            {"name": "c", "resources": {"requests": {"memory": "256Mi"}}}, {"name": "d"}]}));
        let score = |at: usize| oom_score(&pod, Role::Main, &pod.spec.containers[at], 1 << 30);
        assert_eq!((score(0), score(1)), (500, 750));
    }

    #[test]
    fn a_sidecar_goes_no_sooner_than_who_asks_for_least_of_those_it_serves() {
        let asks = |name: &str, memory: &str| json!({"name": name, "resources": {"requests": {"memory": memory}}});
        let score = |own: &str| {
            let mut sidecar = asks("s", own);
            sidecar["restartPolicy"] = json!("Always");
            let mains = [asks("c", "512Mi"), asks("d", "256Mi")];
            let pod = view(json!({"initContainers": [sidecar], "containers": mains}));
            oom_score(&pod, Role::Sidecar, &pod.init_containers()[0], 1 << 30)
        };
        assert_eq!((score("128Mi"), score("256Mi"), score("768Mi")), (750, 750, 250));
    }

    #[test]
    fn pods_stand_below_their_class() {
        let pod = main_container(json!({}));
        assert_eq!(cgroup_parent(&pod, ""), "/kubepods/besteffort/podu");
        assert_eq!(cgroup_parent(&pod, "podo-1"), "/podo-1/kubepods/besteffort/podu");
        let pod = main_container(json!({"limits": {"cpu": "1", "memory": "1Gi"}}));
        assert_eq!(cgroup_parent(&pod, ""), "/kubepods/podu");
    }
}

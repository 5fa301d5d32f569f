//! Requests and limits as cgroup settings, the out-of-memory score, and the place in the tree of cgroups.
//!
//! Source of the formulas: Kubernetes v1.36 `pkg/kubelet/cm` and `pkg/kubelet/qos`.

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_cri::v1;

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
/// Priority from which a Pod is critical for its node (`system-cluster-critical`).
const CRITICAL_PRIORITY: i32 = 2_000_000_000;

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

/// The settings of a container's cgroup.
pub(crate) fn of_container(
    pod: &PodView,
    role: Role,
    container: &k8s::Container,
    node_memory_bytes: i64,
) -> v1::LinuxContainerResources {
    let cpu_limit = pod::limit(container, "cpu").map_or(0, |limit| limit.milli_value());
    let memory_limit = pod::limit(container, "memory").map_or(0, |limit| limit.value());
    v1::LinuxContainerResources {
        cpu_period: QUOTA_PERIOD,
        cpu_quota: cpu_quota(cpu_limit),
        cpu_shares: cpu_shares(pod::request(container, "cpu").milli_value()),
        memory_limit_in_bytes: memory_limit,
        // `NoSwap`: memory and swap together are no more than memory.
        memory_swap_limit_in_bytes: memory_limit,
        // On v2 a container runs out of memory as a whole (`singleProcessOOMKill` off).
        unified: [("memory.oom.group".to_owned(), "1".to_owned())].into(),
        oom_score_adj: oom_score(pod, role, container, node_memory_bytes),
        hugepage_limits: hugepages(container),
        ..v1::LinuxContainerResources::default()
    }
}

/// The settings of a Pod's cgroup.
pub(crate) fn of_pod(pod: &PodView) -> v1::LinuxContainerResources {
    let cpu_limit = pod::pod_limit(&pod.spec, "cpu").map_or(0, |limit| limit.milli_value());
    let memory_limit = pod::pod_limit(&pod.spec, "memory").map_or(0, |limit| limit.value());
    v1::LinuxContainerResources {
        cpu_period: QUOTA_PERIOD,
        cpu_quota: cpu_quota(cpu_limit),
        cpu_shares: cpu_shares(pod::pod_request(&pod.spec, "cpu").milli_value()),
        memory_limit_in_bytes: memory_limit,
        ..v1::LinuxContainerResources::default()
    }
}

/// Limits of huge pages, `2Mi` as `2MB`.
fn hugepages(container: &k8s::Container) -> Vec<v1::HugepageLimit> {
    let limits = container.resources.iter().flat_map(|all| all.limits.iter().flatten());
    limits
        .filter_map(|(name, text)| {
            let size = name.strip_prefix("hugepages-")?;
            let page_size = format!("{}B", size.strip_suffix('i').unwrap_or(size));
            let limit = u64::try_from(pod::quantity(text).value()).ok()?;
            Some(v1::HugepageLimit { page_size, limit })
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
    if pod.spec.priority.is_some_and(|priority| priority >= CRITICAL_PRIORITY) {
        return SCORE_GUARANTEED;
    }
    match pod.qos_class() {
        QosClass::Guaranteed => return SCORE_GUARANTEED,
        QosClass::BestEffort => return SCORE_BEST_EFFORT,
        QosClass::Burstable => {}
    }
    let own = burstable_score(container, node_memory_bytes);
    if role != Role::Sidecar {
        return own;
    }
    // A sidecar goes no sooner than the containers that it serves (KEP-753).
    let mains = pod.spec.containers.iter();
    let least = mains.map(|main| burstable_score(main, node_memory_bytes)).min();
    own.min(least.unwrap_or(own))
}

fn burstable_score(container: &k8s::Container, node_memory_bytes: i64) -> i64 {
    let request = pod::request(container, "memory").value();
    let share = i128::from(request) * 1000 / i128::from(node_memory_bytes.max(1));
    let score = 1000 - i64::try_from(share).unwrap_or(1000);
    // Stays between what is guaranteed and what goes first.
    score.clamp(1000 + SCORE_GUARANTEED, SCORE_BEST_EFFORT - 1)
}

/// Where a Pod's cgroup is, below the cgroup file system's root.
pub(crate) fn cgroup_parent(pod: &PodView, cgroup_root: &str) -> String {
    let class = match pod.qos_class() {
        QosClass::Guaranteed => "",
        QosClass::Burstable => "/burstable",
        QosClass::BestEffort => "/besteffort",
    };
    let root = cgroup_root.trim_matches('/');
    let separator = if root.is_empty() { "" } else { "/" };
    format!("{separator}{root}/kubepods{class}/pod{}", pod.uid())
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

    #[test]
    fn a_limit_stands_in_for_a_missing_request() {
        let pod = main_container(
            json!({"limits": {"cpu": "500m", "memory": "64Mi", "hugepages-2Mi": "4Mi"}}),
        );
        let found = of_container(&pod, Role::Main, &pod.spec.containers[0], 1 << 30);
        assert_eq!(
            (found.cpu_shares, found.cpu_quota, found.memory_limit_in_bytes),
            (512, 50_000, 64 << 20)
        );
        assert_eq!(found.hugepage_limits[0].page_size, "2MB");
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
    fn pods_stand_below_their_class() {
        let pod = main_container(json!({}));
        assert_eq!(cgroup_parent(&pod, ""), "/kubepods/besteffort/podu");
        assert_eq!(cgroup_parent(&pod, "podo-1"), "/podo-1/kubepods/besteffort/podu");
        let pod = main_container(json!({"limits": {"cpu": "1", "memory": "1Gi"}}));
        assert_eq!(cgroup_parent(&pod, ""), "/kubepods/podu");
    }
}

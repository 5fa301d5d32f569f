//! Limits.

use podo_runtime::Resources;

use crate::v1::LinuxContainerResources;

/// What is 0 or empty was not given.
pub(in crate::podo) fn resources(cri: &LinuxContainerResources) -> Resources {
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let given = |number: i64| Some(number).filter(|number| *number != 0);
    let positive = |number: i64| u64::try_from(number).ok().filter(|number| *number > 0);
    let pages = cri.hugepage_limits.iter();
    Resources {
        cpu_shares: positive(cri.cpu_shares),
        cpu_quota_us: given(cri.cpu_quota),
        cpu_period_us: positive(cri.cpu_period),
        cpuset_cpus: text(&cri.cpuset_cpus),
        cpuset_mems: text(&cri.cpuset_mems),
        memory_limit_bytes: given(cri.memory_limit_in_bytes),
        memory_swap_bytes: given(cri.memory_swap_limit_in_bytes),
        pids_limit: None,
        oom_group: false,
        hugepages: pages.map(|page| (page.page_size.clone(), page.limit)).collect(),
        unified: cri.unified.clone(),
    }
}

/// A Pod's limits: those of its containers with what the sandbox itself takes.
pub(in crate::podo) fn with_overhead(
    resources: Option<&LinuxContainerResources>,
    overhead: Option<&LinuxContainerResources>,
) -> LinuxContainerResources {
    let mut sum = resources.cloned().unwrap_or_default();
    let Some(overhead) = overhead else { return sum };
    // Without a limit there is nothing to raise.
    let raise = |limit: &mut i64, by: i64| {
        if *limit > 0 {
            *limit = limit.saturating_add(by.max(0));
        }
    };
    raise(&mut sum.cpu_shares, overhead.cpu_shares);
    raise(&mut sum.cpu_quota, overhead.cpu_quota);
    raise(&mut sum.memory_limit_in_bytes, overhead.memory_limit_in_bytes);
    sum
}

/// What is in force after an update: what was not given stays.
pub(in crate::podo) fn updated(
    old: &LinuxContainerResources,
    new: &LinuxContainerResources,
) -> LinuxContainerResources {
    let number = |old: i64, new: i64| if new == 0 { old } else { new };
    let text = |old: &str, new: &str| if new.is_empty() { old.to_owned() } else { new.to_owned() };
    let mut unified = old.unified.clone();
    unified.extend(new.unified.clone());
    let pages = if new.hugepage_limits.is_empty() { old } else { new };
    LinuxContainerResources {
        cpu_period: number(old.cpu_period, new.cpu_period),
        cpu_quota: number(old.cpu_quota, new.cpu_quota),
        cpu_shares: number(old.cpu_shares, new.cpu_shares),
        memory_limit_in_bytes: number(old.memory_limit_in_bytes, new.memory_limit_in_bytes),
        oom_score_adj: number(old.oom_score_adj, new.oom_score_adj),
        cpuset_cpus: text(&old.cpuset_cpus, &new.cpuset_cpus),
        cpuset_mems: text(&old.cpuset_mems, &new.cpuset_mems),
        hugepage_limits: pages.hugepage_limits.clone(),
        unified,
        memory_swap_limit_in_bytes: number(
            old.memory_swap_limit_in_bytes,
            new.memory_swap_limit_in_bytes,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_zero_or_empty_was_not_given_and_less_than_zero_is_no_limit() {
        assert_eq!(resources(&LinuxContainerResources::default()), Resources::default());
        let cri = LinuxContainerResources {
            cpu_quota: -1,
            cpu_shares: 512,
            memory_limit_in_bytes: 64 << 20,
            ..LinuxContainerResources::default()
        };
        let expected = Resources {
            cpu_quota_us: Some(-1),
            cpu_shares: Some(512),
            memory_limit_bytes: Some(64 << 20),
            ..Resources::default()
        };
        assert_eq!(resources(&cri), expected);
    }

    #[test]
    fn overhead_raises_limits_that_are_there() {
        let pod = LinuxContainerResources { memory_limit_in_bytes: 100, ..Default::default() };
        let overhead = LinuxContainerResources {
            memory_limit_in_bytes: 20,
            cpu_quota: 5000,
            ..Default::default()
        };
        let sum = with_overhead(Some(&pod), Some(&overhead));
        assert_eq!((sum.memory_limit_in_bytes, sum.cpu_quota), (120, 0));
    }

    #[test]
    fn an_update_keeps_what_it_does_not_name() {
        let old = LinuxContainerResources { cpu_shares: 2, cpu_quota: 10, ..Default::default() };
        let new = LinuxContainerResources { cpu_shares: 4, ..Default::default() };
        let now = updated(&old, &new);
        assert_eq!((now.cpu_shares, now.cpu_quota), (4, 10));
    }
}

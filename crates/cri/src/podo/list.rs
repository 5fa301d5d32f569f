//! ListPodSandbox and ListContainers: what is there, filtered.

use std::collections::BTreeMap;

use super::Node;
use crate::v1;

/// Whether all labels that are asked for are there.
pub(super) fn has_labels(
    labels: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether an id is the one asked for, which may be shortened; an empty one asks for all.
pub(super) fn is_id(id: &str, wanted: &str) -> bool {
    id.starts_with(wanted)
}

impl Node {
    pub(super) fn list_pod_sandbox(
        &self,
        filter: Option<v1::PodSandboxFilter>,
    ) -> v1::ListPodSandboxResponse {
        let filter = filter.unwrap_or_default();
        let is_wanted = |sandbox: &v1::PodSandbox| {
            is_id(&sandbox.id, &filter.id)
                && filter.state.as_ref().is_none_or(|state| state.state == sandbox.state)
                && has_labels(&sandbox.labels, &filter.label_selector)
        };
        let sandboxes = self.table.sandboxes();
        let all = sandboxes.iter().map(|sandbox| sandbox.summary());
        v1::ListPodSandboxResponse { items: all.filter(is_wanted).collect() }
    }

    pub(super) fn list_containers(
        &self,
        filter: Option<v1::ContainerFilter>,
    ) -> v1::ListContainersResponse {
        let filter = filter.unwrap_or_default();
        let is_wanted = |container: &v1::Container| {
            is_id(&container.id, &filter.id)
                && is_id(&container.pod_sandbox_id, &filter.pod_sandbox_id)
                && filter.state.as_ref().is_none_or(|state| state.state == container.state)
                && has_labels(&container.labels, &filter.label_selector)
        };
        let containers = self.table.containers();
        let all = containers.iter().map(|container| container.summary());
        v1::ListContainersResponse { containers: all.filter(is_wanted).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> BTreeMap<String, String> {
        let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn every_label_that_is_asked_for_must_be_there() {
        for (has, wants, expected) in [
            ("a=1 b=2", "", true),
            ("a=1 b=2", "a=1", true),
            ("a=1 b=2", "a=1 b=2", true),
            ("a=1", "a=2", false),
            ("a=1", "a=1 b=2", false),
            ("", "a=1", false),
        ] {
            assert_eq!(has_labels(&labels(has), &labels(wants)), expected, "{has:?} {wants:?}");
        }
    }

    #[test]
    fn an_id_may_be_shortened_and_none_asks_for_all() {
        assert!(is_id("abcdef", "abc") && is_id("abcdef", "") && !is_id("abcdef", "abd"));
    }
}

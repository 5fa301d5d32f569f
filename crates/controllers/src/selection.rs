//! Which controllers run: `--controllers` with kube-controller-manager's names and syntax.

use crate::{CONTROLLERS, Controller};

/// Names of kube-controller-manager v1.36 whose controllers are not built yet: accepted, with a warning.
const NOT_BUILT: &[&str] = &[
    "bootstrap-signer-controller",
    "certificatesigningrequest-approving-controller",
    "certificatesigningrequest-cleaner-controller",
    "certificatesigningrequest-signing-controller",
    "cloud-node-lifecycle-controller",
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "device-taint-eviction-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "ephemeral-volume-controller",
    "horizontal-pod-autoscaler-controller",
    "job-controller",
    "kube-apiserver-serving-clustertrustbundle-publisher-controller",
    "legacy-serviceaccount-token-cleaner-controller",
    "node-ipam-controller",
    "node-lifecycle-controller",
    "node-route-controller",
    "persistentvolume-attach-detach-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-expander-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "podcertificaterequest-cleaner-controller",
    "replicaset-controller",
    "replicationcontroller-controller",
    "resourceclaim-controller",
    "resourcequota-controller",
    "selinux-warning-controller",
    "service-cidr-controller",
    "service-lb-controller",
    "statefulset-controller",
    "storage-version-migrator-controller",
    "storageversion-garbage-collector-controller",
    "taint-eviction-controller",
    "token-cleaner-controller",
    "ttl-after-finished-controller",
    "ttl-controller",
    "validatingadmissionpolicy-status-controller",
    "volumeattributesclass-protection-controller",
];

/// Why a list of controllers is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// Nobody knows the name.
    #[error("{name:?} is not in the list of known controllers")]
    Unknown {
        /// The name.
        name: String,
    },
}

/// The controllers that a list chooses, and the names in it that are not built yet.
///
/// `*` chooses all, `NAME` one more, `-NAME` leaves one out; the first word about a name counts.
pub fn select(list: &[String]) -> Result<(Vec<&'static Controller>, Vec<String>), SelectionError> {
    let mut missing = Vec::new();
    for word in list {
        let name = word.trim_start_matches('-');
        let is_built = CONTROLLERS.iter().any(|controller| controller.name == name);
        if word == "*" || is_built {
            continue;
        }
        if !NOT_BUILT.contains(&name) {
            return Err(SelectionError::Unknown { name: name.to_owned() });
        }
        if !word.starts_with('-') {
            missing.push(name.to_owned());
        }
    }
    let is_chosen = |controller: &&Controller| {
        let name = controller.name;
        list.iter()
            .find_map(|word| match word.strip_prefix('-') {
                Some(left_out) if left_out == name => Some(false),
                None if word == name => Some(true),
                _ => None,
            })
            .unwrap_or_else(|| list.iter().any(|word| word == "*"))
    };
    Ok((CONTROLLERS.iter().filter(is_chosen).collect(), missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Result<(Vec<&'static str>, Vec<String>), SelectionError> {
        let list: Vec<String> = list.iter().map(|&word| word.to_owned()).collect();
        select(&list).map(|(chosen, missing)| {
            (chosen.iter().map(|controller| controller.name).collect(), missing)
        })
    }

    #[test]
    fn a_star_chooses_all_and_a_minus_leaves_one_out() {
        let (all, _) = names(&["*"]).expect("known");
        assert_eq!(all.len(), CONTROLLERS.len());
        let (some, _) = names(&["*", "-namespace-controller"]).expect("known");
        assert_eq!(some.len(), all.len() - 1);
        assert_eq!(names(&["namespace-controller"]).expect("known").0, ["namespace-controller"]);
    }

    #[test]
    fn a_name_of_upstreams_that_is_not_built_is_told_and_any_other_refused() {
        assert_eq!(names(&["job-controller"]), Ok((Vec::new(), vec!["job-controller".to_owned()])));
        assert_eq!(names(&["nosuch"]), Err(SelectionError::Unknown { name: "nosuch".to_owned() }));
    }
}

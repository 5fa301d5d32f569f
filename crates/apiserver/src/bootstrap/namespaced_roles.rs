//! The default Roles of the system's namespaces and their bindings (Kubernetes v1.36).

use super::cluster_roles::EVENTS;
use super::policy::RoleData;

/// Roles by namespace.
pub(super) static ROLES: &[(&str, RoleData)] = &[
    (
        SYSTEM,
        RoleData::new(
            "extension-apiserver-authentication-reader",
            &["get,list,watch core configmaps extension-apiserver-authentication"],
        ),
    ),
    (SYSTEM, RoleData::new("system:controller:bootstrap-signer", &["get,list,watch core secrets"])),
    (
        SYSTEM,
        RoleData::new(
            "system:controller:cloud-provider",
            &["create,get,list,watch core configmaps"],
        ),
    ),
    (
        SYSTEM,
        RoleData::new(
            "system:controller:token-cleaner",
            &["delete,get,list,watch core secrets", EVENTS],
        ),
    ),
    (SYSTEM, RoleData::new("system::leader-locking-kube-controller-manager", LEADER_RULES)),
    (SYSTEM, RoleData::new("system::leader-locking-kube-scheduler", LEADER_RULES)),
    (
        PUBLIC,
        RoleData::new(
            "system:controller:bootstrap-signer",
            &["get,list,watch core configmaps", "update core configmaps cluster-info", EVENTS],
        ),
    ),
];

const SYSTEM: &str = "kube-system";
const PUBLIC: &str = "kube-public";

const LEADER_RULES: &[&str] = &[
    "create,get,list,update,watch coordination.k8s.io leases",
    "create,get,list,update,watch coordination.k8s.io leasecandidates",
];

/// A binding: namespace, name, role, subjects.
pub(super) type BindingData = (&'static str, &'static str, &'static str, &'static [&'static str]);

/// The bindings.
pub(super) static BINDINGS: &[BindingData] = &[
    (
        SYSTEM,
        "system::extension-apiserver-authentication-reader",
        "extension-apiserver-authentication-reader",
        &["User=system:kube-controller-manager", "User=system:kube-scheduler"],
    ),
    (
        SYSTEM,
        "system::leader-locking-kube-controller-manager",
        "system::leader-locking-kube-controller-manager",
        &[
            "User=system:kube-controller-manager",
            "ServiceAccount=kube-system/kube-controller-manager",
        ],
    ),
    (
        SYSTEM,
        "system::leader-locking-kube-scheduler",
        "system::leader-locking-kube-scheduler",
        &["User=system:kube-scheduler", "ServiceAccount=kube-system/kube-scheduler"],
    ),
    (SYSTEM, SIGNER, SIGNER, &["ServiceAccount=kube-system/bootstrap-signer"]),
    (SYSTEM, CLOUD, CLOUD, &["ServiceAccount=kube-system/cloud-provider"]),
    (SYSTEM, CLEANER, CLEANER, &["ServiceAccount=kube-system/token-cleaner"]),
    (PUBLIC, SIGNER, SIGNER, &["ServiceAccount=kube-system/bootstrap-signer"]),
];

const SIGNER: &str = "system:controller:bootstrap-signer";
const CLOUD: &str = "system:controller:cloud-provider";
const CLEANER: &str = "system:controller:token-cleaner";

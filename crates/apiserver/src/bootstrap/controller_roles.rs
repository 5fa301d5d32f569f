//! The ClusterRoles of controllers (Kubernetes v1.36 with its default feature gates): each is bound to the service account of
//! its name in `kube-system`.

use super::cluster_roles::EVENTS;
use super::policy::RoleData;

/// What stands before a controller's name in that of its role.
pub(super) const PREFIX: &str = "system:controller:";

/// The roles, by the controller's name.
pub(super) static ROLES: &[RoleData] = &[
    RoleData::new(
        "attachdetach-controller",
        &[
            "list,watch core persistentvolumeclaims,persistentvolumes",
            "get,list,watch core nodes",
            "patch,update core nodes/status",
            "list,watch core pods",
            EVENTS,
            "create,delete,get,list,watch storage.k8s.io volumeattachments",
            "get,list,watch storage.k8s.io csidrivers",
            "get,list,watch storage.k8s.io csinodes",
        ],
    ),
    RoleData::new(
        "clusterrole-aggregation-controller",
        &["escalate,get,list,patch,update,watch rbac.authorization.k8s.io clusterroles"],
    ),
    RoleData::new(
        "cronjob-controller",
        &[
            "get,list,update,watch batch cronjobs",
            "create,delete,get,list,patch,update,watch batch jobs",
            "update batch cronjobs/status",
            "update batch cronjobs/finalizers",
            "delete,list,watch core pods",
            EVENTS,
        ],
    ),
    RoleData::new(
        "daemon-set-controller",
        &[
            "get,list,watch apps,extensions daemonsets",
            "update apps,extensions daemonsets/status",
            "update apps,extensions daemonsets/finalizers",
            "list,watch core nodes",
            "create,delete,list,patch,watch core pods",
            "create core pods/binding",
            "create,delete,get,list,patch,update,watch apps controllerrevisions",
            EVENTS,
        ],
    ),
    RoleData::new(
        "deployment-controller",
        &[
            "get,list,update,watch apps,extensions deployments",
            "update apps,extensions deployments/status",
            "update apps,extensions deployments/finalizers",
            "create,delete,get,list,patch,update,watch apps,extensions replicasets",
            "get,list,update,watch core pods",
            EVENTS,
        ],
    ),
    RoleData::new(
        "disruption-controller",
        &[
            "get,list,watch apps,extensions deployments",
            "get,list,watch apps,extensions replicasets",
            "get,list,watch core replicationcontrollers",
            "get,list,watch policy poddisruptionbudgets",
            "get,list,watch apps statefulsets",
            "update policy poddisruptionbudgets/status",
            "patch,update core pods/status",
            "get * */scale",
            EVENTS,
        ],
    ),
    RoleData::new(
        "endpoint-controller",
        &[
            "get,list,watch core pods,services",
            "create,delete,get,list,update,watch core endpoints",
            "create core endpoints/restricted",
            EVENTS,
        ],
    ),
    RoleData::new(
        "endpointslice-controller",
        &[
            "get,list,watch core nodes,pods,services",
            "update core services/finalizers",
            "create,delete,get,list,update,watch discovery.k8s.io endpointslices",
            EVENTS,
        ],
    ),
    RoleData::new(
        "endpointslicemirroring-controller",
        &[
            "get,list,watch core endpoints,services",
            "update core services/finalizers",
            "update core endpoints/finalizers",
            "create,delete,get,list,update,watch discovery.k8s.io endpointslices",
            EVENTS,
        ],
    ),
    RoleData::new(
        "expand-controller",
        &[
            "get,list,patch,update,watch core persistentvolumes",
            "patch,update core persistentvolumeclaims/status",
            "get,list,watch core persistentvolumeclaims",
            EVENTS,
        ],
    ),
    RoleData::new(
        "ephemeral-volume-controller",
        &[
            "get,list,watch core pods",
            "update core pods/finalizers",
            "create,get,list,watch core persistentvolumeclaims",
            EVENTS,
        ],
    ),
    RoleData::new(
        "resource-claim-controller",
        &[
            "get,list,watch core pods",
            "update core pods/finalizers",
            "create,delete,get,list,watch resource.k8s.io resourceclaims",
            "patch,update resource.k8s.io resourceclaims,resourceclaims/status",
            "patch,update core pods/status",
            EVENTS,
            "patch,update resource.k8s.io resourceclaims/binding",
        ],
    ),
    RoleData::new(
        "device-taint-eviction-controller",
        &[
            "delete,get,list,watch core pods",
            "patch,update core pods/status",
            "get,list,watch resource.k8s.io resourceclaims",
            "get,list,watch resource.k8s.io resourceslices",
            "get,list,watch resource.k8s.io deviceclasses",
            EVENTS,
        ],
    ),
    RoleData::new("generic-garbage-collector", &["delete,get,list,patch,update,watch * *", EVENTS]),
    RoleData::new(
        "horizontal-pod-autoscaler",
        &[
            "get,list,watch autoscaling horizontalpodautoscalers",
            "update autoscaling horizontalpodautoscalers/status",
            "get,update * */scale",
            "list,watch core pods",
            "list,watch metrics.k8s.io pods",
            "get,list,watch custom.metrics.k8s.io *",
            "get,list,watch external.metrics.k8s.io *",
            EVENTS,
        ],
    ),
    RoleData::new(
        "job-controller",
        &[
            "get,list,patch,update,watch batch jobs",
            "update batch jobs/status",
            "update batch jobs/finalizers",
            "create,delete,list,patch,watch core pods",
            EVENTS,
        ],
    ),
    RoleData::new(
        "namespace-controller",
        &[
            "delete,get,list,watch core namespaces",
            "update core namespaces/finalize,namespaces/status",
            "delete,deletecollection,get,list,watch * *",
        ],
    ),
    RoleData::new(
        "node-controller",
        &[
            "delete,get,list,patch,update,watch core nodes",
            "patch,update core nodes/status",
            "patch,update core pods/status",
            "delete,get,list,watch core pods",
            "get,list,watch coordination.k8s.io leases",
            EVENTS,
        ],
    ),
    RoleData::new(
        "persistent-volume-binder",
        &[
            "create,delete,get,list,update,watch core persistentvolumes",
            "update core persistentvolumes/status",
            "get,list,update,watch core persistentvolumeclaims",
            "update core persistentvolumeclaims/status",
            "create,delete,get,list,watch core pods",
            "get,list,watch storage.k8s.io storageclasses",
            "list,watch core nodes",
            EVENTS,
            "watch core events",
        ],
    ),
    RoleData::new(
        "pod-garbage-collector",
        &["delete,list,watch core pods", "get,list,watch core nodes", "patch core pods/status"],
    ),
    RoleData::new(
        "replicaset-controller",
        &[
            "get,list,update,watch apps,extensions replicasets",
            "update apps,extensions replicasets/status",
            "update apps,extensions replicasets/finalizers",
            "create,delete,list,patch,watch core pods",
            EVENTS,
        ],
    ),
    RoleData::new(
        "replication-controller",
        &[
            "get,list,update,watch core replicationcontrollers",
            "update core replicationcontrollers/status",
            "update core replicationcontrollers/finalizers",
            "create,delete,list,patch,watch core pods",
            EVENTS,
        ],
    ),
    RoleData::new(
        "resourcequota-controller",
        &["list,watch * *", "update core resourcequotas/status", EVENTS],
    ),
    RoleData::new(
        "route-controller",
        &["list,watch core nodes", "patch core nodes/status", EVENTS],
    ),
    RoleData::new("service-account-controller", &["create core serviceaccounts", EVENTS]),
    RoleData::new(
        "service-controller",
        &[
            "get,list,watch core services",
            "patch,update core services/status",
            "list,watch core nodes",
            EVENTS,
        ],
    ),
    RoleData::new(
        "service-cidrs-controller",
        &[
            "get,list,patch,update,watch networking.k8s.io servicecidrs",
            "patch,update networking.k8s.io servicecidrs/finalizers",
            "patch,update networking.k8s.io servicecidrs/status",
            "get,list,watch networking.k8s.io ipaddresses",
            EVENTS,
        ],
    ),
    RoleData::new(
        "statefulset-controller",
        &[
            "list,watch core pods",
            "get,list,watch apps statefulsets",
            "update apps statefulsets/status",
            "update apps statefulsets/finalizers",
            "create,delete,get,patch,update core pods",
            "create,delete,get,list,patch,update,watch apps controllerrevisions",
            "create,get,list,watch core persistentvolumeclaims",
            "delete,update core persistentvolumeclaims",
            "update core pods/finalizers",
            EVENTS,
        ],
    ),
    RoleData::new("ttl-controller", &["list,patch,update,watch core nodes", EVENTS]),
    RoleData::new(
        "certificate-controller",
        &[
            "delete,get,list,watch certificates.k8s.io certificatesigningrequests",
            "update certificates.k8s.io certificatesigningrequests/approval,certificatesigningrequests/status",
            "approve certificates.k8s.io signers kubernetes.io/kube-apiserver-client-kubelet",
            "sign certificates.k8s.io signers kubernetes.io/kube-apiserver-client,kubernetes.io/kube-apiserver-client-kubelet,\
         kubernetes.io/kubelet-serving,kubernetes.io/legacy-unknown",
            "create authorization.k8s.io subjectaccessreviews",
            EVENTS,
        ],
    ),
    RoleData::new(
        "pvc-protection-controller",
        &[
            "get,list,update,watch core persistentvolumeclaims",
            "update core persistentvolumeclaims/status",
            "get,list,watch core pods",
            EVENTS,
        ],
    ),
    RoleData::new(
        "pv-protection-controller",
        &["get,list,update,watch core persistentvolumes", EVENTS],
    ),
    RoleData::new(
        "volumeattributesclass-protection-controller",
        &[
            "get,list,watch core persistentvolumeclaims",
            "get,list,watch core persistentvolumes",
            "get,list,update,watch storage.k8s.io volumeattributesclasses",
            EVENTS,
        ],
    ),
    RoleData::new("ttl-after-finished-controller", &["delete,get,list,watch batch jobs", EVENTS]),
    RoleData::new("root-ca-cert-publisher", &["create,update core configmaps", EVENTS]),
    RoleData::new("service-ca-cert-publisher", &["create,update core configmaps", EVENTS]),
    RoleData::new(
        "validatingadmissionpolicy-status-controller",
        &[
            "get,list,watch admissionregistration.k8s.io validatingadmissionpolicies",
            "get,patch,update admissionregistration.k8s.io validatingadmissionpolicies/status",
            EVENTS,
        ],
    ),
    RoleData::new(
        "legacy-service-account-token-cleaner",
        &[
            "get core configmaps kube-apiserver-legacy-service-account-token-tracking",
            "delete,patch core secrets",
        ],
    ),
    RoleData::new(
        "selinux-warning-controller",
        &[
            EVENTS,
            "get,list,watch core persistentvolumes",
            "get,list,watch core persistentvolumeclaims",
            "get,list,watch core pods",
            "get,list,watch storage.k8s.io csidrivers",
        ],
    ),
];

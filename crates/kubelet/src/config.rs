//! [`KubeletConfig`]: what the node agent is told when it starts, and the limits that it keeps to.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use podo_base::BackoffPolicy;

/// The version that a node reports as its kubelet's.
pub const KUBELET_VERSION: &str = "v1.36.2";

/// The size from which a container's log is rotated, in bytes (Kubernetes v1.36 `containerLogMaxSize`).
pub const LOG_FILE_BYTES_MAX: u64 = 10 << 20;

/// How many files of one container's log are kept (Kubernetes v1.36 `containerLogMaxFiles`).
pub const LOG_FILES_MAX: u16 = 5;

/// How long a container that keeps ending waits for its next start (Kubernetes v1.36: 10 s doubling to 5 min, forgotten after 10 min).
pub(crate) const RESTART_BACKOFF: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_secs(10),
    maximum: Duration::from_secs(300),
    reset_after: Duration::from_secs(600),
};

/// How long an image that could not be pulled waits for the next attempt (Kubernetes v1.36: 10 s doubling to 5 min).
pub(crate) const IMAGE_BACKOFF: BackoffPolicy = RESTART_BACKOFF;

/// What a node agent is told when it starts.
#[derive(Debug, Clone)]
pub struct KubeletConfig {
    /// The name of the Node object.
    pub node_name: String,
    /// The addresses of the node, the preferred one first; at most one per family.
    pub node_ips: Vec<IpAddr>,
    /// Where Pods' volumes and files are kept; `<root_dir>/pods/<uid>/…`.
    pub root_dir: PathBuf,
    /// Where container logs are kept; `<log_dir>/pods/<namespace>_<name>_<uid>/<container>/<n>.log`.
    pub log_dir: PathBuf,
    /// The addresses of the cluster's DNS.
    pub cluster_dns: Vec<IpAddr>,
    /// The cluster's domain, such as `cluster.local`.
    pub cluster_domain: String,
    /// The host's resolver configuration, for Pods with `dnsPolicy: Default` and for search domains.
    pub resolv_conf: PathBuf,
    /// How many Pods the node takes.
    pub max_pods: u32,
    /// The port of the node's HTTPS server.
    pub kubelet_port: u16,
    /// The node's range of Pod addresses where no controller assigns one.
    pub pod_cidr: Option<String>,
    /// Labels that the Node is registered with, beside the well-known ones.
    pub node_labels: BTreeMap<String, String>,
    /// The cgroup below which `kubepods` stands; empty for the root.
    pub cgroup_root: String,
    /// Whether containers that say nothing about seccomp get the runtime's default profile (off in Kubernetes v1.36).
    pub is_seccomp_default: bool,
    /// Sysctls that Pods may set beside the safe ones; a name, or a prefix that ends in `*`.
    pub allowed_unsafe_sysctls: Vec<String>,
    /// How many images are pulled at the same time.
    pub parallel_pulls: usize,
    /// The use of the image filesystem from which images are removed, in percent; 100 turns it off.
    pub image_gc_high_percent: u8,
    /// The use of the image filesystem down to which images are removed, in percent.
    pub image_gc_low_percent: u8,
    /// Images unused for less than this are kept.
    pub image_minimum_age: Duration,
    /// How many dead containers are kept of each container, for `logs --previous`.
    pub dead_containers_kept: usize,
    /// How often the node's status is looked at.
    pub status_period: Duration,
    /// How long an unchanged status of the node is not written again.
    pub status_report_period: Duration,
    /// How often the node renews its Lease.
    pub lease_period: Duration,
    /// How long a Lease is valid.
    pub lease_duration: Duration,
    /// How often everything is looked through for what an event should have told.
    pub repair_period: Duration,
}

impl KubeletConfig {
    /// The configuration of a node with upstream's defaults.
    pub fn new(
        node_name: impl Into<String>,
        node_ip: IpAddr,
        root_dir: PathBuf,
        log_dir: PathBuf,
    ) -> Self {
        Self {
            node_name: node_name.into(),
            node_ips: vec![node_ip],
            root_dir,
            log_dir,
            cluster_dns: vec![IpAddr::from([10, 43, 0, 10])],
            cluster_domain: "cluster.local".to_owned(),
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            max_pods: 250,
            kubelet_port: 10_250,
            pod_cidr: None,
            node_labels: BTreeMap::new(),
            cgroup_root: String::new(),
            is_seccomp_default: false,
            allowed_unsafe_sysctls: Vec::new(),
            parallel_pulls: 5,
            image_gc_high_percent: 85,
            image_gc_low_percent: 80,
            image_minimum_age: Duration::from_secs(120),
            dead_containers_kept: 1,
            status_period: Duration::from_secs(10),
            status_report_period: Duration::from_secs(300),
            lease_period: Duration::from_secs(10),
            lease_duration: Duration::from_secs(40),
            repair_period: Duration::from_secs(60),
        }
    }

    /// Where a Pod's files are.
    pub fn pod_dir(&self, uid: &str) -> PathBuf {
        self.root_dir.join("pods").join(uid)
    }

    /// Where the logs of a Pod's containers are.
    pub fn pod_log_dir(&self, namespace: &str, name: &str, uid: &str) -> PathBuf {
        self.log_dir.join("pods").join(format!("{namespace}_{name}_{uid}"))
    }
}

//! From the operator's settings to those of the container runtime.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use podo_cri::{CriConfig, LogLimit};
use podo_image::registry::{Mirror, RegistryConfig};
use podo_kubelet::{LOG_FILE_BYTES_MAX, LOG_FILES_MAX};

use crate::exit::{Class, Failure};
use crate::instance::Instance;

/// What the settings of the runtime are made of.
pub(crate) struct CriParts<'a> {
    /// The instance.
    pub instance: &'a Instance,
    /// This program's file.
    pub executable: PathBuf,
    /// `--registry-mirror`.
    pub mirrors: &'a [String],
    /// `--pod-infra-container-image`.
    pub pause_image: Option<String>,
    /// `--container-log-max-hours`.
    pub log_hours_max: Option<u16>,
    /// Addresses of this node's Pods.
    pub pod_cidr: (Ipv4Addr, u8),
    /// Addresses of all Pods.
    pub cluster_cidr: (Ipv4Addr, u8),
    /// The node's address.
    pub address: Ipv4Addr,
}

/// The settings of the runtime.
pub(crate) fn cri(parts: &CriParts<'_>) -> Result<CriConfig, Failure> {
    let range = |(address, bits): (Ipv4Addr, u8)| {
        format!("{address}/{bits}").parse().map_err(|_| {
            Failure::new(Class::Usage, format!("{address}/{bits} is not an address range"))
        })
    };
    Ok(CriConfig {
        data_dir: parts.instance.data_dir.join("runtime"),
        run_dir: parts.instance.run_dir.clone(),
        instance: parts.instance.name.clone(),
        executable: parts.executable.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cgroup_root: cgroup_root(parts.instance),
        pause_image: parts.pause_image.clone(),
        registry: registry(parts.mirrors)?,
        pod_cidr: range(parts.pod_cidr)?,
        cluster_cidr: range(parts.cluster_cidr)?,
        node_addresses: vec![parts.address],
        log_limit: Some(LogLimit {
            file_bytes_max: LOG_FILE_BYTES_MAX,
            files_max: LOG_FILES_MAX,
            age_secs_max: parts.log_hours_max.map(|hours| u64::from(hours) * 3600),
        }),
        mtu: None,
    })
}

/// The cgroup below which all of an instance's are.
pub(crate) fn cgroup_root(instance: &Instance) -> String {
    format!("podo-{}", instance.name)
}

/// How registries are reached.
pub(crate) fn registry(mirrors: &[String]) -> Result<RegistryConfig, Failure> {
    let mirrors: Result<Vec<Mirror>, _> =
        mirrors.iter().map(|text| text.parse::<Mirror>()).collect();
    let mirrors = mirrors.map_err(|error| Failure::of(Class::Usage, &error))?;
    Ok(RegistryConfig { mirrors, ..RegistryConfig::default() })
}

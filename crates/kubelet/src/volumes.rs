//! A Pod's volumes: set up below its folder before its containers, kept current while they run, taken down after them.
//!
//! Reads     config maps, secrets and tokens that were fetched for the Pod.
//! Writes    `<root>/pods/<uid>/volumes/<kind>/<name>` and the mounts there.
//!
//! Holds always
//! - Setting up is idempotent: a second time brings the files to what the API says now, in one atomic step per volume.
//! - Taking down never follows a link and never goes into a mount: what is mounted is unmounted first.
//!
//! One file per kind of volume. Not here: when it is done ([`crate::worker`]).

mod atomic;
mod config_map;
mod downward_api;
mod empty_dir;
mod host_path;
mod mounter;
mod ownership;
mod projected;
mod remove;
mod secret;
mod subpath;
mod tokens;
mod unsupported;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use podo_api::Status;
use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_base::{Chain, Timestamp};

use crate::container::downward::{DownwardError, NodeFacts};
use crate::container::env::Fetched;
use crate::container::security;
use crate::pod::PodView;

pub use mounter::{KernelMounter, Mounter};
pub(crate) use tokens::{Token, Tokens};

/// Why a volume is not there. The texts are upstream's where it has one: they reach events.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    /// There is no such config map.
    #[error("configmap {0:?} not found")]
    ConfigMap(String),
    /// There is no such secret.
    #[error("secret {0:?} not found")]
    Secret(String),
    /// The config map lacks a key.
    #[error("configmap references non-existent config key: {0}")]
    ConfigMapKey(String),
    /// The secret lacks a key.
    #[error("references non-existent secret key: {0}")]
    SecretKey(String),
    /// A path that leaves the volume.
    #[error("invalid path {0:?}: must be relative and must not contain '..'")]
    Path(String),
    /// The file of the host is not of the type that the volume asks for.
    #[error("hostPath type check failed: {0} is not {1}")]
    HostPathType(String, &'static str),
    /// A type of host path that nobody knows.
    #[error("{0:?} is an invalid volume type")]
    HostPathUnknownType(String),
    /// No token.
    #[error("failed to fetch token: {0}")]
    Token(Status),
    /// The API server did not say.
    #[error("{0}")]
    Api(Status),
    /// A value of the downward API cannot be told.
    #[error(transparent)]
    Downward(#[from] DownwardError),
    /// `gitRepo` runs git as root on files that a Pod's author chose (CVE-2024-10220, CVE-2025-1767).
    #[error("git-repo volume plugin has been disabled")]
    GitRepo,
    /// A kind of volume that this node cannot make.
    #[error("no volume plugin matched: {0} volumes are not supported by this node")]
    Unsupported(&'static str),
    /// A projection that this node cannot make.
    #[error("{0} projections are not supported by this node")]
    UnsupportedProjection(&'static str),
    /// A `subPath` that leaves its volume, or that cannot be had.
    #[error("failed to prepare subPath for volumeMount {mount:?} of container {container:?}")]
    SubPath {
        /// The mount's volume.
        mount: String,
        /// The container.
        container: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file system would not.
    #[error("cannot {act} {path:?}")]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

impl VolumeError {
    fn io(act: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { act, path, source }
    }
}

/// A volume that could not be set up, with the text of its `FailedMount` event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedVolume {
    /// The volume.
    pub(crate) name: String,
    /// The text.
    pub(crate) message: String,
}

/// What setting up came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct SetUp {
    /// What failed; empty if all volumes are there.
    pub(crate) failed: Vec<FailedVolume>,
    /// When a token has to be renewed.
    pub(crate) refresh_at: Option<Timestamp>,
}

/// Everything that one Pod's volumes are made from.
#[derive(Debug, Clone)]
pub(crate) struct VolumeInput {
    /// The Pod.
    pub(crate) pod: Arc<PodView>,
    /// What was fetched for it.
    pub(crate) fetched: Arc<Fetched>,
    /// The node.
    pub(crate) node: Arc<NodeFacts>,
}

/// Makes and removes volumes.
#[derive(Debug)]
pub(crate) struct Volumes {
    root_dir: PathBuf,
    mounter: Arc<dyn Mounter>,
    tokens: Tokens,
}

impl Volumes {
    /// Volumes below `<root_dir>/pods`.
    pub(crate) fn new(root_dir: PathBuf, mounter: Arc<dyn Mounter>, tokens: Tokens) -> Self {
        Self { root_dir, mounter, tokens }
    }

    /// Sets up all volumes of a Pod, or brings them up to date. What fails does not keep the others from being set up.
    pub(crate) async fn set_up(&self, input: VolumeInput) -> SetUp {
        let mut done = SetUp::default();
        let pod = Arc::clone(&input.pod);
        let pod_dir = self.pod_dir(pod.uid());
        let mut tokens = Vec::new();
        for volume in pod.spec.volumes.iter().flatten() {
            let token = match projected::wanted_tokens(volume, &pod) {
                wanted if wanted.is_empty() => Ok(Vec::new()),
                wanted => self.tokens.get_all(wanted).await,
            };
            if let Ok(found) = &token {
                let soonest = found.iter().map(|token| token.refresh_at).min();
                done.refresh_at = done.refresh_at.into_iter().chain(soonest).min();
            }
            tokens.push(token);
        }
        let mounter = Arc::clone(&self.mounter);
        let work = tokio::task::spawn_blocking(move || {
            let volumes = input.pod.spec.volumes.iter().flatten().zip(tokens);
            let failed = volumes.filter_map(|(volume, token)| {
                let set_up = token
                    .map_err(VolumeError::Token)
                    .and_then(|tokens| set_up_one(&*mounter, &pod_dir, volume, &input, &tokens));
                let error = set_up.err()?;
                let name = volume.name.clone();
                let cause = Chain(&error);
                let message = format!("MountVolume.SetUp failed for volume {name:?} : {cause}");
                Some(FailedVolume { name, message })
            });
            failed.collect::<Vec<_>>()
        });
        match work.await {
            Ok(failed) => done.failed = failed,
            Err(error) => {
                let message = format!("setting up volumes ended: {error}");
                done.failed = vec![FailedVolume { name: String::new(), message }];
            }
        }
        done
    }

    /// Unmounts and removes a Pod's volumes; what else is in its folder stays.
    pub(crate) async fn tear_down(&self, uid: &str) -> std::io::Result<()> {
        let pod_dir = self.pod_dir(uid);
        self.tokens.forget(uid);
        self.remove(vec![pod_dir.join("volume-subpaths"), pod_dir.join("volumes")]).await
    }

    /// Unmounts and removes everything in a Pod's folder. A Pod without one is fine.
    pub(crate) async fn remove_all(&self, uid: &str) -> std::io::Result<()> {
        self.tokens.forget(uid);
        self.remove(vec![self.pod_dir(uid)]).await
    }

    async fn remove(&self, paths: Vec<PathBuf>) -> std::io::Result<()> {
        let mounter = Arc::clone(&self.mounter);
        let work = move || paths.iter().try_for_each(|path| remove::tree(&*mounter, path));
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }

    /// The UIDs of Pods that have a folder.
    pub(crate) fn known_pods(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.root_dir.join("pods")) else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// What of the host a mount of a container shows: the volume, or a part of it that is bound to a place of its own, so that
    /// nobody can put a link in its place later (CVE-2017-1002101, CVE-2021-25741).
    pub(crate) fn host_path(
        &self,
        pod: &PodView,
        container: &str,
        index: usize,
        mount: &k8s::VolumeMount,
        sub_path: &str,
    ) -> Result<PathBuf, VolumeError> {
        let pod_dir = self.pod_dir(pod.uid());
        let volume = pod.volume(&mount.name).map(|volume| location(&pod_dir, volume));
        let volume = volume.unwrap_or_else(|| pod_dir.join("volumes").join(&mount.name));
        if sub_path.is_empty() {
            return Ok(volume);
        }
        let target = pod_dir
            .join("volume-subpaths")
            .join(&mount.name)
            .join(container)
            .join(index.to_string());
        subpath::prepare(&*self.mounter, &volume, Path::new(sub_path), &target).map_err(
            |source| VolumeError::SubPath {
                mount: mount.name.clone(),
                container: container.to_owned(),
                source,
            },
        )?;
        Ok(target)
    }

    fn pod_dir(&self, uid: &str) -> PathBuf {
        self.root_dir.join("pods").join(uid)
    }
}

/// Where a volume is.
pub(crate) fn location(pod_dir: &Path, volume: &k8s::Volume) -> PathBuf {
    if let Some(host) = &volume.host_path {
        return PathBuf::from(&host.path);
    }
    let kind = if volume.config_map.is_some() {
        "kubernetes.io~configmap"
    } else if volume.secret.is_some() {
        "kubernetes.io~secret"
    } else if volume.downward_api.is_some() {
        "kubernetes.io~downward-api"
    } else if volume.projected.is_some() {
        "kubernetes.io~projected"
    } else {
        "kubernetes.io~empty-dir"
    };
    pod_dir.join("volumes").join(kind).join(&volume.name)
}

fn set_up_one(
    mounter: &dyn Mounter,
    pod_dir: &Path,
    volume: &k8s::Volume,
    input: &VolumeInput,
    tokens: &[Token],
) -> Result<(), VolumeError> {
    let VolumeInput { pod, fetched, node } = input;
    let path = location(pod_dir, volume);
    if let Some(source) = &volume.host_path {
        return host_path::set_up(source);
    }
    if let Some(source) = &volume.empty_dir {
        return empty_dir::set_up(mounter, &path, source, pod, node);
    }
    if volume.image.is_some() {
        return Ok(()); // The runtime mounts it.
    }
    let payload = if let Some(source) = &volume.config_map {
        config_map::payload(source, fetched)?
    } else if let Some(source) = &volume.secret {
        secret::payload(source, fetched)?
    } else if let Some(source) = &volume.downward_api {
        downward_api::payload(source, pod, node)?
    } else if let Some(source) = &volume.projected {
        projected::payload(source, input, tokens)?
    } else {
        return Err(unsupported::error(volume));
    };
    // Secrets must not reach the disk; config maps may (Kubernetes v1.36 keeps each kind there).
    let is_in_memory = volume.config_map.is_none();
    make_root(mounter, &path, is_in_memory, fs_group(pod))?;
    atomic::write(&path, &payload, fs_group(pod))
}

/// Makes the folder of a volume of files. It is the group's as that of an `emptyDir` is, and what is made in it is of that group.
fn make_root(
    mounter: &dyn Mounter,
    path: &Path,
    is_in_memory: bool,
    group: Option<u32>,
) -> Result<(), VolumeError> {
    std::fs::create_dir_all(path).map_err(VolumeError::io("make", path))?;
    if is_in_memory && !mounter::is_mount_root(path) {
        mounter.tmpfs(path, None).map_err(VolumeError::io("mount a tmpfs on", path))?;
    }
    let set = || match group {
        // First the group: the kernel takes the bit from who gives a folder away.
        Some(group) => {
            ownership::give(path, None, Some(group))?;
            ownership::set_mode(path, 0o777 | ownership::SET_GROUP)
        }
        None => ownership::set_mode(path, 0o777),
    };
    set().map_err(VolumeError::io("set the mode of", path))
}

fn fs_group(pod: &PodView) -> Option<u32> {
    let group = pod.spec.security_context.as_ref()?.fs_group?;
    u32::try_from(group).ok()
}

/// The user that a Pod's token files belong to.
fn fs_user(pod: &PodView) -> Option<u32> {
    u32::try_from(security::common_user(pod)?).ok()
}

#[cfg(test)]
mod tests;

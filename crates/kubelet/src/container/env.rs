//! A container's environment: Services, `envFrom`, `env` with references and `$(VAR)`.
//!
//! Holds always: `env` goes before `envFrom`, both go before the Services' variables, and `$(VAR)` sees only what came earlier.

pub(crate) mod file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use podo_api::Status;
use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_base::Chain;

use super::downward::{self, DownwardError, NodeFacts};
use super::expand::expand_bytes;
use crate::pod::PodView;
use crate::volumes;

/// What was fetched for a Pod, by name.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    /// Config maps; `Ok(None)` if there is none of the name.
    pub(crate) config_maps: BTreeMap<String, Result<Option<k8s::ConfigMap>, Status>>,
    /// Secrets; `Ok(None)` if there is none of the name.
    pub(crate) secrets: BTreeMap<String, Result<Option<k8s::Secret>, Status>>,
}

impl Fetched {
    /// A config map; `None` if there is none.
    pub(crate) fn config_map(&self, name: &str) -> Result<Option<&k8s::ConfigMap>, EnvError> {
        match self.config_maps.get(name) {
            Some(Ok(found)) => Ok(found.as_ref()),
            Some(Err(status)) => Err(EnvError::Api(status.clone())),
            None => Ok(None),
        }
    }

    /// A secret; `None` if there is none.
    pub(crate) fn secret(&self, name: &str) -> Result<Option<&k8s::Secret>, EnvError> {
        match self.secrets.get(name) {
            Some(Ok(found)) => Ok(found.as_ref()),
            Some(Err(status)) => Err(EnvError::Api(status.clone())),
            None => Ok(None),
        }
    }
}

/// Why an environment cannot be made. The texts are upstream's: they reach the container's status.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum EnvError {
    /// There is no such config map.
    #[error("configmap {0:?} not found")]
    ConfigMap(String),
    /// There is no such secret.
    #[error("secret {0:?} not found")]
    Secret(String),
    /// The config map lacks the key.
    #[error("couldn't find key {key} in ConfigMap {namespace}/{name}")]
    ConfigMapKey {
        /// The key.
        key: String,
        /// Where the config map is.
        namespace: String,
        /// The config map.
        name: String,
    },
    /// The secret lacks the key.
    #[error("couldn't find key {key} in Secret {namespace}/{name}")]
    SecretKey {
        /// The key.
        key: String,
        /// Where the secret is.
        namespace: String,
        /// The secret.
        name: String,
    },
    /// The Pod has no volume of the name.
    #[error("cannot find the volume {0:?} referenced by FileKeyRef")]
    FileVolume(String),
    /// The file is not there or not what it should be; upstream does not say what is wrong with it.
    #[error("couldn't parse env file")]
    File,
    /// The file lacks the key.
    #[error("environment variable key {key:?} not found in file {path:?}")]
    FileKey {
        /// The key.
        key: String,
        /// The file on the host.
        path: PathBuf,
    },
    /// The value is one of the downward API's and cannot be told.
    #[error(transparent)]
    Downward(#[from] DownwardError),
    /// The API server did not say.
    #[error("{0}")]
    Api(Status),
}

impl EnvError {
    /// Whether what is referred to is not there, which the reference may allow.
    fn is_of_missing(&self) -> bool {
        match self {
            Self::ConfigMap(_)
            | Self::Secret(_)
            | Self::ConfigMapKey { .. }
            | Self::SecretKey { .. }
            | Self::FileKey { .. } => true,
            Self::FileVolume(_) | Self::File | Self::Downward(_) | Self::Api(_) => false,
        }
    }
}

/// What an environment is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EnvInput<'a> {
    /// The Pod.
    pub(crate) pod: &'a PodView,
    /// The Pod's folder, in which its volumes are.
    pub(crate) pod_dir: &'a Path,
    /// The Pod's addresses.
    pub(crate) pod_ips: &'a [String],
    /// The node.
    pub(crate) node: &'a NodeFacts,
    /// What was fetched.
    pub(crate) fetched: &'a Fetched,
    /// The Services' variables.
    pub(crate) services: &'a [(String, String)],
}

/// An environment, and what of `envFrom` was left out since it cannot be a variable.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    /// Names and values, each name once. A value may be any bytes: those of a secret need not be text.
    pub(crate) variables: Vec<(String, Vec<u8>)>,
    /// Texts for `InvalidEnvironmentVariableNames` events.
    pub(crate) skipped: Vec<String>,
}

impl Environment {
    /// A variable as text, for what can be nothing else: a command, a path.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let (_, value) = self.variables.iter().find(|(key, _)| key == name)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }
}

/// Variables in the order in which they were set first.
#[derive(Default)]
struct Set {
    order: Vec<String>,
    values: BTreeMap<String, Vec<u8>>,
}

impl Set {
    fn put(&mut self, key: &str, value: Vec<u8>) {
        if self.values.insert(key.to_owned(), value).is_none() {
            self.order.push(key.to_owned());
        }
    }
}

/// The environment of a container.
pub(crate) fn environment(
    container: &k8s::Container,
    input: EnvInput<'_>,
) -> Result<Environment, EnvError> {
    let mut set = Set::default();
    let mut skipped = Vec::new();
    for source in container.env_from.iter().flatten() {
        add_all_of(source, input, &mut set, &mut skipped)?;
    }
    let mut services: BTreeMap<&str, &str> =
        input.services.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    for variable in container.env.iter().flatten() {
        let value = variable.value.as_deref().unwrap_or_default();
        let value = if let (true, Some(source)) = (value.is_empty(), &variable.value_from) {
            let Some(value) = value_from(source, container, input)? else {
                continue;
            };
            value
        } else {
            expand_bytes(value, |name| {
                let known = set.values.get(name).cloned();
                known.or_else(|| services.get(name).map(|value| value.as_bytes().to_vec()))
            })
        };
        // What the Pod sets hides the Service's variable of that name, also for what comes later.
        services.remove(variable.name.as_str());
        set.put(&variable.name, value);
    }
    for (key, value) in input.services {
        if services.contains_key(key.as_str()) && !set.values.contains_key(key) {
            set.put(key, value.clone().into_bytes());
        }
    }
    let Set { order, mut values } = set;
    let variables =
        order.into_iter().filter_map(|key| values.remove(&key).map(|value| (key, value))).collect();
    Ok(Environment { variables, skipped })
}

fn add_all_of(
    source: &k8s::EnvFromSource,
    input: EnvInput<'_>,
    set: &mut Set,
    skipped: &mut Vec<String>,
) -> Result<(), EnvError> {
    let namespace = input.pod.namespace();
    let prefix = source.prefix.as_deref().unwrap_or_default();
    let mut invalid = Vec::new();
    let mut add = |key: &str, value: &[u8]| {
        let key = format!("{prefix}{key}");
        if is_variable_name(&key) { set.put(&key, value.to_vec()) } else { invalid.push(key) }
    };
    let mut told = None;
    if let Some(from) = &source.config_map_ref {
        let Some(found) = input.fetched.config_map(&from.name)? else {
            return missing(from.optional, || EnvError::ConfigMap(from.name.clone()));
        };
        for (key, value) in found.data.iter().flatten() {
            add(key, value.as_bytes());
        }
        told = Some(("configMap", &from.name));
    } else if let Some(from) = &source.secret_ref {
        let Some(found) = input.fetched.secret(&from.name)? else {
            return missing(from.optional, || EnvError::Secret(from.name.clone()));
        };
        for (key, value) in found.data.iter().flatten() {
            add(key, &value.0);
        }
        told = Some(("secret", &from.name));
    }
    if let (Some((kind, name)), false) = (told, invalid.is_empty()) {
        let keys = invalid.join(", ");
        skipped.push(format!(
            "Keys [{keys}] from the EnvFrom {kind} {namespace}/{name} were skipped since they are considered invalid environment variable names."
        ));
    }
    Ok(())
}

fn missing(optional: Option<bool>, error: impl FnOnce() -> EnvError) -> Result<(), EnvError> {
    if optional == Some(true) { Ok(()) } else { Err(error()) }
}

/// A name that any process can be given: printable ASCII without `=` (KEP-4369).
fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=')
}

/// The value that a reference stands for; `None` if it is optional and leads nowhere.
fn value_from(
    source: &k8s::EnvVarSource,
    container: &k8s::Container,
    input: EnvInput<'_>,
) -> Result<Option<Vec<u8>>, EnvError> {
    let text = if let Some(field) = &source.field_ref {
        downward::field_for_env(&field.field_path, input.pod, input.pod_ips, input.node)?
    } else if let Some(selector) = &source.resource_field_ref {
        downward::resource(selector, input.pod, container, input.node)?
    } else if let Some(from) = &source.config_map_key_ref {
        return unless_optional(from.optional, of_config_map(from, input));
    } else if let Some(from) = &source.secret_key_ref {
        return unless_optional(from.optional, of_secret(from, input));
    } else if let Some(from) = &source.file_key_ref {
        return unless_optional(from.optional, of_file(from, input));
    } else {
        String::new()
    };
    Ok(Some(text.into_bytes()))
}

/// Of a reference that is optional nothing need be there; what is there must be good.
fn unless_optional(
    optional: Option<bool>,
    value: Result<Vec<u8>, EnvError>,
) -> Result<Option<Vec<u8>>, EnvError> {
    match value {
        Err(error) if optional == Some(true) && error.is_of_missing() => Ok(None),
        value => value.map(Some),
    }
}

fn of_config_map(
    from: &k8s::ConfigMapKeySelector,
    input: EnvInput<'_>,
) -> Result<Vec<u8>, EnvError> {
    let found = input.fetched.config_map(&from.name)?;
    let found = found.ok_or_else(|| EnvError::ConfigMap(from.name.clone()))?;
    let value = found.data.as_ref().and_then(|data| data.get(&from.key));
    value.map(|text| text.clone().into_bytes()).ok_or_else(|| EnvError::ConfigMapKey {
        key: from.key.clone(),
        namespace: input.pod.namespace().to_owned(),
        name: from.name.clone(),
    })
}

fn of_secret(from: &k8s::SecretKeySelector, input: EnvInput<'_>) -> Result<Vec<u8>, EnvError> {
    let found = input.fetched.secret(&from.name)?;
    let found = found.ok_or_else(|| EnvError::Secret(from.name.clone()))?;
    let value = found.data.as_ref().and_then(|data| data.get(&from.key));
    value.map(|bytes| bytes.0.clone()).ok_or_else(|| EnvError::SecretKey {
        key: from.key.clone(),
        namespace: input.pod.namespace().to_owned(),
        name: from.name.clone(),
    })
}

fn of_file(from: &k8s::FileKeySelector, input: EnvInput<'_>) -> Result<Vec<u8>, EnvError> {
    let volume = input.pod.volume(&from.volume_name);
    let volume = volume.ok_or_else(|| EnvError::FileVolume(from.volume_name.clone()))?;
    let root = volumes::location(input.pod_dir, volume);
    let value = file::value(&root, &from.path, &from.key).map_err(|error| {
        let error = Chain(&error);
        tracing::warn!(pod = input.pod.name(), path = from.path, %error, "unusable env file");
        EnvError::File
    })?;
    let missing = || EnvError::FileKey { key: from.key.clone(), path: root.join(&from.path) };
    value.ok_or_else(missing)
}

#[cfg(test)]
mod tests;

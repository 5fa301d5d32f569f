//! A container's environment: Services, `envFrom`, `env` with references and `$(VAR)`.
//!
//! Holds always: `env` goes before `envFrom`, both go before the Services' variables, and `$(VAR)` sees only what came earlier.

use std::collections::BTreeMap;

use podo_api::Status;
use podo_api::k8s_openapi::api::core::v1 as k8s;

use super::downward::{self, DownwardError, NodeFacts};
use super::expand::expand;
use crate::pod::PodView;

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
    /// `fileKeyRef` is not built.
    #[error(
        "environment variable {0:?} is to come from a file of a volume, which this node cannot do"
    )]
    FileKey(String),
    /// The value is one of the downward API's and cannot be told.
    #[error(transparent)]
    Downward(#[from] DownwardError),
    /// The API server did not say.
    #[error("{0}")]
    Api(Status),
}

/// What an environment is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EnvInput<'a> {
    /// The Pod.
    pub(crate) pod: &'a PodView,
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
    /// Names and values, each name once.
    pub(crate) variables: Vec<(String, String)>,
    /// Texts for `InvalidEnvironmentVariableNames` events.
    pub(crate) skipped: Vec<String>,
}

/// Variables in the order in which they were set first.
#[derive(Default)]
struct Set {
    order: Vec<String>,
    values: BTreeMap<String, String>,
}

impl Set {
    fn put(&mut self, key: &str, value: String) {
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
            let Some(value) = value_from(&variable.name, source, container, input)? else {
                continue;
            };
            value
        } else {
            expand(value, |name| {
                let known = set.values.get(name).cloned();
                known.or_else(|| services.get(name).map(|value| (*value).to_owned()))
            })
        };
        // What the Pod sets hides the Service's variable of that name, also for what comes later.
        services.remove(variable.name.as_str());
        set.put(&variable.name, value);
    }
    for (key, value) in input.services {
        if services.contains_key(key.as_str()) && !set.values.contains_key(key) {
            set.put(key, value.clone());
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
    let mut add = |key: &str, value: String| {
        let key = format!("{prefix}{key}");
        if is_variable_name(&key) { set.put(&key, value) } else { invalid.push(key) }
    };
    let mut told = None;
    if let Some(from) = &source.config_map_ref {
        let Some(found) = input.fetched.config_map(&from.name)? else {
            return missing(from.optional, || EnvError::ConfigMap(from.name.clone()));
        };
        for (key, value) in found.data.iter().flatten() {
            add(key, value.clone());
        }
        told = Some(("configMap", &from.name));
    } else if let Some(from) = &source.secret_ref {
        let Some(found) = input.fetched.secret(&from.name)? else {
            return missing(from.optional, || EnvError::Secret(from.name.clone()));
        };
        for (key, value) in found.data.iter().flatten() {
            add(key, String::from_utf8_lossy(&value.0).into_owned());
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
    variable: &str,
    source: &k8s::EnvVarSource,
    container: &k8s::Container,
    input: EnvInput<'_>,
) -> Result<Option<String>, EnvError> {
    let namespace = input.pod.namespace();
    if let Some(field) = &source.field_ref {
        let value =
            downward::field_for_env(&field.field_path, input.pod, input.pod_ips, input.node)?;
        return Ok(Some(value));
    }
    if let Some(selector) = &source.resource_field_ref {
        return Ok(Some(downward::resource(selector, input.pod, container, input.node)?));
    }
    if let Some(from) = &source.config_map_key_ref {
        let is_optional = from.optional == Some(true);
        let Some(found) = input.fetched.config_map(&from.name)? else {
            let error = EnvError::ConfigMap(from.name.clone());
            return if is_optional { Ok(None) } else { Err(error) };
        };
        let value = found.data.as_ref().and_then(|data| data.get(&from.key)).cloned();
        return match value {
            None if !is_optional => Err(EnvError::ConfigMapKey {
                key: from.key.clone(),
                namespace: namespace.to_owned(),
                name: from.name.clone(),
            }),
            value => Ok(value),
        };
    }
    if let Some(from) = &source.secret_key_ref {
        let is_optional = from.optional == Some(true);
        let Some(found) = input.fetched.secret(&from.name)? else {
            let error = EnvError::Secret(from.name.clone());
            return if is_optional { Ok(None) } else { Err(error) };
        };
        let value = found.data.as_ref().and_then(|data| data.get(&from.key));
        return match value {
            None if !is_optional => Err(EnvError::SecretKey {
                key: from.key.clone(),
                namespace: namespace.to_owned(),
                name: from.name.clone(),
            }),
            value => Ok(value.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned())),
        };
    }
    if let Some(file) = &source.file_key_ref {
        if file.optional == Some(true) {
            return Ok(None);
        }
        return Err(EnvError::FileKey(variable.to_owned()));
    }
    Ok(Some(String::new()))
}

#[cfg(test)]
mod tests;

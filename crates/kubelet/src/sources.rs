//! Config maps and secrets that Pods of this node refer to: each followed by a watch of its own while a Pod refers to it.
//!
//! A node may read only what its Pods refer to, and only by name, so there is one small informer per object and not one per kind.
//!
//! Holds always
//! - An object is followed exactly while a Pod refers to it.
//! - A change is told to every Pod that refers to the object, after the copy shows it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use podo_api::k8s_openapi::Resource;
use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_api::k8s_openapi::serde::de::DeserializeOwned;
use podo_api::{Object, Status};
use podo_base::{StopHandle, Tasks};
use podo_client::informer::{self, Cache};
use podo_client::{Client, Query};

use crate::container::env::Fetched;
use crate::pod::PodView;

/// How long the first read of an object may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Who is told, by UID.
pub(crate) type Notify = Arc<dyn Fn(&str) + Send + Sync>;

/// Objects by name; `Ok(None)` if there is none.
type Found<T> = Vec<(String, Result<Option<T>, Status>)>;

type Users = Arc<Mutex<BTreeSet<String>>>;

/// What a Pod refers to, by name, in its namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Config maps.
    pub(crate) config_maps: BTreeSet<String>,
    /// Secrets.
    pub(crate) secrets: BTreeSet<String>,
}

impl Wanted {
    /// Everything that a Pod refers to.
    pub(crate) fn of(pod: &PodView) -> Self {
        let mut wanted = Self::default();
        for (_, container) in pod.containers() {
            wanted.add_container(container);
        }
        for volume in pod.spec.volumes.iter().flatten() {
            wanted.config_maps.extend(volume.config_map.iter().map(|source| source.name.clone()));
            let secret = volume.secret.iter().filter_map(|source| source.secret_name.clone());
            wanted.secrets.extend(secret);
            let projected = volume.projected.iter().flat_map(|all| all.sources.iter().flatten());
            for source in projected {
                wanted.config_maps.extend(source.config_map.iter().map(|from| from.name.clone()));
                wanted.secrets.extend(source.secret.iter().map(|from| from.name.clone()));
            }
        }
        wanted.secrets.extend(pull_secrets(pod).map(ToOwned::to_owned));
        wanted.config_maps.remove("");
        wanted.secrets.remove("");
        wanted
    }

    fn add_container(&mut self, container: &k8s::Container) {
        for source in container.env_from.iter().flatten() {
            self.config_maps.extend(source.config_map_ref.iter().map(|from| from.name.clone()));
            self.secrets.extend(source.secret_ref.iter().map(|from| from.name.clone()));
        }
        for source in container.env.iter().flatten().filter_map(|env| env.value_from.as_ref()) {
            let config_map = source.config_map_key_ref.iter().map(|from| from.name.clone());
            self.config_maps.extend(config_map);
            self.secrets.extend(source.secret_key_ref.iter().map(|from| from.name.clone()));
        }
    }
}

/// The names of a Pod's pull secrets.
pub(crate) fn pull_secrets(pod: &PodView) -> impl Iterator<Item = &str> {
    pod.spec.image_pull_secrets.iter().flatten().map(|secret| secret.name.as_str())
}

/// Which of the two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    ConfigMap,
    Secret,
}

type Key = (Kind, String, String);

#[derive(Debug)]
struct Followed {
    cache: Arc<Cache>,
    stop: StopHandle,
    users: Users,
}

/// The objects that are followed.
pub(crate) struct Sources {
    client: Client,
    notify: Notify,
    followed: Mutex<HashMap<Key, Followed>>,
    tasks: Mutex<Option<Tasks>>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources")
            .field("count", &self.followed.lock().len())
            .finish_non_exhaustive()
    }
}

impl Sources {
    /// Follows nothing yet.
    pub(crate) fn new(client: Client, notify: Notify) -> Self {
        let tasks = Mutex::new(Some(Tasks::new("kubelet sources")));
        Self { client, notify, followed: Mutex::default(), tasks }
    }

    /// Follows what a Pod refers to now, and nothing else for its sake.
    pub(crate) fn follow(&self, uid: &str, namespace: &str, wanted: &Wanted) {
        let names = |kind: Kind, names: &BTreeSet<String>| {
            let names = names.iter().cloned();
            names.map(|name| (kind, namespace.to_owned(), name)).collect::<Vec<Key>>()
        };
        let mut keys = names(Kind::ConfigMap, &wanted.config_maps);
        keys.extend(names(Kind::Secret, &wanted.secrets));
        let mut followed = self.followed.lock();
        for key in &keys {
            let entry = followed.entry(key.clone()).or_insert_with(|| self.start(key));
            entry.users.lock().insert(uid.to_owned());
        }
        followed.retain(|key, entry| {
            let mut users = entry.users.lock();
            if !keys.contains(key) {
                users.remove(uid);
            }
            if users.is_empty() {
                entry.stop.trigger();
            }
            !users.is_empty()
        });
    }

    /// Follows nothing for a Pod's sake any more.
    pub(crate) fn forget(&self, uid: &str) {
        self.follow(uid, "", &Wanted::default());
    }

    fn start(&self, key: &Key) -> Followed {
        let (kind, namespace, name) = key;
        let followed =
            Followed { cache: Cache::new(), stop: StopHandle::new(), users: Users::default() };
        let query = Query {
            namespace: namespace.clone(),
            fields: format!("metadata.name={name}"),
            ..Query::default()
        };
        let (notify, users) = (Arc::clone(&self.notify), Arc::clone(&followed.users));
        let handler: informer::Handler = Box::new(move |_change| {
            let users: Vec<String> = users.lock().iter().cloned().collect();
            for uid in users {
                notify(&uid);
            }
        });
        let (client, cache) = (self.client.clone(), Arc::clone(&followed.cache));
        let own_stop = followed.stop.stop();
        if let Some(tasks) = self.tasks.lock().as_mut() {
            let stop = tasks.stop_signal();
            let kind = *kind;
            tasks.spawn(format!("follow {kind:?} {namespace}/{name}"), async move {
                let run = async {
                    match kind {
                        Kind::ConfigMap => {
                            informer::run::<k8s::ConfigMap>(
                                client, query, cache, handler, own_stop,
                            )
                            .await;
                        }
                        Kind::Secret => {
                            informer::run::<k8s::Secret>(client, query, cache, handler, own_stop)
                                .await;
                        }
                    }
                };
                stop.or(run).await;
            });
        }
        followed
    }

    /// What a Pod refers to, as it is now.
    pub(crate) async fn fetch(&self, namespace: &str, wanted: &Wanted) -> Fetched {
        let config_maps = self.fetch_all(Kind::ConfigMap, namespace, &wanted.config_maps);
        let secrets = self.fetch_all(Kind::Secret, namespace, &wanted.secrets);
        let (config_maps, secrets) = tokio::join!(config_maps, secrets);
        Fetched { config_maps: typed(config_maps), secrets: typed(secrets) }
    }

    async fn fetch_all(
        &self,
        kind: Kind,
        namespace: &str,
        names: &BTreeSet<String>,
    ) -> Found<Arc<Object>> {
        let reads = names.iter().map(|name| async move {
            let found = match kind {
                Kind::ConfigMap => self.fetch_one::<k8s::ConfigMap>(kind, namespace, name).await,
                Kind::Secret => self.fetch_one::<k8s::Secret>(kind, namespace, name).await,
            };
            (name.clone(), found)
        });
        futures_util::future::join_all(reads).await
    }

    async fn fetch_one<K: Resource>(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Object>>, Status> {
        let key = (kind, namespace.to_owned(), name.to_owned());
        let cache = self.followed.lock().get(&key).map(|entry| Arc::clone(&entry.cache));
        if let Some(cache) = cache
            && cache.is_synced()
            && let Some(found) = cache.get(namespace, name)
        {
            return Ok(Some(found));
        }
        // Not there yet, or not seen yet: the server knows.
        let read = self.client.find::<K>(namespace, name);
        tokio::time::timeout(READ_TIMEOUT, read)
            .await
            .unwrap_or_else(|_elapsed| Err(Status::timeout("the API server did not answer", 1)))
    }

    /// Stops following everything.
    pub(crate) async fn stop(&self) {
        let tasks = self.tasks.lock().take();
        if let Some(tasks) = tasks {
            tasks.stop(Duration::from_secs(5)).await;
        }
    }
}

fn typed<T: DeserializeOwned>(
    found: Found<Arc<Object>>,
) -> BTreeMap<String, Result<Option<T>, Status>> {
    let decode = |object: Arc<Object>| object.to::<T>().map_err(Status::internal);
    found
        .into_iter()
        .map(|(name, found)| (name, found.and_then(|object| object.map(decode).transpose())))
        .collect()
}

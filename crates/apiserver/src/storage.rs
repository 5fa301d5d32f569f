//! Objects in the store: keys, the stored value, and the errors of the store as a client sees them.
//!
//! Nothing outside this crate touches the store, and within it only this file and `verbs` do.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use podo_api::status::GroupResource;
use podo_api::{Object, Status, Value};
use podo_base::Chain;
use podo_registry::{Definition, Storage};
use podo_store::{CommitError, DecodeError, Entry, Key, ReadError, Revision};

use crate::event_bytes::EventBytes;

/// An object as the store holds it.
#[derive(Debug, Clone)]
pub struct Stored {
    object: Arc<Object>,
    /// Which of the object's selectable fields is its topic: the node of what runs on one.
    topic: Option<usize>,
}

/// The field whose watchers the store wakes only for objects that they select: each kubelet watches the Pods of its node.
pub(crate) const TOPIC_FIELD: &str = "spec.nodeName";

impl Stored {
    fn new(definition: &Definition, object: Object) -> Self {
        let topic = definition.selectable.iter().position(|field| field.label == TOPIC_FIELD);
        Self { object: Arc::new(object), topic }
    }
}

impl Deref for Stored {
    type Target = Arc<Object>;

    fn deref(&self) -> &Self::Target {
        &self.object
    }
}

/// The definitions that are stored, by bucket.
static BUCKETS: LazyLock<HashMap<String, &'static Definition>> = LazyLock::new(|| {
    let stored = podo_registry::KINDS.iter().filter(|kind| matches!(kind.storage, Storage::Own));
    stored.map(|kind| (kind.bucket(), *kind)).collect()
});

impl podo_store::Value for Stored {
    /// The frames that watchers of this event are sent, encoded once for all of them.
    type EventCache = Mutex<EventBytes>;

    fn stamped(self, revision: Revision) -> Self {
        Self { object: Arc::new(self.object.at_version(revision.0)), topic: self.topic }
    }

    fn to_log(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.object.json());
    }

    fn from_log(key: &Key, revision: Revision, bytes: &[u8]) -> Result<Self, DecodeError> {
        let value: Value =
            serde_json::from_slice(bytes).map_err(|error| DecodeError(Box::new(error)))?;
        let definition = BUCKETS
            .get(key.bucket())
            .ok_or_else(|| DecodeError(format!("unknown resource {:?}", key.bucket()).into()))?;
        let object = Object::new(&value, definition.schema(), definition.field_values(&value));
        Ok(Self::new(definition, object.at_version(revision.0)))
    }

    fn weight(&self) -> usize {
        self.object.weight()
    }

    fn topic(&self) -> Option<&str> {
        self.object.fields.get(self.topic?).map(|field| &**field)
    }
}

/// The store of all objects.
pub type Store = podo_store::Store<Stored>;

/// An entry of the store.
pub(crate) type StoredEntry = Arc<Entry<Stored>>;

/// The key of an object.
pub(crate) fn key(definition: &'static Definition, namespace: &str, name: &str) -> Key {
    let rest =
        if definition.is_namespaced() { format!("{namespace}/{name}") } else { name.to_owned() };
    Key::new(definition.bucket(), rest)
}

/// The prefix of the keys of a list: a namespace, or everything where `namespace` is empty.
pub(crate) fn prefix(definition: &Definition, namespace: &str) -> String {
    if definition.is_namespaced() && !namespace.is_empty() {
        format!("{namespace}/")
    } else {
        String::new()
    }
}

/// An object that is to be written, in the stored form of its kind.
pub(crate) fn draft(definition: &'static Definition, value: &Value) -> Stored {
    let stored = definition.stored();
    let object = match definition.storage {
        Storage::Shared { to_stored, .. } => {
            let mut value = value.clone();
            to_stored(&mut value);
            Object::draft(&value, stored.schema(), stored.field_values(&value))
        }
        Storage::Own | Storage::None => {
            Object::draft(value, stored.schema(), stored.field_values(value))
        }
    };
    Stored::new(stored, object)
}

/// A stored object as `definition` shows it.
pub(crate) fn view(definition: &'static Definition, object: &Arc<Object>) -> Arc<Object> {
    match definition.storage {
        Storage::Shared { from_stored, .. } => {
            let mut value = object.value();
            from_stored(&mut value);
            Arc::new(Object::new(&value, definition.schema(), definition.field_values(&value)))
        }
        Storage::Own | Storage::None => Arc::clone(object),
    }
}

/// What the client is told when a commit fails for another reason than a conflict.
pub(crate) fn commit_failed(
    error: &CommitError<Stored>,
    resource: GroupResource<'_>,
    name: &str,
) -> Status {
    match error {
        CommitError::Conflict { .. } => Status::modified(resource, name),
        CommitError::TooLarge { bytes, max, .. } => {
            Status::too_large(format!("limit is {max}, the object has {bytes} bytes"))
        }
        CommitError::Full => {
            Status::internal("no space left on the disk of the store: free some and try again")
        }
        other => Status::internal(Chain(other)),
    }
}

/// What the client is told when the store cannot be read.
pub(crate) fn read_failed(error: &ReadError) -> Status {
    match error {
        ReadError::Compacted { .. } => Status::expired(
            "The provided resource version is too old. You can start a new list without it.",
        ),
        ReadError::Future { at, current } => too_large_version(at.0, current.0),
        ReadError::Poisoned(_) | ReadError::Closed => Status::internal(Chain(error)),
    }
}

/// 504: the client knows a version that this server has not reached.
pub(crate) fn too_large_version(wanted: u64, current: u64) -> Status {
    Status::timeout(format!("Too large resource version: {wanted}, current: {current}"), 1)
        .with_cause("ResourceVersionTooLarge", "", "Too large resource version")
}

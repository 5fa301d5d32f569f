//! [`Call`]: one request to a resource, and [`Outcome`], what it comes to. Neither knows HTTP.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use podo_api::status::GroupResource;
use podo_api::{Object, Status, Value};
use podo_registry::{Definition, Subresource, Verb};

use crate::encoding::{Encoding, PatchKind};
use crate::options::Options;
use crate::user::User;
use crate::verbs::watch::Watch;

/// What a call is about.
#[derive(Debug, Clone)]
pub struct Target {
    /// The kind.
    pub definition: &'static Definition,
    /// The namespace; empty for cluster-scoped kinds and for lists over all namespaces.
    pub namespace: Box<str>,
    /// The name; empty for collections.
    pub name: Box<str>,
    /// The subresource.
    pub subresource: Option<&'static Subresource>,
}

impl Target {
    /// The resource and its group, as error texts name it.
    pub fn resource(&self) -> GroupResource<'static> {
        self.definition.names.resource()
    }

    /// The name of the subresource; empty if there is none.
    pub fn subresource_name(&self) -> &'static str {
        self.subresource.map_or("", |subresource| subresource.name)
    }

    /// Whether this is `/status`.
    pub fn is_status(&self) -> bool {
        self.subresource_name() == "status"
    }
}

/// What a call brings.
#[derive(Debug, Clone)]
pub enum Body {
    /// Bytes of the wire.
    Bytes(Encoding, Bytes),
    /// A patch.
    Patch(PatchKind, Bytes),
    /// A tree, from a caller in this process.
    Tree(Value),
}

impl Body {
    /// Nothing.
    pub const EMPTY: Self = Self::Bytes(Encoding::Json, Bytes::new());

    /// Its bytes on the wire; 0 for a tree.
    pub(crate) fn wire_len(&self) -> usize {
        match self {
            Self::Bytes(_, bytes) | Self::Patch(_, bytes) => bytes.len(),
            Self::Tree(_) => 0,
        }
    }
}

/// As many warnings as are kept: an answer has no room for more.
const WARNINGS_MAX: usize = 4096;

/// Warnings for the client, collected while its call is worked on.
#[derive(Debug, Clone, Default)]
pub struct Warnings(Arc<Mutex<Collected>>);

#[derive(Debug, Default)]
struct Collected {
    told: HashSet<String>,
    in_order: Vec<String>,
}

impl Warnings {
    /// Adds a warning; one that is there already is not repeated.
    pub fn add(&self, warning: impl Into<String>) {
        let warning = warning.into();
        let mut warnings = self.0.lock();
        if warnings.in_order.len() < WARNINGS_MAX && warnings.told.insert(warning.clone()) {
            warnings.in_order.push(warning);
        }
    }

    /// The warnings, which are gone then.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock()).in_order
    }
}

/// One request to a resource.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who asks.
    pub user: Arc<User>,
    /// What for.
    pub verb: Verb,
    /// Of what.
    pub target: Target,
    /// How.
    pub options: Options,
    /// With what.
    pub body: Body,
    /// The manager of fields that the call names by its user agent.
    pub agent: Box<str>,
    /// What the client is warned of.
    pub warnings: Warnings,
}

/// A list at one revision.
#[derive(Debug)]
pub struct List {
    /// The kind of the items.
    pub definition: &'static Definition,
    /// The items in the order of their keys.
    pub items: Vec<Arc<Object>>,
    /// The revision that the list shows.
    pub revision: u64,
    /// Where to go on; empty at the end.
    pub continue_token: String,
    /// How many items are left, if that is known.
    pub remaining: Option<usize>,
}

/// What a call comes to when it succeeds.
#[derive(Debug)]
pub enum Outcome {
    /// An object.
    Object {
        /// 200 or 201.
        code: u16,
        /// The kind that it is shown as.
        definition: &'static Definition,
        /// The object.
        object: Arc<Object>,
    },
    /// A tree that is not kept: a review, a token, a scale.
    Tree {
        /// 200 or 201.
        code: u16,
        /// The settled tree.
        value: Value,
        /// Its schema type.
        ty: &'static str,
    },
    /// A list.
    List(List),
    /// A watch.
    Watch(Box<Watch>),
    /// A success without an object.
    Status(Status),
}

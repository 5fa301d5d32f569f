//! [`Definition`]: one value that says everything about a kind.
//!
//! Routes, discovery, OpenAPI paths, tables, RBAC names, storage keys and the generic tests are loops over [`crate::KINDS`]; the
//! request pipeline sees only this type. Structure is not here (`podo_api::schema` has it), nor anything that needs to look at
//! another object or at the clock (admission has that).

use podo_api::Value;
use podo_api::field::Errors;
use podo_api::names::Problems;
use podo_api::schema::{TypeRef, builtin};
use podo_api::status::GroupResource;
use podo_api::table::Cell;

/// The names of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    /// The API group; empty for core.
    pub group: &'static str,
    /// The version that is served and stored.
    pub version: &'static str,
    /// The kind, such as `Pod`.
    pub kind: &'static str,
    /// The resource, such as `pods`.
    pub plural: &'static str,
    /// The singular name; lower-case kind by rule.
    pub singular: &'static str,
    /// Short names.
    pub short: &'static [&'static str],
    /// Categories such as `all`.
    pub categories: &'static [&'static str],
}

impl Names {
    /// Group and version as `apiVersion` writes them: `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The resource and its group, as error texts name it.
    pub fn resource(&self) -> GroupResource<'static> {
        GroupResource { group: self.group, resource: self.plural }
    }

    /// The kind and its group, as the errors of validation name it.
    pub fn kind(&self) -> GroupResource<'static> {
        GroupResource { group: self.group, resource: self.kind }
    }
}

/// Whether objects of a kind live in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// In the cluster.
    Cluster,
}

/// A verb of the API, as authorization and discovery name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `create`
    Create,
    /// `delete`
    Delete,
    /// `deletecollection`
    DeleteCollection,
    /// `get`
    Get,
    /// `list`
    List,
    /// `patch`
    Patch,
    /// `update`
    Update,
    /// `watch`
    Watch,
}

impl Verb {
    /// All verbs of a stored kind, in discovery's order.
    pub const ALL: &'static [Self] = &[
        Self::Create,
        Self::Delete,
        Self::DeleteCollection,
        Self::Get,
        Self::List,
        Self::Patch,
        Self::Update,
        Self::Watch,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Get => "get",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Update => "update",
            Self::Watch => "watch",
        }
    }
}

/// Where the objects of a kind are kept.
#[derive(Debug, Clone, Copy)]
pub enum Storage {
    /// Under the kind's own resource.
    Own,
    /// Under another kind's resource, in that kind's form: two views of one thing, as the two Events are.
    Shared {
        /// The definition whose objects these are.
        with: &'static Definition,
        /// This view of a stored object.
        from_stored: fn(&mut Value),
        /// The stored form of this view.
        to_stored: fn(&mut Value),
    },
    /// Nowhere: a create is answered and forgotten (reviews).
    None,
}

/// How writes treat `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPolicy {
    /// The kind has no `/status`: a write may change everything.
    Whole,
    /// Writes of the object keep its status, writes of `/status` keep everything else.
    Separate,
}

/// When a write bumps `metadata.generation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// The kind has no generation.
    None,
    /// When `spec` changes.
    Spec,
    /// When anything but `metadata` and `status` changes.
    All,
}

/// What stays when an owner is deleted and the request does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultPropagation {
    /// Dependents are deleted after their owner.
    Background,
    /// Dependents lose their owner and stay.
    Orphan,
}

/// A subresource.
#[derive(Debug, Clone, Copy)]
pub struct Subresource {
    /// The name, such as `status`.
    pub name: &'static str,
    /// Group, version and kind of what it takes and gives.
    pub kind: (&'static str, &'static str, &'static str),
    /// The schema type of what it takes and gives; empty for streams.
    pub ty: &'static str,
    /// The verbs in discovery's order.
    pub verbs: &'static [Verb],
}

/// Where a table column's description comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Description {
    /// A text of the wire.
    Text(&'static str),
    /// The description of a field, by schema type and name.
    Field(&'static str, &'static str),
}

/// How a subresource that is a part of the object, other than its status, is updated.
#[derive(Debug, Clone, Copy)]
pub struct Strategy {
    /// The subresource, such as `finalize`.
    pub subresource: &'static str,
    /// Prepares the update (new, old).
    pub prepare: fn(&mut Value, &Value),
    /// Validates the change (new, old), beyond the metadata.
    pub validate: fn(&Value, &Value, &mut Errors),
}

/// A column of the kind's table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// The header.
    pub name: &'static str,
    /// The OpenAPI type: `string`, `integer`, `boolean`, `number` or `date`.
    pub kind: &'static str,
    /// The OpenAPI format: `name` for the first column.
    pub format: &'static str,
    /// What the column shows.
    pub description: Description,
    /// 0 is always shown, 1 only with `-o wide`.
    pub priority: u8,
    /// The cell of an object.
    pub cell: fn(&Value) -> Cell,
}

/// A field that field selectors can name.
#[derive(Debug, Clone, Copy)]
pub struct Selectable {
    /// The label, such as `spec.nodeName`.
    pub label: &'static str,
    /// The value of an object.
    pub read: fn(&Value) -> String,
}

/// Everything about a kind.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// Its names.
    pub names: Names,
    /// The schema type, such as `core/v1.Pod`.
    pub ty: &'static str,
    /// Whether it is namespaced.
    pub scope: Scope,
    /// The verbs of the object itself.
    pub verbs: &'static [Verb],
    /// Where its objects are kept.
    pub storage: Storage,
    /// Its subresources in discovery's order.
    pub subresources: &'static [Subresource],
    /// How writes treat status.
    pub status: StatusPolicy,
    /// Whether a new object keeps the status that its creator gave it.
    pub keeps_new_status: bool,
    /// How subresources that are parts of the object, other than its status, are updated.
    pub strategies: &'static [Strategy],
    /// The fields that a write of `/status` resets, and that nobody comes to own through it.
    pub status_resets: &'static [&'static [&'static str]],
    /// When the generation grows.
    pub generation: Generation,
    /// What is wrong with a name; the flag says that it is a `generateName`, which may end in `-`.
    pub check_name: fn(&str, bool) -> Problems,
    /// Whether a finalizer without a domain must be one of those that upstream defines.
    pub checks_finalizers: bool,
    /// The table columns.
    pub columns: &'static [Column],
    /// The conditions of an object's table row, such as Completed.
    pub row_conditions: fn(&Value) -> Vec<Value>,
    /// Selectable fields beside `metadata.name` and `metadata.namespace`.
    pub selectable: &'static [Selectable],
    /// Sets defaults; runs on every object that comes in and must do nothing the second time.
    pub default: fn(&mut Value),
    /// Prepares an object for its creation, after admission: clears what clients may not set.
    pub prepare_create: fn(&mut Value),
    /// Prepares an update of the object (new, old).
    pub prepare_update: fn(&mut Value, &Value),
    /// Prepares an update of `/status` (new, old), after everything but status and metadata was taken from the old object.
    pub prepare_status: fn(&mut Value, &Value),
    /// Validates an object that is to be created or was updated, beyond its metadata.
    pub validate: fn(&Value, &mut Errors),
    /// Validates a change (new, old), beyond `validate` and the metadata.
    pub validate_update: fn(&Value, &Value, &mut Errors),
    /// Validates a change of `/status` (new, old), beyond the metadata.
    pub validate_status: fn(&Value, &Value, &mut Errors),
    /// Warnings about an object (new, old if it is an update).
    pub warnings: fn(&Value, Option<&Value>) -> Vec<String>,
    /// The grace of a deletion: given the object and the grace asked for, the seconds until it may be removed. `None` for kinds
    /// that are removed at once.
    pub grace: Option<fn(&Value, Option<i64>) -> i64>,
    /// For a kind that something beside `metadata.finalizers` can hold back from removal: marks an object whose deletion begins
    /// and says whether it is held back.
    pub hold_deletion: Option<fn(&mut Value) -> bool>,
    /// Whether an update without resourceVersion is taken as "whatever is there".
    pub allows_unconditional_update: bool,
    /// Whether a PUT of a name that does not exist creates it.
    pub allows_create_on_update: bool,
    /// Whether a DELETE answers with the object rather than with a Status.
    pub returns_deleted: bool,
    /// What becomes of dependents when the request does not say.
    pub propagation: DefaultPropagation,
    /// The deprecation warning that every request of this kind gets.
    pub deprecation: Option<&'static str>,
}

impl Definition {
    /// A stored, namespaced kind with nothing special: the base that definitions start from.
    pub const BASE: Self = Self {
        names: Names {
            group: "",
            version: "v1",
            kind: "",
            plural: "",
            singular: "",
            short: &[],
            categories: &[],
        },
        ty: "",
        scope: Scope::Namespaced,
        verbs: Verb::ALL,
        storage: Storage::Own,
        subresources: &[],
        status: StatusPolicy::Whole,
        keeps_new_status: false,
        strategies: &[],
        status_resets: &[&["spec"]],
        generation: Generation::None,
        check_name: crate::name::dns_subdomain,
        checks_finalizers: true,
        columns: &[],
        row_conditions: |_| Vec::new(),
        selectable: &[],
        default: |_| {},
        prepare_create: |_| {},
        prepare_update: |_, _| {},
        prepare_status: |_, _| {},
        validate: |_, _| {},
        validate_update: |_, _, _| {},
        validate_status: |_, _, _| {},
        warnings: |_, _| Vec::new(),
        grace: None,
        hold_deletion: None,
        allows_unconditional_update: true,
        allows_create_on_update: false,
        returns_deleted: false,
        propagation: DefaultPropagation::Background,
        deprecation: None,
    };

    /// The schema type.
    ///
    /// # Panics
    /// If the schema table lacks it, which a test over all kinds rules out.
    pub fn schema(&self) -> TypeRef<'static> {
        builtin().get(self.ty).expect("every definition names a type of the schema table")
    }

    /// The kind of a list of these.
    pub fn list_kind(&self) -> String {
        format!("{}List", self.names.kind)
    }

    /// Whether objects live in namespaces.
    pub fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    /// The subresource of this name.
    pub fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources.iter().find(|subresource| subresource.name == name)
    }

    /// How a subresource of this name is updated, if it is a part of the object other than its status.
    pub fn strategy(&self, subresource: &str) -> Option<&'static Strategy> {
        self.strategies.iter().find(|strategy| strategy.subresource == subresource)
    }

    /// The definition in whose form the objects are kept.
    pub fn stored(&'static self) -> &'static Definition {
        match self.storage {
            Storage::Shared { with, .. } => with,
            Storage::Own | Storage::None => self,
        }
    }

    /// Where the objects are kept: the resource, and after a dot its group.
    pub fn bucket(&'static self) -> String {
        self.stored().names.resource().to_string()
    }

    /// The values of the selectable fields of an object, in the order of the definition.
    pub fn field_values(&self, value: &Value) -> Box<[Box<str>]> {
        self.selectable.iter().map(|field| (field.read)(value).into()).collect()
    }
}

/// `/status` of a kind.
pub const fn status_of(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    ty: &'static str,
) -> Subresource {
    Subresource {
        name: "status",
        kind: (group, version, kind),
        ty,
        verbs: &[Verb::Get, Verb::Patch, Verb::Update],
    }
}

/// `/proxy` of a core kind: requests of any method are handed on to what runs there.
pub const fn proxy_of(options_kind: &'static str) -> Subresource {
    Subresource {
        name: "proxy",
        kind: ("", "v1", options_kind),
        ty: "",
        verbs: &[Verb::Create, Verb::Delete, Verb::Get, Verb::Patch, Verb::Update],
    }
}

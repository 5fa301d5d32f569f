//! Which objects of a kind a list, watch or collection delete is about: label and field selectors, checked against the kind.

use podo_api::selector::{field, label};
use podo_api::{Object, Status};
use podo_registry::Definition;
use podo_store::Filter;

use crate::call::Target;
use crate::options::ListOptions;
use crate::storage::TOPIC_FIELD;

/// Where the value of a field label is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Name,
    Namespace,
    /// A place in [`Object::fields`].
    Field(usize),
    /// The label is known but no object has a value for it.
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    source: Source,
    is_equal: bool,
    value: Box<str>,
}

/// A selection of objects of one kind.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    labels: label::Selector,
    fields: Vec<Term>,
    is_namespaced: bool,
    /// The place of the field by which the store tells watchers apart.
    topic: Option<usize>,
}

impl Selection {
    /// The selection of a list's options; a field that the kind cannot select by is an error.
    pub(crate) fn new(
        definition: &'static Definition,
        target: &Target,
        options: &ListOptions,
    ) -> Result<Self, Status> {
        let mut fields = terms(definition, &options.fields)?;
        if !target.name.is_empty() {
            fields.push(Term { source: Source::Name, is_equal: true, value: target.name.clone() });
        }
        Ok(Self {
            labels: options.labels.clone(),
            fields,
            is_namespaced: definition.is_namespaced(),
            topic: definition.selectable.iter().position(|field| field.label == TOPIC_FIELD),
        })
    }

    /// Whether an object is selected.
    pub(crate) fn matches(&self, object: &Object) -> bool {
        self.labels.matches(|key| object.label(key))
            && self
                .fields
                .iter()
                .all(|term| (value_of(object, term.source) == &*term.value) == term.is_equal)
    }

    /// Whether every object is selected.
    pub(crate) fn is_everything(&self) -> bool {
        self.fields.is_empty() && self.labels.is_everything()
    }

    /// What the store has to wake a watcher of this selection for: no less than what is selected, and not much more.
    pub(crate) fn store_filter(&self, prefix: &str) -> Filter {
        let wanted = |source: Source| {
            self.fields
                .iter()
                .find(|term| term.is_equal && term.source == source)
                .map(|term| &term.value)
        };
        if let Some(name) = wanted(Source::Name)
            && (!prefix.is_empty() || !self.is_namespaced)
        {
            return Filter::Exact(format!("{prefix}{name}").into());
        }
        match self.topic.and_then(|topic| wanted(Source::Field(topic))) {
            Some(topic) => Filter::Topic(topic.clone()),
            None => Filter::Prefix(prefix.into()),
        }
    }
}

fn terms(definition: &'static Definition, selector: &field::Selector) -> Result<Vec<Term>, Status> {
    let mut terms = Vec::new();
    for term in selector.terms() {
        let source =
            source(definition, &term.field).ok_or_else(|| unsupported(definition, &term.field))?;
        terms.push(Term { source, is_equal: term.is_equal, value: term.value.clone() });
    }
    Ok(terms)
}

fn source(definition: &'static Definition, label: &str) -> Option<Source> {
    match label {
        "metadata.name" => Some(Source::Name),
        // A kind of the cluster without fields of its own may be asked for it, in vain.
        "metadata.namespace" if definition.is_namespaced() || definition.selectable.is_empty() => {
            Some(Source::Namespace)
        }
        _ => {
            let at = definition.selectable.iter().position(|field| field.label == label)?;
            // Another view of the same objects lists its labels in the order of the stored kind's.
            Some(if at < definition.stored().selectable.len() {
                Source::Field(at)
            } else {
                Source::Nothing
            })
        }
    }
}

fn unsupported(definition: &Definition, label: &str) -> Status {
    // Upstream's kinds that select by more than their metadata have a check of their own, with words of its own.
    let message = if definition.selectable.is_empty() {
        format!(
            "\"{label}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        )
    } else {
        format!("field label not supported: {label}")
    };
    Status::bad_request(message)
}

fn value_of(object: &Object, source: Source) -> &str {
    match source {
        Source::Name => &object.name,
        Source::Namespace => &object.namespace,
        Source::Field(at) => object.fields.get(at).map_or("", |value| value),
        Source::Nothing => "",
    }
}

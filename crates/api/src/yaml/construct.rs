//! From nodes to a JSON tree: scalars resolved, aliases expanded, merge keys applied, keys made strings.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::compose::{Kind, NodeId, Tree};
use super::resolve::{Resolved, resolve};
use super::{DEPTH_MAX, DEPTH_TEXT, Decoded, YamlError};
use crate::field::quoted;

/// The bytes of scalars that aliases may repeat. goyaml shares them and has no bound; here they are copied.
const ALIAS_BYTES_MAX: usize = 16 << 20;
/// The bytes of a key or value shown in an error.
const SHOWN_BYTES_MAX: usize = 4 << 10;

/// Up to this many steps nearly all may come from aliases (goyaml.v2: 400,000 steps, 99 %).
const ALIAS_STEPS_LOW: usize = 400_000;
/// From this many steps on hardly any may (goyaml.v2: 4,000,000 steps, 10 %).
const ALIAS_STEPS_HIGH: usize = 4_000_000;

struct Constructor<'a> {
    tree: &'a Tree,
    duplicates: Vec<String>,
    /// Errors of the conversion to JSON, which upstream makes after all else went well.
    late: Option<YamlError>,
    /// Aliases being expanded.
    expanding: HashSet<NodeId>,
    steps: usize,
    alias_steps: usize,
    alias_bytes: usize,
}

pub(super) fn construct(tree: &Tree) -> Result<Decoded, YamlError> {
    let mut constructor = Constructor {
        tree,
        duplicates: Vec::new(),
        late: None,
        expanding: HashSet::new(),
        steps: 1,
        alias_steps: 0,
        alias_bytes: 0,
    };
    let value = constructor.value(tree.root, 0)?;
    match constructor.late {
        Some(error) => Err(error),
        None => Ok(Decoded { value, duplicates: constructor.duplicates }),
    }
}

impl<'a> Constructor<'a> {
    /// Counts a step and refuses documents that aliases blow up.
    fn step(&mut self, depth: usize) -> Result<(), YamlError> {
        self.steps += 1;
        if !self.expanding.is_empty() {
            self.alias_steps += 1;
        }
        if self.alias_steps > 100 && self.steps > 1_000 {
            #[expect(clippy::cast_precision_loss, reason = "a ratio of counts below 2^53")]
            let ratio = self.alias_steps as f64 / self.steps as f64;
            if ratio > allowed_ratio(self.steps) {
                return Err(YamlError::Aliasing);
            }
        }
        if depth > DEPTH_MAX {
            return Err(YamlError::Syntax { line: 0, problem: DEPTH_TEXT });
        }
        Ok(())
    }

    /// The frames of this and of what it calls are what nesting costs: each kind of node has a function of its own.
    fn value(&mut self, id: NodeId, depth: usize) -> Result<Value, YamlError> {
        self.step(depth)?;
        match &self.tree.node(id).kind {
            Kind::Scalar { .. } => self.scalar_value(id),
            Kind::Sequence(_) => self.sequence(id, depth),
            Kind::Mapping(_) => self.map(id, depth),
            Kind::Alias { name, target } => self.alias(id, name, *target, depth),
        }
    }

    fn scalar_value(&mut self, id: NodeId) -> Result<Value, YamlError> {
        let resolved = self.scalar(id)?;
        Ok(self.json(resolved))
    }

    fn sequence(&mut self, id: NodeId, depth: usize) -> Result<Value, YamlError> {
        let Kind::Sequence(items) = &self.tree.node(id).kind else {
            unreachable!("callers ask for sequences only")
        };
        let mut values = Vec::with_capacity(items.len());
        for &item in items {
            values.push(self.value(item, depth + 1)?);
        }
        Ok(Value::Array(values))
    }

    fn map(&mut self, id: NodeId, depth: usize) -> Result<Value, YamlError> {
        let mut map = Map::new();
        self.mapping(id, &mut map, depth)?;
        Ok(Value::Object(map))
    }

    fn alias(
        &mut self,
        id: NodeId,
        name: &str,
        target: NodeId,
        depth: usize,
    ) -> Result<Value, YamlError> {
        self.enter(id, name)?;
        let value = self.value(target, depth + 1);
        self.expanding.remove(&id);
        value
    }

    fn enter(&mut self, alias: NodeId, name: &str) -> Result<(), YamlError> {
        if self.expanding.insert(alias) {
            Ok(())
        } else {
            Err(YamlError::Recursion { name: name.to_owned() })
        }
    }

    fn scalar(&mut self, id: NodeId) -> Result<Resolved<'a>, YamlError> {
        let Kind::Scalar { text, tag, is_plain } = &self.tree.node(id).kind else {
            unreachable!("callers ask for scalars only")
        };
        if !self.expanding.is_empty() {
            self.alias_bytes += text.len();
            if self.alias_bytes > ALIAS_BYTES_MAX {
                return Err(YamlError::Aliasing);
            }
        }
        if tag.is_none() && !is_plain {
            return Ok(Resolved::Text(text.into()));
        }
        resolve(tag.as_deref(), text)
    }

    fn json(&mut self, resolved: Resolved<'_>) -> Value {
        match resolved {
            Resolved::Null => Value::Null,
            Resolved::Bool(value) => value.into(),
            Resolved::Int(value) => value.into(),
            Resolved::Uint(value) => value.into(),
            Resolved::Text(text) => text.into_owned().into(),
            Resolved::Float(value) => super::number::to_json(value).unwrap_or_else(|error| {
                self.late.get_or_insert(error);
                Value::Null
            }),
        }
    }

    fn mapping(
        &mut self,
        id: NodeId,
        map: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), YamlError> {
        let Kind::Mapping(children) = &self.tree.node(id).kind else {
            unreachable!("callers ask for mappings only")
        };
        for pair in children.chunks_exact(2) {
            let (key, value) = (pair[0], pair[1]);
            if self.is_merge(key) {
                self.merge(value, map, depth + 1)?;
            } else {
                let key = self.key(key, depth + 1)?;
                let new = self.value(value, depth + 1)?;
                self.insert(map, &key, value, new);
            }
        }
        Ok(())
    }

    /// Sets an entry; one of the same key gives way.
    fn insert(
        &mut self,
        map: &mut Map<String, Value>,
        key: &Resolved<'_>,
        value: NodeId,
        new: Value,
    ) {
        let name = self.key_name(key, value);
        if map.contains_key(&name) {
            let line = self.tree.node(value).line + 1;
            let key = key.go_syntax();
            self.duplicates.push(format!("line {line}: key {key} already set in map"));
        }
        map.insert(name, new);
    }

    fn key(&mut self, id: NodeId, depth: usize) -> Result<Resolved<'a>, YamlError> {
        self.step(depth)?;
        match &self.tree.node(id).kind {
            Kind::Scalar { .. } => self.scalar(id),
            Kind::Alias { name, target } => {
                self.enter(id, name)?;
                let key = self.key(*target, depth + 1);
                self.expanding.remove(&id);
                key
            }
            Kind::Sequence(_) | Kind::Mapping(_) => {
                // What is wrong inside of the key is told first.
                self.value(id, depth)?;
                Err(YamlError::KeyNotScalar { key: self.shown(id) })
            }
        }
    }

    /// The key in JSON.
    fn key_name(&mut self, key: &Resolved<'_>, value: NodeId) -> String {
        let type_name = match key {
            Resolved::Text(text) => return text.clone().into_owned(),
            Resolved::Int(number) => return number.to_string(),
            Resolved::Float(number) => return super::number::key_text(*number),
            Resolved::Bool(value) => return value.to_string(),
            // This is how Go prints that there is no type.
            Resolved::Null => "%!s(<nil>)",
            Resolved::Uint(_) => "uint64",
        };
        let (key, value) = (key.go_syntax(), self.shown(value));
        if !matches!(self.late, Some(YamlError::KeyType { .. })) {
            // Keys are converted before numbers are.
            self.late = Some(YamlError::KeyType { type_name, key, value });
        }
        String::new()
    }

    fn is_merge(&self, id: NodeId) -> bool {
        match &self.tree.node(id).kind {
            Kind::Scalar { text, tag, is_plain } => {
                text == "<<" && (*is_plain || tag.as_deref() == Some("tag:yaml.org,2002:merge"))
            }
            _ => false,
        }
    }

    /// `<<`: the entries of a map, or of several of which the first counts most. They count more than entries before them.
    fn merge(
        &mut self,
        id: NodeId,
        map: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), YamlError> {
        let Kind::Sequence(items) = &self.tree.node(id).kind else {
            return self.merge_one(id, map, depth);
        };
        items.iter().rev().try_for_each(|&item| self.merge_one(item, map, depth + 1))
    }

    fn merge_one(
        &mut self,
        id: NodeId,
        map: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), YamlError> {
        self.step(depth)?;
        match &self.tree.node(id).kind {
            Kind::Mapping(_) => self.mapping(id, map, depth),
            Kind::Alias { name, target }
                if matches!(self.tree.node(*target).kind, Kind::Mapping(_)) =>
            {
                self.enter(id, name)?;
                let merged =
                    self.step(depth + 1).and_then(|()| self.mapping(*target, map, depth + 1));
                self.expanding.remove(&id);
                merged
            }
            _ => Err(YamlError::Merge),
        }
    }

    /// A node in Go's notation (`%#v`), as errors show it.
    fn shown(&self, id: NodeId) -> String {
        let mut out = String::new();
        self.show(id, &mut out, 0);
        out
    }

    fn show(&self, id: NodeId, out: &mut String, depth: usize) {
        if out.len() > SHOWN_BYTES_MAX || depth > DEPTH_MAX {
            return;
        }
        match &self.tree.node(id).kind {
            Kind::Alias { target, .. } => self.show(*target, out, depth + 1),
            Kind::Scalar { text, tag, is_plain } => {
                let resolved = match (tag, is_plain) {
                    (None, false) => Resolved::Text(text.into()),
                    _ => resolve(tag.as_deref(), text).unwrap_or(Resolved::Text(text.into())),
                };
                // Inside of maps and lists Go names the type of nothing.
                let is_inner_null = depth > 0 && matches!(resolved, Resolved::Null);
                out.push_str(if is_inner_null { "interface {}(nil)" } else { "" });
                if !is_inner_null {
                    out.push_str(&resolved.go_syntax());
                }
            }
            Kind::Sequence(items) => {
                out.push_str("[]interface {}{");
                for (index, &item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    self.show(item, out, depth + 1);
                }
                out.push('}');
            }
            Kind::Mapping(children) => {
                let mut entries: Vec<String> = Vec::new();
                for pair in children.chunks_exact(2) {
                    let mut entry = String::new();
                    self.show(pair[0], &mut entry, depth + 1);
                    entry.push(':');
                    self.show(pair[1], &mut entry, depth + 1);
                    entries.push(entry);
                }
                entries.sort_unstable();
                out.push_str("map[interface {}]interface {}{");
                out.push_str(&entries.join(", "));
                out.push('}');
            }
        }
    }
}

/// The share of steps that may come from aliases: 99 % of few, 10 % of many, a straight line between.
fn allowed_ratio(steps: usize) -> f64 {
    let (low, high) = (ALIAS_STEPS_LOW, ALIAS_STEPS_HIGH);
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let share = steps.clamp(low, high).saturating_sub(low) as f64 / (high - low) as f64;
    0.99 - 0.89 * share
}

impl Resolved<'_> {
    /// Go's notation (`%#v`).
    pub(super) fn go_syntax(&self) -> String {
        match self {
            Resolved::Null => "<nil>".to_owned(),
            Resolved::Bool(value) => value.to_string(),
            Resolved::Int(value) => value.to_string(),
            Resolved::Uint(value) => format!("{value:#x}"),
            Resolved::Float(value) => super::number::go_text(*value),
            Resolved::Text(text) => quoted(text),
        }
    }
}

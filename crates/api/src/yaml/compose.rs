//! From events to nodes: one document, aliases bound to their anchors, nothing expanded yet.

use std::collections::HashMap;

use libyaml_safer::{Error, ErrorKind, EventData, Mark, Parser};

use super::{DEPTH_MAX, YamlError};

/// A node's place in its [`Tree`].
pub(super) type NodeId = usize;

/// A document.
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// The outermost node.
    pub(super) root: NodeId,
}

pub(super) struct Node {
    /// The line it starts on, counted from 0.
    pub(super) line: u64,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    /// A single value. It is `is_plain` if nothing but its letters says what it is.
    Scalar {
        text: String,
        tag: Option<String>,
        is_plain: bool,
    },
    Sequence(Vec<NodeId>),
    /// Keys and values in turn.
    Mapping(Vec<NodeId>),
    Alias {
        name: String,
        target: NodeId,
    },
}

impl Tree {
    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }
}

/// What is being composed.
#[derive(Default)]
struct Composer {
    nodes: Vec<Node>,
    anchors: HashMap<String, NodeId>,
    /// The collections that are not closed yet, innermost last.
    open: Vec<NodeId>,
    root: Option<NodeId>,
}

/// Reads the first document; `None` if there is none.
pub(super) fn compose(text: &[u8]) -> Result<Option<Tree>, YamlError> {
    let mut input = text;
    let mut parser = Parser::new();
    parser.set_input_string(&mut input);
    let mut composer = Composer::default();
    loop {
        let event = parser.parse().map_err(|error| syntax_error(&error))?;
        let line = event.start_mark.line;
        match event.data {
            EventData::StreamStart { .. } | EventData::DocumentStart { .. } => {}
            EventData::StreamEnd | EventData::DocumentEnd { .. } => {
                let nodes = composer.nodes;
                return Ok(composer.root.map(|root| Tree { nodes, root }));
            }
            EventData::Alias { anchor } => {
                let Some(&target) = composer.anchors.get(&anchor) else {
                    return Err(YamlError::UnknownAnchor { name: anchor });
                };
                composer.add(line, Kind::Alias { name: anchor, target }, None);
            }
            EventData::Scalar { anchor, tag, value: text, plain_implicit: is_plain, .. } => {
                composer.add(line, Kind::Scalar { text, tag, is_plain }, anchor);
            }
            EventData::SequenceStart { anchor, .. } => {
                composer.open(event.start_mark, Kind::Sequence(Vec::new()), anchor)?;
            }
            EventData::MappingStart { anchor, .. } => {
                composer.open(event.start_mark, Kind::Mapping(Vec::new()), anchor)?;
            }
            EventData::SequenceEnd | EventData::MappingEnd => {
                composer.open.pop();
            }
        }
    }
}

impl Composer {
    fn add(&mut self, line: u64, kind: Kind, anchor: Option<String>) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push(Node { line, kind });
        if let Some(name) = anchor {
            self.anchors.insert(name, id);
        }
        match self.open.last().map(|&parent| &mut self.nodes[parent].kind) {
            Some(Kind::Sequence(children) | Kind::Mapping(children)) => children.push(id),
            _ => self.root = Some(id),
        }
        id
    }

    fn open(&mut self, mark: Mark, kind: Kind, anchor: Option<String>) -> Result<(), YamlError> {
        let id = self.add(mark.line, kind, anchor);
        self.open.push(id);
        if self.open.len() > DEPTH_MAX {
            let line = if mark.line == 0 { 0 } else { mark.line + 1 };
            return Err(YamlError::Syntax { line, problem: "exceeded max depth of 10000" });
        }
        Ok(())
    }
}

/// goyaml's rule for the line: the scanner has not counted the line it stands on, the parser has; line 0 is not told.
fn syntax_error(error: &Error) -> YamlError {
    let line_of = |mark: Option<Mark>| mark.map_or(0, |mark| mark.line);
    let line = match line_of(error.problem_mark()) {
        0 => line_of(error.context_mark()),
        line if error.kind() == ErrorKind::Scanner => line + 1,
        line => line,
    };
    YamlError::Syntax { line, problem: error.problem() }
}

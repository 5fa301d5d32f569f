//! From tokens to nodes: the grammar of one document. Aliases are bound to their anchors, nothing is expanded yet.
//!
//! The grammar is walked with a stack of frames, one for each open collection, so nesting costs no stack.

use std::collections::HashMap;

use super::scan::{Kind as TokenKind, Mark, Scanner};
use super::{DEPTH_MAX, DEPTH_TEXT, YamlError, reader};

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

/// What is expected next within an open collection.
enum Frame {
    BlockSequence,
    /// The list of a key at the key's own column.
    FlushSequence,
    BlockKey,
    BlockValue,
    FlowSequence {
        is_first: bool,
    },
    /// A single entry `a: b` of a flow sequence.
    PairKey,
    PairValue,
    PairEnd,
    FlowKey {
        is_first: bool,
    },
    FlowValue,
    /// A key without `:`.
    FlowNoValue,
}

struct Composer<'a> {
    scanner: Scanner<'a>,
    frames: Vec<Frame>,
    nodes: Vec<Node>,
    anchors: HashMap<String, NodeId>,
    handles: HashMap<String, String>,
    /// The collections that are not closed yet, innermost last.
    open: Vec<NodeId>,
    root: Option<NodeId>,
}

/// Reads the first document; `None` if there is none.
pub(super) fn compose(bytes: &[u8]) -> Result<Option<Tree>, YamlError> {
    let text = reader::text(bytes)?;
    let handles = [("!", "!"), ("!!", "tag:yaml.org,2002:")];
    let mut composer = Composer {
        scanner: Scanner::new(&text),
        frames: Vec::new(),
        nodes: Vec::new(),
        anchors: HashMap::new(),
        handles: handles.map(|(handle, prefix)| (handle.to_owned(), prefix.to_owned())).into(),
        open: Vec::new(),
        root: None,
    };
    composer.document()?;
    let nodes = composer.nodes;
    Ok(composer.root.map(|root| Tree { nodes, root }))
}

/// An error of the grammar; the line is told as goyaml does.
fn error(mark: Mark, problem: &'static str) -> YamlError {
    YamlError::Syntax { line: mark.line, problem }
}

impl Composer<'_> {
    fn document(&mut self) -> Result<(), YamlError> {
        match self.scanner.peek()?.kind {
            TokenKind::StreamEnd => return Ok(()),
            TokenKind::Version { .. }
            | TokenKind::TagDirective { .. }
            | TokenKind::DocumentStart => {
                self.directives()?;
                let token = self.scanner.next()?;
                if !matches!(token.kind, TokenKind::DocumentStart) {
                    return Err(error(token.start, "did not find expected <document start>"));
                }
                let token = self.scanner.peek()?;
                let mark = token.start;
                match token.kind {
                    TokenKind::Version { .. }
                    | TokenKind::TagDirective { .. }
                    | TokenKind::DocumentStart
                    | TokenKind::DocumentEnd
                    | TokenKind::StreamEnd => self.empty(mark),
                    _ => self.node(true, false)?,
                }
            }
            _ => self.node(true, false)?,
        }
        while let Some(frame) = self.frames.pop() {
            self.step(frame)?;
        }
        // What stands behind the document is looked at, as goyaml does to find its end.
        self.scanner.peek().map(|_| ())
    }

    fn directives(&mut self) -> Result<(), YamlError> {
        let mut has_version = false;
        let mut known: Vec<String> = Vec::new();
        loop {
            let token = self.scanner.peek()?;
            let mark = token.start;
            match &token.kind {
                TokenKind::Version { .. } if has_version => {
                    return Err(error(mark, "found duplicate %YAML directive"));
                }
                TokenKind::Version { is_supported: false } => {
                    return Err(error(mark, "found incompatible YAML document"));
                }
                TokenKind::Version { .. } => has_version = true,
                TokenKind::TagDirective { handle, .. } if known.contains(handle) => {
                    return Err(error(mark, "found duplicate %TAG directive"));
                }
                TokenKind::TagDirective { handle, prefix } => {
                    known.push(handle.clone());
                    self.handles.insert(handle.clone(), prefix.clone());
                }
                _ => return Ok(()),
            }
            self.scanner.next()?;
        }
    }

    fn add(&mut self, mark: Mark, kind: Kind, anchor: Option<String>) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push(Node { line: mark.line, kind });
        if let Some(name) = anchor {
            self.anchors.insert(name, id);
        }
        match self.open.last().map(|&parent| &mut self.nodes[parent].kind) {
            Some(Kind::Sequence(children) | Kind::Mapping(children)) => children.push(id),
            _ => self.root = Some(id),
        }
        id
    }

    /// A value that is not there.
    fn empty(&mut self, mark: Mark) {
        self.add(mark, Kind::Scalar { text: String::new(), tag: None, is_plain: true }, None);
    }

    fn open(
        &mut self,
        mark: Mark,
        kind: Kind,
        anchor: Option<String>,
        frame: Frame,
    ) -> Result<(), YamlError> {
        let id = self.add(mark, kind, anchor);
        self.open.push(id);
        self.frames.push(frame);
        if self.open.len() > DEPTH_MAX {
            let line = if mark.line == 0 { 0 } else { mark.line + 1 };
            return Err(YamlError::Syntax { line, problem: DEPTH_TEXT });
        }
        Ok(())
    }

    fn close(&mut self) {
        self.open.pop();
    }

    /// A node with its anchor and tag. Within flow collections there are no block collections; only as the value of a key may a
    /// list stand at the key's column.
    fn node(&mut self, is_block: bool, can_be_flush: bool) -> Result<(), YamlError> {
        let start = self.scanner.peek()?.start;
        if matches!(self.scanner.peek()?.kind, TokenKind::Alias(_)) {
            return self.alias();
        }
        let (anchor, tag) = self.properties()?;
        let token = self.scanner.peek()?;
        let mark = token.start;
        let (kind, frame) = match token.kind {
            TokenKind::BlockEntry if can_be_flush => {
                return self.open(start, Kind::Sequence(Vec::new()), anchor, Frame::FlushSequence);
            }
            TokenKind::Scalar { .. } => return self.scalar(start, anchor, tag),
            TokenKind::FlowSequenceStart => {
                (Kind::Sequence(Vec::new()), Frame::FlowSequence { is_first: true })
            }
            TokenKind::FlowMappingStart => {
                (Kind::Mapping(Vec::new()), Frame::FlowKey { is_first: true })
            }
            TokenKind::BlockSequenceStart if is_block => {
                (Kind::Sequence(Vec::new()), Frame::BlockSequence)
            }
            TokenKind::BlockMappingStart if is_block => {
                (Kind::Mapping(Vec::new()), Frame::BlockKey)
            }
            _ if anchor.is_some() || tag.is_some() => {
                let is_plain = tag.is_none();
                self.add(start, Kind::Scalar { text: String::new(), tag, is_plain }, anchor);
                return Ok(());
            }
            _ => return Err(error(mark, "did not find expected node content")),
        };
        self.scanner.next()?;
        self.open(start, kind, anchor, frame)
    }

    fn alias(&mut self) -> Result<(), YamlError> {
        let token = self.scanner.next()?;
        let TokenKind::Alias(name) = token.kind else { return Ok(()) };
        let Some(&target) = self.anchors.get(&name) else {
            return Err(YamlError::UnknownAnchor { name });
        };
        self.add(token.start, Kind::Alias { name, target }, None);
        Ok(())
    }

    /// An anchor and a tag, in either order.
    fn properties(&mut self) -> Result<(Option<String>, Option<String>), YamlError> {
        let (mut anchor, mut tag) = (None, None);
        loop {
            let is_one_more = match self.scanner.peek()?.kind {
                TokenKind::Anchor(_) => anchor.is_none(),
                TokenKind::Tag { .. } => tag.is_none(),
                _ => false,
            };
            if !is_one_more {
                return Ok((anchor, tag));
            }
            let token = self.scanner.next()?;
            match token.kind {
                TokenKind::Anchor(name) => anchor = Some(name),
                TokenKind::Tag { handle, suffix } if handle.is_empty() => tag = Some(suffix),
                TokenKind::Tag { handle, suffix } => {
                    let Some(prefix) = self.handles.get(&handle) else {
                        return Err(error(token.start, "found undefined tag handle"));
                    };
                    tag = Some(format!("{prefix}{suffix}"));
                }
                _ => {}
            }
        }
    }

    fn scalar(
        &mut self,
        start: Mark,
        anchor: Option<String>,
        tag: Option<String>,
    ) -> Result<(), YamlError> {
        let token = self.scanner.next()?;
        if let TokenKind::Scalar { text, is_plain } = token.kind {
            let is_plain = (tag.is_none() && is_plain) || tag.as_deref() == Some("!");
            self.add(start, Kind::Scalar { text, tag, is_plain }, anchor);
        }
        Ok(())
    }

    fn step(&mut self, frame: Frame) -> Result<(), YamlError> {
        match frame {
            Frame::BlockSequence => self.block_item(),
            Frame::FlushSequence => self.flush_item(),
            Frame::BlockKey => self.block_key(),
            Frame::BlockValue => self.block_value(),
            Frame::FlowSequence { is_first } => self.flow_item(is_first),
            Frame::PairKey => self.pair_key(),
            Frame::PairValue => self.pair_value(),
            Frame::PairEnd => {
                self.close();
                Ok(())
            }
            Frame::FlowKey { is_first } => self.flow_key(is_first),
            Frame::FlowValue => self.flow_value(),
            Frame::FlowNoValue => {
                let mark = self.scanner.peek()?.start;
                self.empty(mark);
                self.frames.push(Frame::FlowKey { is_first: false });
                Ok(())
            }
        }
    }

    fn block_item(&mut self) -> Result<(), YamlError> {
        let token = self.scanner.next()?;
        match token.kind {
            TokenKind::BlockEntry => {}
            TokenKind::BlockEnd => {
                self.close();
                return Ok(());
            }
            _ => return Err(error(token.start, "did not find expected '-' indicator")),
        }
        self.frames.push(Frame::BlockSequence);
        match self.scanner.peek()?.kind {
            TokenKind::BlockEntry | TokenKind::BlockEnd => self.empty(token.end),
            _ => self.node(true, false)?,
        }
        Ok(())
    }

    fn flush_item(&mut self) -> Result<(), YamlError> {
        if !matches!(self.scanner.peek()?.kind, TokenKind::BlockEntry) {
            self.close();
            return Ok(());
        }
        let end = self.scanner.next()?.end;
        self.frames.push(Frame::FlushSequence);
        match self.scanner.peek()?.kind {
            TokenKind::BlockEntry | TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd => {
                self.empty(end);
            }
            _ => self.node(true, false)?,
        }
        Ok(())
    }

    fn block_key(&mut self) -> Result<(), YamlError> {
        let token = self.scanner.next()?;
        match token.kind {
            TokenKind::Key => {}
            TokenKind::BlockEnd => {
                self.close();
                return Ok(());
            }
            _ => return Err(error(token.start, "did not find expected key")),
        }
        self.frames.push(Frame::BlockValue);
        self.block_part(token.end)
    }

    fn block_value(&mut self) -> Result<(), YamlError> {
        self.frames.push(Frame::BlockKey);
        let token = self.scanner.peek()?;
        let mark = token.start;
        if !matches!(token.kind, TokenKind::Value) {
            self.empty(mark);
            return Ok(());
        }
        let end = self.scanner.next()?.end;
        self.block_part(end)
    }

    /// A key or value of a block mapping, which may be missing.
    fn block_part(&mut self, mark: Mark) -> Result<(), YamlError> {
        match self.scanner.peek()?.kind {
            TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd => {
                self.empty(mark);
                Ok(())
            }
            _ => self.node(true, true),
        }
    }

    fn flow_item(&mut self, is_first: bool) -> Result<(), YamlError> {
        if !is_first && !matches!(self.scanner.peek()?.kind, TokenKind::FlowSequenceEnd) {
            let token = self.scanner.next()?;
            if !matches!(token.kind, TokenKind::FlowEntry) {
                return Err(error(token.start, "did not find expected ',' or ']'"));
            }
        }
        match self.scanner.peek()?.kind {
            TokenKind::FlowSequenceEnd => {
                self.scanner.next()?;
                self.close();
                Ok(())
            }
            TokenKind::Key => {
                let mark = self.scanner.next()?.start;
                self.frames.push(Frame::FlowSequence { is_first: false });
                self.open(mark, Kind::Mapping(Vec::new()), None, Frame::PairKey)
            }
            _ => {
                self.frames.push(Frame::FlowSequence { is_first: false });
                self.node(false, false)
            }
        }
    }

    fn pair_key(&mut self) -> Result<(), YamlError> {
        self.frames.push(Frame::PairValue);
        match self.scanner.peek()?.kind {
            TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowSequenceEnd => {
                // libyaml loses the token here, which makes most such texts errors.
                let end = self.scanner.next()?.end;
                self.empty(end);
                Ok(())
            }
            _ => self.node(false, false),
        }
    }

    fn pair_value(&mut self) -> Result<(), YamlError> {
        self.frames.push(Frame::PairEnd);
        if matches!(self.scanner.peek()?.kind, TokenKind::Value) {
            self.scanner.next()?;
            let kind = &self.scanner.peek()?.kind;
            if !matches!(kind, TokenKind::FlowEntry | TokenKind::FlowSequenceEnd) {
                return self.node(false, false);
            }
        }
        let mark = self.scanner.peek()?.start;
        self.empty(mark);
        Ok(())
    }

    fn flow_key(&mut self, is_first: bool) -> Result<(), YamlError> {
        if !is_first && !matches!(self.scanner.peek()?.kind, TokenKind::FlowMappingEnd) {
            let token = self.scanner.next()?;
            if !matches!(token.kind, TokenKind::FlowEntry) {
                return Err(error(token.start, "did not find expected ',' or '}'"));
            }
        }
        match self.scanner.peek()?.kind {
            TokenKind::FlowMappingEnd => {
                self.scanner.next()?;
                self.close();
                Ok(())
            }
            TokenKind::Key => {
                self.scanner.next()?;
                self.frames.push(Frame::FlowValue);
                let token = self.scanner.peek()?;
                let mark = token.start;
                match token.kind {
                    TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowMappingEnd => {
                        self.empty(mark);
                        Ok(())
                    }
                    _ => self.node(false, false),
                }
            }
            _ => {
                self.frames.push(Frame::FlowNoValue);
                self.node(false, false)
            }
        }
    }

    fn flow_value(&mut self) -> Result<(), YamlError> {
        self.frames.push(Frame::FlowKey { is_first: false });
        if matches!(self.scanner.peek()?.kind, TokenKind::Value) {
            self.scanner.next()?;
            let kind = &self.scanner.peek()?.kind;
            if !matches!(kind, TokenKind::FlowEntry | TokenKind::FlowMappingEnd) {
                return self.node(false, false);
            }
        }
        let mark = self.scanner.peek()?.start;
        self.empty(mark);
        Ok(())
    }
}

//! Writing a JSON tree as `kubectl -o yaml` does: goyaml.v2's emitter in block style.
//!
//! Keys are sorted the natural way (`a2` before `a10`), lists stand at the column of their key, strings with line breaks are
//! literal blocks, other long ones are folded after column 80, and a string is quoted where it would otherwise be read as
//! something else.

mod order;
mod style;

use serde_json::{Map, Value};

use style::{Analysis, Style};

/// Past this column a blank in a string becomes a line break.
const WIDTH: usize = 80;
/// The columns by which a level is indented.
const INDENT: usize = 2;
/// Longer keys are written after `? `.
const SIMPLE_KEY_BYTES_MAX: usize = 128;

/// The text of a tree, with a line break at its end.
pub fn from_json(value: &Value) -> String {
    let mut emitter =
        Emitter { out: String::new(), column: 0, is_after_blank: true, is_at_indentation: true };
    emitter.node(value, Place::Root, None);
    emitter.indent(0);
    emitter.out
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    Value,
}

struct Emitter {
    out: String,
    /// Characters on the current line.
    column: usize,
    /// Whether what comes next needs no blank before it.
    is_after_blank: bool,
    /// Whether the line holds nothing but indentation and the signs `- `, `? ` and `: `.
    is_at_indentation: bool,
}

impl Emitter {
    /// Writes a node; `indent` is the column of the collection it is in.
    fn node(&mut self, value: &Value, place: Place, indent: Option<usize>) {
        match value {
            Value::Null => self.plain("null", indent, true),
            Value::Bool(true) => self.plain("true", indent, true),
            Value::Bool(false) => self.plain("false", indent, true),
            Value::Number(number) => self.plain(&super::number::print(number), indent, true),
            Value::String(text) => self.string(text, indent, false),
            Value::Array(items) if items.is_empty() => {
                self.sign("[", true);
                self.sign("]", false);
            }
            Value::Array(items) => self.sequence(items, place, indent),
            Value::Object(map) if map.is_empty() => {
                self.sign("{", true);
                self.sign("}", false);
            }
            Value::Object(map) => self.mapping(map, indent),
        }
    }

    fn sequence(&mut self, items: &[Value], place: Place, indent: Option<usize>) {
        // The list of a key that stands on the line before is not indented.
        let is_flush = place == Place::Value && !self.is_at_indentation;
        let column = match indent {
            Some(indent) if is_flush => indent,
            Some(indent) => indent + INDENT,
            None => 0,
        };
        for item in items {
            self.indent(column);
            self.block_sign("-");
            self.node(item, Place::Item, Some(column));
        }
    }

    fn mapping(&mut self, map: &Map<String, Value>, indent: Option<usize>) {
        let column = indent.map_or(0, |indent| indent + INDENT);
        for (key, value) in order::sorted(map) {
            self.indent(column);
            let is_simple = key.len() <= SIMPLE_KEY_BYTES_MAX && !style::has_break(key);
            if is_simple {
                self.string(key, Some(column), true);
                self.sign(":", false);
            } else {
                self.block_sign("?");
                self.string(key, Some(column), false);
                self.indent(column);
                self.block_sign(":");
            }
            self.node(value, Place::Value, Some(column));
        }
    }

    fn string(&mut self, text: &str, indent: Option<usize>, is_key: bool) {
        match style::choose(text, is_key) {
            Style::Plain => self.plain(text, indent, !is_key),
            Style::SingleQuoted => self.single_quoted(text, indent, !is_key),
            Style::DoubleQuoted => self.double_quoted(text, indent, !is_key),
            Style::Literal => self.literal(text, indent),
        }
    }

    /// Goes to a column on a line of its own, or on this one if only indentation stands there.
    fn indent(&mut self, column: usize) {
        let is_past = self.column > column || (self.column == column && !self.is_after_blank);
        if !self.is_at_indentation || is_past {
            self.line_break();
        }
        while self.column < column {
            self.put(' ');
        }
        self.is_after_blank = true;
        self.is_at_indentation = true;
    }

    fn put(&mut self, letter: char) {
        self.out.push(letter);
        self.column += 1;
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    /// Copies a line break of a string.
    fn copy_break(&mut self, letter: char) {
        self.out.push(letter);
        self.column = 0;
    }

    fn sign(&mut self, text: &str, needs_blank: bool) {
        if needs_blank && !self.is_after_blank {
            self.put(' ');
        }
        text.chars().for_each(|letter| self.put(letter));
        self.is_after_blank = text == "[" || text == "{";
        self.is_at_indentation = false;
    }

    /// A sign after which a collection may start on the same line.
    fn block_sign(&mut self, text: &str) {
        let was_at_indentation = self.is_at_indentation;
        self.sign(text, true);
        self.is_at_indentation = was_at_indentation;
    }

    fn plain(&mut self, text: &str, indent: Option<usize>, can_fold: bool) {
        if !self.is_after_blank {
            self.put(' ');
        }
        let mut was_blank = false;
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            let is_blank = letter == ' ';
            let folds = is_blank && can_fold && !was_blank && self.column > WIDTH;
            if folds && letters.peek().is_some_and(|&next| next != ' ') {
                self.fold(indent);
            } else {
                self.put(letter);
            }
            if !is_blank {
                self.is_at_indentation = false;
            }
            was_blank = is_blank;
        }
        self.end_scalar();
    }

    fn end_scalar(&mut self) {
        self.is_after_blank = false;
        self.is_at_indentation = false;
    }

    /// Goes on with a string on the next line.
    fn fold(&mut self, indent: Option<usize>) {
        self.indent(indent.map_or(INDENT, |indent| indent + INDENT));
    }

    fn single_quoted(&mut self, text: &str, indent: Option<usize>, can_fold: bool) {
        self.sign("'", true);
        let (mut was_blank, mut was_break) = (false, false);
        let mut letters = text.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            if letter == ' ' {
                let next = letters.peek().map(|&(_, next)| next);
                let folds = can_fold && !was_blank && self.column > WIDTH && at > 0;
                if folds && next.is_some_and(|next| next != ' ') {
                    self.fold(indent);
                } else {
                    self.put(' ');
                }
                was_blank = true;
            } else if style::is_break(letter) {
                if !was_break && letter == '\n' {
                    self.line_break();
                }
                self.copy_break(letter);
                self.is_at_indentation = true;
                was_break = true;
            } else {
                if was_break {
                    self.fold(indent);
                }
                if letter == '\'' {
                    self.put('\'');
                }
                self.put(letter);
                self.is_at_indentation = false;
                (was_blank, was_break) = (false, false);
            }
        }
        self.sign("'", false);
        self.end_scalar();
    }

    fn double_quoted(&mut self, text: &str, indent: Option<usize>, can_fold: bool) {
        self.sign("\"", true);
        // goyaml.v2 looks for a byte order mark at the start of the string, whichever letter it is at.
        let escapes_all = text.starts_with('\u{feff}');
        let mut was_blank = false;
        let mut letters = text.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            if escapes_all || style::needs_escape(letter) {
                style::escape(letter, |letter| self.put(letter));
                was_blank = false;
            } else if letter == ' ' {
                let next = letters.peek().map(|&(_, next)| next);
                let folds = can_fold && !was_blank && self.column > WIDTH && at > 0;
                match next {
                    Some(next) if folds => {
                        self.fold(indent);
                        if next == ' ' {
                            self.put('\\');
                        }
                    }
                    _ => self.put(' '),
                }
                was_blank = true;
            } else {
                self.put(letter);
                was_blank = false;
            }
        }
        self.sign("\"", false);
        self.end_scalar();
    }

    fn literal(&mut self, text: &str, indent: Option<usize>) {
        self.sign("|", true);
        if text.starts_with(|letter| letter == ' ' || style::is_break(letter)) {
            self.sign("2", false);
        }
        self.sign(Analysis::chomping(text), false);
        self.line_break();
        self.is_at_indentation = true;
        self.is_after_blank = true;
        let mut was_break = true;
        for letter in text.chars() {
            if style::is_break(letter) {
                self.copy_break(letter);
                self.is_at_indentation = true;
                was_break = true;
            } else {
                if was_break {
                    self.fold(indent);
                }
                self.put(letter);
                self.is_at_indentation = false;
                was_break = false;
            }
        }
    }
}

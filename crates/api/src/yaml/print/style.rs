//! How a string is written: plainly if it can be, else quoted or as a literal block.

use crate::yaml::resolve;

/// A style of writing a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
}

/// What a string allows.
pub(super) struct Analysis {
    can_be_plain: bool,
    can_be_single_quoted: bool,
    can_be_literal: bool,
}

/// The style of a string; a key must stay on its line.
pub(super) fn choose(text: &str, is_key: bool) -> Style {
    let analysis = Analysis::of(text);
    if text.contains('\n') {
        return if analysis.can_be_literal && !is_key {
            Style::Literal
        } else {
            Style::DoubleQuoted
        };
    }
    if !resolve::is_plain_text(text) || (is_key && has_break(text)) {
        return Style::DoubleQuoted;
    }
    if analysis.can_be_plain {
        Style::Plain
    } else if analysis.can_be_single_quoted {
        Style::SingleQuoted
    } else {
        Style::DoubleQuoted
    }
}

impl Analysis {
    fn of(text: &str) -> Self {
        let (mut has_indicators, mut has_special) = (false, false);
        let (mut has_breaks, mut is_blank_after_break, mut is_break_after_blank) =
            (false, false, false);
        let (mut was_blank, mut was_break) = (false, false);
        if text.starts_with("---") || text.starts_with("...") {
            has_indicators = true;
        }
        let mut previous = ' ';
        let mut letters = text.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            let ends_word = letters.peek().is_none_or(|&(_, next)| matches!(next, ' ' | '\t'));
            has_indicators |= is_indicator(letter, at == 0, previous, ends_word);
            has_special |= !is_printable(letter);
            if letter == ' ' {
                is_blank_after_break |= was_break;
                (was_blank, was_break) = (true, false);
            } else if is_break(letter) {
                has_breaks = true;
                is_break_after_blank |= was_blank;
                (was_blank, was_break) = (false, true);
            } else {
                (was_blank, was_break) = (false, false);
            }
            previous = letter;
        }
        let is_edge = |letter: char| letter == ' ' || is_break(letter);
        let has_edges = text.starts_with(is_edge) || text.ends_with(is_edge);
        let is_hard = is_break_after_blank || has_special;
        Self {
            can_be_plain: !has_edges && !has_breaks && !is_hard && !has_indicators,
            can_be_single_quoted: !is_blank_after_break && !is_hard,
            can_be_literal: !text.ends_with(' ') && !is_hard,
        }
    }

    /// The sign that says what becomes of the line breaks at the end of a literal block.
    pub(super) fn chomping(text: &str) -> &'static str {
        let mut letters = text.chars().rev();
        match (letters.next().is_some_and(is_break), letters.next()) {
            (false, _) => "-",
            (true, Some(before)) if !is_break(before) => "",
            (true, _) => "+",
        }
    }
}

/// Whether a letter could be taken for a sign of YAML in block style.
fn is_indicator(letter: char, is_first: bool, previous: char, ends_word: bool) -> bool {
    let follows_blank = matches!(previous, ' ' | '\t') || is_break(previous);
    match letter {
        '#' if is_first || follows_blank => true,
        ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
        | '`' => is_first,
        '?' | '-' => is_first && ends_word,
        ':' => ends_word,
        _ => false,
    }
}

/// Whether a letter may be written as it is. goyaml.v2 takes everything beyond the basic plane for unprintable.
fn is_printable(letter: char) -> bool {
    matches!(letter, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && letter != '\u{feff}'
}

pub(super) fn is_break(letter: char) -> bool {
    matches!(letter, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

pub(super) fn has_break(text: &str) -> bool {
    text.contains(is_break)
}

/// Whether a letter is escaped between double quotes.
pub(super) fn needs_escape(letter: char) -> bool {
    !is_printable(letter) || is_break(letter) || matches!(letter, '"' | '\\')
}

/// Writes a letter's escape sequence.
pub(super) fn escape(letter: char, mut put: impl FnMut(char)) {
    put('\\');
    let short = match letter {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let code = u32::from(letter);
            let text = match code {
                0..=0xFF => format!("x{code:02X}"),
                0x100..=0xFFFF => format!("u{code:04X}"),
                _ => format!("U{code:08X}"),
            };
            text.chars().for_each(put);
            return;
        }
    };
    put(short);
}

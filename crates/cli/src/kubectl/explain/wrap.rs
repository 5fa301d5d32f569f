//! Breaking text into lines at spaces.

/// Breaks text so that lines have at most `limit` characters; longer words stay whole, line ends stay.
pub(super) fn wrap(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 32);
    let mut line = 0;
    let (mut word, mut word_length) = (String::new(), 0);
    let (mut space, mut space_length) = (String::new(), 0);
    for c in text.chars() {
        if c == '\n' {
            if word.is_empty() {
                if line + space_length <= limit {
                    out.push_str(&space);
                }
            } else {
                out.push_str(&space);
                out.push_str(&word);
            }
            (space_length, word_length, line) = (0, 0, 0);
            space.clear();
            word.clear();
            out.push('\n');
        } else if c.is_whitespace() && c != '\u{a0}' {
            if space.is_empty() || !word.is_empty() {
                line += space_length + word_length;
                out.push_str(&space);
                out.push_str(&word);
                (space_length, word_length) = (0, 0);
                space.clear();
                word.clear();
            }
            space.push(c);
            space_length += 1;
        } else {
            word.push(c);
            word_length += 1;
            if line + word_length + space_length > limit && word_length < limit {
                out.push('\n');
                (space_length, line) = (0, 0);
                space.clear();
            }
        }
    }
    if !word.is_empty() || line + space_length <= limit {
        out.push_str(&space);
    }
    out.push_str(&word);
    out
}

/// Puts spaces before each line.
pub(super) fn indent(text: &str, amount: usize) -> String {
    let pad = " ".repeat(amount);
    format!("{pad}{}", text.replace('\n', &format!("\n{pad}")))
}

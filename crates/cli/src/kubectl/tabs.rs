//! Columns of text: a table whose columns are as wide as their widest neighbour above or below, as Go's `text/tabwriter` lays them out.
//!
//! Holds     the last cell of a line has no width; a column ends where a line has no such cell.

#[cfg(test)]
mod tests;

/// How columns are laid out.
#[derive(Debug, Clone)]
pub(crate) struct Tabs {
    minimum: usize,
    padding: usize,
    text: String,
    remembered: Option<Vec<usize>>,
}

impl Tabs {
    /// The layout of `get`: columns of at least six, three apart; later tables keep the widths of earlier ones.
    pub(crate) fn table() -> Self {
        Self { minimum: 6, padding: 3, text: String::new(), remembered: Some(Vec::new()) }
    }

    /// The layout of `describe`: two apart.
    pub(crate) fn described() -> Self {
        Self { minimum: 0, padding: 2, text: String::new(), remembered: None }
    }

    /// A layout of one's own.
    pub(crate) fn spaced(minimum: usize, padding: usize) -> Self {
        Self { minimum, padding, text: String::new(), remembered: None }
    }

    /// Adds text: tabs end cells, line ends end lines.
    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// What was added since the last time, as it is.
    pub(crate) fn bare(&self) -> &str {
        &self.text
    }

    /// Forgets the widths of earlier tables.
    pub(crate) fn forget(&mut self) {
        if let Some(widths) = &mut self.remembered {
            widths.clear();
        }
    }

    /// Lays out what was added since the last time.
    pub(crate) fn finish(&mut self) -> String {
        let text = std::mem::take(&mut self.text);
        if text.is_empty() {
            return text;
        }
        let lines: Vec<Vec<&str>> =
            text.split('\n').map(|line| line.split(['\t', '\u{b}']).collect()).collect();
        let mut out = String::with_capacity(text.len() * 2);
        let mut widths = Vec::new();
        self.format(&lines, 0, lines.len(), &mut widths, &mut out);
        out
    }

    fn format(
        &mut self,
        lines: &[Vec<&str>],
        mut first: usize,
        end: usize,
        widths: &mut Vec<usize>,
        out: &mut String,
    ) {
        let column = widths.len();
        let mut this = first;
        while this < end {
            if column + 1 >= lines[this].len() {
                this += 1;
                continue;
            }
            Self::print(lines, first, this, widths, out);
            first = this;
            let mut width = self.minimum;
            while this < end && column + 1 < lines[this].len() {
                width = width.max(lines[this][column].chars().count() + self.padding);
                this += 1;
            }
            widths.push(self.remember(column, width));
            self.format(lines, first, this, widths, out);
            widths.pop();
            first = this;
        }
        Self::print(lines, first, end, widths, out);
    }

    fn remember(&mut self, column: usize, width: usize) -> usize {
        let Some(remembered) = &mut self.remembered else {
            return width;
        };
        if remembered.len() <= column {
            remembered.resize(column + 1, 0);
        }
        remembered[column] = remembered[column].max(width);
        remembered[column]
    }

    fn print(lines: &[Vec<&str>], first: usize, end: usize, widths: &[usize], out: &mut String) {
        for (index, line) in lines.iter().enumerate().take(end).skip(first) {
            for (column, cell) in line.iter().enumerate() {
                out.push_str(cell);
                if let Some(width) = widths.get(column) {
                    let used = cell.chars().count();
                    out.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
                }
            }
            if index + 1 < lines.len() {
                out.push('\n');
            }
        }
    }
}

/// Text of the server without what would move the terminal (GO-2022-0983).
pub(crate) fn tame(text: &str) -> String {
    text.replace('\u{1b}', "^[").replace('\r', "\\r")
}

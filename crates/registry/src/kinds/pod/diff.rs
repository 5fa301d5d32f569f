//! The difference of two texts as a unified diff, just as Kubernetes v1.36 puts it into the errors of immutable fields.
//!
//! Which of several right answers is given is visible on the wire, so the algorithm is that of Python's `difflib`
//! (Ratcliff/Obershelp over lines, popular lines ignored in long texts), which Kubernetes uses in its Go form.

use std::collections::HashMap;
use std::fmt::Write as _;

/// Unchanged lines around a change.
const CONTEXT_LINES: usize = 3;

/// From this length on, a line that makes up more than one hundredth of the text does not start a match.
const POPULAR_FROM_LINES: usize = 200;

/// The unified diff of two texts without file headers; empty if they are equal.
pub(crate) fn unified(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.split('\n').collect(), new.split('\n').collect());
    let edits = edits(&old, &new);
    let mut out = String::new();
    for group in grouped(edits) {
        write_group(&mut out, &group, &old, &new);
    }
    out
}

/// What becomes of a run of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edit {
    is_equal: bool,
    old: (usize, usize),
    new: (usize, usize),
}

/// A run of lines that both texts share.
#[derive(Debug, Clone, Copy)]
struct Match {
    old: usize,
    new: usize,
    length: usize,
}

/// Where the lines of the new text are that may start a match.
struct Index<'a> {
    old: &'a [&'a str],
    new: &'a [&'a str],
    places: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Index<'a> {
    fn new(old: &'a [&'a str], new: &'a [&'a str]) -> Self {
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, line) in new.iter().enumerate() {
            places.entry(line).or_default().push(at);
        }
        if new.len() >= POPULAR_FROM_LINES {
            let often = new.len() / 100 + 1;
            places.retain(|_, places| places.len() <= often);
        }
        Self { old, new, places }
    }

    /// The longest match within bounds; of several the earliest in the old text, then in the new.
    fn longest(&self, old: (usize, usize), new: (usize, usize)) -> Match {
        let mut best = Match { old: old.0, new: new.0, length: 0 };
        let mut lengths: HashMap<usize, usize> = HashMap::new();
        for (at, line) in self.old[..old.1].iter().enumerate().skip(old.0) {
            let mut next: HashMap<usize, usize> = HashMap::new();
            for &place in self.places.get(line).map_or(&[][..], Vec::as_slice) {
                if place < new.0 || place >= new.1 {
                    continue;
                }
                let before = place.checked_sub(1).and_then(|place| lengths.get(&place));
                let length = before.copied().unwrap_or(0) + 1;
                next.insert(place, length);
                if length > best.length {
                    best = Match { old: at + 1 - length, new: place + 1 - length, length };
                }
            }
            lengths = next;
        }
        self.extended(best, old, new)
    }

    /// The match with the equal lines around it that could not start one.
    fn extended(&self, mut best: Match, old: (usize, usize), new: (usize, usize)) -> Match {
        while best.old > old.0
            && best.new > new.0
            && self.old[best.old - 1] == self.new[best.new - 1]
        {
            best = Match { old: best.old - 1, new: best.new - 1, length: best.length + 1 };
        }
        while best.old + best.length < old.1
            && best.new + best.length < new.1
            && self.old[best.old + best.length] == self.new[best.new + best.length]
        {
            best.length += 1;
        }
        best
    }
}

/// All matches in order, neighbours joined.
fn matches(old: &[&str], new: &[&str]) -> Vec<Match> {
    let index = Index::new(old, new);
    let mut found = Vec::new();
    let mut open = vec![((0, old.len()), (0, new.len()))];
    while let Some((old, new)) = open.pop() {
        let best = index.longest(old, new);
        if best.length == 0 {
            continue;
        }
        found.push(best);
        open.push(((old.0, best.old), (new.0, best.new)));
        open.push(((best.old + best.length, old.1), (best.new + best.length, new.1)));
    }
    found.sort_unstable_by_key(|run| (run.old, run.new));
    let mut joined: Vec<Match> = Vec::new();
    for run in found {
        match joined.last_mut() {
            Some(last)
                if last.old + last.length == run.old && last.new + last.length == run.new =>
            {
                last.length += run.length;
            }
            _ => joined.push(run),
        }
    }
    joined
}

fn edits(old: &[&str], new: &[&str]) -> Vec<Edit> {
    let mut edits = Vec::new();
    let (mut at_old, mut at_new) = (0, 0);
    let end = Match { old: old.len(), new: new.len(), length: 0 };
    for run in matches(old, new).into_iter().chain([end]) {
        if at_old < run.old || at_new < run.new {
            edits.push(Edit { is_equal: false, old: (at_old, run.old), new: (at_new, run.new) });
        }
        (at_old, at_new) = (run.old + run.length, run.new + run.length);
        if run.length > 0 {
            edits.push(Edit { is_equal: true, old: (run.old, at_old), new: (run.new, at_new) });
        }
    }
    edits
}

/// The changes in groups, each with some unchanged lines around it.
fn grouped(mut edits: Vec<Edit>) -> Vec<Vec<Edit>> {
    if let Some(first) = edits.first_mut().filter(|edit| edit.is_equal) {
        trim_front(first);
    }
    if let Some(last) = edits.last_mut().filter(|edit| edit.is_equal) {
        trim_back(last);
    }
    let mut groups = Vec::new();
    let mut group: Vec<Edit> = Vec::new();
    for edit in edits {
        if edit.is_equal && edit.old.1 - edit.old.0 > 2 * CONTEXT_LINES {
            let (mut before, mut after) = (edit, edit);
            trim_back(&mut before);
            group.push(before);
            groups.push(std::mem::take(&mut group));
            trim_front(&mut after);
            group.push(after);
        } else {
            group.push(edit);
        }
    }
    groups.push(group);
    groups.retain(|group| group.iter().any(|edit| !edit.is_equal));
    groups
}

/// Keeps the last lines of an unchanged run.
fn trim_front(edit: &mut Edit) {
    edit.old.0 = edit.old.0.max(edit.old.1.saturating_sub(CONTEXT_LINES));
    edit.new.0 = edit.new.0.max(edit.new.1.saturating_sub(CONTEXT_LINES));
}

/// Keeps the first lines of an unchanged run.
fn trim_back(edit: &mut Edit) {
    edit.old.1 = edit.old.1.min(edit.old.0 + CONTEXT_LINES);
    edit.new.1 = edit.new.1.min(edit.new.0 + CONTEXT_LINES);
}

fn write_group(out: &mut String, group: &[Edit], old: &[&str], new: &[&str]) {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return };
    let ranges = [range(first.old.0, last.old.1), range(first.new.0, last.new.1)];
    let _infallible = writeln!(out, "@@ -{} +{} @@", ranges[0], ranges[1]);
    for edit in group {
        if edit.is_equal {
            write_lines(out, ' ', &old[edit.old.0..edit.old.1]);
        } else {
            write_lines(out, '-', &old[edit.old.0..edit.old.1]);
            write_lines(out, '+', &new[edit.new.0..edit.new.1]);
        }
    }
}

fn write_lines(out: &mut String, mark: char, lines: &[&str]) {
    for line in lines {
        let _infallible = writeln!(out, "{mark}{line}");
    }
}

/// A range of lines as a hunk's head writes it: counted from one, the count left out if it is one.
fn range(start: usize, end: usize) -> String {
    match end - start {
        1 => (start + 1).to_string(),
        0 => format!("{start},0"),
        count => format!("{},{count}", start + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_line_is_shown_with_three_lines_around_it() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni";
        assert_eq!(
            unified(old, &old.replace('e', "E")),
            "@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+E\n f\n g\n h\n"
        );
    }

    #[test]
    fn changes_far_apart_are_hunks_of_their_own() {
        let old: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let mut new = old.clone();
        new[1] = "x".to_owned();
        new.remove(17);
        let diff = unified(&old.join("\n"), &new.join("\n"));
        assert!(diff.starts_with("@@ -1,5 +1,5 @@\n 0\n-1\n+x\n 2\n"), "{diff}");
        assert!(diff.contains("@@ -15,6 +15,5 @@\n 14\n 15\n 16\n-17\n 18\n 19\n"), "{diff}");
    }

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(unified("a\nb", "a\nb"), "");
    }
}

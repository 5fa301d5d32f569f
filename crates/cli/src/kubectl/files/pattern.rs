//! File names with `*`, `?` and `[…]`, as Go's `filepath.Glob` matches them.

use std::path::{Path, PathBuf};

/// The paths that match, in the order of their names; none if the pattern is malformed.
pub(super) fn matches(pattern: &str) -> Vec<PathBuf> {
    let is_absolute = pattern.starts_with('/');
    let mut found = vec![PathBuf::from(if is_absolute { "/" } else { "" })];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        if found.is_empty() {
            break;
        }
        found = found.iter().flat_map(|folder| below(folder, part)).collect();
    }
    found
}

fn below(folder: &Path, part: &str) -> Vec<PathBuf> {
    if !part.contains(['*', '?', '[', '\\']) {
        return Some(folder.join(part)).into_iter().filter(|path| path.exists()).collect();
    }
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = std::fs::read_dir(here) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let pattern: Vec<char> = part.chars().collect();
    let fits = |name: &String| fits(&pattern, &name.chars().collect::<Vec<_>>());
    let mut names: Vec<String> = names.filter(fits).collect();
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// Whether a name without slashes matches.
fn fits(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', rest @ ..] => (0..=name.len()).any(|at| fits(rest, &name[at..])),
        ['?', rest @ ..] => !name.is_empty() && fits(rest, &name[1..]),
        ['[', rest @ ..] => {
            let Some((first, others)) = name.split_first() else { return false };
            class(rest, *first).is_some_and(|rest| fits(rest, others))
        }
        ['\\', literal, rest @ ..] | [literal, rest @ ..] => {
            name.first() == Some(literal) && fits(rest, &name[1..])
        }
    }
}

/// What comes after a class of characters, if it holds this one.
fn class(mut pattern: &[char], wanted: char) -> Option<&[char]> {
    let is_negated = pattern.first() == Some(&'^');
    if is_negated {
        pattern = &pattern[1..];
    }
    let mut is_in = false;
    let mut is_first = true;
    loop {
        match pattern {
            [']', rest @ ..] if !is_first => return (is_in != is_negated).then_some(rest),
            [low, '-', high, rest @ ..] if *high != ']' => {
                is_in |= (*low..=*high).contains(&wanted);
                pattern = rest;
            }
            [one, rest @ ..] => {
                is_in |= *one == wanted;
                pattern = rest;
            }
            [] => return None,
        }
        is_first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn names_match_as_in_go() {
        for (pattern, name, expected) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "a.yml", false),
            ("[a-c].y*", "b.yaml", true),
            ("[a-c].y*", "d.yaml", false),
            ("[^a-c]", "d", true),
            ("[]", "]", false),
            ("?", "", false),
            ("\\*", "*", true),
            ("[a", "a", false),
        ] {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(fits(&chars(pattern), &chars(name)), expected, "{pattern} {name}");
        }
    }
}

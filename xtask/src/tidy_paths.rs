//! The paths that `docs/ARCHITECTURE.md` names: each leads to a file or a folder, or the page sends its reader nowhere.
//!
//! A path counts from the root of the repository; in a section that says `Paths without a crate are below …`, from there; in a row or an
//! item that has named a path from the root, from that one's folder (`… there`). What stands between `<` and `>` is the reader's to fill in.

use std::path::Path;

/// The page that is checked.
pub(crate) const PAGE: &str = "docs/ARCHITECTURE.md";

/// Which sections' paths count from elsewhere.
const BELOW: &str = "Paths without a crate are below `";

/// Ends of names that are files without a folder before them.
const ENDS: &[&str] = &[".rs", ".toml", ".md", ".yaml"];

/// The paths that a page names and that are not there, in the page's order, each with the number of its line.
pub(crate) fn missing(page: &str, root: &Path) -> Vec<(usize, String)> {
    let mut missing = Vec::new();
    let (mut below, mut beside, mut is_drawing) = (None, None, false);
    for (index, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            is_drawing = !is_drawing;
        }
        if is_drawing {
            continue;
        }
        if line.starts_with('#') {
            below = None;
        }
        if let Some((_, rest)) = line.split_once(BELOW) {
            below = rest.split('`').next().map(Path::new);
        }
        // A line that does not go on with the one before begins anew.
        if !line.starts_with(' ') {
            beside = None;
        }
        for path in line.split('`').skip(1).step_by(2).filter_map(path_of) {
            let bases = [Some(Path::new("")), below, beside];
            let found = bases
                .into_iter()
                .flatten()
                .map(|base| base.join(path))
                .find(|path| root.join(path).exists());
            match found {
                None => missing.push((index + 1, path.to_owned())),
                // Only a path from the root is one beside which others can stand.
                Some(found) if found == Path::new(path) => {
                    let path = Path::new(path);
                    let is_folder = root.join(path).is_dir();
                    beside = if is_folder { Some(path) } else { path.parent() };
                }
                Some(_) => {}
            }
        }
    }
    missing
}

/// What of a quoted text is a path to look for, if it is one.
fn path_of(quoted: &str) -> Option<&str> {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "_-./<>".contains(letter);
    let is_path = quoted.contains('/') || ENDS.iter().any(|end| quoted.ends_with(end));
    if !is_path || quoted.starts_with('/') || !quoted.chars().all(is_letter) {
        return None;
    }
    match quoted.split_once('<') {
        None => Some(quoted),
        Some((before, _)) => before.rsplit_once('/').map(|(folder, _)| folder),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn missing(page: &str) -> Vec<(usize, String)> {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the repository");
        super::missing(page, root)
    }

    #[test]
    fn a_path_that_leads_nowhere_is_told_with_its_line() {
        let page = "# Page\n\n`xtask/src/tidy.rs` and `xtask/src/gone.rs`\n| `crates/nowhere/` |\n";
        assert_eq!(
            missing(page),
            [(3, "xtask/src/gone.rs".to_owned()), (4, "crates/nowhere/".to_owned())]
        );
    }

    #[test]
    fn a_section_may_say_where_its_paths_begin_and_the_next_does_not_inherit_it() {
        let page = "## One\nPaths without a crate are below `xtask/src/`.\n`tidy.rs`, `gone.rs`\n## Two\n`tidy.rs`\n";
        assert_eq!(missing(page), [(3, "gone.rs".to_owned()), (5, "tidy.rs".to_owned())]);
    }

    #[test]
    fn a_row_may_name_files_beside_its_first_and_the_next_row_may_not() {
        let page = "| `xtask/src/tidy.rs`, `main.rs` there, `gone.rs` |\n| `main.rs` |\n\
                    | `xtask/src/`, `main.rs` |\n";
        assert_eq!(missing(page), [(1, "gone.rs".to_owned()), (2, "main.rs".to_owned())]);
    }

    #[test]
    fn what_the_reader_fills_in_is_looked_for_as_far_as_it_is_said() {
        let page = "`crates/<crate>/src` `nowhere/<crate>/src`";
        assert_eq!(missing(page), [(1, "nowhere".to_owned())]);
    }

    #[test]
    fn drawings_commands_and_types_are_no_paths() {
        assert_eq!(
            missing("```\n`no/path`\n```\n`cargo x/y` `base::Clock` `/etc/hosts` `resolv.conf`"),
            []
        );
    }
}

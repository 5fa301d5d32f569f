//! `cargo xtask files` writes `docs/FILES.md`: every file of the crates but tests, each with the sentence with which it begins. Tidy
//! fails when the page is not what the files say.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The page.
const PAGE: &str = "docs/FILES.md";

const HEAD: &str = "# Files

Every file of the crates but tests, with the sentence with which it begins: what it decides. [ARCHITECTURE.md](ARCHITECTURE.md) says how
they hang together. Written by `cargo xtask files`.
";

/// Writes the page.
pub(crate) fn run() -> Result<String, String> {
    let page = page(&crate::tidy::sources()?)?;
    fs::write(PAGE, &page).map_err(|error| format!("{PAGE}: {error}"))?;
    Ok(format!("{PAGE}: {} lines", page.lines().count()))
}

/// What is wrong with the page that is there.
pub(crate) fn problem(files: &[PathBuf]) -> Option<String> {
    let is_current = fs::read_to_string(PAGE).is_ok_and(|text| Ok(text) == page(files));
    (!is_current).then(|| format!("{PAGE} is not what the files say: cargo xtask files"))
}

fn page(files: &[PathBuf]) -> Result<String, String> {
    let mut crates: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for file in files {
        let Some((home, path)) = place(file) else { continue };
        let text =
            fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let sentence = sentence(&text);
        crates.entry(home).or_default().push(format!("- `{path}`: {sentence}"));
    }
    Ok(crates.into_iter().fold(HEAD.to_owned(), |mut page, (home, mut lines)| {
        lines.sort();
        // Writing to a string cannot fail.
        let _infallible = write!(page, "\n## crates/{home}/src\n\n{}\n", lines.join("\n"));
        page
    }))
}

/// Crate and path below its `src` of a file that is no test.
fn place(file: &Path) -> Option<(&str, &str)> {
    let (home, path) = file.to_str()?.strip_prefix("crates/")?.split_once("/src/")?;
    let is_test = path.split('/').any(|part| matches!(part, "tests" | "tests.rs"));
    (!is_test).then_some((home, path))
}

/// The first sentence of the comment with which a file begins.
fn sentence(text: &str) -> String {
    let comment = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let paragraph: Vec<&str> = comment.take_while(|line| !line.is_empty()).collect();
    let paragraph = paragraph.join(" ");
    paragraph.split_once(". ").map_or(paragraph.clone(), |(first, _)| format!("{first}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_its_first_sentence() {
        let text = "//! Reads\n//! names. And more.\n//!\n//! Besides.\n\nuse x;\n";
        assert_eq!(sentence(text), "Reads names.");
        assert_eq!(sentence("//! Reads names.\n\nuse x;\n"), "Reads names.");
        assert_eq!(place(Path::new("crates/api/src/names/dns.rs")), Some(("api", "names/dns.rs")));
        assert_eq!(place(Path::new("crates/api/src/names/tests.rs")), None);
        assert_eq!(place(Path::new("crates/api/tests/it/main.rs")), None);
    }
}

//! `-o custom-columns=HEADER:PATH,…`.

use serde_json::Value;

use super::super::fault::Fault;
use super::super::tabs::Tabs;
use super::jsonpath::JsonPath;

/// A header and its path; a path that cannot be read is told when the column is to be shown.
type Column = (String, Result<JsonPath, String>);

/// Columns with a path each.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    columns: Vec<Column>,
    pub(crate) has_headers: bool,
}

impl Columns {
    /// Parses `HEADER:PATH,HEADER:PATH`.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let mut columns = Vec::new();
        if text.is_empty() {
            return Err(Fault::refused(
                "custom-columns format specified but no custom columns given",
            ));
        }
        for part in text.split(',') {
            let Some((header, path)) = part.split_once(':') else {
                return Err(Fault::refused(format!(
                    "unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>"
                )));
            };
            columns.push(column(header, path)?);
        }
        Ok(Self { columns, has_headers: true })
    }

    /// Parses a file of two lines: headers, and paths below them.
    pub(crate) fn parse_file(text: &str) -> Result<Self, Fault> {
        let mut lines = text.lines();
        let mut words = |what: &str| {
            let line = lines.next().map(|line| line.split_whitespace().collect::<Vec<_>>());
            line.ok_or_else(|| {
                Fault::refused(format!(
                    "invalid template, missing {what} line. Expected format is one line of space separated headers, one line of space separated column specs."
                ))
            })
        };
        let (headers, paths) = (words("header")?, words("spec")?);
        if headers.len() != paths.len() {
            return Err(Fault::refused(format!(
                "number of headers ({}) and field specifications ({}) don't match",
                headers.len(),
                paths.len()
            )));
        }
        let columns = headers.iter().zip(paths).map(|(header, path)| column(header, path));
        Ok(Self { columns: columns.collect::<Result<_, _>>()?, has_headers: true })
    }

    /// The lines of some objects, with headers before the first ones.
    pub(crate) fn render(&self, objects: &[&Value], is_first: bool) -> Result<String, Fault> {
        let mut tabs = Tabs::table();
        if is_first && self.has_headers {
            let headers: Vec<&str> =
                self.columns.iter().map(|(header, _)| header.as_str()).collect();
            tabs.push(&format!("{}\n", headers.join("\t")));
        }
        for object in objects {
            let cells = self.columns.iter().map(|(_, path)| cell(path.as_ref(), object));
            match cells.collect::<Result<Vec<_>, _>>() {
                Ok(cells) => tabs.push(&format!("{}\n", cells.join("\t"))),
                Err(why) => return Err(Fault::Template { shown: tabs.finish(), why }),
            }
        }
        Ok(tabs.finish())
    }
}

fn column(header: &str, path: &str) -> Result<Column, Fault> {
    let path = if path.is_empty() {
        JsonPath::parse("").map_err(|fault| fault.to_string())
    } else {
        JsonPath::parse_relaxed_later(path)?
    };
    Ok((header.to_owned(), path))
}

fn cell(path: Result<&JsonPath, &String>, object: &Value) -> Result<String, String> {
    let found = path.map_err(String::clone)?.find(object, true)?;
    if found.is_empty() {
        return Ok("<none>".into());
    }
    let texts: Vec<String> = found.iter().map(shown).collect();
    Ok(texts.join(","))
}

/// As Go's `%v` prints what JSON decodes to.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<none>".into(),
        other => super::super::tabs::tame(&super::go::plain(other)),
    }
}

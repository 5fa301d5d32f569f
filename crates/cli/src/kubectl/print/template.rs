//! `-o go-template`: Go's `text/template` on objects, with its mistakes in its words.
//!
//! Has       all of the language, and of its functions those that need nothing but data.
//! Not here: methods and complex numbers, which no object has.

mod execute;
mod functions;
mod lex;
mod node;
mod parse;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub(super) use self::lex::code_point;

use super::super::fault::{Fault, quoted};
use super::{go, json};

/// The name that kubectl gives the whole template.
const MAIN: &str = "output";

/// A parsed template.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    source: String,
    templates: parse::Templates,
}

impl Template {
    /// Parses a template.
    pub(crate) fn parse(source: &str) -> Result<Self, Fault> {
        let templates = parse::parse(source).map_err(|(line, why)| {
            Fault::refused(format!(
                "error parsing template {source}, template: {MAIN}:{line}: {why}"
            ))
        })?;
        Ok(Self { source: source.to_owned(), templates })
    }

    /// The text that the template makes of an object. What was made before a mistake is shown, followed by what helps to find it.
    pub(crate) fn execute(&self, object: &Value, allow_missing: bool) -> Result<String, Fault> {
        let mut run = execute::Run::new(&self.templates, &self.source, object, allow_missing);
        let Err(why) = run.whole() else {
            return Ok(run.out);
        };
        let shown = format!(
            "{}Error executing template: {why}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t{}\n\traw data was:\n\t\t{}\n\tobject given to template engine was:\n\t\t{}\n\n",
            run.out,
            self.source,
            json::compact(object),
            go::plain(object),
        );
        let why = format!("error executing template {}: {why}", quoted(&self.source));
        Err(Fault::Template { shown, why })
    }
}

//! The documents of a text: YAML between lines of `---`, or JSON one after another.

use serde_json::Value;

use super::super::fault::Fault;
use super::super::print::json;
use super::{Document, Source};

impl Source {
    /// Takes a text apart; what comes after a mistake is not read.
    pub(crate) fn parse(name: &str, text: &str) -> Self {
        let text = text.trim_start_matches('\u{feff}');
        let mut source = Self::new(name);
        if !(text.trim_start().starts_with('{') && source.read_json(text)) {
            source.read_yaml(text);
        }
        source
    }

    fn read_yaml(&mut self, text: &str) {
        for document in podo_api::yaml::documents(text) {
            let value = document.and_then(|(_line, text)| podo_api::yaml::to_json(text.as_bytes()));
            match value {
                Ok(Value::Null) => {}
                Ok(value) => {
                    let text = json::compact(&value);
                    self.documents.push(Document { value, text });
                }
                Err(error) => {
                    let error = error.to_string();
                    let why = error.strip_prefix("yaml: ").unwrap_or(&error);
                    self.stop(&format!("error converting YAML to JSON: yaml: {why}"));
                    return;
                }
            }
        }
    }

    /// False if the text is no JSON from the start: YAML may begin with a brace as well.
    fn read_json(&mut self, text: &str) -> bool {
        let mut documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let mut at = 0;
        while let Some(document) = documents.next() {
            let end = documents.byte_offset();
            match document {
                Ok(Value::Null) => {}
                Ok(value) => {
                    let text = text.get(at..end).unwrap_or_default().trim().to_owned();
                    self.documents.push(Document { value, text });
                }
                Err(error) if error.is_eof() => self.stop("unexpected EOF"),
                Err(_) if at == 0 => return false,
                Err(error) => {
                    let rest = text.as_bytes().get(at..).unwrap_or_default();
                    let why = podo_api::json::decode_any(rest).err();
                    self.stop(&why.unwrap_or_else(|| error.to_string()));
                }
            }
            at = end;
        }
        true
    }

    fn stop(&mut self, why: &str) {
        self.fault = Some(Fault::refused(format!("error parsing {}: {why}", self.name)));
    }
}

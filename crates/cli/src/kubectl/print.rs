//! How objects are shown: the values of `-o`, and the objects themselves in each form.

pub(crate) mod custom_columns;
pub(crate) mod go;
pub(crate) mod json;
pub(crate) mod jsonpath;
mod kyaml;
pub(crate) mod table;
pub(crate) mod template;

use serde_json::{Value, json};

use self::custom_columns::Columns;
use self::jsonpath::JsonPath;
use self::template::Template;
use super::fault::{Fault, go_text, quoted};
use super::kinds::schema_of_kind;
use super::value::{Look, object_mut};

/// The form of the output.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// Columns or sentences for people.
    Human {
        /// Whether the less important columns are shown too.
        is_wide: bool,
    },
    /// `kind/name`.
    Name,
    Json,
    Yaml,
    /// YAML in which everything is quoted and in braces.
    Kyaml,
    JsonPath(JsonPath),
    /// JSONPath whose results are JSON text.
    JsonPathAsJson(JsonPath),
    Columns(Columns),
    Template(Template),
}

/// What else decides how objects are shown.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct ShowArgs {
    /// Keep metadata.managedFields in JSON and YAML
    #[arg(long)]
    pub(crate) show_managed_fields: bool,
    /// Print nothing for missing fields of templates
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) allow_missing_template_keys: bool,
}

impl Default for ShowArgs {
    fn default() -> Self {
        Self { show_managed_fields: false, allow_missing_template_keys: true }
    }
}

/// The forms of a command that shows tables as well.
const ALL_FORMS: &str = "custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,template,templatefile,wide,yaml";
/// The forms of a command that shows whole objects only.
const PLAIN_FORMS: &str = "go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,template,templatefile,yaml";

fn unknown_form(text: &str, forms: &str) -> Fault {
    Fault::refused(format!(
        "unable to match a printer suitable for the output format {}, allowed formats are: {forms}",
        quoted(text)
    ))
}

impl Output {
    /// Reads the value of `-o` of a command that shows whole objects only.
    pub(crate) fn parse_plain(text: Option<&str>, template: Option<&str>) -> Result<Self, Fault> {
        let form = text.map(|text| text.split('=').next().unwrap_or(text));
        match form {
            Some("wide" | "custom-columns" | "custom-columns-file") => {
                Err(unknown_form(text.unwrap_or_default(), PLAIN_FORMS))
            }
            _ => Self::parse_with(text, template, PLAIN_FORMS),
        }
    }

    /// Reads the value of `-o` of which only some forms are taken; `told` is what is said of them.
    pub(crate) fn parse_of(text: &str, forms: &[&str], told: &str) -> Result<Self, Fault> {
        if forms.contains(&text) {
            return Self::parse_with(Some(text), None, told);
        }
        Err(unknown_form(text, told))
    }

    /// Reads the value of `-o`; `template` is that of `--template`.
    pub(crate) fn parse(text: Option<&str>, template: Option<&str>) -> Result<Self, Fault> {
        Self::parse_with(text, template, ALL_FORMS)
    }

    fn parse_with(text: Option<&str>, template: Option<&str>, forms: &str) -> Result<Self, Fault> {
        let text = match text {
            None | Some("") if template.is_some() => "go-template",
            None | Some("") => return Ok(Self::Human { is_wide: false }),
            Some(text) => text,
        };
        let (form, argument) = match text.split_once('=') {
            Some((form, argument)) => (form, Some(argument)),
            None => (text, template),
        };
        let need = || {
            argument
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .ok_or_else(|| Fault::refused("template format specified but no template given"))
        };
        let read = |what: &str, path: String| {
            std::fs::read_to_string(&path).map_err(|error| {
                let why = go_text(&error);
                Fault::refused(format!("error reading {what} {path}, open {path}: {why}"))
            })
        };
        let file = |path: String| read("--template", path);
        let whole = form.to_ascii_lowercase();
        let is_bare = !text.contains('=');
        let form = match whole.as_str() {
            "json" | "yaml" | "kyaml" | "name" if is_bare => whole.as_str(),
            "json" | "yaml" | "kyaml" | "name" | "wide" if !is_bare => {
                return Err(unknown_form(text, forms));
            }
            _ => form,
        };
        Ok(match form {
            "wide" => Self::Human { is_wide: true },
            "name" => Self::Name,
            "json" => Self::Json,
            "yaml" => Self::Yaml,
            "kyaml" => Self::Kyaml,
            "jsonpath" => Self::JsonPath(JsonPath::parse(&need()?)?),
            "jsonpath-file" => Self::JsonPath(JsonPath::parse(&file(need()?)?)?),
            "jsonpath-as-json" => Self::JsonPathAsJson(JsonPath::parse(&need()?)?),
            "custom-columns" => match argument {
                Some(text) => Self::Columns(Columns::parse(text)?),
                None => {
                    return Err(Fault::refused(
                        "custom-columns format specified but no custom columns given",
                    ));
                }
            },
            "custom-columns-file" => match argument {
                Some(path) => {
                    Self::Columns(Columns::parse_file(&read("template", path.to_owned())?)?)
                }
                None => {
                    return Err(Fault::refused(
                        "custom-columns format specified but no custom columns given",
                    ));
                }
            },
            "go-template" | "template" => Self::Template(Template::parse(&need()?)?),
            "go-template-file" | "templatefile" => {
                Self::Template(Template::parse(&file(need()?)?)?)
            }
            _ => return Err(unknown_form(text, forms)),
        })
    }

    /// An object that kubectl holds as a struct of Go, in this form.
    pub(crate) fn typed(
        &self,
        object: &Value,
        show: ShowArgs,
        is_first: bool,
    ) -> Result<String, Fault> {
        match (self, schema_of_kind(object.s("/apiVersion"), object.s("/kind"))) {
            (Self::Json, Some(ty)) => {
                Ok(json::pretty_typed(&without_managed_fields(object, show), ty) + "\n")
            }
            _ => self.object(object, show, is_first),
        }
    }

    /// Several objects as a `List` that kubectl holds as a struct of Go.
    pub(crate) fn list(&self, items: &[Value], show: ShowArgs) -> Result<String, Fault> {
        let items: Vec<Value> =
            items.iter().map(|item| without_managed_fields(item, show)).collect();
        if matches!(self, Self::Json) {
            let head = json!({"apiVersion": "v1", "kind": "List", "metadata": {}});
            return Ok(json::pretty_list(&head, &items, None) + "\n");
        }
        let list = json!({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {}});
        self.object(&list, show, true)
    }

    /// Whether the output is for people.
    pub(crate) fn is_human(&self) -> bool {
        matches!(self, Self::Human { .. })
    }

    /// Whether one list object holds several objects.
    pub(crate) fn takes_lists(&self) -> bool {
        !matches!(self, Self::Human { .. } | Self::Name | Self::Columns(_))
    }

    /// One object in this form; `is_first` is false for those after another.
    pub(crate) fn object(
        &self,
        object: &Value,
        show: ShowArgs,
        is_first: bool,
    ) -> Result<String, Fault> {
        Ok(match self {
            Self::Human { .. } | Self::Name => name_of(object) + "\n",
            Self::Json => json::pretty(&without_managed_fields(object, show)) + "\n",
            Self::Yaml => {
                let separator = if is_first { "" } else { "---\n" };
                let object = without_managed_fields(object, show);
                format!("{separator}{}", podo_api::yaml::from_json(&object))
            }
            Self::Kyaml => kyaml::print(&without_managed_fields(object, show)),
            Self::JsonPath(path) => path.text(object, show.allow_missing_template_keys)?,
            Self::JsonPathAsJson(path) => path.json(object, show.allow_missing_template_keys)?,
            Self::Columns(columns) => columns.render(&[object], is_first)?,
            Self::Template(template) => {
                template.execute(object, show.allow_missing_template_keys)?
            }
        })
    }
}

/// `pod/NAME` or `deployment.apps/NAME`, from an object alone.
pub(crate) fn name_of(object: &Value) -> String {
    let (group, _) = super::discovery::split_version(object.s("/apiVersion"));
    let kind = object.s("/kind").to_lowercase();
    let name = Some(object.name()).filter(|name| !name.is_empty()).unwrap_or("<unknown>");
    format!("{}/{name}", super::discovery::with_group(&kind, group))
}

/// A `List` of objects, as kubectl makes one for several.
pub(crate) fn list_of(items: Vec<Value>) -> Value {
    json!({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}})
}

fn without_managed_fields(object: &Value, show: ShowArgs) -> Value {
    let mut object = object.clone();
    if !show.show_managed_fields {
        strip(&mut object);
    }
    object
}

fn strip(object: &mut Value) {
    if object.get("metadata").is_some_and(Value::is_object) {
        object_mut(&mut object["metadata"]).remove("managedFields");
    }
    if let Some(Value::Array(items)) = object.get_mut("items") {
        items.iter_mut().for_each(strip);
    }
}

//! The options of a request: the query of its URL, read and checked as each verb wants it.

use podo_api::field::{Errors, Path};
use podo_api::selector::{field, label};
use podo_api::status::GroupResource;
use podo_api::{Status, Value};

/// The longest name of a field manager (Kubernetes v1.36 `validation.FieldManagerMaxLength`).
pub(crate) const MANAGER_BYTES_MAX: usize = 128;

/// The pairs of a query, in order. Later ones do not replace earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options(Vec<(String, String)>);

/// What to do about fields that the schema does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldValidation {
    /// Drop them.
    Ignore,
    /// Drop them and warn.
    Warn,
    /// Refuse the request.
    Strict,
}

/// The options of create, update and patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOptions {
    /// Whether nothing is stored.
    pub is_dry_run: bool,
    /// The manager of the fields that change; empty if the request names none.
    pub manager: String,
    /// What to do about unknown fields.
    pub field_validation: FieldValidation,
}

/// Which state a list or watch asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionMatch {
    /// Nothing is said.
    Unset,
    /// Exactly this version.
    Exact,
    /// This version or a newer one.
    NotOlderThan,
}

/// The options of list and watch.
#[derive(Debug, Clone)]
pub struct ListOptions {
    /// Selects by labels.
    pub labels: label::Selector,
    /// Selects by fields.
    pub fields: field::Selector,
    /// At most so many items; 0 for all.
    pub limit: usize,
    /// Where to go on.
    pub continue_token: String,
    /// The version asked for, as written.
    pub resource_version: String,
    /// How the version is meant.
    pub version_match: VersionMatch,
    /// When a watch ends, in seconds; 0 for the server's choice.
    pub timeout_seconds: u64,
    /// Whether a watch wants bookmarks.
    pub allows_bookmarks: bool,
    /// Whether a watch begins with the present state, and whether that was said.
    pub send_initial_events: Option<bool>,
}

fn options_kind(kind: &'static str) -> GroupResource<'static> {
    GroupResource { group: "meta.k8s.io", resource: kind }
}

fn invalid(kind: &'static str, errors: Errors) -> Result<(), Status> {
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid(options_kind(kind), "", errors)) }
}

/// Whether the value of a boolean option means yes: all but `0` and `false` do, nothing at all included.
pub(crate) fn is_set(value: &str) -> bool {
    value != "0" && !value.eq_ignore_ascii_case("false")
}

impl Options {
    /// Options of these pairs.
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The same options with one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// The first value of an option.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All pairs, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// All values of an option.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A boolean as Go's query conversion reads it: anything but `0` and `false` is true where the option is given.
    pub fn flag(&self, name: &str) -> bool {
        self.optional_flag(name).unwrap_or(false)
    }

    fn optional_flag(&self, name: &str) -> Option<bool> {
        self.get(name).map(is_set)
    }

    /// An integer; an empty value is none.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, Status> {
        match self.get(name) {
            None | Some("") => Ok(None),
            Some(text) => match text.parse::<i64>() {
                Ok(number) => Ok(Some(number)),
                Err(error) => {
                    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
                    let why = match error.kind() {
                        NegOverflow | PosOverflow => "value out of range",
                        _ => "invalid syntax",
                    };
                    let shown = podo_api::field::quoted(text);
                    let message = format!("strconv.ParseInt: parsing {shown}: {why}");
                    Err(Status::bad_request(message))
                }
            },
        }
    }

    /// Checks `dryRun`: `All` is the only value there is.
    pub fn check_dry_run(values: &[&str], errors: &mut Errors) -> bool {
        if values.iter().any(|value| *value != "All") {
            let shown = Value::from(values.to_vec()).to_string();
            errors.push(podo_api::field::FieldError {
                kind: podo_api::field::ErrorKind::NotSupported,
                field: Path::new("dryRun"),
                value: Some(shown),
                detail: "supported values: \"All\"".to_owned(),
            });
        }
        !values.is_empty()
    }

    /// The options of a create, update or patch; `kind` is `CreateOptions` and so on.
    pub fn write(&self, kind: &'static str) -> Result<WriteOptions, Status> {
        let mut errors = Errors::new();
        let manager = self.get("fieldManager").unwrap_or("").to_owned();
        check_manager(&manager, &mut errors);
        let dry_run: Vec<&str> = self.all("dryRun").collect();
        let is_dry_run = Self::check_dry_run(&dry_run, &mut errors);
        let field_validation = self.field_validation(&mut errors);
        if kind == "PatchOptions" && self.get("force").is_some() {
            errors.forbidden(&Path::new("force"), "may not be specified for non-apply patch");
        }
        invalid(kind, errors)?;
        Ok(WriteOptions { is_dry_run, manager, field_validation })
    }

    fn field_validation(&self, errors: &mut Errors) -> FieldValidation {
        match self.get("fieldValidation").unwrap_or("") {
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            "" | "Warn" => FieldValidation::Warn,
            other => {
                let supported = ["", "Ignore", "Strict", "Warn"];
                errors.not_supported(&Path::new("fieldValidation"), other, &supported);
                FieldValidation::Warn
            }
        }
    }

    /// The options of a list or, with `is_watch`, of a watch. `check_field` says whether the kind knows a field label.
    pub fn list(&self, is_watch: bool) -> Result<ListOptions, Status> {
        let labels = label::Selector::parse(self.get("labelSelector").unwrap_or(""))
            .map_err(|error| Status::bad_request(error.to_string()))?;
        let fields = field::Selector::parse(self.get("fieldSelector").unwrap_or(""))
            .map_err(|error| Status::bad_request(error.to_string()))?;
        let limit = self.integer("limit")?.unwrap_or(0);
        let timeout = self.integer("timeoutSeconds")?.unwrap_or(0);
        let options = ListOptions {
            labels,
            fields,
            limit: usize::try_from(limit).unwrap_or(0),
            continue_token: self.get("continue").unwrap_or("").to_owned(),
            resource_version: self.get("resourceVersion").unwrap_or("").to_owned(),
            version_match: VersionMatch::Unset,
            timeout_seconds: u64::try_from(timeout).unwrap_or(0),
            allows_bookmarks: self.flag("allowWatchBookmarks"),
            send_initial_events: self.optional_flag("sendInitialEvents"),
        };
        let version_match = self.get("resourceVersionMatch").unwrap_or("");
        let mut errors = Errors::new();
        if is_watch {
            check_watch(&options, version_match, &mut errors);
        } else {
            check_list(&options, version_match, &mut errors);
        }
        invalid("ListOptions", errors)?;
        let version_match = match version_match {
            "Exact" => VersionMatch::Exact,
            "NotOlderThan" => VersionMatch::NotOlderThan,
            _ => VersionMatch::Unset,
        };
        Ok(ListOptions { version_match, ..options })
    }
}

fn check_manager(manager: &str, errors: &mut Errors) {
    let path = Path::new("fieldManager");
    if manager.len() > MANAGER_BYTES_MAX {
        errors.too_long(&path, MANAGER_BYTES_MAX);
    }
    if let Some((at, letter)) = manager.char_indices().find(|(_, letter)| letter.is_control()) {
        let detail = format!("invalid character U+{:04X} (at position {at})", u32::from(letter));
        errors.invalid(&path, manager, detail);
    }
}

/// Rules of lists (Kubernetes v1.36 `internalversion/validation`).
fn check_list(options: &ListOptions, version_match: &str, errors: &mut Errors) {
    let path = Path::new("resourceVersionMatch");
    if options.send_initial_events.is_some() {
        errors
            .forbidden(&Path::new("sendInitialEvents"), "sendInitialEvents is forbidden for list");
    }
    if version_match.is_empty() {
        return;
    }
    if options.resource_version.is_empty() {
        let detail = "resourceVersionMatch is forbidden unless resourceVersion is provided";
        errors.forbidden(&path, detail);
    }
    if !options.continue_token.is_empty() {
        errors.forbidden(&path, "resourceVersionMatch is forbidden when continue is provided");
    }
    errors.one_of(&path, version_match, &["Exact", "NotOlderThan", ""]);
    if version_match == "Exact" && options.resource_version == "0" {
        let detail = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
        errors.forbidden(&path, detail);
    }
}

/// Rules of watches (Kubernetes v1.36 `internalversion/validation`).
fn check_watch(options: &ListOptions, version_match: &str, errors: &mut Errors) {
    let path = Path::new("resourceVersionMatch");
    if options.send_initial_events.is_some() {
        if version_match != "NotOlderThan" {
            let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            errors.forbidden(&path, detail);
        }
        if !matches!(version_match, "" | "NotOlderThan") {
            errors.not_supported(&path, version_match, &["NotOlderThan"]);
        }
    } else if !version_match.is_empty() {
        let detail =
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        errors.forbidden(&path, detail);
    }
    if !options.continue_token.is_empty() {
        errors.forbidden(&Path::new("continue"), "continue is forbidden for watch");
    }
}

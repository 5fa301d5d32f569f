//! Objects as files declare them: checked, taken out of lists, and matched with the kinds that the server serves.

use podo_api::schema::builtin;
use serde_json::Value;

use super::super::call::Call;
use super::super::context::Ctx;
use super::super::discovery::{Resource, split_version};
use super::super::fault::{Fault, Outcome, quoted};
use super::super::files::{Document, FileArgs, Source};
use super::super::kinds::{Selector, matches, parse_selector};
use super::super::value::{Look, at_mut, object_mut};
use super::found::Found;
use super::{Item, validate};

/// How the objects of files are read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Reading<'a> {
    /// Check them first: the value of `fieldValidation`, `Ignore` or nothing for no check.
    pub(crate) validation: &'static str,
    /// Only those with these labels.
    pub(crate) selector: Option<&'a str>,
    /// What is taken instead of what the file says.
    pub(crate) latest: Latest<'a>,
    /// Take objects as they are, of whatever kind, and ask nobody.
    pub(crate) is_offline: bool,
    /// Take objects of any namespace, whatever `-n` says.
    pub(crate) is_anywhere: bool,
}

/// Makes the request for an object by its kind, namespace and name.
pub(crate) type MakeCall<'a> = dyn Fn(&Resource, &str, &str) -> Call + 'a;

/// What is taken of an object that a file names.
#[derive(Clone, Copy, Default)]
pub(crate) enum Latest<'a> {
    /// What the file says.
    #[default]
    No,
    /// What the server has.
    Object,
    /// What the server answers to a request.
    Call(&'a MakeCall<'a>),
}

impl Latest<'_> {
    async fn of(
        self,
        ctx: &Ctx,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, Fault> {
        if name.is_empty() {
            return Ok(None);
        }
        let answered = match self {
            Self::No => return Ok(None),
            Self::Object => return ctx.object(resource, namespace, name).await.map(Some),
            Self::Call(call) => ctx.call(call(resource, namespace, name)).await,
        };
        match answered {
            Ok(answer) => Ok(Some(answer)),
            Err(fault) => Err(ctx.lacking(resource, namespace, fault).await),
        }
    }
}

impl FileArgs {
    /// Reads all objects.
    pub(crate) async fn declared(&self, ctx: &Ctx, reading: Reading<'_>) -> Result<Found, Fault> {
        if !reading.is_offline {
            ctx.client().await?;
        }
        let sources = self.sources(ctx).await?;
        let selector = reading.selector.map(selector).transpose()?;
        let mut reader = Reader { ctx, reading, selector, found: Found::default() };
        for source in sources {
            reader.source(source).await;
        }
        Ok(reader.found)
    }
}

/// Reads the objects of a text; `name` is how errors name it.
pub(crate) async fn declared_in(ctx: &Ctx, name: &str, text: &str, reading: Reading<'_>) -> Found {
    let mut reader = Reader { ctx, reading, selector: None, found: Found::default() };
    reader.source(Source::parse(name, text)).await;
    reader.found
}

fn selector(text: &str) -> Result<Selector, Fault> {
    parse_selector(text).map_err(|fault| {
        fault.context(&format!("the provided selector {} is not valid", quoted(text)))
    })
}

struct Reader<'a> {
    ctx: &'a Ctx,
    reading: Reading<'a>,
    selector: Option<Selector>,
    found: Found,
}

impl Reader<'_> {
    /// A document that is not valid ends its source; one that cannot be used does not.
    async fn source(&mut self, source: Source) {
        for document in source.documents {
            if let Err(fault) =
                validate::check(self.ctx, &document.value, self.reading.validation).await
            {
                self.found.unread.push(told_of(&source.name, "error validating", fault));
                return;
            }
            if let Err(fault) = self.document(&source.name, document).await {
                self.found.unread.push(fault);
            }
        }
        self.found.unread.extend(source.fault);
    }

    async fn document(&mut self, source: &str, document: Document) -> Outcome {
        check_decoding(&document).map_err(|fault| told_of(source, "unable to decode", fault))?;
        let object = document.value;
        if self.reading.is_offline {
            self.local(source, object);
            return Ok(());
        }
        let (version, kind) = (object.s("/apiVersion"), object.s("/kind"));
        let discovery = self.ctx.discovery().await;
        let discovery = discovery.map_err(|fault| unreachable_server(self.ctx, source, fault))?;
        let is_list = object.at("/items").is_some();
        let resource = discovery.by_kind(version, kind).cloned();
        if resource.is_none() && !(is_list && discovery.has_list(version, kind)) {
            return Err(Fault::refused(format!(
                "resource mapping not found for name: {} namespace: {} from {}: {}\nensure CRDs are installed first",
                quoted(object.name()),
                quoted(object.namespace()),
                quoted(source),
                no_match(version, kind),
            )));
        }
        match resource.filter(|_| !is_list) {
            Some(resource) => self.object(source, resource, object).await,
            None => self.list(source, object).await,
        }
    }

    /// An object or a list of them that nobody is asked about.
    fn local(&mut self, source: &str, mut object: Value) {
        if let Some(Value::Array(items)) = object.get_mut("items").map(Value::take) {
            items.into_iter().for_each(|item| self.local(source, item));
            return;
        }
        let (group, version) = split_version(object.s("/apiVersion"));
        let resource = Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: object.s("/kind").to_owned(),
            ..Resource::default()
        };
        self.found.steps.push(Ok(Item {
            resource,
            namespace: object.namespace().to_owned(),
            name: object.name().to_owned(),
            source: source.to_owned(),
            object,
        }));
    }

    /// The items of a list, of which what is wrong is one fault.
    async fn list(&mut self, source: &str, mut list: Value) -> Outcome {
        let (version, kind) = (list.s("/apiVersion").to_owned(), list.s("/kind").to_owned());
        let item_kind = kind.strip_suffix("List").unwrap_or(&kind);
        let Value::Array(items) = list["items"].take() else { return Ok(()) };
        if items.iter().any(|item| item.at("/items").is_some_and(Value::is_array)) {
            let why = "*unstructured.Unstructured is not a list: no Items field in this object";
            return Err(Fault::refused(why));
        }
        let mut faults = Vec::new();
        for mut item in items {
            let is_bare = item.s("/kind").is_empty() && item.s("/apiVersion").is_empty();
            if is_bare && !item_kind.is_empty() {
                item["kind"] = item_kind.into();
                item["apiVersion"] = version.clone().into();
            }
            if let Err(fault) = self.item(source, item).await {
                faults.push(fault);
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(Fault::Many(faults)) }
    }

    async fn item(&mut self, source: &str, item: Value) -> Outcome {
        let (version, kind) = (item.s("/apiVersion"), item.s("/kind"));
        let lacking = match (kind.is_empty(), version.is_empty()) {
            (true, _) => Some("Object 'Kind' is missing in 'object has no kind field '"),
            (false, true) => {
                Some("Object 'apiVersion' is missing in 'object has no apiVersion field'")
            }
            (false, false) => None,
        };
        if let Some(lacking) = lacking {
            return Err(Fault::refused(format!(
                "unable to get type info from the object \"*unstructured.Unstructured\": {lacking}"
            )));
        }
        match self.ctx.discovery().await?.by_kind(version, kind).cloned() {
            Some(resource) => self.object(source, resource, item).await,
            None => Err(Fault::refused(format!("unable to recognize {}", no_match(version, kind)))),
        }
    }

    /// One object: as the server has it if that is wanted, and with its namespace.
    async fn object(&mut self, source: &str, resource: Resource, mut object: Value) -> Outcome {
        let name = object.name().to_owned();
        let own = object.namespace();
        let namespace = match resource.is_namespaced {
            true if own.is_empty() => self.ctx.namespace()?,
            true => own.to_owned(),
            false => String::new(),
        };
        let latest = self.reading.latest.of(self.ctx, &resource, &namespace, &name).await?;
        let is_answer = latest.as_ref().is_some_and(|latest| latest.s("/kind") == "Table");
        object = latest.unwrap_or(object);
        if self.selector.as_ref().is_some_and(|selector| !matches(selector, &object)) {
            return Ok(());
        }
        let wanted = self.ctx.explicit_namespace().filter(|_| !self.reading.is_anywhere);
        let placed = if is_answer {
            Ok(namespace)
        } else {
            placed(self.ctx, &resource, &mut object, wanted.as_deref())?
        };
        let source = source.to_owned();
        self.found.steps.push(placed.map(|namespace| Item {
            resource,
            namespace,
            name,
            object,
            source,
        }));
        Ok(())
    }
}

/// Gives an object the namespace that it goes to. A namespace that contradicts `-n` is the object's own fault.
fn placed(
    ctx: &Ctx,
    resource: &Resource,
    object: &mut Value,
    wanted: Option<&str>,
) -> Result<Result<String, Fault>, Fault> {
    let own = object.namespace().to_owned();
    if !resource.is_namespaced {
        if !own.is_empty() {
            object_mut(at_mut(object, &["metadata"])).remove("namespace");
        }
        return Ok(Ok(String::new()));
    }
    if own.is_empty() {
        let namespace = ctx.namespace()?;
        at_mut(object, &["metadata"])["namespace"] = namespace.clone().into();
        return Ok(Ok(namespace));
    }
    Ok(match wanted {
        Some(wanted) if wanted != own => Err(misplaced(&own, wanted)),
        _ => Ok(own),
    })
}

fn misplaced(own: &str, wanted: &str) -> Fault {
    Fault::refused(format!(
        "the namespace from the provided object {} does not match the namespace {}. You must pass '--namespace={own}' to perform this operation.",
        quoted(own),
        quoted(wanted),
    ))
}

/// Refuses an object of another namespace than the one that a command works in.
pub(crate) fn must_be_in(namespace: &str, item: &Item) -> Outcome {
    if !item.resource.is_namespaced || item.namespace == namespace {
        return Ok(());
    }
    Err(misplaced(&item.namespace, namespace))
}

fn no_match(version: &str, kind: &str) -> String {
    format!("no matches for kind {} in version {}", quoted(kind), quoted(version))
}

fn told_of(source: &str, what: &str, fault: Fault) -> Fault {
    match fault {
        Fault::Closed => Fault::Closed,
        fault => Fault::refused(format!("{what} {}: {}", quoted(source), fault.message())),
    }
}

/// What is said of an object when nobody can be asked about its kind.
fn unreachable_server(ctx: &Ctx, source: &str, fault: Fault) -> Fault {
    let why = validate::refused_connection(ctx, "/api", &fault);
    let why = why.unwrap_or_else(|| fault.message());
    Fault::refused(format!("unable to recognize {}: {why}", quoted(source)))
}

/// What kubectl's decoder has against a document: it must be an object with a kind, and its metadata must be metadata.
fn check_decoding(document: &Document) -> Outcome {
    let Document { value, text } = document;
    let not_a_map = |value: &Value| {
        let what = match value {
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Number(_) => "number",
            Value::Bool(_) => "bool",
            Value::Null | Value::Object(_) => return None,
        };
        Some(Fault::refused(format!(
            "json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
        )))
    };
    if let Some(fault) = value.list("/items").iter().find_map(not_a_map) {
        return Err(fault);
    }
    if let Some(fault) = not_a_map(value) {
        return Err(fault);
    }
    // A version that is none leaves no kind either.
    let has_version = split_version(value.s("/apiVersion")).1.matches('/').count() == 0;
    if value.s("/kind").is_empty() || !has_version {
        return Err(Fault::refused(format!("Object 'Kind' is missing in '{text}'")));
    }
    check_metadata(value)
}

/// What Go's decoder has against an object's metadata, which kubectl reads before it sends anything.
fn check_metadata(object: &Value) -> Outcome {
    let Some((metadata, ty)) = object.get("metadata").zip(builtin().get("core/v1.ConfigMap"))
    else {
        return Ok(());
    };
    let only = serde_json::json!({"metadata": metadata}).to_string();
    podo_api::json::decode(only.as_bytes(), ty).map(|_decoded| ()).map_err(|why| {
        Fault::refused(
            why.replace("field ConfigMap.metadata of", "field metadataOnlyObject.metadata of"),
        )
    })
}

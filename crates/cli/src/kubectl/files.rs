//! Objects from files: `-f FILE|FOLDER|-`, with `-R`.

use std::path::{Path, PathBuf};

use clap::Args;
use podo_api::schema::builtin;
use serde_json::Value;

use super::context::Ctx;
use super::fault::{Fault, Outcome};
use super::value::Look;

/// What is said to whoever wants a kustomization built.
pub(crate) const NO_KUSTOMIZE: &str =
    "kustomizations are not supported: build them with kustomize and give the result to -f -";

/// The flags that name files.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FileArgs {
    /// A file or folder with objects, or - for standard input; repeat for more
    #[arg(short, long)]
    pub(crate) filename: Vec<String>,
    /// Folders below folders too
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// Not supported
    #[arg(short, long, hide = true)]
    pub(crate) kustomize: Option<String>,
}

/// Not supported
#[derive(Debug, Args)]
pub(crate) struct Kustomize {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _words: Vec<String>,
}

/// An object as a file declares it.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    /// The file, as kubectl names it in errors.
    pub(crate) source: String,
    pub(crate) object: Value,
}

impl FileArgs {
    /// Whether no file is named.
    pub(crate) fn is_empty(&self) -> bool {
        self.filename.is_empty() && self.kustomize.is_none()
    }

    /// Refuses paths that do not exist.
    pub(crate) fn refuse_missing(&self) -> Outcome {
        let names = self.filename.iter().flat_map(|names| names.split(','));
        let mut paths = names.filter(|name| *name != "-" && !name.contains("://")).map(Path::new);
        paths.find(|path| !path.exists()).map_or(Ok(()), |path| Err(missing(path)))
    }

    /// Refuses words that name objects beside files that do.
    pub(crate) fn refuse_words(&self, words: &[String]) -> Outcome {
        if self.is_empty() || words.is_empty() {
            return Ok(());
        }
        self.refuse_missing()?;
        Err(Fault::refused(
            "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well",
        ))
    }

    /// Reads all objects in the order of the files; what cannot be read is apart.
    pub(crate) fn read(&self, ctx: &Ctx) -> Result<(Vec<Declared>, Vec<Fault>), Fault> {
        let (mut declared, mut faults) = (Vec::new(), Vec::new());
        for one in self.read_each(ctx)? {
            match one {
                Ok(one) => declared.push(one),
                Err(fault) => faults.push(fault),
            }
        }
        Ok((declared, faults))
    }

    /// Reads all objects in the order of the files; lists are taken apart. What cannot be read is a fault in its place.
    pub(crate) fn read_each(&self, ctx: &Ctx) -> Result<Vec<Result<Declared, Fault>>, Fault> {
        if self.kustomize.is_some() {
            return Err(Fault::refused(NO_KUSTOMIZE));
        }
        let mut found = Vec::new();
        for name in self.filename.iter().flat_map(|names| names.split(',')) {
            if name == "-" {
                let text = ctx.read_input()?;
                collect(&mut found, "STDIN", &text);
                continue;
            }
            if name.starts_with("http://") || name.starts_with("https://") {
                return Err(Fault::refused(format!("{name}: files are not read from URLs")));
            }
            for path in self.expand(Path::new(name))? {
                let shown = path.display().to_string();
                match std::fs::read_to_string(&path) {
                    Ok(text) => collect(&mut found, &shown, &text),
                    Err(source) => {
                        found.push(Err(Fault::Io { context: format!("open {shown}"), source }));
                    }
                }
            }
        }
        Ok(found)
    }

    fn expand(&self, path: &Path) -> Result<Vec<PathBuf>, Fault> {
        let Ok(meta) = std::fs::metadata(path) else {
            return Err(missing(path));
        };
        if !meta.is_dir() {
            return Ok(vec![path.to_owned()]);
        }
        let mut found = Vec::new();
        self.walk(path, &mut found)?;
        if found.is_empty() {
            return Err(Fault::refused(format!(
                "error reading [{}]: recognized file extensions are [.json .yaml .yml]",
                path.display()
            )));
        }
        Ok(found)
    }

    fn walk(&self, folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Fault> {
        let failed = || Fault::io(format!("open {}", folder.display()));
        let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
            .map_err(failed())?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .map_err(failed())?;
        entries.sort();
        for path in entries {
            if path.is_dir() {
                if self.recursive {
                    self.walk(&path, found)?;
                }
                continue;
            }
            let extension = path.extension().and_then(|extension| extension.to_str());
            if matches!(extension, Some("json" | "yaml" | "yml")) {
                found.push(path);
            }
        }
        Ok(())
    }
}

fn missing(path: &Path) -> Fault {
    let path = super::fault::quoted(&path.display().to_string());
    Fault::refused(format!("the path {path} does not exist"))
}

fn collect(found: &mut Vec<Result<Declared, Fault>>, source: &str, text: &str) {
    if text.trim_start().starts_with('{') && collect_json(found, source, text) {
        return;
    }
    for document in podo_api::yaml::documents(text) {
        let value = document.and_then(|(_line, text)| podo_api::yaml::to_json(text.as_bytes()));
        match value {
            Ok(Value::Null) => {}
            Ok(value) => flatten(found, source, value),
            Err(error) => {
                found.push(Err(syntax(source, &error.to_string())));
                return;
            }
        }
    }
}

/// JSON documents, one after another. False if the text is none from the start: YAML may begin with a brace as well.
fn collect_json(found: &mut Vec<Result<Declared, Fault>>, source: &str, text: &str) -> bool {
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    while let Some(document) = documents.next() {
        let at = documents.byte_offset();
        match document {
            Ok(value) => flatten(found, source, value),
            Err(error) if error.is_eof() => {
                found.push(Err(Fault::refused(format!("error parsing {source}: unexpected EOF"))));
            }
            Err(_) if at == 0 => return false,
            Err(error) => {
                let rest = text.as_bytes().get(at..).unwrap_or_default();
                let why = podo_api::json::decode_any(rest).err();
                let why = why.unwrap_or_else(|| error.to_string());
                found.push(Err(Fault::refused(format!("error parsing {source}: {why}"))));
            }
        }
    }
    true
}

/// How kubectl words a file that is no YAML.
fn syntax(source: &str, message: &str) -> Fault {
    let message = message.strip_prefix("yaml: ").unwrap_or(message);
    Fault::refused(format!(
        "error parsing {source}: error converting YAML to JSON: yaml: {message}"
    ))
}

/// What Go's decoder has against an object's metadata, which kubectl reads before it sends anything.
fn check_metadata(source: &str, object: &Value) -> Outcome {
    let Some((metadata, ty)) = object.get("metadata").zip(builtin().get("core/v1.ConfigMap"))
    else {
        return Ok(());
    };
    let only = serde_json::json!({"metadata": metadata}).to_string();
    podo_api::json::decode(only.as_bytes(), ty).map(|_decoded| ()).map_err(|why| {
        let why =
            why.replace("field ConfigMap.metadata of", "field metadataOnlyObject.metadata of");
        Fault::refused(format!("unable to decode {}: {why}", super::fault::quoted(source)))
    })
}

fn flatten(found: &mut Vec<Result<Declared, Fault>>, source: &str, object: Value) {
    let is_list = object.s("/kind").ends_with("List") && object.has("/items");
    if is_list {
        let kind = object.s("/kind").trim_end_matches("List").to_owned();
        let version = object.s("/apiVersion").to_owned();
        for item in object.list("/items") {
            let mut item = item.clone();
            if !kind.is_empty() && !item.has("/kind") && item.is_object() {
                item["kind"] = kind.clone().into();
                item["apiVersion"] = version.clone().into();
            }
            flatten(found, source, item);
        }
        return;
    }
    let lacking = match (object.s("/apiVersion").is_empty(), object.s("/kind").is_empty()) {
        (false, false) => {
            let checked = check_metadata(source, &object);
            let source = source.to_owned();
            return found.push(checked.map(|()| Declared { source, object }));
        }
        _ if !object.is_object() => "invalid object to validate",
        (true, true) => "[apiVersion not set, kind not set]",
        (true, false) => "apiVersion not set",
        (false, true) => "kind not set",
    };
    found.push(Err(Fault::refused(format!(
        "error validating {}: error validating data: {lacking}; if you choose to ignore these errors, turn validation off with --validate=false",
        super::fault::quoted(source)
    ))));
}

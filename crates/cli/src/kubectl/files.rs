//! Objects from files: `-f FILE|FOLDER|PATTERN|URL|-`, with `-R`.
//!
//! Here      which files are read and what is said of those that cannot be; `stream` takes their text apart, `url` fetches.
//! Not here: what becomes of the objects (`select/declared.rs`).

mod kustomize;
mod pattern;
mod stream;
mod url;

use std::path::{Path, PathBuf};

use clap::Args;
use http::Method;
use serde_json::Value;

use super::call::Call;
use super::context::Ctx;
use super::fault::{Fault, Outcome, go_text, quoted};

/// How kubectl calls standard input in errors.
const INPUT: &str = "STDIN";

/// The flags that name files.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FileArgs {
    /// A file, folder or URL with objects, or - for standard input; repeat for more
    #[arg(short, long)]
    pub(crate) filename: Vec<String>,
    /// Folders below folders too
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// A folder with a kustomization
    #[arg(short, long)]
    pub(crate) kustomize: Option<String>,
}

/// Show what a kustomization builds
#[derive(Debug, Args)]
pub(crate) struct Kustomize {
    /// The folder
    folders: Vec<String>,
}

/// What one file, one answer or standard input holds.
#[derive(Debug)]
pub(crate) struct Source {
    /// How kubectl names it in errors.
    pub(crate) name: String,
    pub(crate) documents: Vec<Document>,
    /// What is wrong after the last document.
    pub(crate) fault: Option<Fault>,
}

/// One document of a source.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) value: Value,
    /// Its JSON, as kubectl repeats it in errors.
    pub(crate) text: String,
}

impl Source {
    fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), documents: Vec::new(), fault: None }
    }

    fn failed(name: impl Into<String>, fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::new(name) }
    }
}

/// Something that is yet to be read.
enum Place {
    Input,
    Url(String),
    File(PathBuf),
}

impl FileArgs {
    /// Whether no file is named.
    pub(crate) fn is_empty(&self) -> bool {
        self.filename.iter().all(String::is_empty) && self.kustomize.is_none()
    }

    /// The single file, URL or `-` whose bytes `--raw` sends.
    pub(crate) fn only(&self) -> Result<&str, Fault> {
        match self.filename.as_slice() {
            [one] => Ok(one),
            _ => Err(Fault::refused("--raw can only use a single local file or stdin")),
        }
    }

    /// Refuses words that name objects beside files that do.
    pub(crate) fn refuse_words(&self, words: &[String]) -> Outcome {
        if self.is_empty() || words.is_empty() {
            return Ok(());
        }
        self.places()?;
        Err(Fault::refused(if words.iter().any(|word| word.contains('/')) {
            "resource/name arguments cannot be provided when a path is specified"
        } else {
            "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well"
        }))
    }

    /// Reads everything, in the order in which it is named. What cannot be read is told by its source.
    pub(crate) async fn sources(&self, ctx: &Ctx) -> Result<Vec<Source>, Fault> {
        let mut sources = Vec::new();
        for place in self.places()? {
            sources.push(match place {
                Place::Input => Source::parse(INPUT, &ctx.read_input()?),
                Place::Url(url) => match url::read(&url).await {
                    Ok(text) => Source::parse(&url, &text),
                    Err(fault) => Source::failed(url, fault),
                },
                Place::File(path) => read(&path),
            });
        }
        if let Some(folder) = &self.kustomize {
            sources.push(match kustomize::build(folder) {
                Ok(documents) => Source { documents, ..Source::new(folder) },
                Err(fault) => Source::failed(folder, fault),
            });
        }
        Ok(sources)
    }

    /// Whether the flags name one file that is no folder, so that what is wrong with it is told alone.
    pub(crate) fn is_single(&self) -> bool {
        matches!(self.places().as_deref(), Ok([Place::File(_) | Place::Url(_)]))
    }

    /// Refuses what can be seen to be wrong before anything is read: all of it is told.
    fn places(&self) -> Result<Vec<Place>, Fault> {
        self.check_kustomize()?;
        let (mut places, mut faults) = (Vec::new(), Vec::new());
        let mut has_input = false;
        let given = self.filename.iter().filter(|names| !names.is_empty());
        for name in given.flat_map(|names| names.split(',')) {
            if name == "-" {
                if has_input {
                    faults.push(Fault::refused(
                        "standard input cannot be used for multiple arguments",
                    ));
                }
                has_input = true;
                places.push(Place::Input);
            } else if name.starts_with("http://") || name.starts_with("https://") {
                match url::check(name) {
                    Ok(()) => places.push(Place::Url(name.to_owned())),
                    Err(fault) => faults.push(fault),
                }
            } else {
                self.expand(name, &mut places, &mut faults);
            }
        }
        if faults.is_empty() { Ok(places) } else { Err(Fault::Many(faults)) }
    }

    fn check_kustomize(&self) -> Outcome {
        let mut faults = Vec::new();
        if self.kustomize.is_some() && !self.filename.is_empty() {
            faults.push(Fault::refused("only one of -f or -k can be specified"));
        }
        if self.kustomize.is_some() && self.recursive {
            faults.push(Fault::refused("the -k flag can't be used with -f or -R"));
        }
        if faults.is_empty() { Ok(()) } else { Err(Fault::Many(faults)) }
    }

    /// A file, what a folder holds, or what matches a pattern.
    fn expand(&self, name: &str, places: &mut Vec<Place>, faults: &mut Vec<Fault>) {
        let exists = Path::new(name).exists();
        let paths = if exists { vec![PathBuf::from(name)] } else { pattern::matches(name) };
        if paths.is_empty() {
            faults.push(Fault::refused(format!("the path {} does not exist", quoted(name))));
            return;
        }
        for path in &paths {
            let mut found = Vec::new();
            // A link is not followed: what it leads to is read as a file.
            if !path.is_dir() || path.is_symlink() {
                found.push(path.clone());
            } else if let Err(fault) = self.walk(path, &mut found) {
                let path = quoted(&path.display().to_string());
                faults.push(fault.context(&format!("error reading {path}")));
            }
            places.extend(found.into_iter().map(Place::File));
        }
        if places.is_empty() && faults.is_empty() {
            let all: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            faults.push(Fault::refused(format!(
                "error reading [{}]: recognized file extensions are [.json .yaml .yml]",
                all.join(" ")
            )));
        }
    }

    fn walk(&self, folder: &Path, found: &mut Vec<PathBuf>) -> Outcome {
        let failed = |error: std::io::Error| {
            Fault::refused(format!("open {}: {}", folder.display(), go_text(&error)))
        };
        let entries = std::fs::read_dir(folder).map_err(failed)?;
        let entries = entries.map(|entry| entry.map(|entry| entry.path()));
        let mut entries: Vec<PathBuf> = entries.collect::<Result<_, _>>().map_err(failed)?;
        entries.sort();
        for path in entries {
            if path.is_dir() && !path.is_symlink() {
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

/// Refuses a path of the server that is none.
pub(crate) fn check_raw(path: &str) -> Outcome {
    if path.starts_with('/') {
        return Ok(());
    }
    let path = quoted(path);
    Err(Fault::refused(format!(
        "--raw must be a valid URL path: parse {path}: invalid URI for request"
    )))
}

/// `--raw`: sends the bytes of the one file to a path of the server.
pub(crate) async fn raw(ctx: &Ctx, files: &FileArgs, method: Method, path: String) -> Outcome {
    let name = files.only()?;
    check_raw(&path)?;
    let body = match name {
        "-" => ctx.read_input()?.into_bytes(),
        name => std::fs::read(name).map_err(Fault::io(format!("open {name}")))?,
    };
    ctx.out(&ctx.fetch(Call::new(method, path).body(body)).await?)
}

impl Kustomize {
    /// Shows what a kustomization builds.
    pub(crate) fn run(&self, ctx: &Ctx) -> Outcome {
        let folder = match self.folders.as_slice() {
            [] => ".",
            [one] => one.as_str(),
            _ => return Err(Fault::refused("specify one path to kustomization.yaml")),
        };
        let built = kustomize::build(folder)?;
        let texts = built.iter().map(|document| podo_api::yaml::from_json(&document.value));
        ctx.out(texts.collect::<Vec<_>>().join("---\n"))
    }
}

fn read(path: &Path) -> Source {
    let name = path.display().to_string();
    if path.is_dir() {
        let fault = Fault::refused(format!("error parsing {name}: read {name}: is a directory"));
        return Source::failed(name, fault);
    }
    match std::fs::read(path) {
        Ok(bytes) => Source::parse(&name, &String::from_utf8_lossy(&bytes)),
        Err(error) => {
            let fault = Fault::refused(format!("open {name}: {}", go_text(&error)));
            Source::failed(name, fault)
        }
    }
}

//! `create configmap` and `create secret`.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome, go_text, quoted};
use super::{Common, hash};

/// Where keys and values come from.
#[derive(Debug, Args)]
struct Sources {
    /// KEY=VALUE; repeat for more
    #[arg(long)]
    from_literal: Vec<String>,
    /// [KEY=]FILE or FOLDER; repeat for more
    #[arg(long)]
    from_file: Vec<String>,
    /// A file of KEY=VALUE lines; repeat for more
    #[arg(long)]
    from_env_file: Vec<String>,
    /// Put a hash of the content behind the name
    #[arg(long)]
    append_hash: bool,
}

/// Create a config map
#[derive(Debug, Args)]
pub(super) struct ConfigMap {
    name: String,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    common: Common,
}

/// Create a secret
#[derive(Debug, Subcommand)]
pub(super) enum Secret {
    Generic(Generic),
    DockerRegistry(DockerRegistry),
    Tls(Tls),
}

/// Create a secret from files or literals
#[derive(Debug, Args)]
pub(super) struct Generic {
    name: String,
    /// The type
    #[arg(long)]
    r#type: Option<String>,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    common: Common,
}

/// Create a secret for pulling images
#[derive(Debug, Args)]
pub(super) struct DockerRegistry {
    name: String,
    /// The user
    #[arg(long)]
    docker_username: Option<String>,
    /// The password
    #[arg(long)]
    docker_password: Option<String>,
    /// The address
    #[arg(long)]
    docker_email: Option<String>,
    /// The registry
    #[arg(long, default_value = "https://index.docker.io/v1/")]
    docker_server: String,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    common: Common,
}

/// Create a secret of a certificate and its key
#[derive(Debug, Args)]
pub(super) struct Tls {
    name: String,
    /// The certificate's file
    #[arg(long)]
    cert: Option<String>,
    /// The key's file
    #[arg(long)]
    key: Option<String>,
    /// Put a hash of the content behind the name
    #[arg(long)]
    append_hash: bool,
    #[command(flatten)]
    common: Common,
}

impl ConfigMap {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let (mut data, mut binary) = (Map::new(), Map::new());
        for (key, bytes) in self.sources.read()? {
            check_key(&key, "a valid key name for a ConfigMap:")?;
            if data.contains_key(&key) || binary.contains_key(&key) {
                return Err(Fault::refused(format!(
                    "cannot add key {}, another key by that name already exists in Data for ConfigMap {}",
                    quoted(&key),
                    quoted(&self.name)
                )));
            }
            match String::from_utf8(bytes) {
                Ok(text) => data.insert(key, text.into()),
                Err(error) => binary.insert(key, STANDARD.encode(error.as_bytes()).into()),
            };
        }
        let mut object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self.name}});
        for (field, map) in [("data", data), ("binaryData", binary)] {
            if !map.is_empty() {
                object[field] = Value::Object(map);
            }
        }
        if self.sources.append_hash {
            hash::append(&mut object);
        }
        self.common.submit(ctx, object, Some("failed to create configmap:")).await
    }
}

impl Secret {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let (object, common) = match self {
            Self::Generic(args) => {
                let data = encoded(args.sources.read()?)?;
                let mut object = secret(&args.name, args.r#type.as_deref(), data);
                if args.sources.append_hash {
                    hash::append(&mut object);
                }
                (object, args.common)
            }
            Self::DockerRegistry(args) => {
                let mut object = registry(&args)?;
                if args.sources.append_hash {
                    hash::append(&mut object);
                }
                (object, args.common)
            }
            Self::Tls(args) => {
                if args.cert.is_none() || args.key.is_none() {
                    return Err(Fault::refused("key and cert must be specified"));
                }
                let file = |flag: &str, path: &Option<String>| match path {
                    Some(path) => std::fs::read(path).map_err(|source| {
                        Fault::refused(format!(
                            "Cannot read file {path}, open {path}: {}",
                            go_text(&source)
                        ))
                    }),
                    None => Err(Fault::refused(format!("{flag} must be specified"))),
                };
                let data = vec![
                    ("tls.crt".to_owned(), pem("certificate", file("cert", &args.cert)?)?),
                    ("tls.key".to_owned(), pem("key", file("key", &args.key)?)?),
                ];
                let data = encoded(data)?;
                let mut object = secret(&args.name, Some("kubernetes.io/tls"), data);
                if args.append_hash {
                    hash::append(&mut object);
                }
                (object, args.common)
            }
        };
        common.submit(ctx, object, Some("failed to create secret")).await
    }
}

/// Refuses what cannot be half of a pair of key and certificate.
fn pem(what: &str, bytes: Vec<u8>) -> Result<Vec<u8>, Fault> {
    const HEAD: &[u8] = b"-----BEGIN ";
    if bytes.windows(HEAD.len()).any(|part| part == HEAD) {
        return Ok(bytes);
    }
    Err(Fault::refused(format!("tls: failed to find any PEM data in {what} input")))
}

fn registry(args: &DockerRegistry) -> Result<Value, Fault> {
    const KIND: &str = "kubernetes.io/dockerconfigjson";
    if !args.sources.from_file.is_empty() {
        let files = args.sources.read()?.into_iter();
        let data = files.map(|(_, bytes)| (".dockerconfigjson".to_owned(), bytes)).collect();
        return Ok(secret(&args.name, Some(KIND), encoded(data)?));
    }
    let (Some(user), Some(password)) = (&args.docker_username, &args.docker_password) else {
        return Err(Fault::refused(
            "either --from-file or the combination of --docker-username, --docker-password and --docker-server is required",
        ));
    };
    let email = args.docker_email.as_ref().filter(|email| !email.is_empty());
    let text = |value: &str| Value::from(value).to_string();
    // In the order in which Go writes the fields of its struct.
    let config = format!(
        "{{\"auths\":{{{}:{{\"username\":{},\"password\":{}{},\"auth\":{}}}}}}}",
        text(&args.docker_server),
        text(user),
        text(password),
        email.map_or(String::new(), |email| format!(",\"email\":{}", text(email))),
        text(&STANDARD.encode(format!("{user}:{password}"))),
    );
    let data = vec![(".dockerconfigjson".to_owned(), config.into_bytes())];
    Ok(secret(&args.name, Some(KIND), encoded(data)?))
}

fn secret(name: &str, kind: Option<&str>, data: Map<String, Value>) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
    if !data.is_empty() {
        object["data"] = Value::Object(data);
    }
    if let Some(kind) = kind {
        object["type"] = kind.into();
    }
    object
}

fn encoded(data: Vec<(String, Vec<u8>)>) -> Result<Map<String, Value>, Fault> {
    let mut map = Map::new();
    for (key, bytes) in data {
        check_key(&key, "valid key name for a Secret")?;
        if map.insert(key.clone(), STANDARD.encode(bytes).into()).is_some() {
            return Err(Fault::refused(format!(
                "cannot add key {key}, another key by that name already exists"
            )));
        }
    }
    Ok(map)
}

/// Keys as Kubernetes v1.36 allows them: letters, digits, `-`, `_` and `.`.
///
/// `what` is what a key is not that has others.
fn check_key(key: &str, what: &str) -> Result<(), Fault> {
    let is_good = !key.is_empty()
        && key.len() <= 253
        && key != "."
        && !key.starts_with("..")
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if is_good {
        return Ok(());
    }
    Err(Fault::refused(format!(
        "{} is not {what} a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
        quoted(key)
    )))
}

/// Refuses what is no name of a variable, as the names in files of variables must be.
fn check_variable(key: &str) -> Result<(), Fault> {
    let faults = podo_api::names::env_var_name(key);
    if faults.is_empty() {
        return Ok(());
    }
    let why = faults.join(",");
    Err(Fault::refused(format!("{} is not a valid key name: {why}", quoted(key))))
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    std::fs::read(path).map_err(|source| {
        Fault::refused(format!("error reading {}: {}", path.display(), go_text(&source)))
    })
}

impl Sources {
    fn read(&self) -> Result<Vec<(String, Vec<u8>)>, Fault> {
        let has_others = !self.from_file.is_empty() || !self.from_literal.is_empty();
        if !self.from_env_file.is_empty() && has_others {
            return Err(Fault::refused(
                "from-env-file cannot be combined with from-file or from-literal",
            ));
        }
        let mut data = Vec::new();
        for literal in &self.from_literal {
            let (key, value) =
                literal.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
                    Fault::refused(format!("invalid literal source {literal}, expected key=value"))
                })?;
            let is_quoted = value.len() > 1
                && ((value.starts_with('"') && value.ends_with('"'))
                    || (value.starts_with('\'') && value.ends_with('\'')));
            let value = if is_quoted { &value[1..value.len() - 1] } else { value };
            data.push((key.to_owned(), value.as_bytes().to_vec()));
        }
        for source in &self.from_file {
            from_file(source, &mut data)?;
        }
        for path in &self.from_env_file {
            from_env_file(path, &mut data)?;
        }
        Ok(data)
    }
}

fn from_file(source: &str, data: &mut Vec<(String, Vec<u8>)>) -> Result<(), Fault> {
    let (key, path) = match source.split_once('=') {
        Some(("", path)) => {
            return Err(Fault::refused(format!("key name for file path {path} missing")));
        }
        Some((key, "")) => {
            return Err(Fault::refused(format!("file path for key name {key} missing")));
        }
        Some((_, path)) if path.contains('=') => {
            return Err(Fault::refused("key names or file paths cannot contain '='"));
        }
        Some((key, path)) => (Some(key), Path::new(path)),
        None => (None, Path::new(source)),
    };
    if path.is_dir() {
        if key.is_some() {
            return Err(Fault::refused("cannot give a key name for a directory path"));
        }
        let listing = || Fault::io(format!("error listing files in {}", path.display()));
        let mut entries: Vec<_> = std::fs::read_dir(path)
            .map_err(listing())?
            .collect::<Result<_, _>>()
            .map_err(listing())?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries.iter().filter(|entry| entry.path().is_file()) {
            let name = entry.file_name().to_string_lossy().into_owned();
            data.push((name, read(&entry.path())?));
        }
        return Ok(());
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let key = key.map_or(name.unwrap_or_default(), str::to_owned);
    data.push((key, read(path)?));
    Ok(())
}

fn from_env_file(path: &str, data: &mut Vec<(String, Vec<u8>)>) -> Result<(), Fault> {
    if Path::new(path).is_dir() {
        return Err(Fault::refused("env config file cannot be a directory"));
    }
    let text = String::from_utf8_lossy(&read(Path::new(path))?).into_owned();
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => (key, value.to_owned()),
            None => (line, std::env::var(line).unwrap_or_default()),
        };
        check_variable(key)?;
        data.push((key.to_owned(), value.into_bytes()));
    }
    Ok(())
}

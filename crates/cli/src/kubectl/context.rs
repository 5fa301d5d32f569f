//! What every command works with: the streams, the flags that all share, the connection, what the server serves.
//!
//! Holds     a warning of the server is told once; output is buffered and a closed pipe ends the command quietly.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use podo_client::https::{Client, ConfigError, Impersonation, Secret};
use podo_client::kubeconfig::{
    Kubeconfig, KubeconfigError, Overrides, in_cluster, in_cluster_namespace,
};
use tokio::sync::OnceCell;

use super::discovery::Discovery;
use super::fault::{Fault, Outcome, go_text};
use super::globals::Globals;
use super::time::parse_duration;
use super::version;

/// What the program that calls us knows better than kubectl does.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// A kubeconfig that is used, if it exists, when neither `--kubeconfig` nor `$KUBECONFIG` names one.
    pub kubeconfig: PathBuf,
}

/// Where a command reads and writes.
pub struct Streams {
    /// Standard input.
    pub input: Box<dyn Read + Send>,
    /// Standard output.
    pub output: Box<dyn Write>,
    /// Standard error.
    pub errors: Box<dyn Write>,
    /// Whether the streams are the process's own, which exec and attach need for a terminal.
    pub is_process: bool,
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").field("is_process", &self.is_process).finish_non_exhaustive()
    }
}

impl Streams {
    /// The streams of this process.
    pub fn process() -> Self {
        Self {
            input: Box::new(io::stdin()),
            output: Box::new(io::BufWriter::with_capacity(64 << 10, io::stdout())),
            errors: Box::new(io::stderr()),
            is_process: true,
        }
    }
}

/// The state of one command.
pub(crate) struct Ctx {
    pub(crate) globals: Globals,
    defaults: Defaults,
    pub(crate) is_process: bool,
    input: RefCell<Box<dyn Read + Send>>,
    /// What standard input held, once it was read as a whole.
    input_text: std::cell::OnceCell<String>,
    output: RefCell<Box<dyn Write>>,
    errors: RefCell<Box<dyn Write>>,
    warned: RefCell<HashSet<String>>,
    /// How many different warnings the server sent.
    warnings: Cell<usize>,
    /// How the server's version differs, once it was asked for it.
    mismatch: OnceCell<Option<String>>,
    config: std::cell::OnceCell<Kubeconfig>,
    client: OnceCell<Client>,
    discovery: OnceCell<Discovery>,
}

impl Ctx {
    pub(crate) fn new(globals: Globals, defaults: Defaults, streams: Streams) -> Self {
        Self {
            globals,
            defaults,
            is_process: streams.is_process,
            input: RefCell::new(streams.input),
            input_text: std::cell::OnceCell::new(),
            output: RefCell::new(streams.output),
            errors: RefCell::new(streams.errors),
            warned: RefCell::default(),
            warnings: Cell::new(0),
            mismatch: OnceCell::new(),
            config: std::cell::OnceCell::new(),
            client: OnceCell::new(),
            discovery: OnceCell::new(),
        }
    }

    /// Writes text to standard output.
    pub(crate) fn out(&self, text: impl AsRef<[u8]>) -> Outcome {
        self.output.borrow_mut().write_all(text.as_ref()).map_err(closed)
    }

    /// Writes a line to standard output.
    pub(crate) fn line(&self, text: impl AsRef<str>) -> Outcome {
        self.out(text.as_ref())?;
        self.out("\n")
    }

    /// Hands over what was written: before waiting, and at the end.
    pub(crate) fn flush(&self) -> Outcome {
        self.output.borrow_mut().flush().map_err(closed)
    }

    /// Writes a line to standard error, after what was written to standard output.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        self.note_raw(format!("{}\n", text.as_ref()));
    }

    /// Writes text to standard error. Nobody can be told when that fails.
    pub(crate) fn note_raw(&self, text: impl AsRef<[u8]>) {
        let _flushed = self.output.borrow_mut().flush();
        let mut errors = self.errors.borrow_mut();
        let _written = errors.write_all(text.as_ref()).and_then(|()| errors.flush());
    }

    /// All of standard input, which is read once.
    pub(crate) fn read_input(&self) -> Result<String, Fault> {
        if let Some(text) = self.input_text.get() {
            return Ok(text.clone());
        }
        let mut text = String::new();
        let read = self.input.borrow_mut().read_to_string(&mut text);
        read.map_err(Fault::io("unable to read standard input"))?;
        Ok(self.input_text.get_or_init(|| text).clone())
    }

    /// Takes standard input away, for a task that reads it while others write; what is left is empty.
    pub(crate) fn take_input(&self) -> Box<dyn Read + Send> {
        self.input.replace(Box::new(io::empty()))
    }

    /// A line of standard input.
    pub(crate) fn read_line(&self) -> Result<String, Fault> {
        let mut line = Vec::new();
        let mut input = self.input.borrow_mut();
        let mut byte = [0];
        while input.read(&mut byte).map_err(Fault::io("unable to read standard input"))? == 1 {
            if byte[0] == b'\n' {
                break;
            }
            line.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Tells a warning, the first time it comes; says whether it did.
    pub(crate) fn warn_once(&self, text: &str) -> bool {
        let is_new = self.warned.borrow_mut().insert(text.to_owned());
        if is_new {
            self.note(format!("Warning: {text}"));
        }
        is_new
    }

    /// Tells a warning of the server, which `--warnings-as-errors` counts.
    pub(crate) fn server_warned(&self, text: &str) {
        let is_new = self.warn_once(text);
        self.warnings.set(self.warnings.get() + usize::from(is_new));
    }

    /// What `--warnings-as-errors` makes of a command that did well.
    pub(crate) fn warnings_fault(&self) -> Outcome {
        match self.warnings.get() {
            count if count == 0 || !self.globals.warnings_as_errors => Ok(()),
            1 => Err(Fault::refused("1 warning received")),
            count => Err(Fault::refused(format!("{count} warnings received"))),
        }
    }

    /// Refuses a server of another version, where `--match-server-version` is given; it is asked once.
    pub(crate) async fn match_version(&self) -> Outcome {
        if !self.globals.match_server_version {
            return Ok(());
        }
        let mismatch = self.mismatch.get_or_try_init(|| version::mismatch(self)).await?;
        mismatch.as_ref().map_or(Ok(()), |why| Err(Fault::refused(why.clone())))
    }

    /// The files that make up the kubeconfig, first wins; the first is the one that `config` writes when none exists.
    pub(crate) fn kubeconfig_paths(&self) -> Vec<PathBuf> {
        if let Some(path) = &self.globals.kubeconfig {
            return vec![path.clone()];
        }
        if let Some(list) = std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty()) {
            return std::env::split_paths(&list).filter(|path| path != Path::new("")).collect();
        }
        let own = &self.defaults.kubeconfig;
        if !own.as_os_str().is_empty() && own.exists() {
            return vec![own.clone()];
        }
        let home = std::env::var_os("HOME").map(PathBuf::from);
        home.map(|home| home.join(".kube/config")).into_iter().collect()
    }

    /// The merged kubeconfig.
    pub(crate) fn kubeconfig(&self) -> Result<&Kubeconfig, Fault> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        if let Some(path) = self.globals.kubeconfig.as_ref().filter(|path| !path.exists()) {
            return Err(Fault::refused(format!(
                "stat {}: no such file or directory",
                path.display()
            )));
        }
        let config = Kubeconfig::merged(&self.kubeconfig_paths())?;
        Ok(self.config.get_or_init(|| config))
    }

    /// The merged kubeconfig, empty if the file that is named is not there.
    pub(crate) fn kubeconfig_if_any(&self) -> Result<&Kubeconfig, Fault> {
        if self.globals.kubeconfig.as_ref().is_some_and(|path| !path.exists()) {
            return Ok(self.config.get_or_init(Kubeconfig::default));
        }
        self.kubeconfig()
    }

    /// The namespace of `-n`, of the context, of the Pod we run in, or `default`.
    pub(crate) fn namespace(&self) -> Result<String, Fault> {
        if let Some(name) = self.explicit_namespace() {
            return Ok(name);
        }
        let config = self.kubeconfig()?;
        let of_context = config.namespace(self.globals.context.as_deref());
        if let Some(name) = of_context.filter(|name| !name.is_empty()) {
            return Ok(name.to_owned());
        }
        let is_empty = config.clusters.is_empty() && self.globals.server.is_none();
        Ok(Some(())
            .filter(|()| is_empty)
            .and_then(|()| in_cluster_namespace())
            .unwrap_or_else(|| "default".into()))
    }

    /// The namespace of `-n`.
    pub(crate) fn explicit_namespace(&self) -> Option<String> {
        self.globals.namespace.clone().filter(|name| !name.is_empty())
    }

    /// The connection.
    pub(crate) async fn client(&self) -> Result<&Client, Fault> {
        self.client.get_or_try_init(|| async { self.connect() }).await
    }

    /// The address of the server, if there is a connection to one.
    pub(crate) fn base_url(&self) -> Option<String> {
        self.client.get().map(Client::base_url)
    }

    fn connect(&self) -> Result<Client, Fault> {
        let overrides = self.overrides()?;
        let config = self.kubeconfig()?;
        if config.clusters.is_empty()
            && self.globals.server.is_none()
            && let Some(endpoint) = in_cluster(&overrides)
        {
            return Ok(Client::new(&endpoint)?);
        }
        let endpoint = config.endpoint(&overrides).map_err(|error| self.unreadable(error))?;
        Ok(Client::new(&endpoint)?)
    }

    /// Tells which entry of the kubeconfig names a file that cannot be read.
    fn unreadable(&self, error: KubeconfigError) -> Fault {
        let KubeconfigError::Endpoint(ConfigError::File { what, path, source }) = &error else {
            return error.into();
        };
        let (flags, config) = (&self.globals, self.kubeconfig().ok());
        let context = config.and_then(|config| {
            config.context(flags.context.as_deref().unwrap_or(&config.current_context))
        });
        let (what, entry) = match *what {
            "certificate-authority" => {
                (*what, flags.cluster.as_deref().or(context.map(|context| &*context.cluster)))
            }
            "client-certificate" => {
                ("client-cert", flags.user.as_deref().or(context.map(|context| &*context.user)))
            }
            other => (other, flags.user.as_deref().or(context.map(|context| &*context.user))),
        };
        let (path, entry) = (path.display(), entry.unwrap_or_default());
        Fault::refused(format!(
            "unable to read {what} {path} for {entry} due to open {path}: {}",
            go_text(source)
        ))
    }

    /// How long one request may take, its answer included; none for ever.
    pub(crate) fn request_timeout(&self) -> Result<Option<Duration>, Fault> {
        let Some(text) = self.globals.request_timeout.as_deref() else {
            return Ok(None);
        };
        // What is not positive means no limit.
        let size = text.strip_prefix('-').unwrap_or(text);
        let limit = size.parse().ok().map(Duration::from_secs).or_else(|| parse_duration(size));
        let is_none = |limit: &Duration| limit.is_zero() || size.len() < text.len();
        limit.map(|limit| Some(limit).filter(|limit| !is_none(limit))).ok_or_else(|| {
            Fault::refused("Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a corresponding time unit (e.g. 1s | 2m | 3h)")
        })
    }

    fn overrides(&self) -> Result<Overrides, Fault> {
        let flags = &self.globals;
        let has_attributes =
            !flags.as_group.is_empty() || flags.as_uid.is_some() || !flags.as_user_extra.is_empty();
        if flags.impersonate.is_none() && has_attributes {
            let config = self.kubeconfig()?;
            let context = flags.context.as_deref().unwrap_or(&config.current_context);
            let user = config.context(context).map_or("", |context| &context.user);
            return Err(Fault::refused(format!(
                "requesting uid, groups or user-extra for {} without impersonating a user",
                flags.user.as_deref().unwrap_or(user)
            )));
        }
        let timeout = self.request_timeout()?;
        Ok(Overrides {
            context: flags.context.clone(),
            cluster: flags.cluster.clone(),
            user: flags.user.clone(),
            server: flags.server.clone(),
            token: flags.token.clone().map(Secret::new),
            certificate_authority: flags.certificate_authority.clone(),
            client_certificate: flags.client_certificate.clone(),
            client_key: flags.client_key.clone(),
            insecure_skip_tls_verify: flags.insecure_skip_tls_verify.unwrap_or(false),
            tls_server_name: flags.tls_server_name.clone(),
            impersonation: Impersonation {
                user: flags.impersonate.clone().unwrap_or_default(),
                uid: flags.as_uid.clone().unwrap_or_default(),
                groups: flags.as_group.clone(),
                extra: extra_of(&flags.as_user_extra),
            },
            timeout,
            user_agent: format!(
                "kubectl/v1.36.2 (linux/{}) podo/{}",
                version::go_arch(),
                env!("CARGO_PKG_VERSION")
            ),
        })
    }

    /// What the server serves; asked for once.
    pub(crate) async fn discovery(&self) -> Result<&Discovery, Fault> {
        self.discovery.get_or_try_init(|| Discovery::load(self)).await
    }
}

/// What `--as-user-extra` says, by key.
fn extra_of(given: &[String]) -> Vec<(String, Vec<String>)> {
    let mut extra: Vec<(String, Vec<String>)> = Vec::new();
    for (key, value) in given.iter().filter_map(|text| text.split_once('=')) {
        match extra.iter_mut().find(|(known, _)| known == key) {
            Some((_, values)) => values.push(value.to_owned()),
            None => extra.push((key.to_owned(), vec![value.to_owned()])),
        }
    }
    extra
}

fn closed(error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Fault::Closed,
        _ => Fault::Io { context: "unable to write to standard output".into(), source: error },
    }
}

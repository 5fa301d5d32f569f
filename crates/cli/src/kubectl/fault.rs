//! Everything that can end a command badly, and the text and exit code that kubectl gives it.

use std::error::Error;
use std::io;

use podo_client::https::{ConfigError, RequestError};
use podo_client::kubeconfig::KubeconfigError;
use podo_client::websocket::StreamError;
use serde_json::Value;

use super::value::Look;

/// How Go words what is wrong with a TLS handshake.
const TLS_TEXTS: [(&str, &str); 2] = [
    (
        "UnknownIssuer",
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
    ),
    ("InvalidContentType", "tls: first record does not look like a TLS handshake"),
];

/// What every command returns.
pub(crate) type Outcome = Result<(), Fault>;

/// Why a command ended badly.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The server refused: a `Status`, with the server's message or one with more context.
    #[error("{}", .0.s("/message"))]
    Status(Box<Value>),
    /// What was asked cannot be done; the text says why.
    #[error("{0}")]
    Refused(String),
    /// The command line is wrong; kubectl points at the help of the command.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// The command, as in `kubectl get`.
        command: String,
    },
    /// Text that is printed as it is, with no prefix.
    #[error("{0}")]
    Bare(String),
    /// The server cannot be reached.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The kubeconfig is wrong.
    #[error(transparent)]
    Kubeconfig(#[from] KubeconfigError),
    /// A file or a local stream.
    #[error("{context}")]
    Io {
        /// What was attempted.
        context: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// An answer broke off.
    #[error("{0}")]
    Body(#[from] hyper::Error),
    /// An answer is not what was asked for.
    #[error("the server's answer to {path:?} is not valid JSON")]
    Answer {
        /// The path that was asked for.
        path: String,
        /// Where it breaks.
        #[source]
        source: serde_json::Error,
    },
    /// A stream to the server broke.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// Ends with the code of a remote command, or because differences were found; the text is told at the very end.
    #[error("{text}")]
    Exit {
        /// The exit code.
        code: u8,
        /// What is told; nothing if empty.
        text: String,
    },
    /// A template made no sense of an object.
    #[error("{why}")]
    Template {
        /// What it made before, and what helps to find the mistake: for standard output.
        shown: String,
        /// What is wrong.
        why: String,
    },
    /// Several, each told on its own line; those among them that are several are told on one line.
    #[error("{}", summary(.0))]
    Many(Vec<Fault>),
    /// Nobody reads the output any more.
    #[error("output is closed")]
    Closed,
}

impl From<ConfigError> for Fault {
    fn from(error: ConfigError) -> Self {
        Self::Kubeconfig(KubeconfigError::Endpoint(error))
    }
}

impl Fault {
    /// An end with a code and nothing said.
    pub(crate) fn exit(code: u8) -> Self {
        Self::Exit { code, text: String::new() }
    }

    /// A fault with a text after `error: `.
    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self::Refused(text.into())
    }

    /// A mistake on the command line of a command such as `get`.
    pub(crate) fn usage(command: &str, message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), command: format!("kubectl {command}") }
    }

    /// A fault of a local file or stream.
    pub(crate) fn io(context: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let context = context.into();
        move |source| Self::Io { context, source }
    }

    /// The `reason` of the server's refusal; empty for other faults.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Status(status) => status.s("/reason"),
            _ => "",
        }
    }

    /// Whether the server says that the object is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        self.reason() == "NotFound"
    }

    /// Puts words before the message, keeping what kind of fault it is.
    pub(crate) fn context(self, words: &str) -> Self {
        match self {
            Self::Status(mut status) => {
                status["message"] = format!("{words}: {}", status.s("/message")).into();
                Self::Status(status)
            }
            Self::Refused(text) => Self::Refused(format!("{words}: {text}")),
            other => other,
        }
    }

    /// Nothing, the one, or all of them.
    pub(crate) fn all(mut faults: Vec<Self>) -> Outcome {
        match faults.len() {
            0 => Ok(()),
            1 => Err(faults.remove(0)),
            _ => Err(Self::Many(faults)),
        }
    }

    /// The exit code of the process.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Exit { code, .. } => *code,
            Self::Closed => 0,
            _ => 1,
        }
    }

    /// The lines for standard error, each ended; empty for those that are told by their exit code.
    pub(crate) fn report(&self) -> String {
        match self {
            Self::Closed => String::new(),
            Self::Exit { text, .. } if text.is_empty() => String::new(),
            Self::Exit { text, .. } => ended(text.clone()),
            Self::Many(faults) => match faults.as_slice() {
                [Self::Many(faults)] => lines(faults),
                [one] => one.report(),
                faults => lines(faults),
            },
            Self::Status(status) if status.s("/reason") == "Invalid" => invalid(status),
            _ => ended(self.line()),
        }
    }

    /// The line of one of several: those that are not the server's have no `error: ` before them.
    fn line_of_many(&self) -> String {
        match self {
            Self::Status(_) | Self::Request(_) | Self::Bare(_) => self.line(),
            Self::Many(_) => self.message(),
            _ => {
                let line = self.line();
                line.strip_prefix("error: ").map(str::to_owned).unwrap_or(line)
            }
        }
    }

    /// What is wrong, without what kind of fault it is: Go's text of the error.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Status(status) => status.s("/message").to_owned(),
            Self::Many(faults) => summary(faults),
            _ => self.line_of_many(),
        }
    }

    /// What is left without that of which the server says that it is not there.
    pub(crate) fn without_not_found(self) -> Option<Self> {
        match self {
            Self::Many(faults) => {
                let left: Vec<Self> =
                    faults.into_iter().filter_map(Self::without_not_found).collect();
                (!left.is_empty()).then_some(Self::Many(left))
            }
            other => Some(other).filter(|fault| !fault.is_not_found()),
        }
    }

    /// All that is wrong, one beside the other.
    pub(crate) fn flattened(self) -> Vec<Self> {
        match self {
            Self::Many(faults) => faults.into_iter().flat_map(Self::flattened).collect(),
            other => vec![other],
        }
    }

    /// One line, as kubectl's `StandardErrorMessage` writes it.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Status(status) => status_line(status),
            Self::Usage { message, command } => {
                format!("error: {message}\nSee '{command} -h' for help and examples")
            }
            Self::Bare(text) => text.clone(),
            Self::Kubeconfig(KubeconfigError::NoContext { name }) => format!(
                "Error in configuration: context was not found for specified context: {name}"
            ),
            Self::Kubeconfig(KubeconfigError::NoCluster { name }) => {
                format!("error: no server found for cluster {}", quoted(name))
            }
            Self::Request(error) => request_line(error),
            Self::Stream(StreamError::Request(error)) => request_line(error),
            other => format!("error: {}", chain(other)),
        }
    }
}

/// A text with the end of its last line, which it may have already.
fn ended(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(|fault| fault.line_of_many() + "\n").collect()
}

/// Several on one line; what is said twice is told once.
fn summary(faults: &[Fault]) -> String {
    fn collect(faults: &[Fault], told: &mut Vec<String>) {
        for fault in faults {
            if let Fault::Many(faults) = fault {
                collect(faults, told);
                continue;
            }
            let message = fault.message();
            if !told.contains(&message) {
                told.push(message);
            }
        }
    }
    let mut told = Vec::new();
    collect(faults, &mut told);
    match told.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

fn status_line(status: &Value) -> String {
    match status.s("/reason") {
        "Unauthorized" => {
            format!("error: You must be logged in to the server ({})", status.s("/message"))
        }
        "" => format!("Error from server: {}", status.s("/message")),
        reason => format!("Error from server ({reason}): {}", status.s("/message")),
    }
}

/// An Invalid answer, told alone: its causes as a list.
fn invalid(status: &Value) -> String {
    let message = status.s("/message");
    let Some(details) = status.get("details") else {
        let tail = if message.is_empty() { String::new() } else { format!(": {message}") };
        return format!("The request is invalid{tail}\n");
    };
    let mut causes: Vec<String> = Vec::new();
    for cause in details.list("/causes") {
        let text = format!("{}: {}", cause.s("/field"), cause.s("/message"));
        if !causes.contains(&text) {
            causes.push(text);
        }
    }
    let mut head = "The request is invalid".to_owned();
    if !details.s("/kind").is_empty() || !details.s("/name").is_empty() {
        head = format!("The {} {} is invalid", details.s("/kind"), quoted(details.s("/name")));
    } else if !message.is_empty() && causes.is_empty() {
        head = format!("{head}: {message}");
    }
    match causes.as_slice() {
        [] => format!("{head}\n"),
        [one] => format!("{head}: {one}\n"),
        many => {
            let lines: String = many.iter().map(|cause| format!("* {cause}\n")).collect();
            format!("{head}: \n{lines}")
        }
    }
}

fn request_line(error: &RequestError) -> String {
    match error {
        RequestError::Refused { address } => format!(
            "The connection to the server {address} was refused - did you specify the right host or port?"
        ),
        RequestError::TimedOut { .. } => "Unable to connect to the server: net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)".to_owned(),
        RequestError::NoSuchHost { host } => {
            format!("Unable to connect to the server: dial tcp: lookup {host}: no such host")
        }
        other => {
            let why = chain(other);
            let known = TLS_TEXTS.iter().find(|(ours, _)| why.contains(ours));
            let known = known.map(|(_, gos)| (*gos).to_owned());
            let why = known.or_else(|| other_name(&why)).unwrap_or(why);
            format!("Unable to connect to the server: {why}")
        }
    }
}

/// What Go says of a certificate that is for other names than the one asked for.
fn other_name(why: &str) -> Option<String> {
    let (_, rest) = why.split_once("certificate not valid for name \"")?;
    let (name, names) = rest.split_once('"')?;
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    let (open, close) = if is_address { ("IpAddress(", ')') } else { ("DnsName(\"", '"') };
    let known: Vec<&str> =
        names.split(open).skip(1).filter_map(|rest| rest.split(close).next()).collect();
    Some(format!(
        "tls: failed to verify certificate: x509: certificate is valid for {}, not {name}",
        known.join(", ")
    ))
}

/// An error with its causes, joined as Go does; a cause that the text before it already ends with is not repeated.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// What the system has against a file or socket, as Go words it: in lower case and without the number.
pub(crate) fn go_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// A string as Go's `%q` writes it.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

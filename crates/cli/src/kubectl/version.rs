//! `version`: of this program and of the server.

use clap::Args;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::call::Call;
use super::context::Ctx;
use super::fault::{Fault, Outcome};
use super::print::json;
use super::value::Look;

/// The version of Kubernetes whose kubectl this one is compatible with.
const COMPATIBLE: &str = "v1.36.2";

/// The kustomize that is in that kubectl. Kustomizations are not built here; who parses the output looks for the line.
const KUSTOMIZE: &str = "v5.8.1";

/// Show the versions of client and server
#[derive(Debug, Args)]
pub(crate) struct Version {
    /// The client only
    #[arg(long)]
    client: bool,
    /// json or yaml
    #[arg(short, long)]
    output: Option<String>,
    #[arg(hide = true)]
    words: Vec<String>,
}

/// The machine's architecture as Go calls it.
pub(crate) fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The fields in the order of kubectl's structs.
const FIELDS: &[&str] = &[
    "clientVersion",
    "kustomizeVersion",
    "serverVersion",
    "major",
    "minor",
    "emulationMajor",
    "emulationMinor",
    "minCompatibilityMajor",
    "minCompatibilityMinor",
    "gitVersion",
    "gitCommit",
    "gitTreeState",
    "buildDate",
    "goVersion",
    "compiler",
    "platform",
];

pub(crate) async fn run(ctx: &Ctx, args: Version) -> Outcome {
    if !args.client && !args.words.is_empty() {
        return Err(Fault::refused(format!("extra arguments: [{}]", args.words.join(" "))));
    }
    if !matches!(args.output.as_deref(), None | Some("" | "json" | "yaml")) {
        return Err(Fault::refused("--output must be 'yaml' or 'json'"));
    }
    let mut document = json!({
        "clientVersion": {
            "buildDate": "",
            "compiler": "rustc",
            "gitCommit": "",
            "gitTreeState": "clean",
            "gitVersion": COMPATIBLE,
            "goVersion": "",
            "major": "1",
            "minor": "36",
            "platform": format!("linux/{}", go_arch()),
        },
        "kustomizeVersion": KUSTOMIZE,
    });
    let mut failed = None;
    if !args.client {
        match ctx.call(Call::get("/version")).await {
            Ok(server) => document["serverVersion"] = server,
            Err(fault) => failed = Some(fault),
        }
    }
    match args.output.as_deref() {
        None | Some("") => {
            ctx.line(format!("Client Version: {COMPATIBLE}"))?;
            ctx.line(format!("Kustomize Version: {KUSTOMIZE}"))?;
            if let Some(server) = document.get("serverVersion") {
                ctx.line(format!("Server Version: {}", server.s("/gitVersion")))?;
                skew(ctx, server);
            }
        }
        Some("json") => ctx.line(json::pretty_ordered(&document, FIELDS, 2))?,
        Some("yaml") => ctx.line(podo_api::yaml::from_json(&document))?,
        Some(_) => {}
    }
    failed.map_or(Ok(()), Err)
}

/// What is told of a server of another version (`--match-server-version`).
pub(crate) async fn mismatch(ctx: &Ctx) -> Result<Option<String>, Fault> {
    let answer = ctx.send(Call::get("/version")).await?.into_body().collect().await?.to_bytes();
    let server: Value = serde_json::from_slice(&answer)
        .map_err(|source| Fault::Answer { path: "/version".to_owned(), source })?;
    let version = server.s("/gitVersion");
    let is_same = version == COMPATIBLE;
    Ok((!is_same)
        .then(|| format!("server version ({version}) differs from client version ({COMPATIBLE})!")))
}

/// Warns when the minor versions differ by more than one.
fn skew(ctx: &Ctx, server: &Value) {
    let digits: String = server.s("/minor").chars().take_while(char::is_ascii_digit).collect();
    let Ok(minor) = digits.parse::<i64>() else { return };
    if (minor - 36).abs() > 1 {
        ctx.note(format!(
            "WARNING: version difference between client (1.36) and server ({}.{minor}) exceeds the supported minor version skew of +/-1",
            server.s("/major")
        ));
    }
}

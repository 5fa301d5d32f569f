//! `config`: shows and changes kubeconfig files.

mod change;
mod credentials;
mod property;

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use podo_client::kubeconfig::Kubeconfig;
use serde_json::Value;

use super::context::Ctx;
use super::fault::{Fault, Outcome, go_text};
use super::print::{Output, ShowArgs, json};
use super::tabs::Tabs;

/// The fields of a kubeconfig in the order of client-go's structs.
const FIELDS: &[&str] = &[
    "kind",
    "command",
    "args",
    "env",
    "apiVersion",
    "installHint",
    "provideClusterInfo",
    "interactiveMode",
    "preferences",
    "name",
    "value",
    "clusters",
    "users",
    "contexts",
    "current-context",
    "server",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "certificate-authority",
    "certificate-authority-data",
    "proxy-url",
    "disable-compression",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "token",
    "tokenFile",
    "as",
    "as-uid",
    "as-groups",
    "as-user-extra",
    "username",
    "password",
    "auth-provider",
    "exec",
    "cluster",
    "user",
    "namespace",
    "extensions",
];

/// Show and change the kubeconfig
#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    View(View),
    CurrentContext(Unread),
    GetContexts(GetContexts),
    GetClusters(Unread),
    GetUsers(Unread),
    #[command(alias = "use")]
    UseContext(change::Name),
    RenameContext(change::Rename),
    SetContext(change::SetContext),
    SetCluster(change::SetCluster),
    SetCredentials(credentials::SetCredentials),
    DeleteContext(change::Name),
    DeleteCluster(change::Name),
    DeleteUser(change::Name),
    Set(change::SetProperty),
    Unset(change::Name),
}

/// Words that nobody reads
#[derive(Debug, Args)]
struct Unread {
    #[arg(hide = true)]
    _words: Vec<String>,
}

/// Show the merged kubeconfig
#[derive(Debug, Args)]
struct View {
    /// json, yaml, jsonpath=...
    #[arg(short, long, default_value = "yaml")]
    output: String,
    /// Show secrets and certificates
    #[arg(long)]
    raw: bool,
    /// Only what the current context uses
    #[arg(long)]
    minify: bool,
    /// Put the content of files in place of their names
    #[arg(long)]
    flatten: bool,
    /// Taken for compatibility
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    merge: Option<bool>,
    #[command(flatten)]
    show: ShowArgs,
}

/// List the contexts
#[derive(Debug, Args)]
struct GetContexts {
    names: Vec<String>,
    /// name
    #[arg(short, long)]
    output: Option<String>,
    /// No headers
    #[arg(long)]
    no_headers: bool,
}

pub(crate) fn run(ctx: &Ctx, args: Config) -> Outcome {
    match args.verb {
        Verb::View(args) => view(ctx, &args),
        Verb::CurrentContext(_) => current(ctx),
        Verb::GetContexts(args) => contexts(ctx, &args),
        Verb::GetClusters(_) => {
            let mut names: Vec<_> =
                ctx.kubeconfig_if_any()?.clusters.iter().map(|one| &one.name).collect();
            names.sort();
            list(ctx, &names)
        }
        Verb::GetUsers(_) => {
            let mut names: Vec<_> =
                ctx.kubeconfig_if_any()?.users.iter().map(|one| &one.name).collect();
            names.sort();
            list(ctx, &names)
        }
        Verb::UseContext(args) => change::use_context(ctx, &args),
        Verb::RenameContext(args) => change::rename(ctx, &args),
        Verb::SetContext(args) => change::set_context(ctx, args),
        Verb::SetCluster(args) => change::set_cluster(ctx, &args),
        Verb::SetCredentials(args) => credentials::set_credentials(ctx, args),
        Verb::DeleteContext(args) => change::delete(ctx, &args, "context"),
        Verb::DeleteCluster(args) => change::delete(ctx, &args, "cluster"),
        Verb::DeleteUser(args) => change::delete(ctx, &args, "user"),
        Verb::Set(args) => change::set_property(ctx, &args),
        Verb::Unset(args) => change::unset(ctx, &args),
    }
}

fn list(ctx: &Ctx, names: &[&String]) -> Outcome {
    ctx.line("NAME")?;
    names.iter().try_for_each(|name| ctx.line(name))
}

fn current(ctx: &Ctx) -> Outcome {
    let name = &ctx.kubeconfig_if_any()?.current_context;
    if name.is_empty() {
        return Err(Fault::refused("current-context is not set"));
    }
    ctx.line(name)
}

fn contexts(ctx: &Ctx, args: &GetContexts) -> Outcome {
    let config = ctx.kubeconfig_if_any()?;
    let mut faults = Vec::new();
    let mut names: Vec<&str> = if args.names.is_empty() {
        config.contexts.iter().map(|one| one.name.as_str()).collect()
    } else {
        args.names.iter().map(String::as_str).collect()
    };
    names.sort_unstable();
    names.retain(|name| {
        let exists = config.context(name).is_some();
        if !exists {
            faults.push(Fault::refused(format!("context {name} not found")));
        }
        exists
    });
    let mut tabs = Tabs::table();
    match args.output.as_deref() {
        Some("name") => names.iter().try_for_each(|name| ctx.line(name))?,
        Some("") | None => {
            if !args.no_headers {
                tabs.push("CURRENT\tNAME\tCLUSTER\tAUTHINFO\tNAMESPACE\n");
            }
            for name in names {
                let Some(context) = config.context(name) else { continue };
                let mark = if *name == config.current_context { "*" } else { "" };
                let namespace = context.namespace.as_deref().unwrap_or_default();
                let (cluster, user) = (&context.cluster, &context.user);
                tabs.push(&format!("{mark}\t{name}\t{cluster}\t{user}\t{namespace}\n"));
            }
        }
        Some(other) => {
            return Err(Fault::refused(format!(
                "--output {other} is not available in kubectl config get-contexts; resetting to default output format"
            )));
        }
    }
    ctx.out(tabs.finish())?;
    Fault::all(faults)
}

fn view(ctx: &Ctx, args: &View) -> Outcome {
    if args.merge == Some(false) && ctx.globals.kubeconfig.is_none() {
        return Err(Fault::refused("if merge==false a precise file must be specified"));
    }
    let mut config = ctx.kubeconfig_if_any()?.clone();
    if args.minify {
        minify(ctx, &mut config)?;
    }
    if args.flatten {
        flatten(&mut config)?;
    }
    let mut document = config.to_value();
    if !args.raw && !args.flatten {
        hide(&mut document);
    }
    let output = Output::parse_plain(Some(&args.output), None)?;
    if matches!(output, Output::Json) {
        return ctx.line(json::pretty_ordered(&document, FIELDS, 4));
    }
    ctx.out(output.object(&document, args.show, true)?)
}

/// Secrets and certificates are not for the eye unless asked for.
fn hide(document: &mut Value) {
    for cluster in document["clusters"].as_array_mut().into_iter().flatten() {
        if cluster["cluster"].get("certificate-authority-data").is_some() {
            cluster["cluster"]["certificate-authority-data"] = "DATA+OMITTED".into();
        }
    }
    for user in document["users"].as_array_mut().into_iter().flatten() {
        for field in ["client-certificate-data", "client-key-data"] {
            if user["user"].get(field).is_some() {
                user["user"][field] = "DATA+OMITTED".into();
            }
        }
        for field in ["token", "password"] {
            if user["user"].get(field).is_some() {
                user["user"][field] = "REDACTED".into();
            }
        }
    }
}

fn minify(ctx: &Ctx, config: &mut Kubeconfig) -> Outcome {
    let name = ctx.globals.context.clone().unwrap_or_else(|| config.current_context.clone());
    if name.is_empty() {
        return Err(Fault::refused("current-context must exist in order to minify"));
    }
    let context = config
        .context(&name)
        .cloned()
        .ok_or_else(|| Fault::refused(format!("cannot locate context {name}")))?;
    config.contexts.retain(|one| one.name == name);
    config.clusters.retain(|one| one.name == context.cluster);
    config.users.retain(|one| one.name == context.user);
    config.current_context = name;
    Ok(())
}

fn flatten(config: &mut Kubeconfig) -> Outcome {
    let inline = |path: &mut Option<String>, data: &mut Option<String>| -> Outcome {
        if let Some(file) = path.take().filter(|file| !file.is_empty()) {
            let full = std::path::absolute(&file).unwrap_or_else(|_| PathBuf::from(&file));
            let bytes = std::fs::read(&full).map_err(|error| {
                Fault::refused(format!("open {}: {}", full.display(), go_text(&error)))
            })?;
            *data = Some(STANDARD.encode(bytes));
        }
        Ok(())
    };
    for one in &mut config.clusters {
        let cluster = &mut one.cluster;
        inline(&mut cluster.certificate_authority, &mut cluster.certificate_authority_data)?;
    }
    for one in &mut config.users {
        let user = &mut one.user;
        inline(&mut user.client_certificate, &mut user.client_certificate_data)?;
        inline(&mut user.client_key, &mut user.client_key_data)?;
    }
    Ok(())
}

/// The file that new entries go to: the first that is there, else the last.
fn default_path(ctx: &Ctx) -> Result<PathBuf, Fault> {
    let mut paths = ctx.kubeconfig_paths();
    let found = paths.iter().position(|path| path.exists()).map(|at| paths.swap_remove(at));
    found
        .or_else(|| paths.pop())
        .ok_or_else(|| Fault::refused("no kubeconfig file is named and there is no home folder"))
}

/// The file that a change goes to: of several the one that has the entry, else the one that new entries go to.
fn target(ctx: &Ctx, has: impl Fn(&Kubeconfig) -> bool) -> Result<(PathBuf, Kubeconfig), Fault> {
    let fallback = default_path(ctx)?;
    let mut found = Kubeconfig::default();
    for path in ctx.kubeconfig_paths().into_iter().filter(|path| path.exists()) {
        let config = Kubeconfig::read_raw(&path)?;
        if has(&config) {
            return Ok((path, config));
        }
        if path == fallback {
            found = config;
        }
    }
    Ok((fallback, found))
}

/// Writes a file that says something else than before.
fn write_changed(path: &Path, before: &Kubeconfig, config: &Kubeconfig) -> Outcome {
    if before.to_yaml() != config.to_yaml() {
        config.write(path)?;
    }
    Ok(())
}

//! The commands of `config` that change a file.

use std::path::Path;

use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome, go_text, quoted};
use super::property::{Edit, Property};
use super::{default_path, target, write_changed};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use podo_client::kubeconfig::{Cluster, Context, Kubeconfig, NamedCluster, NamedContext};

/// Name an entry
#[derive(Debug, Args)]
pub(super) struct Name {
    name: String,
}

/// Give a context another name
#[derive(Debug, Args)]
pub(super) struct Rename {
    old: String,
    new: String,
}

/// Set a context
#[derive(Debug, Args)]
pub(super) struct SetContext {
    name: Option<String>,
    /// Change the current context
    #[arg(long)]
    current: bool,
}

/// Set a cluster
#[derive(Debug, Args)]
pub(super) struct SetCluster {
    name: String,
    /// Put the content of files in place of their names
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    embed_certs: bool,
    /// A proxy's URL
    #[arg(long)]
    proxy_url: Option<String>,
}

/// Set a property by its path
#[derive(Debug, Args)]
pub(super) struct SetProperty {
    name: String,
    value: String,
    /// Take the value of bytes as it is, not as base64
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    set_raw_bytes: bool,
}

pub(super) fn use_context(ctx: &Ctx, args: &Name) -> Outcome {
    if args.name.is_empty() {
        return Err(Fault::refused("empty context names are not allowed"));
    }
    if ctx.kubeconfig()?.context(&args.name).is_none() {
        return Err(Fault::refused(format!(
            "no context exists with the name: {}",
            quoted(&args.name)
        )));
    }
    make_current(ctx, &args.name)?;
    ctx.line(format!("Switched to context {}.", quoted(&args.name)))
}

fn make_current(ctx: &Ctx, name: &str) -> Outcome {
    let (path, mut config) = target(ctx, |_| false)?;
    let before = config.clone();
    name.clone_into(&mut config.current_context);
    write_changed(&path, &before, &config)
}

pub(super) fn rename(ctx: &Ctx, args: &Rename) -> Outcome {
    let (path, mut config) = target(ctx, |config| config.context(&args.old).is_some())?;
    let shown = default_path(ctx)?;
    let merged = ctx.kubeconfig_if_any()?;
    let Some(one) = config.contexts.iter_mut().find(|one| one.name == args.old) else {
        return Err(Fault::refused(format!(
            "cannot rename the context {}, it's not in {}",
            quoted(&args.old),
            shown.display()
        )));
    };
    if merged.context(&args.new).is_some() {
        return Err(Fault::refused(format!(
            "cannot rename the context {}, the context {} already exists in {}",
            quoted(&args.old),
            quoted(&args.new),
            shown.display()
        )));
    }
    one.name.clone_from(&args.new);
    config.write(&path)?;
    if merged.current_context == args.old {
        make_current(ctx, &args.new)?;
    }
    ctx.line(format!("Context {} renamed to {}.", quoted(&args.old), quoted(&args.new)))
}

pub(super) fn set_context(ctx: &Ctx, args: SetContext) -> Outcome {
    let name = match (args.name, args.current) {
        (Some(name), false) if !name.is_empty() => name,
        (Some(_), true) => {
            return Err(Fault::refused("you cannot specify both a context name and --current"));
        }
        (None, true) => ctx.kubeconfig()?.current_context.clone(),
        _ => return Err(Fault::refused("you must specify a non-empty context name or --current")),
    };
    if name.is_empty() {
        return Err(Fault::refused("no current context is set"));
    }
    let (path, mut config) = target(ctx, |config| config.context(&name).is_some())?;
    let before = config.clone();
    let exists = config.context(&name).is_some();
    if !exists {
        config.contexts.push(NamedContext { name: name.clone(), context: Context::default() });
    }
    for one in config.contexts.iter_mut().filter(|one| one.name == name) {
        if let Some(cluster) = &ctx.globals.cluster {
            one.context.cluster.clone_from(cluster);
        }
        if let Some(user) = &ctx.globals.user {
            one.context.user.clone_from(user);
        }
        if let Some(namespace) = &ctx.globals.namespace {
            one.context.namespace = Some(namespace.clone()).filter(|name| !name.is_empty());
        }
    }
    write_changed(&path, &before, &config)?;
    let done = if exists { "modified" } else { "created" };
    ctx.line(format!("Context {} {done}.", quoted(&name)))
}

/// A file's name, as it is seen from the kubeconfig's folder, or its content if it is to be embedded.
pub(super) fn file(
    given: Option<&String>,
    is_embedded: bool,
    kubeconfig: &Path,
    path: &mut Option<String>,
    data: &mut Option<String>,
) -> Outcome {
    let Some(given) = given else {
        return Ok(());
    };
    if is_embedded {
        let bytes = std::fs::read(given).map_err(Fault::io(format!("could not read {given}")))?;
        *data = Some(STANDARD.encode(bytes));
        *path = None;
        return Ok(());
    }
    let resolved = |path: &Path| {
        std::path::absolute(path)
            .map_err(Fault::io(format!("could not resolve {}", path.display())))
    };
    let full = resolved(Path::new(if given.is_empty() { "." } else { given }))?;
    let folder = resolved(kubeconfig)?;
    let below = folder.parent().and_then(|folder| full.strip_prefix(folder).ok());
    let shown = below.filter(|path| *path != Path::new("")).unwrap_or(&full);
    *path = Some(shown.to_string_lossy().into_owned());
    *data = None;
    Ok(())
}

/// Refuses a file to embed that is not there.
pub(super) fn check_embedded(flag: &str, file: Option<&String>) -> Outcome {
    let Some(file) = file.filter(|file| !file.is_empty()) else {
        return Ok(());
    };
    std::fs::metadata(file).map(drop).map_err(|error| {
        let why = go_text(&error);
        Fault::refused(format!("could not stat {flag} file {file}: stat {file}: {why}"))
    })
}

/// Refuses flags that contradict.
fn check_cluster(ctx: &Ctx, args: &SetCluster) -> Outcome {
    let flags = &ctx.globals;
    let authority = flags.certificate_authority.as_ref().filter(|file| !file.is_empty());
    if args.name.is_empty() {
        return Err(Fault::refused("you must specify a non-empty cluster name"));
    }
    if flags.insecure_skip_tls_verify == Some(true) && authority.is_some() {
        return Err(Fault::refused(
            "you cannot specify a certificate authority and insecure mode at the same time",
        ));
    }
    if args.embed_certs && authority.is_none() {
        return Err(Fault::refused("you must specify a --certificate-authority to embed"));
    }
    if args.embed_certs { check_embedded("certificate-authority", authority) } else { Ok(()) }
}

pub(super) fn set_cluster(ctx: &Ctx, args: &SetCluster) -> Outcome {
    check_cluster(ctx, args)?;
    let flags = &ctx.globals;
    let (path, mut config) = target(ctx, |config| config.cluster(&args.name).is_some())?;
    let before = config.clone();
    if config.cluster(&args.name).is_none() {
        config.clusters.push(NamedCluster { name: args.name.clone(), cluster: Cluster::default() });
    }
    for one in config.clusters.iter_mut().filter(|one| one.name == args.name) {
        let cluster = &mut one.cluster;
        if let Some(server) = &flags.server {
            cluster.server.clone_from(server);
            cluster.tls_server_name = None;
        }
        if let Some(name) = &flags.tls_server_name {
            cluster.tls_server_name = Some(name.clone()).filter(|name| !name.is_empty());
        }
        if let Some(proxy) = &args.proxy_url {
            cluster.other.insert("proxy-url".into(), proxy.clone().into());
        }
        // Who does not ask for it again verifies again: so does kubectl.
        cluster.insecure_skip_tls_verify = flags.insecure_skip_tls_verify.unwrap_or(false);
        if cluster.insecure_skip_tls_verify {
            (cluster.certificate_authority, cluster.certificate_authority_data) = (None, None);
        }
        file(
            flags.certificate_authority.as_ref(),
            args.embed_certs,
            &path,
            &mut cluster.certificate_authority,
            &mut cluster.certificate_authority_data,
        )?;
    }
    write_changed(&path, &before, &config)?;
    ctx.line(format!("Cluster {} set.", quoted(&args.name)))
}

pub(super) fn delete(ctx: &Ctx, args: &Name, what: &str) -> Outcome {
    let name = &args.name;
    let has = |config: &Kubeconfig| match what {
        "context" => config.context(name).is_some(),
        "cluster" => config.cluster(name).is_some(),
        _ => config.user(name).is_some(),
    };
    let (path, mut config) = target(ctx, has)?;
    let shown = default_path(ctx)?;
    if !has(&config) {
        return Err(Fault::refused(format!(
            "cannot delete {what} {name}, not in {}",
            shown.display()
        )));
    }
    if what == "context" && config.current_context == *name {
        ctx.note("warning: this removed your active context, use \"kubectl config use-context\" to select a different one");
    }
    match what {
        "context" => config.contexts.retain(|one| one.name != *name),
        "cluster" => config.clusters.retain(|one| one.name != *name),
        _ => config.users.retain(|one| one.name != *name),
    }
    config.write(&path)?;
    ctx.line(format!("deleted {what} {name} from {}", shown.display()))
}

/// Changes a property in the file that has it.
fn edited(ctx: &Ctx, path: &str, edit: Edit<'_>) -> Outcome {
    if path.is_empty() {
        return Err(Fault::refused("you must specify a property"));
    }
    ctx.kubeconfig_if_any()?;
    let property = Property::parse(path)?;
    let is_unset = matches!(edit, Edit::Unset);
    let has = |config: &Kubeconfig| match property.entry() {
        Some(("clusters", name)) => config.cluster(name).is_some(),
        Some(("contexts", name)) => config.context(name).is_some(),
        Some((_, name)) => config.user(name).is_some(),
        None => is_unset && property.is_current_context() && !config.current_context.is_empty(),
    };
    let (path, config) = target(ctx, has)?;
    let mut document = config.to_value();
    property.edit(&mut document, edit)?;
    if property.is_of_format() {
        // What the file is, is not for anybody to say: kubectl passes it over.
        return Ok(());
    }
    let changed: Kubeconfig = serde_json::from_value(document)
        .map_err(|source| Fault::Answer { path: path.display().to_string(), source })?;
    write_changed(&path, &config, &changed)
}

pub(super) fn set_property(ctx: &Ctx, args: &SetProperty) -> Outcome {
    if args.value.is_empty() {
        return Err(Fault::refused("you cannot use set to unset a property"));
    }
    edited(ctx, &args.name, Edit::Set { value: &args.value, is_raw: args.set_raw_bytes })?;
    ctx.line(format!("Property {} set.", quoted(&args.name)))
}

pub(super) fn unset(ctx: &Ctx, args: &Name) -> Outcome {
    edited(ctx, &args.name, Edit::Unset)?;
    ctx.line(format!("Property {} unset.", quoted(&args.name)))
}

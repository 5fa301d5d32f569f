//! The commands of `config` that change a file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use podo_client::kubeconfig::{
    Cluster, Context, Exec, ExecVariable, Kubeconfig, NamedCluster, NamedContext, NamedUser, User,
};
use serde_json::Value;

use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome, quoted};
use super::super::value::{at_mut, object_mut};
use super::target;

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
    #[arg(long)]
    embed_certs: bool,
    /// A proxy's URL
    #[arg(long)]
    proxy_url: Option<String>,
}

/// Set a user
#[derive(Debug, Args)]
pub(super) struct SetCredentials {
    name: String,
    /// Put the content of files in place of their names
    #[arg(long)]
    embed_certs: bool,
    /// A user name
    #[arg(long)]
    username: Option<String>,
    /// A password
    #[arg(long)]
    password: Option<String>,
    /// A command that prints credentials
    #[arg(long)]
    exec_command: Option<String>,
    /// The version that the command speaks
    #[arg(long)]
    exec_api_version: Option<String>,
    /// An argument of the command; repeat for more
    #[arg(long)]
    exec_arg: Vec<String>,
    /// NAME=VALUE for the command; repeat for more
    #[arg(long)]
    exec_env: Vec<String>,
}

/// Set a property by its path
#[derive(Debug, Args)]
pub(super) struct SetProperty {
    name: String,
    value: String,
}

pub(super) fn use_context(ctx: &Ctx, args: &Name) -> Outcome {
    if ctx.kubeconfig()?.context(&args.name).is_none() {
        return Err(Fault::refused(format!(
            "no context exists with the name: {}",
            quoted(&args.name)
        )));
    }
    let (path, mut config) = target(ctx, |config| !config.current_context.is_empty())?;
    config.current_context.clone_from(&args.name);
    config.write(&path)?;
    ctx.line(format!("Switched to context {}.", quoted(&args.name)))
}

pub(super) fn rename(ctx: &Ctx, args: &Rename) -> Outcome {
    let (path, mut config) = target(ctx, |config| config.context(&args.old).is_some())?;
    if config.context(&args.new).is_some() {
        return Err(Fault::refused(format!(
            "cannot rename the context {}, the context {} already exists in {}",
            quoted(&args.old),
            quoted(&args.new),
            path.display()
        )));
    }
    let found = config.contexts.iter_mut().find(|one| one.name == args.old);
    let Some(one) = found else {
        return Err(Fault::refused(format!(
            "cannot rename the context {}, it's not in {}",
            quoted(&args.old),
            path.display()
        )));
    };
    one.name.clone_from(&args.new);
    if config.current_context == args.old {
        config.current_context.clone_from(&args.new);
    }
    config.write(&path)?;
    ctx.line(format!("Context {} renamed to {}.", quoted(&args.old), quoted(&args.new)))
}

pub(super) fn set_context(ctx: &Ctx, args: SetContext) -> Outcome {
    let name = match (args.name, args.current) {
        (Some(name), false) => name,
        (None, true) => ctx.kubeconfig()?.current_context.clone(),
        _ => return Err(Fault::refused("you must specify a non-empty context name or --current")),
    };
    if name.is_empty() {
        return Err(Fault::refused("no current context is set"));
    }
    let (path, mut config) = target(ctx, |config| config.context(&name).is_some())?;
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
    config.write(&path)?;
    let done = if exists { "modified" } else { "created" };
    ctx.line(format!("Context {} {done}.", quoted(&name)))
}

/// A file's name, or its content if it is to be embedded.
fn file(
    given: Option<&String>,
    is_embedded: bool,
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
    let full =
        std::path::absolute(given).map_err(Fault::io(format!("could not resolve {given}")))?;
    *path = Some(full.to_string_lossy().into_owned());
    *data = None;
    Ok(())
}

pub(super) fn set_cluster(ctx: &Ctx, args: SetCluster) -> Outcome {
    let flags = &ctx.globals;
    let (path, mut config) = target(ctx, |config| config.cluster(&args.name).is_some())?;
    if config.cluster(&args.name).is_none() {
        config.clusters.push(NamedCluster { name: args.name.clone(), cluster: Cluster::default() });
    }
    for one in config.clusters.iter_mut().filter(|one| one.name == args.name) {
        let cluster = &mut one.cluster;
        if let Some(server) = &flags.server {
            cluster.server.clone_from(server);
        }
        if let Some(name) = &flags.tls_server_name {
            cluster.tls_server_name = Some(name.clone());
        }
        if let Some(proxy) = &args.proxy_url {
            cluster.other.insert("proxy-url".into(), proxy.clone().into());
        }
        if flags.insecure_skip_tls_verify {
            cluster.insecure_skip_tls_verify = true;
            (cluster.certificate_authority, cluster.certificate_authority_data) = (None, None);
        }
        if flags.certificate_authority.is_some() {
            cluster.insecure_skip_tls_verify = false;
        }
        file(
            flags.certificate_authority.as_ref(),
            args.embed_certs,
            &mut cluster.certificate_authority,
            &mut cluster.certificate_authority_data,
        )?;
    }
    config.write(&path)?;
    ctx.line(format!("Cluster {} set.", quoted(&args.name)))
}

pub(super) fn set_credentials(ctx: &Ctx, args: SetCredentials) -> Outcome {
    let flags = &ctx.globals;
    if flags.token.is_some() && (args.username.is_some() || args.password.is_some()) {
        return Err(Fault::refused(
            "you cannot specify more than one authentication method at the same time: --token, --username/--password",
        ));
    }
    let (path, mut config) = target(ctx, |config| config.user(&args.name).is_some())?;
    if config.user(&args.name).is_none() {
        config.users.push(NamedUser { name: args.name.clone(), user: User::default() });
    }
    for one in config.users.iter_mut().filter(|one| one.name == args.name) {
        let user = &mut one.user;
        file(
            flags.client_certificate.as_ref(),
            args.embed_certs,
            &mut user.client_certificate,
            &mut user.client_certificate_data,
        )?;
        file(
            flags.client_key.as_ref(),
            args.embed_certs,
            &mut user.client_key,
            &mut user.client_key_data,
        )?;
        if let Some(token) = &flags.token {
            user.token = Some(token.clone());
            (user.username, user.password) = (None, None);
        }
        if args.username.is_some() || args.password.is_some() {
            user.username = args.username.clone().or(user.username.take());
            user.password = args.password.clone().or(user.password.take());
            user.token = None;
        }
        if let Some(command) = &args.exec_command {
            let exec = user.exec.get_or_insert_with(Exec::default);
            exec.command.clone_from(command);
            exec.api_version = args
                .exec_api_version
                .clone()
                .unwrap_or_else(|| "client.authentication.k8s.io/v1".into());
            exec.args.clone_from(&args.exec_arg);
            let pairs = args.exec_env.iter().filter_map(|text| text.split_once('='));
            exec.env = pairs
                .map(|(name, value)| ExecVariable { name: name.into(), value: value.into() })
                .collect();
        }
    }
    config.write(&path)?;
    ctx.line(format!("User {} set.", quoted(&args.name)))
}

pub(super) fn delete(ctx: &Ctx, args: &Name, what: &str) -> Outcome {
    let name = &args.name;
    let has = |config: &Kubeconfig| match what {
        "context" => config.context(name).is_some(),
        "cluster" => config.cluster(name).is_some(),
        _ => config.user(name).is_some(),
    };
    let (path, mut config) = target(ctx, has)?;
    if !has(&config) {
        return Err(Fault::refused(format!(
            "cannot delete {what} {name}, not in {}",
            path.display()
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
    ctx.line(format!("deleted {what} {name} from {}", path.display()))
}

/// The place of a property such as `contexts.NAME.namespace`: names may hold dots, so known entries are tried first.
fn place<'a>(document: &'a mut Value, property: &str) -> Result<(&'a mut Value, String), Fault> {
    let wrong = || Fault::refused(format!("unable to locate path {property:?}"));
    let Some((head, rest)) = property.split_once('.') else {
        return Ok((document, property.to_owned()));
    };
    let inner = match head {
        "clusters" => "cluster",
        "contexts" => "context",
        "users" => "user",
        _ => return Ok((at_mut(document, &[head]), rest.to_owned())),
    };
    let (name, field) = rest.rsplit_once('.').ok_or_else(wrong)?;
    if !document[head].is_array() {
        document[head] = Value::Array(Vec::new());
    }
    let list = document[head].as_array_mut().ok_or_else(wrong)?;
    let at = if let Some(at) = list.iter().position(|one| one["name"] == name) {
        at
    } else {
        list.push(serde_json::json!({"name": name, inner: {}}));
        list.len() - 1
    };
    Ok((&mut list[at][inner], field.to_owned()))
}

fn edited(ctx: &Ctx, edit: impl FnOnce(&mut Value) -> Outcome) -> Outcome {
    let (path, config) = target(ctx, |config| !config.current_context.is_empty())?;
    let shape = |source| Fault::Answer { path: path.display().to_string(), source };
    let mut document = serde_json::to_value(&config).map_err(shape)?;
    edit(&mut document)?;
    let config: Kubeconfig = serde_json::from_value(document).map_err(shape)?;
    config.write(&path)?;
    Ok(())
}

/// Refuses a path that begins with what a kubeconfig does not have.
fn check_property(path: &str) -> Outcome {
    const PROPERTIES: [&str; 8] = [
        "apiVersion",
        "clusters",
        "contexts",
        "current-context",
        "extensions",
        "kind",
        "preferences",
        "users",
    ];
    let head = path.split('.').next().unwrap_or(path);
    if PROPERTIES.contains(&head) {
        return Ok(());
    }
    Err(Fault::refused(format!("unable to parse {path} after [] at api.Config")))
}

pub(super) fn set_property(ctx: &Ctx, args: &SetProperty) -> Outcome {
    check_property(&args.name)?;
    edited(ctx, |document| {
        let (place, field) = place(document, &args.name)?;
        let value = match args.value.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            text => text.into(),
        };
        object_mut(place).insert(field, value);
        Ok(())
    })?;
    ctx.line(format!("Property {} set.", quoted(&args.name)))
}

pub(super) fn unset(ctx: &Ctx, args: &Name) -> Outcome {
    check_property(&args.name)?;
    edited(ctx, |document| {
        let parts: Vec<&str> = args.name.splitn(2, '.').collect();
        // `contexts.NAME` takes the whole entry away.
        if let [head @ ("clusters" | "contexts" | "users"), name] = parts.as_slice()
            && let Some(list) = document[*head].as_array_mut()
        {
            let before = list.len();
            list.retain(|one| one["name"] != **name);
            if list.len() < before || !name.contains('.') {
                return Ok(());
            }
        }
        let (place, field) = place(document, &args.name)?;
        object_mut(place).remove(&field);
        Ok(())
    })?;
    ctx.line(format!("Property {} unset.", quoted(&args.name)))
}

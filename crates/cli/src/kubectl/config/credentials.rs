//! `config set-credentials`: a user and how it proves who it is.

use clap::Args;
use podo_client::kubeconfig::{Exec, ExecVariable, NamedUser, User};
use serde_json::json;

use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome, quoted};
use super::super::labels::{SignedPairs, signed_pairs};
use super::super::value::object_mut;
use super::change::{check_embedded, file};
use super::target;

/// The field of a user that this program keeps as it is.
const AUTH_PROVIDER: &str = "auth-provider";

/// Set a user
#[derive(Debug, Args)]
pub(super) struct SetCredentials {
    name: String,
    /// Put the content of files in place of their names
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    embed_certs: bool,
    /// A user name
    #[arg(long)]
    username: Option<String>,
    /// A password
    #[arg(long)]
    password: Option<String>,
    /// A provider of credentials
    #[arg(long)]
    auth_provider: Option<String>,
    /// KEY=VALUE for the provider, or KEY- for one less; repeat for more
    #[arg(long, value_delimiter = ',')]
    auth_provider_arg: Vec<String>,
    /// A command that prints credentials
    #[arg(long)]
    exec_command: Option<String>,
    /// The version that the command speaks
    #[arg(long)]
    exec_api_version: Option<String>,
    /// An argument of the command; repeat for more
    #[arg(long, value_delimiter = ',')]
    exec_arg: Vec<String>,
    /// NAME=VALUE for the command, or NAME- for one less; repeat for more
    #[arg(long)]
    exec_env: Vec<String>,
    /// Whether the command may ask: IfAvailable, Never or Always
    #[arg(long)]
    exec_interactive_mode: Option<String>,
    /// Tell the command about the cluster
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    exec_provide_cluster_info: Option<bool>,
}

pub(super) fn set_credentials(ctx: &Ctx, args: SetCredentials) -> Outcome {
    let read = |given: &[String], flag: &str| {
        signed_pairs(given, flag).map_err(|why| Fault::refused(format!("Error: {why}")))
    };
    let provider = read(&args.auth_provider_arg, "auth-provider-arg")?;
    let environment = read(&args.exec_env, "exec-env")?;
    check(ctx, &args)?;
    let (path, mut config) = target(ctx, |config| config.user(&args.name).is_some())?;
    let before = config.clone();
    if config.user(&args.name).is_none() {
        config.users.push(NamedUser { name: args.name.clone(), user: User::default() });
    }
    for one in config.users.iter_mut().filter(|one| one.name == args.name) {
        let user = &mut one.user;
        let flags = &ctx.globals;
        file(
            flags.client_certificate.as_ref(),
            args.embed_certs,
            &path,
            &mut user.client_certificate,
            &mut user.client_certificate_data,
        )?;
        file(
            flags.client_key.as_ref(),
            args.embed_certs,
            &path,
            &mut user.client_key,
            &mut user.client_key_data,
        )?;
        set_secrets(ctx, &args, user);
        set_provider(&args, &provider, user);
        set_exec(&args, &environment, user);
    }
    super::write_changed(&path, &before, &config)?;
    ctx.line(format!("User {} set.", quoted(&args.name)))
}

fn is_given(flag: Option<&String>) -> bool {
    flag.is_some_and(|text| !text.is_empty())
}

/// Refuses flags that contradict.
fn check(ctx: &Ctx, args: &SetCredentials) -> Outcome {
    let flags = &ctx.globals;
    if args.name.is_empty() {
        return Err(Fault::refused("you must specify a non-empty user name"));
    }
    let modes = ["IfAvailable", "Never", "Always"];
    if args.exec_interactive_mode.as_deref().is_some_and(|mode| !modes.contains(&mode)) {
        return Err(Fault::refused(
            "invalid interactive mode type, can be only IfAvailable, Never, Always",
        ));
    }
    let is_basic = is_given(args.username.as_ref()) || is_given(args.password.as_ref());
    if is_given(flags.token.as_ref()) && is_basic {
        return Err(Fault::refused(
            "you cannot specify more than one authentication method at the same time: --token, --username/--password",
        ));
    }
    if !args.embed_certs {
        return Ok(());
    }
    let files = [
        ("client-certificate", flags.client_certificate.as_ref()),
        ("client-key", flags.client_key.as_ref()),
    ];
    if !files.iter().any(|(_, file)| is_given(*file)) {
        return Err(Fault::refused(
            "you must specify a --client-certificate or --client-key to embed",
        ));
    }
    files.iter().try_for_each(|(flag, file)| check_embedded(flag, *file))
}

/// A token or a name with a password: one takes the other's place.
fn set_secrets(ctx: &Ctx, args: &SetCredentials, user: &mut User) {
    let set = |given: Option<&String>, place: &mut Option<String>| {
        if let Some(text) = given {
            *place = Some(text.clone()).filter(|text| !text.is_empty());
        }
        is_given(given)
    };
    let has_token = set(ctx.globals.token.as_ref(), &mut user.token);
    let has_name = set(args.username.as_ref(), &mut user.username);
    let has_password = set(args.password.as_ref(), &mut user.password);
    if has_token {
        (user.username, user.password) = (None, None);
    } else if has_name || has_password {
        user.token = None;
    }
}

fn set_provider(args: &SetCredentials, (set, unset): &SignedPairs, user: &mut User) {
    if let Some(name) = &args.auth_provider
        && user.other.get(AUTH_PROVIDER).is_none_or(|known| known["name"] != **name)
    {
        user.other.insert(AUTH_PROVIDER.into(), json!({"config": {}, "name": name}));
    }
    let Some(provider) = user.other.get_mut(AUTH_PROVIDER) else {
        return;
    };
    let config = object_mut(&mut provider["config"]);
    config.retain(|key, _| !unset.contains(key));
    config.extend(set.iter().map(|(key, value)| (key.clone(), value.clone().into())));
}

/// Where there is no command, what is said about it is passed over.
fn set_exec(args: &SetCredentials, (set, unset): &SignedPairs, user: &mut User) {
    if let Some(command) = &args.exec_command {
        let exec = user.exec.get_or_insert_with(Exec::default);
        exec.command.clone_from(command);
        exec.args.clear();
    }
    let Some(exec) = &mut user.exec else {
        return;
    };
    if let Some(version) = &args.exec_api_version {
        exec.api_version.clone_from(version);
    }
    if !matches!(args.exec_arg.as_slice(), [] | [_])
        || args.exec_arg.iter().any(|arg| !arg.is_empty())
    {
        exec.args.clone_from(&args.exec_arg);
    }
    if let Some(mode) = &args.exec_interactive_mode {
        exec.other.insert("interactiveMode".into(), mode.clone().into());
    }
    if let Some(is) = args.exec_provide_cluster_info {
        exec.other.insert("provideClusterInfo".into(), is.into());
    }
    exec.env.retain(|one| !unset.contains(&one.name));
    for (name, value) in set {
        match exec.env.iter_mut().find(|one| one.name == *name) {
            Some(known) => known.value.clone_from(value),
            None => exec.env.push(ExecVariable { name: name.clone(), value: value.clone() }),
        }
    }
}

//! `podo server`: a control plane alone. `podo up` starts the same parts beside a node.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use podo_apiserver::{Api, ServerConfig, StartError, Started, User, start};
use podo_base::{Clock, SystemClock, Tasks};
use podo_client::Client;
use podo_controllers::{Context, Controller, StoredKind, TokenSubject};
use podo_registry::Storage;
use tracing_subscriber::EnvFilter;

use crate::address;
use crate::config::{Common, ControlPlane, ServerOptions};
use crate::exit::{Class, Failure};
use crate::local::Local;
use crate::progress::Step;
use crate::screen;
use crate::signals::EndSignals;

/// How long open requests and tasks may go on when the process is asked to end.
const DRAIN: Duration = Duration::from_secs(10);

/// A control plane that answers, with the tasks that it is made of.
pub(crate) struct ControlPlaneParts {
    /// The API server.
    pub started: Started,
    /// Its tasks: the last to stop.
    pub api_tasks: Tasks,
    /// Controllers and scheduler.
    pub tasks: Tasks,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Runs until the process is asked to end.
pub(crate) async fn run(options: &ServerOptions) -> Result<(), Failure> {
    check_ranges(&options.control_plane)?;
    log();
    let mut signals = EndSignals::catch()?;
    let start = start_control_plane(&options.common, &options.control_plane, None);
    // A store of a million objects takes its time to be read.
    let start = screen::during(start, || vec![Step::note("podo server", "starting")]);
    let mut parts = tokio::select! {
        biased;
        parts = start => parts?,
        () = signals.asked_to_end() => return Ok(()),
    };
    crate::say(&format!("API server: https://{}", address::local(parts.started.address)));
    crate::say(&format!("kubeconfig: {}", kubeconfig_path(&options.common.data_dir).display()));
    let fault = tokio::select! {
        () = signals.asked_to_end() => None,
        end = parts.tasks.first_exit() => Some(end),
        end = parts.api_tasks.first_exit() => Some(end),
    };
    parts.tasks.stop(DRAIN).await;
    parts.api_tasks.stop(DRAIN).await;
    match fault {
        None => Ok(()),
        Some(end) => Err(Failure::of(Class::Internal, &end)),
    }
}

/// Starts logging to standard error; `RUST_LOG` says how much.
pub(crate) fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| screen::Log);
    // A second call in one process changes nothing.
    let _already_set =
        log.with_ansi(has_colours(screen::is_terminal(), std::env::var_os("NO_COLOR"))).try_init();
}

/// Colours are for people who look at a terminal and have not said that they want none (`NO_COLOR`).
fn has_colours(is_terminal: bool, wish: Option<OsString>) -> bool {
    is_terminal && wish.is_none_or(|wish| wish.is_empty())
}

/// Starts the API server, and with it the chosen controllers and the scheduler. `node` is the address of a node beside them.
pub(crate) async fn start_control_plane(
    common: &Common,
    options: &ControlPlane,
    node: Option<IpAddr>,
) -> Result<ControlPlaneParts, Failure> {
    let (controllers, missing) = podo_controllers::select(&options.controllers)
        .map_err(|error| Failure::of(Class::Usage, &error))?;
    for name in missing {
        crate::tell(&format!("Warning: {name} is not built yet and does not run"));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut api_tasks = Tasks::new("api");
    let config = server_config(common, options, node)?;
    let started = start(&config, Arc::clone(&clock), &mut api_tasks)
        .await
        .map_err(|error| start_failed(&error))?;
    write_kubeconfig(&common.data_dir, &started)?;
    let mut tasks = Tasks::new("controllers");
    start_controllers(&started, &controllers, &clock, &mut tasks);
    if !options.no_scheduler {
        let client = client_of(
            &started.api,
            User::authenticated("system:kube-scheduler", &[]),
            "kube-scheduler",
        );
        podo_scheduler::start(&client, Arc::clone(&clock), &mut tasks);
    }
    Ok(ControlPlaneParts { started, api_tasks, tasks, clock })
}

fn start_controllers(
    started: &Started,
    chosen: &[&'static Controller],
    clock: &Arc<dyn Clock>,
    tasks: &mut Tasks,
) {
    let api = Arc::clone(&started.api);
    let signer = Arc::clone(&started.api);
    let manager = User::authenticated("system:kube-controller-manager", &[]);
    let context = Context {
        client: Box::new(move |account| {
            client_of(&api, service_account("kube-system", account), "kube-controller-manager")
        }),
        manager: client_of(&started.api, manager, "kube-controller-manager"),
        clock: Arc::clone(clock),
        ca_pem: started.pki.ca_pem().into(),
        stored: stored_kinds(),
        sign_token: Arc::new(move |subject: TokenSubject| {
            let api = Arc::clone(&signer);
            async move {
                api.sign_legacy(
                    &subject.namespace,
                    &subject.account,
                    &subject.account_uid,
                    &subject.secret,
                )
                .await
            }
            .boxed()
        }),
    };
    podo_controllers::start(&context, chosen, tasks);
}

/// A client of this process with an identity that no request of its can change.
pub(crate) fn client_of(api: &Arc<Api>, user: User, agent: &str) -> Client {
    Client::new(Local::new(Arc::clone(api), user, agent))
}

fn service_account(namespace: &str, name: &str) -> User {
    let groups = ["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}")];
    User::authenticated(format!("system:serviceaccount:{namespace}:{name}"), &groups)
}

/// Every kind that is kept under its own name.
fn stored_kinds() -> Vec<StoredKind> {
    podo_registry::KINDS
        .iter()
        .filter(|kind| matches!(kind.storage, Storage::Own))
        .map(|kind| StoredKind {
            group: kind.names.group,
            version: kind.names.version,
            plural: kind.names.plural,
            kind: kind.names.kind,
            is_namespaced: kind.is_namespaced(),
        })
        .collect()
}

fn server_config(
    common: &Common,
    options: &ControlPlane,
    node: Option<IpAddr>,
) -> Result<ServerConfig, Failure> {
    let advertised = address::advertised(options.listen.ip(), options.advertise_address, node);
    Ok(ServerConfig {
        data_dir: common.data_dir.clone(),
        listen: options.listen,
        advertised,
        addresses: node.into_iter().collect(),
        service_cidr: cidr(&options.service_cidr)?,
        domain: "cluster.local".to_owned(),
        names: options.tls_san.clone(),
        static_tokens: options
            .static_token
            .iter()
            .map(|text| static_token(text))
            .collect::<Result<_, _>>()?,
        give_back: podo_runtime::trim_heap,
    })
}

/// An address range such as `10.43.0.0/16`.
pub(crate) fn cidr(text: &str) -> Result<(Ipv4Addr, u8), Failure> {
    let parsed = text
        .split_once('/')
        .and_then(|(address, bits)| Some((address.parse().ok()?, bits.parse().ok()?)));
    match parsed {
        Some((address, bits)) if bits <= 30 => Ok((address, bits)),
        _ => Err(Failure::new(
            Class::Usage,
            format!("{text:?} is not an IPv4 address range such as 10.43.0.0/16"),
        )),
    }
}

/// Services and Pods have addresses of their own: a packet must not be meant for both.
pub(crate) fn check_ranges(options: &ControlPlane) -> Result<(), Failure> {
    let (services, pods) = (&options.service_cidr, &options.cluster_cidr);
    let (first, second) = (cidr(services)?, cidr(pods)?);
    let bits = u32::from(first.1.min(second.1));
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    if (u32::from(first.0) ^ u32::from(second.0)) & mask != 0 {
        return Ok(());
    }
    let text = format!("--service-cidr {services} and --cluster-cidr {pods} overlap");
    Err(Failure::new(Class::Usage, text).with_hint("choose ranges that have no address in common"))
}

fn static_token(text: &str) -> Result<(String, String, Vec<String>), Failure> {
    let wrong = || Failure::new(Class::Usage, "a static token has the form TOKEN=USER[,GROUP…]");
    let (token, rest) = text.split_once('=').ok_or_else(wrong)?;
    let mut parts = rest.split(',').map(str::to_owned);
    let user =
        parts.next().filter(|user| !user.is_empty() && !token.is_empty()).ok_or_else(wrong)?;
    Ok((token.to_owned(), user, parts.collect()))
}

fn start_failed(error: &StartError) -> Failure {
    let failure = Failure::of(Class::Unavailable, error);
    match error {
        StartError::Listen { source, address } if source.kind() == io::ErrorKind::AddrInUse => failure
            .with_hint(format!("another process listens on {address}: stop it, or choose another port with --listen")),
        StartError::DataDir { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            Failure::of(Class::Permission, error).with_hint("run as root, or choose a directory of yours with --data-dir")
        }
        StartError::Store { .. } => failure
            .with_hint("if another podo uses this data directory, stop it with podo down or choose another with --data-dir"),
        _ => failure,
    }
}

/// Where the administrator's kubeconfig is.
pub(crate) fn kubeconfig_path(data_dir: &Path) -> PathBuf {
    data_dir.join("kubeconfig.yaml")
}

fn write_kubeconfig(data_dir: &Path, started: &Started) -> Result<(), Failure> {
    let server = format!("https://{}", address::local(started.address));
    let text = started.pki.kubeconfig(&server, started.pki.admin());
    let path = kubeconfig_path(data_dir);
    let fresh = path.with_extension("new");
    let write = || {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&fresh)?;
        io::Write::write_all(&mut file, text.as_bytes())?;
        std::fs::rename(&fresh, &path)
    };
    write().map_err(|error| Failure::of_file("write", &path, &error))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::config::{Cli, Command};

    #[track_caller]
    fn check(services: &str, pods: &str, expected: &str) {
        let args = ["podo", "server", "--service-cidr", services, "--cluster-cidr", pods];
        let command = Cli::try_parse_from(args).expect("a command line").command;
        let Command::Server(options) = command else { panic!("a server is due") };
        let checked = check_ranges(&options.control_plane);
        assert_eq!(
            checked.map_or_else(|failure| failure.message().to_owned(), |()| "good".into()),
            expected
        );
    }

    #[test]
    fn colours_are_for_terminals_whose_users_want_them() {
        assert!(has_colours(true, None) && has_colours(true, Some("".into())));
        assert!(!has_colours(false, None) && !has_colours(true, Some("1".into())));
    }

    #[test]
    fn services_and_pods_have_no_address_in_common() {
        check("10.43.0.0/16", "10.42.0.0/16", "good");
        let text = "--service-cidr 10.42.7.0/24 and --cluster-cidr 10.42.0.0/16 overlap";
        check("10.42.7.0/24", "10.42.0.0/16", text);
        let text = "--service-cidr 10.0.0.0/8 and --cluster-cidr 10.42.0.0/16 overlap";
        check("10.0.0.0/8", "10.42.0.0/16", text);
        let text = "--service-cidr 0.0.0.0/0 and --cluster-cidr 10.42.0.0/16 overlap";
        check("0.0.0.0/0", "10.42.0.0/16", text);
        let text = "\"x\" is not an IPv4 address range such as 10.43.0.0/16";
        check("x", "10.42.0.0/16", text);
    }
}

//! `podo up`: control plane and node in one process.
//!
//! Starts what others need first, and stops in the reverse order. Pods outlive it: their shims are other processes, and the next `up`
//! finds them again.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use podo_api::names::dns1123_subdomain;
use podo_apiserver::User;
use podo_base::{StopHandle, Tasks};
use podo_client::Client;
use podo_cri::{Cri, CriConfig, OpenError, PodoCri};
use podo_kubelet::{Kubelet, KubeletConfig};

use crate::address;
use crate::config::UpOptions;
use crate::control::{self, EndHandle};
use crate::down;
use crate::exit::{Class, Failure};
use crate::instance::{Instance, require_root};
use crate::manager::Manager;
use crate::manifests;
use crate::node_config;
use crate::preflight;
use crate::progress::Step;
use crate::qos_cgroups::InstanceCgroups;
use crate::screen;
use crate::server::{self, ControlPlaneParts};
use crate::signals::EndSignals;

/// How long tasks may go on when the process is asked to end.
const DRAIN: Duration = Duration::from_secs(10);

/// A node that runs.
struct NodeParts {
    cri: Arc<PodoCri>,
    tasks: Tasks,
}

/// Runs until the process is asked to end.
pub(crate) async fn run(options: &UpOptions) -> Result<(), Failure> {
    let began = Instant::now();
    check_name(&node_name(options))?;
    server::check_ranges(&options.control_plane)?;
    require_root("podo up")?;
    server::log();
    let mut signals = EndSignals::catch()?;
    preflight::check()?;
    let instance = Instance::of(&options.common.data_dir)?;
    // Given back by the kernel when the process is gone: what was begun may be under way when this returns.
    std::mem::forget(instance.lock().await?);
    let start =
        screen::during(start(options, &instance), || vec![Step::note("podo up", "starting")]);
    let (mut control_plane, mut node) = tokio::select! {
        biased;
        parts = start => parts?,
        // What is begun is found by the next start, or by `podo down`; it may not be left by one that leaves nothing.
        () = signals.asked_to_end(), if !options.ephemeral => return Ok(()),
    };
    let end = Arc::new(StopHandle::new());
    let control = serve_control(&instance, &node, &end)?;
    crate::say(&format!(
        "API server https://{} after {} ms",
        address::local(control_plane.started.address),
        began.elapsed().as_millis()
    ));
    let kubeconfig = server::kubeconfig_path(&options.common.data_dir);
    crate::say(&format!("kubeconfig {}", kubeconfig.display()));
    let client = admin(&control_plane);
    let images = node.cri.images().clone();
    let applied = manifests::apply(&client, &kubeconfig, &options.filename, images);
    let applying = async {
        if let Err(failure) = applied.await {
            crate::tell(&format!("error: {failure}"));
        }
        std::future::pending::<()>().await;
    };
    let ended = end.stop();
    let mut is_removed = options.ephemeral;
    let fault = tokio::select! {
        () = applying => None,
        () = signals.asked_to_end() => None,
        () = ended.requested() => {
            is_removed = true;
            None
        }
        end = node.tasks.first_exit() => Some(end),
        end = control_plane.tasks.first_exit() => Some(end),
        end = control_plane.api_tasks.first_exit() => Some(end),
    };
    // Whoever waits on the control socket for the end hears it when everything else has ended.
    stop(node, control_plane, is_removed.then_some(&instance)).await;
    control.stop(DRAIN).await;
    match fault {
        None => Ok(()),
        Some(end) => Err(Failure::of(Class::Internal, &end)),
    }
}

/// Starts what others need first.
async fn start(
    options: &UpOptions,
    instance: &Instance,
) -> Result<(ControlPlaneParts, NodeParts), Failure> {
    let found = options.node.node_ip.or_else(address::default_ipv4);
    let address = found.unwrap_or(Ipv4Addr::LOCALHOST);
    let (common, control_plane) = (&options.common, &options.control_plane);
    let control_plane =
        server::start_control_plane(common, control_plane, found.map(IpAddr::V4)).await?;
    let node = start_node(options, instance, &control_plane, address).await?;
    Ok((control_plane, node))
}

/// Stops everything, and takes what the instance put into the kernel away if it is given.
async fn stop(node: NodeParts, control_plane: ControlPlaneParts, removed: Option<&Instance>) {
    node.tasks.stop(DRAIN).await;
    if let Some(instance) = removed {
        let removed = down::tear_down(&node.cri).await;
        for failure in
            [removed, down::unmount_beneath(&instance.data_dir)].into_iter().filter_map(Result::err)
        {
            crate::tell(&format!(
                "Warning: not everything could be removed: {}",
                failure.message()
            ));
        }
    }
    node.cri.shutdown().await;
    control_plane.tasks.stop(DRAIN).await;
    control_plane.api_tasks.stop(DRAIN).await;
}

fn admin(control_plane: &ControlPlaneParts) -> Client {
    let user = User::authenticated("kubernetes-admin", &["system:masters"]);
    server::client_of(&control_plane.started.api, user, "podo-up")
}

async fn start_node(
    options: &UpOptions,
    instance: &Instance,
    control_plane: &ControlPlaneParts,
    address: Ipv4Addr,
) -> Result<NodeParts, Failure> {
    let name = node_name(options);
    let cri = PodoCri::open(cri_config(options, instance, address)?)
        .await
        .map_err(|error| open_failed(&error))?;
    let groups = ["system:nodes"];
    let user = User::authenticated(format!("system:node:{name}"), &groups);
    let client = server::client_of(&control_plane.started.api, user, "kubelet");
    let mut tasks = Tasks::new("node");
    let config = kubelet_config(options, instance, &name, address)?;
    let runtime: Arc<dyn Cri> = Arc::clone(&cri) as Arc<dyn Cri>;
    let kubelet = Kubelet::start(config, client, runtime, Arc::clone(&control_plane.clock))
        .await
        .map_err(|error| Failure::of(Class::Unavailable, &error))?;
    let cgroups = InstanceCgroups::detect(node_config::cgroup_root(instance))
        .map_err(|error| Failure::of(Class::Unavailable, &error))?;
    let kubelet = kubelet.with_cgroups(Arc::new(cgroups));
    serve_kubelet(options, &name, address, control_plane, &kubelet, &mut tasks).await?;
    let stop = tasks.stop_signal();
    tasks.spawn("kubelet", async move {
        if let Err(end) = kubelet.run(stop).await {
            tracing::error!(error = %end, "the node agent ended");
        }
    });
    Ok(NodeParts { cri, tasks })
}

/// The node's own API, by which the API server asks it for logs and streams.
async fn serve_kubelet(
    options: &UpOptions,
    name: &str,
    address: Ipv4Addr,
    control_plane: &ControlPlaneParts,
    kubelet: &Kubelet,
    tasks: &mut Tasks,
) -> Result<(), Failure> {
    let pki = &control_plane.started.pki;
    let addresses = [IpAddr::V4(address), IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let (_, serving) =
        pki.node(name, &addresses).map_err(|error| Failure::of(Class::Unavailable, &error))?;
    let tls =
        pki.server_config_of(&serving).map_err(|error| Failure::of(Class::Unavailable, &error))?;
    let socket = SocketAddr::new(IpAddr::V4(address), options.node.kubelet_port);
    let listener = tokio::net::TcpListener::bind(socket).await.map_err(|error| {
        Failure::new(Class::Unavailable, format!("cannot listen on {socket}: {error}"))
            .with_hint("another kubelet runs on this host: stop it, or choose another port with --kubelet-port")
    })?;
    let stop = tasks.stop_signal();
    tasks.spawn("kubelet api", podo_kubelet::serve(listener, tls, kubelet.handle(), stop));
    Ok(())
}

fn serve_control(instance: &Instance, node: &NodeParts, end: &EndHandle) -> Result<Tasks, Failure> {
    let path = instance.control_socket();
    let listener =
        control::listen(&path).map_err(|error| Failure::of_file("open", &path, &error))?;
    let manager = Arc::new(Manager::new(Arc::clone(&node.cri), Arc::clone(end)));
    let mut tasks = Tasks::new("control");
    let stop = tasks.stop_signal();
    tasks.spawn("control socket", control::serve(listener, manager, stop));
    Ok(tasks)
}

fn node_name(options: &UpOptions) -> String {
    options.node.node_name.clone().unwrap_or_else(|| {
        let name = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
        name.trim_matches(|letter: char| !letter.is_ascii_alphanumeric()).to_owned()
    })
}

/// A node that the API refuses would be tried again for ever.
fn check_name(name: &str) -> Result<(), Failure> {
    let Some(problem) = dns1123_subdomain(name).into_iter().next() else { return Ok(()) };
    let text = format!("{name:?} cannot be the name of a node: {problem}");
    Err(Failure::new(Class::Usage, text).with_hint("choose one with --node-name"))
}

fn cri_config(
    options: &UpOptions,
    instance: &Instance,
    address: Ipv4Addr,
) -> Result<CriConfig, Failure> {
    let (cluster, cluster_bits) = server::cidr(&options.control_plane.cluster_cidr)?;
    let pod_bits = options.control_plane.node_cidr_mask_size;
    if pod_bits < cluster_bits || pod_bits > 30 {
        return Err(Failure::new(
            Class::Usage,
            format!(
                "--node-cidr-mask-size {pod_bits} does not fit into {}",
                options.control_plane.cluster_cidr
            ),
        ));
    }
    let executable = std::env::current_exe().map_err(|error| {
        Failure::new(Class::Unavailable, format!("cannot find this program's own file: {error}"))
    })?;
    node_config::cri(&node_config::CriParts {
        instance,
        executable,
        mirrors: &options.node.registry_mirror,
        pause_image: options.node.pod_infra_container_image.clone(),
        log_hours_max: options.node.container_log_max_hours,
        pod_cidr: (cluster, pod_bits),
        cluster_cidr: (cluster, cluster_bits),
        address,
    })
}

fn open_failed(error: &OpenError) -> Failure {
    let failure = Failure::of(Class::Unavailable, error);
    match error {
        OpenError::Network(cause) if cause.is_of_missing_module() => failure.with_hint(
            "load the kernel's packet rules: modprobe -a nf_tables nft_ct nft_nat nft_masq nft_chain_nat nft_fib_inet",
        ),
        OpenError::Network(cause) if cause.is_of_used_addresses() => failure.with_hint(
            "choose other ranges with --cluster-cidr and --service-cidr, or stop what uses these: another podo, perhaps",
        ),
        _ => failure,
    }
}

fn kubelet_config(
    options: &UpOptions,
    instance: &Instance,
    name: &str,
    address: Ipv4Addr,
) -> Result<KubeletConfig, Failure> {
    let (cluster, _) = server::cidr(&options.control_plane.cluster_cidr)?;
    Ok(KubeletConfig {
        // Nothing answers for the cluster yet: Pods have the host's DNS, and an event says so.
        cluster_dns: Vec::new(),
        resolv_conf: PathBuf::from("/etc/resolv.conf"),
        max_pods: options.node.max_pods,
        kubelet_port: options.node.kubelet_port,
        pod_cidr: Some(format!("{cluster}/{}", options.control_plane.node_cidr_mask_size)),
        ..KubeletConfig::new(
            name,
            IpAddr::V4(address),
            instance.data_dir.join("kubelet"),
            instance.data_dir.join("log"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_the_api_would_refuse_is_refused_before_anything_starts() {
        for good in ["a", "node-1.example.com"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "Bad_Name!", "-a", &"x".repeat(254)] {
            let failure = check_name(bad).expect_err(bad);
            let start = format!("{bad:?} cannot be the name of a node: ");
            assert!(failure.message().starts_with(&start), "{}", failure.message());
        }
    }
}

//! `port-forward`: ports of this machine that lead into a Pod.

mod ports;
mod tunnel;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use futures_util::stream::{FuturesUnordered, StreamExt};
use podo_base::Tasks;
use podo_client::websocket::SPDY_TUNNEL;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use self::ports::Pair;
use self::tunnel::Tunnel;
use super::call::Call;
use super::context::Ctx;
use super::fault::{Fault, Outcome, go_text, quoted};
use super::klog::{self, Severity};
use super::pods;
use super::remote;
use super::select::picks;
use super::value::Look;

/// How long connections may end when the command ends.
const STOP_BUDGET: Duration = Duration::from_secs(1);

/// Forward local ports to a Pod
#[derive(Debug, Args)]
pub(crate) struct PortForward {
    /// POD or TYPE/NAME, then [LOCAL:]REMOTE...
    words: Vec<String>,
    /// The addresses to listen on
    #[arg(long, value_delimiter = ',', default_value = "localhost")]
    address: Vec<String>,
    /// How long to wait for a Pod
    #[arg(long, default_value = "1m")]
    pod_running_timeout: String,
}

pub(crate) async fn run(ctx: &Ctx, args: PortForward) -> Outcome {
    let Some((target, port_words)) =
        args.words.split_first().filter(|(_, ports)| !ports.is_empty())
    else {
        return Err(Fault::usage(
            "port-forward",
            "TYPE/NAME and list of ports are required for port-forward",
        ));
    };
    let limit = pods::running_timeout("port-forward", &args.pod_running_timeout)?;
    let words = vec![target.clone()];
    let pod = pods::attachable(ctx, &words, limit).await?;
    let service = service(ctx, target).await?;
    let (pairs, unread) = pairs(port_words, service.as_ref(), &pod)?;
    if pod.s("/status/phase") != "Running" {
        return Err(Fault::refused(format!(
            "unable to forward port because pod is not running. Current status={}",
            pod.s("/status/phase")
        )));
    }
    if let Some(fault) = unread {
        return Err(fault);
    }
    let path = format!("/api/v1/namespaces/{}/pods/{}/portforward", pod.namespace(), pod.name());
    let socket = remote::open(ctx, &Call::get(path).target(), SPDY_TUNNEL).await?;
    let listeners = listen(ctx, &args.address, &pairs).await?;

    let mut tasks = Tasks::new("port-forward");
    let tunnel = Tunnel::start(&mut tasks, socket);
    let outcome = serve(ctx, &listeners, &tunnel, &mut tasks).await;
    tasks.stop(STOP_BUDGET).await;
    outcome
}

/// The ports that words mean, and what is wrong with the first of those that are none: names are looked at first.
fn pairs(
    words: &[String],
    service: Option<&Value>,
    pod: &Value,
) -> Result<(Vec<Pair>, Option<Fault>), Fault> {
    let (mut pairs, mut unread) = (Vec::new(), None);
    for word in words {
        match Pair::parse(word) {
            Ok(mut pair) => {
                pair.resolve(service, pod)?;
                pairs.push(pair);
            }
            Err(fault) => {
                if let Some(mut pair) = Pair::of_name(word) {
                    pair.resolve(service, pod)?;
                }
                unread = unread.or(Some(fault));
            }
        }
    }
    Ok((pairs, unread))
}

/// The Service, if that is what the target is: its ports lead to those of its Pods.
async fn service(ctx: &Ctx, target: &str) -> Result<Option<Value>, Fault> {
    if !target.contains('/') {
        return Ok(None);
    }
    let mut found = picks(ctx, &[target.to_owned()]).await?;
    let Some(pick) = found.pop().filter(|pick| pick.resource.kind == "Service") else {
        return Ok(None);
    };
    let name = pick.names.first().map_or("", String::as_str);
    let path = pick.resource.object(Some(&ctx.namespace()?), name);
    ctx.call(Call::get(path)).await.map(Some)
}

/// A listening socket and where its connections lead.
struct Listener {
    socket: TcpListener,
    local: u16,
    remote: u16,
}

async fn listen(ctx: &Ctx, addresses: &[String], pairs: &[Pair]) -> Result<Vec<Listener>, Fault> {
    let addresses: Vec<Vec<IpAddr>> =
        addresses.iter().map(|address| resolve(address)).collect::<Result<_, _>>()?;
    let addresses = addresses.concat();
    let mut listeners = Vec::new();
    for pair in pairs {
        let mut errors = Vec::new();
        let mut port = pair.local;
        for &ip in &addresses {
            match TcpListener::bind(SocketAddr::new(ip, port)).await {
                Ok(socket) => {
                    let local = socket.local_addr().map_err(Fault::io("listen"))?.port();
                    port = local; // The same random port on all addresses.
                    let shown = SocketAddr::new(ip, local);
                    ctx.line(format!("Forwarding from {shown} -> {}", pair.remote))?;
                    listeners.push(Listener { socket, local, remote: pair.remote });
                }
                Err(error) => errors.push((ip, port, error)),
            }
        }
        if listeners.iter().all(|listener| listener.remote != pair.remote || listener.local != port)
        {
            let errors: Vec<String> = errors.iter().map(listen_error).collect();
            ctx.note(format!(
                "Unable to listen on port {}: Listeners failed to create with the following errors: [{}]",
                pair.local,
                errors.join(" ")
            ));
        }
    }
    ctx.flush()?;
    if listeners.is_empty() {
        let wanted: Vec<String> =
            pairs.iter().map(|pair| format!("{{{} {}}}", pair.local, pair.remote)).collect();
        return Err(Fault::refused(format!(
            "unable to listen on any of the requested ports: [{}]",
            wanted.join(" ")
        )));
    }
    Ok(listeners)
}

fn listen_error((ip, port, error): &(IpAddr, u16, io::Error)) -> String {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "address already in use".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => go_text(error),
    };
    let family = if ip.is_ipv4() { "tcp4" } else { "tcp6" };
    format!(
        "unable to create listener: Error listen {family} {}: bind: {why}",
        SocketAddr::new(*ip, *port)
    )
}

fn resolve(address: &str) -> Result<Vec<IpAddr>, Fault> {
    if address == "localhost" {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let ip =
        address.parse().map_err(|_no_ip| Fault::refused(format!("{address} is not a valid IP")))?;
    Ok(vec![ip])
}

/// Takes connections until the tunnel ends or the user interrupts.
async fn serve(ctx: &Ctx, listeners: &[Listener], tunnel: &Tunnel, tasks: &mut Tasks) -> Outcome {
    let mut accepts: FuturesUnordered<_> = listeners.iter().map(accept).collect();
    let mut messages = tunnel.messages.lock().await;
    loop {
        tokio::select! {
            biased;
            _interrupted = tokio::signal::ctrl_c() => return Ok(()),
            message = messages.recv() => match message {
                Some(message) => {
                    let text = format!("\"Unhandled Error\" err={}", quoted(&message));
                    klog::tell(ctx, Severity::Error, "portforward.go:522", &text);
                }
                None => return Err(Fault::refused("lost connection to pod")),
            },
            Some((listener, accepted)) = accepts.next() => {
                accepts.push(accept(listener));
                match accepted {
                    Ok(stream) => {
                        ctx.line(format!("Handling connection for {}", listener.local))?;
                        ctx.flush()?;
                        let work = tunnel.connection(stream, listener.local, listener.remote);
                        tasks.spawn("connection", work);
                    }
                    Err(error) => ctx.note(format!("error: accepting on port {}: {error}", listener.local)),
                }
            }
        }
    }
}

async fn accept(listener: &Listener) -> (&Listener, io::Result<TcpStream>) {
    let accepted = listener.socket.accept().await.map(|(stream, _peer)| stream);
    (listener, accepted)
}

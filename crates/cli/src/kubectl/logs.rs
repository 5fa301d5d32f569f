//! `logs`.

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::Value;

use super::call::Call;
use super::context::Ctx;
use super::fault::{Fault, Outcome};
use super::pods;
use super::select::{Select, list_all};
use super::time::parse_duration;
use super::value::Look;

/// How many lines are shown of several Pods when `--tail` does not say, as kubectl does.
const TAIL_OF_SELECTOR: i64 = 10;
/// What Go says when a log takes longer than a request may.
const LATE: &str = "context deadline exceeded";
/// Between attempts to follow a log that is not there yet, as kubectl does.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Show the logs of containers
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// POD or TYPE/NAME, and a container
    words: Vec<String>,
    /// The container
    #[arg(short, long)]
    container: Option<String>,
    /// Keep showing
    #[arg(short, long)]
    follow: bool,
    /// Of the container before its last restart
    #[arg(short, long)]
    previous: bool,
    /// How many lines from the end; -1 for all
    #[arg(long, default_value_t = -1, allow_hyphen_values = true)]
    tail: i64,
    /// Only what is younger, as in 5s, 2m or 3h
    #[arg(long, default_value = "0s")]
    since: String,
    /// Only what is after this moment (RFC 3339)
    #[arg(long)]
    since_time: Option<String>,
    /// Show when each line was written
    #[arg(long)]
    timestamps: bool,
    /// How many bytes
    #[arg(long, default_value_t = 0)]
    limit_bytes: i64,
    /// Of all containers
    #[arg(long)]
    all_containers: bool,
    /// Of all Pods of a workload
    #[arg(long)]
    all_pods: bool,
    /// Of Pods with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Put Pod and container before each line
    #[arg(long)]
    prefix: bool,
    /// Go on when a log cannot be read
    #[arg(long)]
    ignore_errors: bool,
    /// How many logs to follow at a time
    #[arg(long, default_value_t = 5)]
    max_log_requests: usize,
    /// Do not verify the node's certificate
    #[arg(long)]
    insecure_skip_tls_verify_backend: bool,
    /// How long to wait for a Pod
    #[arg(long, default_value = "20s")]
    pod_running_timeout: String,
}

/// One log: what to ask, and what to put before its lines.
struct Source {
    call: Call,
    prefix: String,
}

pub(crate) async fn run(ctx: &Ctx, mut args: Logs) -> Outcome {
    let target = check(&mut args)?;
    let limit = parse_duration(&args.pod_running_timeout).unwrap_or(Duration::from_secs(20));
    let found = find(ctx, &args, target.as_deref(), limit).await?;
    let mut sources = Vec::new();
    for pod in &found {
        sources.extend(of_pod(ctx, &args, pod)?);
    }
    if args.follow && sources.len() > 1 {
        if sources.len() > args.max_log_requests {
            return Err(Fault::refused(format!(
                "you are attempting to follow {} log streams, but maximum allowed concurrency is {}, use --max-log-requests to increase the limit",
                sources.len(),
                args.max_log_requests
            )));
        }
        let mut all: FuturesUnordered<_> =
            sources.iter().map(|source| consume(ctx, &args, source, limit)).collect();
        while let Some(ended) = all.next().await {
            ended?;
        }
        return Ok(());
    }
    for source in &sources {
        consume(ctx, &args, source, limit).await?;
    }
    Ok(())
}

/// Refuses flags that contradict; the Pod or `TYPE/NAME`.
fn check(args: &mut Logs) -> Result<Option<String>, Fault> {
    if parse_duration(&args.pod_running_timeout).is_none_or(|limit| limit.is_zero()) {
        return Err(Fault::refused("--pod-running-timeout must be higher than zero"));
    }
    let mut words = std::mem::take(&mut args.words);
    if args.selector.is_some() {
        match words.len() {
            0 => {}
            2 => {
                return Err(Fault::refused(
                    "selectors and the all flag cannot be used when passing resource/name arguments",
                ));
            }
            _ => {
                return Err(Fault::usage("logs", "only a selector (-l) or a POD name is allowed"));
            }
        }
        if args.tail == -1 {
            args.tail = TAIL_OF_SELECTOR;
        }
    } else {
        match words.len() {
            0 => {
                return Err(Fault::usage(
                    "logs",
                    "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command",
                ));
            }
            1 => {}
            2 if args.container.is_some() => {
                return Err(Fault::refused(
                    "only one of -c or an inline [CONTAINER] arg is allowed",
                ));
            }
            2 => args.container = words.pop(),
            _ => {
                return Err(Fault::usage(
                    "logs",
                    "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command",
                ));
            }
        }
    }
    if args.since_time.is_some() && parse_duration(&args.since) != Some(Duration::ZERO) {
        return Err(Fault::refused(
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        ));
    }
    if let Some(name) = args.container.as_ref().filter(|_| args.all_containers) {
        return Err(Fault::refused(format!(
            "--all-containers=true should not be specified with container name {name}"
        )));
    }
    if args.since.strip_prefix('-').is_some_and(|since| parse_duration(since).is_some()) {
        return Err(Fault::refused("--since must be greater than 0"));
    }
    if args.limit_bytes < 0 {
        return Err(Fault::refused("--limit-bytes must be greater than 0"));
    }
    if let Some(text) = &args.since_time {
        podo_api::duration::parse_time(text).map_err(Fault::refused)?;
    }
    args.prefix |= args.all_pods;
    if args.tail < -1 {
        return Err(Fault::refused("--tail must be greater than or equal to -1"));
    }
    Ok(words.pop())
}

async fn find(
    ctx: &Ctx,
    args: &Logs,
    target: Option<&str>,
    limit: Duration,
) -> Result<Vec<Value>, Fault> {
    let Some(target) = target else {
        let select = Select { selector: args.selector.as_deref(), ..Select::default() };
        let kind = pods::pod_kind(ctx).await?;
        let found = list_all(ctx, kind, Some(&ctx.namespace()?), &select).await?;
        if found.is_empty() {
            ctx.note(format!("No resources found in {} namespace.", ctx.namespace()?));
        }
        return Ok(found);
    };
    let (kind, name) = target.split_once('/').unwrap_or(("pods", target));
    let resource = ctx.discovery().await?.require(kind)?;
    let namespace = ctx.namespace()?;
    let found = ctx.object(resource, &namespace, name).await;
    let object = found.map_err(|fault| match fault {
        fault if fault.is_not_found() => Fault::refused(format!(
            "error from server (NotFound): {fault} in namespace {namespace:?}"
        )),
        fault => fault,
    })?;
    if resource.kind == "Pod" {
        return Ok(vec![object]);
    }
    if !pods::is_workload(&object) {
        return Err(Fault::refused(format!(
            "cannot get the logs from {0}: selector for {0} not implemented",
            pods::go_type(&object)
        )));
    }
    let mut found = pods::behind(ctx, &object, limit, pods::most_alive).await?;
    if found.len() > 1 && !args.all_pods {
        ctx.note(format!("Found {} pods, using pod/{}", found.len(), found[0].name()));
        found.truncate(1);
    }
    Ok(found)
}

fn of_pod(ctx: &Ctx, args: &Logs, pod: &Value) -> Result<Vec<Source>, Fault> {
    if args.all_containers {
        let groups = ["/spec/initContainers", "/spec/containers", "/spec/ephemeralContainers"];
        let names = groups.iter().flat_map(|group| pod.list(group)).map(|one| one.s("/name"));
        return names.map(|name| source(args, pod, name)).collect();
    }
    let container = pods::container(ctx, pod, args.container.as_deref(), args.all_pods)?;
    Ok(vec![source(args, pod, container.s("/name"))?])
}

fn source(args: &Logs, pod: &Value, container: &str) -> Result<Source, Fault> {
    let flag = |is_set: bool| if is_set { "true" } else { "" };
    let since = parse_duration(&args.since).ok_or_else(|| {
        Fault::refused(format!("invalid argument \"{}\" for \"--since\" flag", args.since))
    })?;
    let seconds = since.as_secs_f64().round();
    let path = format!("/api/v1/namespaces/{}/pods/{}/log", pod.namespace(), pod.name());
    let call = Call::get(path)
        .accept("*/*")
        .query("container", container)
        .query("follow", flag(args.follow))
        .query("insecureSkipTLSVerifyBackend", flag(args.insecure_skip_tls_verify_backend))
        .query(
            "limitBytes",
            if args.limit_bytes > 0 { args.limit_bytes.to_string() } else { String::new() },
        )
        .query("previous", flag(args.previous))
        .query(
            "sinceSeconds",
            if since.is_zero() { String::new() } else { format!("{seconds:.0}") },
        )
        .query("sinceTime", args.since_time.clone().unwrap_or_default())
        .query("tailLines", if args.tail >= 0 { args.tail.to_string() } else { String::new() })
        .query("timestamps", flag(args.timestamps));
    let prefix =
        if args.prefix { format!("[pod/{}/{container}] ", pod.name()) } else { String::new() };
    Ok(Source { call, prefix })
}

/// Shows a log to its end; a log that cannot be followed yet is tried again for a while.
async fn consume(ctx: &Ctx, args: &Logs, source: &Source, limit: Duration) -> Outcome {
    let started = tokio::time::Instant::now();
    loop {
        match copy(ctx, args, source).await {
            Ok(()) => return Ok(()),
            Err(Fault::Closed) => return Err(Fault::Closed),
            Err(fault) if args.ignore_errors => {
                return ctx.line(format!("error: {fault}"));
            }
            Err(fault @ Fault::Status(_)) if args.follow => {
                if started.elapsed() + TRY_AGAIN > limit {
                    return Err(fault);
                }
                ctx.note(fault.to_string());
                tokio::time::sleep(TRY_AGAIN).await;
            }
            Err(fault) => return Err(fault),
        }
    }
}

async fn copy(ctx: &Ctx, args: &Logs, source: &Source) -> Outcome {
    let mut lines = ctx.lines(source.call.clone()).await?;
    loop {
        let line = match lines.next_raw().await {
            Err(_) if lines.is_late() => {
                ctx.note(LATE);
                return Err(Fault::refused(LATE));
            }
            line => line?,
        };
        let Some(Line { text, has_end }) = line.map(Line::from) else {
            return Ok(());
        };
        ctx.out(&source.prefix)?;
        ctx.out(&text)?;
        if has_end {
            ctx.out("\n")?;
        }
        if args.follow {
            ctx.flush()?;
        }
    }
}

/// A line as it came.
struct Line {
    text: Bytes,
    has_end: bool,
}

impl From<(Bytes, bool)> for Line {
    fn from((text, has_end): (Bytes, bool)) -> Self {
        Self { text, has_end }
    }
}

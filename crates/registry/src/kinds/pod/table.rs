//! The table of Pods: what `kubectl get pods` shows.

use podo_api::Value;
use podo_api::table::Cell;
use serde_json::json;

use super::view::{at, get, has, int, is_on, is_sidecar, list, text};
use crate::table;
use crate::{Column, Description};

/// A cell without content.
const NONE: &str = "<none>";

/// The columns.
pub(super) const COLUMNS: &[Column] = &[
    table::NAME,
    text_column(
        "Ready",
        "The aggregate readiness state of this pod for accepting traffic.",
        |pod| {
            let summary = Summary::of(pod);
            format!("{}/{}", summary.ready, summary.total).into()
        },
    ),
    text_column("Status", "The aggregate status of the containers in this pod.", |pod| {
        Summary::of(pod).reason.into()
    }),
    text_column(
        "Restarts",
        "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.",
        |pod| Summary::of(pod).restarts(),
    ),
    table::AGE,
    wide("IP", Description::Field("core/v1.PodStatus", "podIP"), |pod| {
        or_none(text(at(pod, "status"), "podIP")).into()
    }),
    wide("Node", Description::Field("core/v1.PodSpec", "nodeName"), |pod| {
        or_none(text(at(pod, "spec"), "nodeName")).into()
    }),
    wide("Nominated Node", Description::Field("core/v1.PodStatus", "nominatedNodeName"), |pod| {
        or_none(text(at(pod, "status"), "nominatedNodeName")).into()
    }),
    wide("Readiness Gates", Description::Field("core/v1.PodSpec", "readinessGates"), |pod| {
        readiness_gates(pod).into()
    }),
];

const fn text_column(
    name: &'static str,
    description: &'static str,
    cell: fn(&Value) -> Cell,
) -> Column {
    Column {
        name,
        kind: "string",
        format: "",
        description: Description::Text(description),
        priority: 0,
        cell,
    }
}

const fn wide(name: &'static str, description: Description, cell: fn(&Value) -> Cell) -> Column {
    Column { name, kind: "string", format: "", description, priority: 1, cell }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { NONE } else { text }
}

fn readiness_gates(pod: &Value) -> String {
    let gates = list(at(pod, "spec"), "readinessGates");
    if gates.is_empty() {
        return NONE.to_owned();
    }
    let is_met = |gate: &&Value| has_condition(pod, text(gate, "conditionType"));
    format!("{}/{}", gates.iter().filter(is_met).count(), gates.len())
}

/// Whether a condition is there and true.
fn has_condition(pod: &Value, kind: &str) -> bool {
    let condition = list(at(pod, "status"), "conditions")
        .iter()
        .find(|condition| text(condition, "type") == kind);
    condition.is_some_and(|condition| text(condition, "status") == "True")
}

/// The conditions of a Pod's row: that it has ended.
pub(super) fn row_conditions(pod: &Value) -> Vec<Value> {
    let (reason, message) = match text(at(pod, "status"), "phase") {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return Vec::new(),
    };
    vec![json!({"type": "Completed", "status": "True", "reason": reason, "message": message})]
}

/// What the first columns say, found in one pass.
struct Summary<'a> {
    ready: usize,
    total: usize,
    reason: String,
    restarts: i64,
    restarted_at: &'a str,
}

impl<'a> Summary<'a> {
    fn of(pod: &'a Value) -> Self {
        let (spec, status) = (at(pod, "spec"), at(pod, "status"));
        let sidecars: Vec<&str> = list(spec, "initContainers")
            .iter()
            .filter(|container| is_sidecar(container))
            .map(|container| text(container, "name"))
            .collect();
        let mut summary = Self {
            ready: 0,
            total: list(spec, "containers").len() + sidecars.len(),
            reason: first_reason(status),
            restarts: 0,
            restarted_at: "",
        };
        let mut of_sidecars = Restarts::default();
        let is_starting = summary.init(spec, status, &sidecars, &mut of_sidecars);
        if !is_starting || has_condition(pod, "Initialized") {
            summary.running(pod, of_sidecars);
        }
        summary.deleting(pod);
        summary
    }

    /// Looks at the init containers; whether they are not done.
    fn init(
        &mut self,
        spec: &Value,
        status: &'a Value,
        sidecars: &[&str],
        of_sidecars: &mut Restarts<'a>,
    ) -> bool {
        let mut all = Restarts::default();
        let mut is_starting = false;
        for (index, container) in list(status, "initContainerStatuses").iter().enumerate() {
            let is_sidecar = sidecars.contains(&text(container, "name"));
            all.add(container);
            if is_sidecar {
                of_sidecars.add(container);
            }
            let state = at(container, "state");
            if at(at(state, "terminated"), "exitCode").as_i64() == Some(0) {
                continue;
            }
            if is_sidecar && is_on(container, "started") {
                self.ready += usize::from(is_on(container, "ready"));
                continue;
            }
            self.reason = init_reason(state, index, list(spec, "initContainers").len());
            is_starting = true;
            break;
        }
        (self.restarts, self.restarted_at) = (all.count, all.last);
        is_starting
    }

    /// Looks at the containers, the last first, so that the first has the last word.
    fn running(&mut self, pod: &'a Value, of_sidecars: Restarts<'a>) {
        let mut restarts = of_sidecars;
        let (mut has_running, mut failed) = (false, None);
        for container in list(at(pod, "status"), "containerStatuses").iter().rev() {
            restarts.add(container);
            let state = at(container, "state");
            let waiting = text(at(state, "waiting"), "reason");
            if !waiting.is_empty() {
                waiting.clone_into(&mut self.reason);
            } else if let Some(end) = get(state, "terminated") {
                self.reason = end_reason(end);
                if int(end, "exitCode").is_some_and(|code| code != 0) {
                    failed = Some(self.reason.clone());
                }
            } else if is_on(container, "ready") && has(state, "running") {
                has_running = true;
                self.ready += 1;
            }
        }
        (self.restarts, self.restarted_at) = (restarts.count, restarts.last);
        if self.reason == "Completed" {
            if has_running {
                let is_ready = has_condition(pod, "Ready");
                self.reason = String::from(if is_ready { "Running" } else { "NotReady" });
            } else if let Some(failed) = failed {
                self.reason = failed;
            }
        }
    }

    fn deleting(&mut self, pod: &Value) {
        let status = at(pod, "status");
        if !podo_api::meta::is_deleting(pod) {
            return;
        }
        if text(status, "reason") == "NodeLost" {
            "Unknown".clone_into(&mut self.reason);
        } else if !matches!(text(status, "phase"), "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut self.reason);
        }
    }

    fn restarts(&self) -> Cell {
        if self.restarts != 0 && !self.restarted_at.is_empty() {
            Cell::age_within(format!("{} (", self.restarts), self.restarted_at, " ago)")
        } else {
            self.restarts.to_string().into()
        }
    }
}

/// How often containers were started again, and when one last was.
#[derive(Default)]
struct Restarts<'a> {
    count: i64,
    last: &'a str,
}

impl<'a> Restarts<'a> {
    fn add(&mut self, container: &'a Value) {
        self.count += int(container, "restartCount").unwrap_or(0);
        let end = text(at(at(container, "lastState"), "terminated"), "finishedAt");
        // Times of the wire are all in one zone and format, so they sort as text.
        if end > self.last {
            self.last = end;
        }
    }
}

/// What the Pod says of itself.
fn first_reason(status: &Value) -> String {
    let is_gated = |condition: &Value| {
        text(condition, "type") == "PodScheduled" && text(condition, "reason") == "SchedulingGated"
    };
    if list(status, "conditions").iter().any(is_gated) {
        return "SchedulingGated".to_owned();
    }
    match text(status, "reason") {
        "" => text(status, "phase").to_owned(),
        reason => reason.to_owned(),
    }
}

fn end_reason(end: &Value) -> String {
    let (reason, signal) = (text(end, "reason"), int(end, "signal").unwrap_or(0));
    if !reason.is_empty() {
        reason.to_owned()
    } else if signal != 0 {
        format!("Signal:{signal}")
    } else {
        format!("ExitCode:{}", int(end, "exitCode").unwrap_or(0))
    }
}

fn init_reason(state: &Value, index: usize, total: usize) -> String {
    if let Some(end) = get(state, "terminated") {
        return format!("Init:{}", end_reason(end));
    }
    match text(at(state, "waiting"), "reason") {
        "" | "PodInitializing" => format!("Init:{index}/{total}"),
        reason => format!("Init:{reason}"),
    }
}

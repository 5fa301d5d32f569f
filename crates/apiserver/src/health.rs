//! `/healthz`, `/livez` and `/readyz`: whether the server lives and can be used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::http::{Response, text};
use crate::options::Options;
use crate::server::Server;

/// What is known of the server's health beside what can be asked at once.
#[derive(Debug, Default)]
pub(crate) struct Health {
    is_started: AtomicBool,
    is_stopping: AtomicBool,
    indicators: Mutex<BTreeMap<(&'static str, &'static str), Indicator>>,
}

/// How a check of an endpoint went whenever that was asked (KEP-3466).
#[derive(Debug, Default, Clone, Copy)]
struct Indicator {
    is_well: bool,
    successes: u64,
    failures: u64,
}

/// One check: its name and, if it fails, why it counts as failed.
type Check = (&'static str, bool);

const ENDPOINTS: [&str; 3] = ["/healthz", "/livez", "/readyz"];

impl Health {
    /// What must be there at the start is there.
    pub(crate) fn started(&self) {
        self.is_started.store(true, Ordering::Release);
    }

    /// The server is going down: it is not ready any more, but lives.
    pub(crate) fn stopping(&self) {
        self.is_stopping.store(true, Ordering::Release);
    }

    /// Answers a health path; `None` for any other.
    pub(crate) fn serve(&self, server: &Server, path: &str, options: &Options) -> Option<Response> {
        let (endpoint, rest) = ENDPOINTS
            .into_iter()
            .find_map(|endpoint| path.strip_prefix(endpoint).map(|rest| (&endpoint[1..], rest)))?;
        let checks = self.checks(server, endpoint);
        match rest.strip_prefix('/') {
            None if rest.is_empty() => Some(self.report(endpoint, &checks, options)),
            Some(name) => checks
                .iter()
                .find(|(check, _)| *check == name)
                .map(|(name, is_well)| single(name, *is_well)),
            None => None,
        }
    }

    fn report(&self, endpoint: &'static str, checks: &[Check], options: &Options) -> Response {
        let excluded: Vec<&str> = options.all("exclude").collect();
        let asked = checks.iter().filter(|(name, _)| !excluded.contains(name));
        let mut indicators = self.indicators.lock();
        for &(name, is_well) in asked {
            let indicator = indicators.entry((name, endpoint)).or_default();
            indicator.is_well = is_well;
            indicator.successes += u64::from(is_well);
            indicator.failures += u64::from(!is_well);
        }
        drop(indicators);
        report(endpoint, checks, &excluded, options.get("verbose").is_some())
    }

    /// `/metrics/slis`: what the checks said, in the text form of Prometheus.
    pub(crate) fn indicators(&self) -> String {
        let indicators = self.indicators.lock().clone();
        let mut now = vec![
            "# HELP kubernetes_healthcheck Whether a health check passed when it was last asked."
                .to_owned(),
            "# TYPE kubernetes_healthcheck gauge".to_owned(),
        ];
        let mut all = vec![
            "# HELP kubernetes_healthchecks_total How often health checks passed and failed."
                .to_owned(),
            "# TYPE kubernetes_healthchecks_total counter".to_owned(),
        ];
        for ((name, endpoint), Indicator { is_well, successes, failures }) in indicators {
            now.push(format!(
                "kubernetes_healthcheck{{name=\"{name}\",type=\"{endpoint}\"}} {}",
                u8::from(is_well)
            ));
            for (status, count) in [("error", failures), ("success", successes)] {
                if count > 0 {
                    all.push(format!(
                        "kubernetes_healthchecks_total{{name=\"{name}\",status=\"{status}\",type=\"{endpoint}\"}} {count}"
                    ));
                }
            }
        }
        now.extend(all);
        now.push(String::new());
        now.join("\n")
    }

    /// Every path of health: the endpoints and their checks.
    pub(crate) fn paths(&self, server: &Server) -> Vec<String> {
        let mut paths = ENDPOINTS.map(str::to_owned).to_vec();
        for endpoint in ENDPOINTS {
            let checks = self.checks(server, &endpoint[1..]);
            paths.extend(checks.iter().map(|(name, _)| format!("{endpoint}/{name}")));
        }
        paths
    }

    fn checks(&self, server: &Server, endpoint: &str) -> Vec<Check> {
        let is_stored = server.api.store.poison().is_none();
        let is_started = self.is_started.load(Ordering::Acquire);
        let mut checks = vec![("ping", true), ("log", true), ("etcd", is_stored)];
        if endpoint == "readyz" {
            checks.push(("etcd-readiness", is_stored));
            checks.push(("informer-sync", is_started));
        }
        checks.push(("poststarthook/rbac/bootstrap-roles", is_started));
        checks.push(("poststarthook/scheduling/bootstrap-system-priority-classes", is_started));
        if endpoint == "readyz" {
            checks.push(("shutdown", !self.is_stopping.load(Ordering::Acquire)));
        }
        checks
    }
}

fn single(name: &str, is_well: bool) -> Response {
    if is_well {
        text(200, "ok")
    } else {
        text(500, format!("internal server error: {name}: reason withheld\n"))
    }
}

fn report(endpoint: &str, checks: &[Check], excluded: &[&str], is_verbose: bool) -> Response {
    let (is_well, lines) = told(checks, excluded);
    if !is_well {
        return text(500, format!("{lines}{endpoint} check failed\n"));
    }
    if is_verbose {
        return text(200, format!("{lines}{endpoint} check passed\n"));
    }
    text(200, "ok")
}

/// Whether all checks pass but the excluded ones, and a line on each.
fn told(checks: &[Check], excluded: &[&str]) -> (bool, String) {
    let mut lines: Vec<String> = Vec::new();
    let mut is_well = true;
    for (name, passes) in checks {
        lines.push(match (excluded.contains(name), passes) {
            (true, _) => format!("[+]{name} excluded: ok"),
            (false, true) => format!("[+]{name} ok"),
            (false, false) => {
                is_well = false;
                format!("[-]{name} failed: reason withheld")
            }
        });
    }
    let is_unknown = |name: &&&str| checks.iter().all(|(check, _)| check != *name);
    let unknown: BTreeSet<&&str> = excluded.iter().filter(is_unknown).collect();
    if !unknown.is_empty() {
        let quoted: Vec<String> = unknown.iter().map(|name| format!("{name:?}")).collect();
        let names = quoted.join(", ");
        lines.push(format!("warn: some health checks cannot be excluded: no matches for {names}"));
    }
    lines.push(String::new());
    (is_well, lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_checks_said_is_counted() {
        let health = Health::default();
        let checks = [("ping", true), ("etcd", false)];
        let exclude = Options::new(vec![("exclude".to_owned(), "etcd".to_owned())]);
        let _failed = health.report("livez", &checks, &Options::default());
        let _passed = health.report("livez", &checks, &exclude);
        let text = health.indicators();
        let mut lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines.pop(),
            Some(
                "kubernetes_healthchecks_total{name=\"ping\",status=\"success\",type=\"livez\"} 2"
            )
        );
        assert_eq!(
            lines,
            [
                "kubernetes_healthcheck{name=\"etcd\",type=\"livez\"} 0",
                "kubernetes_healthcheck{name=\"ping\",type=\"livez\"} 1",
                "kubernetes_healthchecks_total{name=\"etcd\",status=\"error\",type=\"livez\"} 1",
            ]
        );
    }

    #[test]
    fn checks_are_told_line_by_line_and_excluded_by_name() {
        let checks = [("ping", true), ("etcd", false)];
        let failed = "[+]ping ok\n[-]etcd failed: reason withheld\n";
        assert_eq!(told(&checks, &[]), (false, failed.to_owned()));
        let excluded = "[+]ping ok\n[+]etcd excluded: ok\n";
        assert_eq!(told(&checks, &["etcd"]), (true, excluded.to_owned()));
        let warned = "warn: some health checks cannot be excluded: no matches for \"a\", \"b\"\n";
        assert_eq!(told(&checks, &["b", "etcd", "a"]), (true, format!("{excluded}{warned}")));
    }
}

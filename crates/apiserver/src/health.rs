//! `/healthz`, `/livez` and `/readyz`: whether the server lives and can be used.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::http::{Response, text};
use crate::options::Options;
use crate::server::Server;

/// What is known of the server's health beside what can be asked at once.
#[derive(Debug, Default)]
pub(crate) struct Health {
    is_started: AtomicBool,
    is_stopping: AtomicBool,
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
            None if rest.is_empty() => Some(report(endpoint, &checks, options)),
            Some(name) => checks
                .iter()
                .find(|(check, _)| *check == name)
                .map(|(name, is_well)| single(name, *is_well)),
            None => None,
        }
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

fn report(endpoint: &str, checks: &[Check], options: &Options) -> Response {
    let (is_well, lines) = told(checks, &options.all("exclude").collect::<Vec<_>>());
    if !is_well {
        return text(500, format!("{lines}{endpoint} check failed\n"));
    }
    if options.get("verbose").is_some() {
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

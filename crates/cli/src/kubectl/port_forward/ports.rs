//! The ports of `port-forward`: `[LOCAL:]REMOTE`, names, and those of Services.

use serde_json::Value;

use super::super::fault::{Fault, quoted};
use super::super::value::Look;

/// A local port and the Pod's port it leads to. Local 0 is any free one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) local: u16,
    pub(super) remote: u16,
    name: Option<String>,
    is_same: bool,
}

impl Pair {
    /// Reads `PORT`, `LOCAL:PORT` or `:PORT`; a port may be a name.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let parts: Vec<&str> = text.split(':').collect();
        let (local, remote) = match parts.as_slice() {
            [local, remote] => (Some(*local), *remote),
            // Of more than two, kubectl takes the first.
            parts => (None, parts.first().copied().unwrap_or_default()),
        };
        let wrong = |part: &str| {
            let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let why = if is_number { "value out of range" } else { "invalid syntax" };
            Fault::refused(format!(
                "error parsing local port '{part}': strconv.ParseUint: parsing {}: {why}",
                quoted(part)
            ))
        };
        let is_number = remote.bytes().all(|byte| byte.is_ascii_digit());
        let number = remote.parse::<u16>().ok();
        if number.is_none() && is_number && !remote.is_empty() {
            let which = if local.is_some() { "remote" } else { "local" };
            return Err(Fault::refused(format!(
                "error parsing {which} port '{remote}': strconv.ParseUint: parsing {}: value out of range",
                quoted(remote)
            )));
        }
        if number == Some(0) || remote.is_empty() {
            return Err(Fault::refused("remote port must be > 0"));
        }
        let name = number.is_none().then(|| remote.to_owned());
        let local = match local {
            None => None,
            Some("") => Some(0),
            Some(port) => Some(port.parse().map_err(|_not_a_port| wrong(port))?),
        };
        let remote = number.unwrap_or(0);
        Ok(Self { local: local.unwrap_or(remote), remote, name, is_same: local.is_none() })
    }

    /// The name of the Pod's port in a word that is no pair of ports.
    pub(super) fn of_name(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let name = match parts.as_slice() {
            [_, name] => *name,
            parts => parts.first().copied()?,
        };
        let is_name = name.parse::<i64>().is_err();
        is_name.then(|| Self { local: 0, remote: 0, name: Some(name.to_owned()), is_same: true })
    }

    /// Finds the Pod's port: of a Service, the target of its port; of a name, the port of that name.
    pub(super) fn resolve(&mut self, service: Option<&Value>, pod: &Value) -> Result<(), Fault> {
        if let Some(service) = service {
            let ports = service.list("/spec/ports").iter();
            let name = self.name.as_deref();
            let found = ports.clone().find(|port| match name {
                Some(name) => port.s("/name") == name,
                None => port.i("/port") == i64::from(self.remote),
            });
            let Some(port) = found else {
                return Err(Fault::refused(match name {
                    Some(name) => {
                        format!("Service '{}' does not have a named port '{name}'", service.name())
                    }
                    None => format!(
                        "Service {} does not have a service port {}",
                        service.name(),
                        self.remote
                    ),
                }));
            };
            let service_port = u16::try_from(port.i("/port")).unwrap_or(0);
            if self.is_same {
                self.local = service_port;
            }
            self.name = None;
            self.remote = service_port;
            match port.get("targetPort") {
                _ if service.s("/spec/clusterIP") == "None" => {}
                Some(Value::String(target)) => self.name = Some(target.clone()),
                Some(Value::Number(target)) => {
                    let target = target.as_u64().and_then(|target| u16::try_from(target).ok());
                    self.remote = target.filter(|target| *target > 0).unwrap_or(service_port);
                }
                _ => {}
            }
        }
        if let Some(name) = self.name.take() {
            let ports = pod.list("/spec/containers").iter().flat_map(|c| c.list("/ports"));
            let found = ports.clone().find(|port| port.s("/name") == name);
            let port = found.and_then(|port| u16::try_from(port.i("/containerPort")).ok());
            self.remote = port.ok_or_else(|| {
                Fault::refused(format!("Pod '{}' does not have a named port '{name}'", pod.name()))
            })?;
            if self.is_same && service.is_none() {
                self.local = self.remote;
            }
        }
        Ok(())
    }
}

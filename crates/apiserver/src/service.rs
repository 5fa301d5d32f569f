//! The addresses and node ports of Services: which are free, and who gets which.
//!
//! Reads     the stored Services: what they say is what is taken.
//! Holds always
//! - Nothing is kept beside the Services themselves but what writes under way have chosen; so there is nothing to repair after
//!   a crash, and nothing can leak.
//! - A choice is made while the list of choices is locked, and given up only after its write is visible in the store: two
//!   Services never get the same address.
//!
//! Not here: which fields of a Service go together (`podo_registry::service`). There the type also says what a change gives
//! back; here that is simply what is no longer stored.

mod pool;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::ops::ControlFlow;
use std::sync::Arc;

use parking_lot::Mutex;
use podo_api::field::{Errors, Path};
use podo_api::{Status, Value, meta, tree};
use podo_registry::{Definition, service};
use podo_store::Range;

use crate::admission::{Operation, Request};
use crate::api::{Api, Settings};
use crate::storage;
use pool::{Addresses, Ports, Taken};

/// The resource.
const SERVICES: &str = "services";

/// The Service that has the first address: the API itself.
const API_SERVICE: (&str, &str) = ("default", "kubernetes");

/// What writes under way have chosen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allocators(Arc<Mutex<Choices>>);

/// Addresses and node ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Choices {
    addresses: HashSet<Ipv4Addr>,
    ports: HashSet<u16>,
}

/// What was chosen for one write. It is given up when this is dropped, which must be after the write has ended.
#[derive(Debug, Default)]
pub(crate) struct Reservation {
    allocators: Allocators,
    choices: Choices,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.choices == Choices::default() {
            return;
        }
        let mut all = self.allocators.0.lock();
        for address in &self.choices.addresses {
            all.addresses.remove(address);
        }
        for port in &self.choices.ports {
            all.ports.remove(port);
        }
    }
}

/// Completes a Service that is to be written: fields that belong together, addresses, node ports.
///
/// Runs after the mutating plug-ins and before validation, which demands what is allocated here. What was chosen stays reserved
/// as long as `request` lives; for a dry run nothing does.
pub(crate) fn reserve(
    request: &mut Request<'_>,
    value: &mut Value,
    old: Option<&Value>,
) -> Result<(), Status> {
    let is_write = matches!(request.operation, Operation::Create | Operation::Update);
    if !request.is_main(SERVICES) || !is_write {
        return Ok(());
    }
    service::carry(value, old);
    service::init_families(value, old).map_err(|errors| invalid(value, errors))?;
    let needs = Needs::of(value, old);
    if !needs.address && !needs.ports {
        return Ok(());
    }
    let mut all = request.api.allocators.0.lock();
    let mut free = Free::read(request.api, needs, &all, meta::namespace(value), meta::name(value))?;
    free.complete(value, old, needs)?;
    if !request.is_dry_run {
        let choices = free.choices;
        all.addresses.extend(&choices.addresses);
        all.ports.extend(&choices.ports);
        request.reservation = Reservation { allocators: request.api.allocators.clone(), choices };
    }
    Ok(())
}

fn invalid(value: &Value, errors: Errors) -> Status {
    let kind = podo_api::status::GroupResource { group: "", resource: "Service" };
    Status::invalid(kind, meta::name(value), errors)
}

/// What a write has to be given, or has asked for by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Needs {
    address: bool,
    ports: bool,
}

impl Needs {
    fn of(new: &Value, old: Option<&Value>) -> Self {
        let had_address = old.is_some_and(service::needs_cluster_ip);
        let old_ports = old.map(service::node_ports).unwrap_or_default();
        let has_new_port = service::node_ports(new).iter().any(|port| !old_ports.contains(port));
        let lacks_port = service::allocates_node_ports(new)
            && tree::items_at(new, &["spec", "ports"])
                .iter()
                .any(|port| service::node_port(port) == 0);
        Self {
            address: service::needs_cluster_ip(new) && !had_address && !service::is_headless(new),
            ports: service::needs_node_ports(new) && (has_new_port || lacks_port)
                || begins_health_check(new, old),
        }
    }
}

/// Whether a health check port is needed that was not needed before.
fn begins_health_check(new: &Value, old: Option<&Value>) -> bool {
    service::needs_health_check(new) && !old.is_some_and(service::needs_health_check)
}

/// What can be given, and what was.
struct Free {
    addresses: Addresses,
    ports: Ports,
    choices: Choices,
}

impl Free {
    /// What no other Service has, stored or under way.
    fn read(
        api: &Api,
        needs: Needs,
        all: &Choices,
        namespace: &str,
        name: &str,
    ) -> Result<Self, Status> {
        let mut taken = Taken { addresses: all.addresses.clone(), ports: all.ports.clone() };
        if (namespace, name) != API_SERVICE {
            taken.addresses.extend(pool::first(api.settings.service_cidr));
        }
        read_stored(api, needs, &mut taken, (namespace, name))?;
        Ok(Self::new(&api.settings, taken))
    }

    fn new(settings: &Settings, taken: Taken) -> Self {
        Self {
            addresses: Addresses::new(settings.service_cidr, taken.addresses),
            ports: Ports::new(settings.node_ports, taken.ports),
            choices: Choices::default(),
        }
    }

    /// Gives a Service what it needs, in the order in which Kubernetes finds out what is wrong.
    fn complete(
        &mut self,
        new: &mut Value,
        old: Option<&Value>,
        needs: Needs,
    ) -> Result<(), Status> {
        if needs.address {
            self.address(new)?;
        }
        if service::needs_node_ports(new) {
            match old {
                None => self.new_ports(new)?,
                Some(old) => self.changed_ports(new, &service::node_ports(old))?,
            }
        }
        if begins_health_check(new, old) {
            self.health_check_port(new)?;
        }
        Ok(())
    }

    fn address(&mut self, new: &mut Value) -> Result<(), Status> {
        let wanted = service::cluster_ips(new).first().map(|ip| (*ip).to_owned());
        let Some(wanted) = wanted else {
            let found = self.addresses.take_any();
            let found = found.map_err(|error| {
                Status::internal(format!("failed to allocate a serviceIP: {error}"))
            })?;
            self.choices.addresses.insert(found);
            let spec = spec_mut(new);
            tree::set(spec, "clusterIP", found.to_string());
            tree::set(spec, "clusterIPs", vec![found.to_string()]);
            return Ok(());
        };
        match self.addresses.take(&wanted) {
            Ok(taken) => {
                self.choices.addresses.insert(taken);
                Ok(())
            }
            Err(error) => {
                let mut errors = Errors::new();
                let shown = tree::at(new, &["spec", "clusterIPs"]).clone();
                let why = format!("failed to allocate IP {wanted}: {error}");
                errors.invalid_value(&Path::new("spec").child("clusterIPs"), shown, why);
                Err(invalid(new, errors))
            }
        }
    }

    /// The node ports of a new Service: ports of one number that differ in protocol share theirs.
    fn new_ports(&mut self, new: &mut Value) -> Result<(), Status> {
        let chooses = service::allocates_node_ports(new);
        let mut ports = tree::items_at(new, &["spec", "ports"]).to_vec();
        let mut given: Vec<(i64, i64)> = Vec::new();
        for index in 0..ports.len() {
            let (number, wanted) = (number_of(&ports[index]), service::node_port(&ports[index]));
            if wanted == 0 && !chooses {
                continue;
            }
            let shared =
                given.iter().rev().find(|(other, _)| *other == number).map(|(_, port)| *port);
            let node_port = match shared {
                Some(shared) if wanted == shared || wanted == 0 => shared,
                Some(_) => self.port(new, index, wanted)?,
                None => {
                    let of_number = ports.iter().filter(|port| number_of(port) == number);
                    let asked =
                        of_number.map(service::node_port).find(|&port| port != 0).unwrap_or(0);
                    let node_port = self.port(new, index, asked)?;
                    given.push((number, node_port));
                    node_port
                }
            };
            tree::set(&mut ports[index], "nodePort", node_port);
        }
        tree::set(spec_mut(new), "ports", ports);
        Ok(())
    }

    /// The node ports of a changed Service: what it had it keeps.
    fn changed_ports(&mut self, new: &mut Value, before: &[i64]) -> Result<(), Status> {
        let chooses = service::allocates_node_ports(new);
        let mut ports = tree::items_at(new, &["spec", "ports"]).to_vec();
        let mut seen: Vec<(String, i64)> = Vec::new();
        let mut asked: Vec<i64> = Vec::new();
        for (index, port) in ports.iter_mut().enumerate() {
            let wanted = service::node_port(port);
            let is_known = before.contains(&wanted) || asked.contains(&wanted);
            let node_port = match wanted {
                0 if !chooses => continue,
                wanted if wanted != 0 && is_known => wanted,
                wanted => self.port(new, index, wanted)?,
            };
            asked.push(node_port);
            let key = (tree::str_at(port, &["protocol"]).to_owned(), node_port);
            if seen.contains(&key) {
                let message = format!("duplicate nodePort: {{{} {}}}", key.0, key.1);
                return Err(Status::failure(podo_api::Reason::Unknown, message));
            }
            seen.push(key);
            tree::set(port, "nodePort", node_port);
        }
        tree::set(spec_mut(new), "ports", ports);
        Ok(())
    }

    /// A node port for the port at `index`: the one that is wanted, or any if that is 0.
    fn port(&mut self, service: &Value, index: usize, wanted: i64) -> Result<i64, Status> {
        if wanted == 0 {
            let found = self.ports.take_any();
            let found = found.map_err(|error| {
                Status::internal(format!("failed to allocate a nodePort: {error}"))
            })?;
            self.choices.ports.insert(found);
            return Ok(i64::from(found));
        }
        match self.ports.take(wanted) {
            Ok(taken) => {
                self.choices.ports.insert(taken);
                Ok(wanted)
            }
            Err(error) => {
                let mut errors = Errors::new();
                let path = Path::new("spec").child("ports").index(index).child("nodePort");
                errors.invalid_value(&path, wanted, error.to_string());
                Err(invalid(service, errors))
            }
        }
    }

    fn health_check_port(&mut self, new: &mut Value) -> Result<(), Status> {
        let wanted = service::health_check_port(new);
        let taken = if wanted == 0 { self.ports.take_any() } else { self.ports.take(wanted) };
        let taken = taken.map_err(|error| {
            let what = if wanted == 0 { "a" } else { "requested" };
            Status::internal(format!(
                "failed to allocate {what} HealthCheck NodePort {wanted}: {error}"
            ))
        })?;
        self.choices.ports.insert(taken);
        tree::set(spec_mut(new), "healthCheckNodePort", taken);
        Ok(())
    }
}

fn number_of(port: &Value) -> i64 {
    tree::int_at(port, &["port"]).unwrap_or(0)
}

fn spec_mut(service: &mut Value) -> &mut Value {
    tree::as_map(service).entry("spec").or_insert(Value::Null)
}

/// Adds what the stored Services but one have. Only Services with node ports are parsed, and only if a port is needed.
fn read_stored(
    api: &Api,
    needs: Needs,
    taken: &mut Taken,
    but: (&str, &str),
) -> Result<(), Status> {
    let definition = podo_registry::find("", "v1", SERVICES)
        .ok_or_else(|| Status::internal("services are not served"))?;
    let (address, kind) = (field(definition, "spec.clusterIP"), field(definition, "spec.type"));
    let bucket = definition.bucket();
    let visited = api.store.visit(&Range::all(&bucket), |entry| {
        let object = &entry.value;
        let of =
            |at: Option<usize>| at.and_then(|at| object.fields.get(at)).map_or("", |text| text);
        let is_same = (&*object.namespace, &*object.name) == but;
        if !is_same && let Ok(address) = of(address).parse() {
            taken.addresses.insert(address);
        }
        // A changed Service's own ports are taken as well: what it keeps is not asked for again.
        if needs.ports && matches!(of(kind), "NodePort" | "LoadBalancer") {
            let service = object.view();
            let ports = service::node_ports(&service)
                .into_iter()
                .chain([service::health_check_port(&service)]);
            taken.ports.extend(ports.filter_map(|port| u16::try_from(port).ok()));
        }
        ControlFlow::Continue(())
    });
    visited.map(|_| ()).map_err(|error| storage::read_failed(&error))
}

/// Where a selectable field is among an object's fields.
fn field(definition: &Definition, label: &str) -> Option<usize> {
    definition.selectable.iter().position(|field| field.label == label)
}

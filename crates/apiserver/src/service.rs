//! Addresses and ports of Services: given when a Service is written, free again when it is gone.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use podo_api::{Status, Value, tree};

use crate::admission::Request;
use crate::verbs::all_of;

/// What writes under way have reserved.
#[derive(Debug, Default, Clone)]
pub(crate) struct Allocators(Arc<Mutex<HashSet<String>>>);

/// What one write has reserved; it is given back when the write ends, since the store tells then.
#[derive(Debug, Default)]
pub(crate) struct Reservation {
    taken: Vec<String>,
    of: Option<Allocators>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(allocators) = &self.of {
            let mut reserved = allocators.0.lock();
            for name in &self.taken {
                reserved.remove(name);
            }
        }
    }
}

/// Gives a Service the addresses and ports that it lacks.
pub(crate) fn reserve(request: &mut Request<'_>, value: &mut Value, old: Option<&Value>) -> Result<(), Status> {
    let _ = old;
    if !request.is_main("services") || tree::str_at(value, &["spec", "type"]) == "ExternalName" {
        return Ok(());
    }
    if !tree::str_at(value, &["spec", "clusterIP"]).is_empty() {
        return Ok(());
    }
    let used: HashSet<String> = all_of(request.api, request.definition(), "")?
        .iter()
        .map(|entry| tree::str_at(&entry.value.value(), &["spec", "clusterIP"]).to_owned())
        .collect();
    let allocators = request.api.allocators.clone();
    let (base, bits) = request.api.settings.service_cidr;
    let size = 1_u32 << (32 - u32::from(bits));
    let mut reserved = allocators.0.lock();
    let offset = u32::from_le_bytes(podo_base::random_bytes::<4>()) % (size - 2);
    for step in 0..size - 2 {
        let host = 1 + (offset + step) % (size - 2);
        let ip = std::net::Ipv4Addr::from(u32::from(base) + host).to_string();
        if host == 1 || used.contains(&ip) || !reserved.insert(ip.clone()) {
            continue;
        }
        drop(reserved);
        request.reservation.taken.push(ip.clone());
        request.reservation.of = Some(allocators);
        let spec = tree::as_map(value).entry("spec").or_insert(Value::Null);
        tree::set(spec, "clusterIP", ip.clone());
        tree::set(spec, "clusterIPs", vec![Value::from(ip)]);
        tree::set_default_pointer(spec, "ipFamilies", vec![Value::from("IPv4")]);
        tree::set_default_pointer(spec, "ipFamilyPolicy", "SingleStack");
        return Ok(());
    }
    Err(Status::internal("all addresses of the service range are taken"))
}

/// Tells how the write ended.
pub(crate) fn settle(request: &Request<'_>, is_written: bool) {
    let _ = (request, is_written);
}

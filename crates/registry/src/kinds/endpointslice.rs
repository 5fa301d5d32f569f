//! EndpointSlice: some of the addresses behind a Service, with their state.

mod validate;

use podo_api::field::Path;
use podo_api::table::Cell;
use podo_api::{Value, meta, tree};

use super::address;
use super::endpoints::shortened;
use super::pod::view::{at, list, text, texts};
use super::resource::{forget_empty, is_new};
use crate::{Column, Definition, Description, Generation, Names, table};

/// How many ports or endpoints a table shows.
const SHOWN_MAX: usize = 3;

const TY: &str = "discovery/v1.EndpointSlice";

/// The lists that are always shown.
const LISTS: &[&str] = &["endpoints", "ports"];

/// EndpointSlice.
pub(crate) static ENDPOINT_SLICE: Definition = Definition {
    names: Names {
        group: "discovery.k8s.io",
        kind: "EndpointSlice",
        plural: "endpointslices",
        singular: "endpointslice",
        ..Definition::BASE.names
    },
    ty: TY,
    generation: Generation::All,
    columns: &[
        table::NAME,
        column("AddressType", "addressType", |slice| text(slice, "addressType").into()),
        column("Ports", "ports", |slice| ports(slice).into()),
        column("Endpoints", "endpoints", |slice| endpoints(slice).into()),
        table::AGE,
    ],
    default,
    prepare_create: |slice| {
        drop_topology(slice);
        forget_empty(slice, LISTS);
    },
    prepare_update,
    validate: |slice, errors| {
        if is_new(slice) {
            validate::create(slice, errors);
        }
    },
    validate_update: validate::update,
    warnings,
    ..Definition::BASE
};

const fn column(name: &'static str, field: &'static str, cell: fn(&Value) -> Cell) -> Column {
    let description = Description::Field(TY, field);
    Column { name, kind: "string", format: "", description, priority: 0, cell }
}

fn default(slice: &mut Value) {
    for port in tree::items_mut(slice, "ports") {
        tree::set_default_pointer(port, "name", "");
        tree::set_default_pointer(port, "protocol", "TCP");
    }
}

/// `deprecatedTopology` can only be kept, not written.
fn drop_topology(slice: &mut Value) {
    for endpoint in tree::items_mut(slice, "endpoints") {
        tree::set(endpoint, "deprecatedTopology", Value::Null);
    }
}

fn prepare_update(new: &mut Value, old: &Value) {
    forget_empty(new, LISTS);
    // A change of labels counts as well, since they say which Service the slice belongs to.
    let labels = |slice| meta::pairs(slice, "labels").collect::<Vec<_>>();
    if labels(new) != labels(old) {
        meta::set(new, "generation", meta::generation(old) + 1);
    }
    if list(new, "endpoints") != list(old, "endpoints") {
        drop_topology(new);
    }
}

fn warnings(slice: &Value, _old: Option<&Value>) -> Vec<String> {
    if text(slice, "addressType") == "FQDN" {
        return vec!["spec.addressType: FQDN endpoints are deprecated".to_owned()];
    }
    let mut warnings = Vec::new();
    for (index, endpoint) in list(slice, "endpoints").iter().enumerate() {
        let path = Path::new("endpoints").index(index).child("addresses");
        let texts = texts(endpoint, "addresses").enumerate();
        warnings.extend(texts.filter_map(|(at, ip)| address::warning(&path.index(at), ip)));
    }
    warnings
}

fn ports(slice: &Value) -> String {
    let port = |port: &Value| match at(port, "port").as_i64() {
        Some(number) => number.to_string(),
        None => at(port, "name").as_str().unwrap_or("*").to_owned(),
    };
    or_unset(list(slice, "ports").iter().map(port).collect())
}

fn endpoints(slice: &Value) -> String {
    let addresses = list(slice, "endpoints").iter().flat_map(|one| texts(one, "addresses"));
    or_unset(addresses.map(str::to_owned).collect())
}

fn or_unset(items: Vec<String>) -> String {
    let text = shortened(&items, SHOWN_MAX);
    if text.is_empty() { "<unset>".to_owned() } else { text }
}

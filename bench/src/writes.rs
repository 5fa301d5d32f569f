//! Durable creates a second, over HTTP/2 and TLS.

use std::path::Path;
use std::time::Duration;

use podo_cluster_tests::{Options, with_cluster};

use crate::load;
use crate::table::Table;

pub(crate) const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// How long each load lasts.
pub(crate) const LOAD: Duration = Duration::from_secs(5);

/// Measures the group.
pub(crate) fn measure(podo: &Path, table: &mut Table) {
    let options =
        Options { has_registry: false, binary: Some(podo.to_owned()), ..Options::default() };
    with_cluster(options, |it| {
        let create = |prefix: &'static str| {
            move |index: u64| {
                ("POST", MAPS.to_owned(), load::config_map(&format!("{prefix}-{index}")))
            }
        };
        let one = load::per_second(&it.api, 1, LOAD, create("one"));
        let many = load::per_second(&it.api, 64, LOAD, create("many"));
        let measured = format!("{one:.0} / {many:.0}");
        table.row(
            "durable ConfigMap creates/s (1 KB), 1 / 64 clients",
            measured,
            "≥ 2,500 / 12,000",
            "477 / 1,732",
        );
        let get = load::per_second(&it.api, 64, LOAD, |index| {
            ("GET", format!("{MAPS}/one-{}", index % 100), bytes::Bytes::new())
        });
        table.row(
            "GET/s, 64 clients (lean load generator)",
            format!("{get:.0}"),
            "≥ 30,000",
            "3,288 (client-go)",
        );
    });
}

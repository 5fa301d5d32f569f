//! What a cluster costs that does nothing: memory of all its processes, processor time over a quiet minute, memory of one more Pod.

use std::fs;
use std::path::Path;
use std::time::Duration;

use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::patience::pause;
use podo_cluster_tests::pods::is_ready;
use podo_cluster_tests::{Cluster, Options, leaks, with_cluster};

use crate::load;
use crate::table::Table;

/// What start-up has allocated is given back by then.
const SETTLE: Duration = Duration::from_secs(10);
/// The quiet minute.
const QUIET: Duration = Duration::from_secs(60);
/// Pods that are added to see what one costs.
const MORE: u64 = 50;
/// Clock ticks of processor time in a second (`getconf CLK_TCK` is 100 on every Linux that Podo runs on).
const TICKS: f64 = 100.0;

/// Memory of all processes together.
#[derive(Clone, Copy)]
struct Memory {
    resident_kib: u64,
    proportional_kib: u64,
}

/// Measures the group.
pub(crate) fn measure(podo: &Path, table: &mut Table) {
    let options =
        Options { has_registry: false, binary: Some(podo.to_owned()), ..Options::default() };
    with_cluster(options, |it| {
        it.ready(&load::hello("idle"));
        pause(SETTLE);
        let one = memory(it);
        let before = ticks(it);
        pause(QUIET);
        let share = (ticks(it) - before) / TICKS / QUIET.as_secs_f64() * 100.0;
        let (resident, proportional) =
            (megabytes(one.resident_kib), megabytes(one.proportional_kib));
        let measured =
            format!("{resident:.1} MB RSS, {proportional:.1} MB PSS, {share:.2} % of a core");
        table.row(
            "idle memory of everything, CPU (one Pod)",
            measured,
            "≤ 40 MB, ≤ 0.3 % of a core",
            "679 MB RSS in eight processes, 3.9 %",
        );
        load::all(&it.api, 16, MORE, |index| {
            ("POST", PODS.to_owned(), load::hello(&format!("more-{index}")).to_string().into())
        });
        for index in 0..MORE {
            it.until(&format!("more-{index}"), "is ready", is_ready);
        }
        pause(SETTLE);
        let many = memory(it);
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let each = |many: u64, one: u64| megabytes(many.saturating_sub(one)) / MORE as f64;
        let measured = format!(
            "{:.2} MB PSS ({:.2} MB RSS)",
            each(many.proportional_kib, one.proportional_kib),
            each(many.resident_kib, one.resident_kib)
        );
        table.row(
            "memory that one more idle Pod costs",
            measured,
            "≤ 1 MB",
            "12 MB (containerd shim + pause)",
        );
    });
}

fn megabytes(kib: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 KiB")]
    let kib = kib as f64;
    kib * 1024.0 / 1e6
}

/// All processes of the cluster: server, shims, pauses, containers.
fn processes(it: &Cluster) -> Vec<u32> {
    leaks::processes(&[&it.instance(), &it.folder.to_string_lossy()])
}

fn memory(it: &Cluster) -> Memory {
    let mut sum = Memory { resident_kib: 0, proportional_kib: 0 };
    for pid in processes(it) {
        // A process may have ended since.
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let value = |name: &str| -> u64 {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
        };
        sum.resident_kib += value("Rss:");
        sum.proportional_kib += value("Pss:");
    }
    sum
}

fn ticks(it: &Cluster) -> f64 {
    let of = |pid: u32| -> f64 {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
        fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum()
    };
    processes(it).into_iter().map(of).sum()
}

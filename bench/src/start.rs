//! From `exec` to an API that answers, and to the first Pod that is ready; the size of the binary.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use bytes::Bytes;
use podo_cluster_tests::host::{HOST, Host};
use podo_cluster_tests::{Api, PATIENCE, binary, until};

use crate::table::{Table, median};

const RUNS: usize = 9;

/// Measures the group.
pub(crate) fn measure(podo: &Path, table: &mut Table) {
    let (mut ready, mut running) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ready.push(once(podo, &[], |_, began| api_ready(began)));
        let quickstart = binary::workspace().join("examples/quickstart.yaml");
        let args = ["--filename".to_owned(), quickstart.to_string_lossy().into_owned()];
        running.push(once(podo, &args, |out, began| first_pod(out, began)));
    }
    table.row(
        "exec → API ready, fresh store",
        format!("{:.0} ms", median(&mut ready)),
        "≤ 150 ms",
        "2.2 s (server alone), 3.0 s (all)",
    );
    table.row(
        "exec → first Pod Running",
        format!("{:.0} ms", median(&mut running)),
        "≤ 500 ms",
        "9.4 s",
    );
    let bytes = fs::metadata(podo).expect("the binary is there").len();
    table.row(
        "binary",
        format!("{} MB", bytes.div_ceil(1_000_000)),
        "≤ 25 MB",
        "467 MB in nine files",
    );
}

/// Starts `podo up` on a host of its own with a fresh data directory, measures, and takes it down.
fn once(
    podo: &Path,
    args: &[String],
    measure: impl FnOnce(&mut dyn Iterator<Item = String>, Instant) -> f64 + Send,
) -> f64 {
    let folder = tempfile::tempdir_in("/var/tmp").expect("/var/tmp can be written");
    let data = folder.path().join("data");
    Host::new().run(|| {
        let mut command = Command::new(podo);
        command.arg("up").arg("--data-dir").arg(&data).arg(format!("--node-ip={HOST}")).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let began = Instant::now();
        let mut child = command.spawn().expect("podo can be run");
        let out = child.stdout.take().expect("asked for");
        let taken = measure(&mut BufReader::new(out).lines().map_while(Result::ok), began);
        let down = Command::new(podo).args(["down", "--purge", "--data-dir"]).arg(&data).status();
        assert!(down.is_ok_and(|status| status.success()), "podo down failed");
        child.wait().expect("the server is ours");
        taken
    })
}

fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1000.0
}

/// Until `/readyz` says so; asked again the moment a connection is refused.
fn api_ready(began: Instant) -> f64 {
    let api = Api::with_token("https://127.0.0.1:6443", None);
    loop {
        let answer = api.block_on(api.call("GET", "/readyz", &[], Bytes::new()));
        match answer {
            Ok(answer) if answer.status == 200 => return milliseconds(began),
            _ if began.elapsed() > PATIENCE => panic!("the API was not ready: {answer:?}"),
            _ => api.block_on(async {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }),
        }
    }
}

/// Until `podo up` says that the Pod is ready, and it answers.
fn first_pod(out: &mut dyn Iterator<Item = String>, began: Instant) -> f64 {
    let is_ready = |line: &String| line.starts_with("pod/hello Running");
    let line = std::iter::from_fn(|| out.next()).find(is_ready).expect("podo up tells of its Pod");
    let taken = milliseconds(began);
    let ip = line.rsplit(' ').next().expect("an address").to_owned();
    until("the Pod answers", PATIENCE, || {
        std::net::TcpStream::connect(format!("{ip}:8080")).map_err(|error| error.to_string())
    });
    taken
}

//! What a store does in a second, and what it takes: prints the rows that SPECIFICATION promises.
//!
//! `cargo bench -p podo-store`; files go into a temporary directory of `$TMPDIR`, which must lie on the disk to be measured.
#![expect(clippy::print_stdout, reason = "printing is what a bench does")]

use std::fs;
use std::future::Future;
use std::ops::ControlFlow;
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use podo_store::{
    Clock, Commit, Config, DecodeError, Directory, Embedded, Engine, Expect, Filter, Key, Memory,
    Range, Revision, Store, Txn, Value,
};

#[derive(Debug, Clone)]
struct Blob(Vec<u8>);

impl Value for Blob {
    type EventCache = ();
    fn stamped(self, _revision: Revision) -> Self {
        self
    }
    fn to_log(&self, out: &mut Vec<u8>) {
        out.extend(&self.0);
    }
    fn from_log(_key: &Key, _revision: Revision, bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self(bytes.to_vec()))
    }
    fn weight(&self) -> usize {
        self.0.len()
    }
}

fn config() -> Config {
    let start = Instant::now();
    let clock: Clock =
        Arc::new(move || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
    Config::new(clock)
}

fn open(engine: impl Engine) -> Store<Blob> {
    Store::open(engine, config()).expect("the store opens")
}

fn embedded(path: &Path) -> Embedded {
    Embedded::new(Directory::new(path).expect("the directory can be made"))
}

fn txn(number: u64, bytes: usize) -> Txn<Blob> {
    let scattered = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let key = Key::new("configmaps", format!("namespace-{}/name-{scattered:016x}", scattered % 50));
    Txn::put(key, Expect::Absent, Blob(vec![7; bytes]))
}

struct Unpark(Thread, AtomicBool);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.1.store(true, Ordering::Release);
        self.0.unpark();
    }
}

/// Keeps `writers` commits under way from one thread, as tasks of an executor would.
fn commit_all(store: &Store<Blob>, writers: usize, count: u64, bytes: usize, from: u64) {
    let flag = Arc::new(Unpark(thread::current(), AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut cx = Context::from_waker(&waker);
    let mut numbers = from..from + count;
    let mut running: Vec<Commit<Blob>> = Vec::new();
    loop {
        while running.len() < writers
            && let Some(number) = numbers.next()
        {
            running.push(store.commit(txn(number, bytes)));
        }
        if running.is_empty() {
            return;
        }
        running.retain_mut(|commit| match Pin::new(commit).poll(&mut cx) {
            Poll::Ready(answer) => {
                answer.expect("committed");
                false
            }
            Poll::Pending => true,
        });
        if running.len() == writers || numbers.is_empty() {
            while !running.is_empty() && !flag.1.swap(false, Ordering::Acquire) {
                thread::park();
            }
        }
    }
}

fn rss_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it is there");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

fn rate(count: u64, elapsed: Duration) -> String {
    let per_second = u128::from(count) * 1_000_000_000 / elapsed.as_nanos();
    format!("{per_second}/s")
}

fn commits(path: &Path) {
    for (writers, count) in [(1, 10_000), (64, 200_000), (1024, 400_000)] {
        let store = open(embedded(&path.join(format!("commits-{writers}"))));
        let start = Instant::now();
        commit_all(&store, writers, count, 1024, 0);
        println!("durable commits, 1 KB, {writers} writers: {}", rate(count, start.elapsed()));
    }
    let store = open(embedded(&path.join("threads")));
    let start = Instant::now();
    thread::scope(|scope| {
        for thread in 0..64 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..1000 {
                    store.commit_blocking(txn(thread << 32 | number, 1024)).expect("committed");
                }
            });
        }
    });
    println!("durable commits, 1 KB, 64 blocking threads: {}", rate(64_000, start.elapsed()));
}

fn fan_out() {
    for idle in [0, 10_000] {
        let store = open(Memory);
        let watch = |bucket: &str| {
            store.watch(bucket, Filter::Prefix("".into()), Revision(0)).expect("retained")
        };
        let _idle: Vec<_> =
            (0..idle).map(|number| watch(&format!("idle-{}", number % 60))).collect();
        let mut watchers: Vec<_> = (0..100).map(|_| watch("configmaps")).collect();
        let start = Instant::now();
        let (mut events, count) = (0, 20_000);
        thread::scope(|scope| {
            scope.spawn(|| commit_all(&store, 64, count, 1024, 0));
            let flag = Arc::new(Unpark(thread::current(), AtomicBool::new(false)));
            let waker = Waker::from(Arc::clone(&flag));
            let mut cx = Context::from_waker(&waker);
            while events < 100 * count {
                for watcher in &mut watchers {
                    while let Poll::Ready(event) = watcher.poll_next(&mut cx) {
                        event.expect("open").expect("not too slow");
                        events += 1;
                    }
                }
                while events < 100 * count && !flag.1.swap(false, Ordering::Acquire) {
                    thread::park();
                }
            }
        });
        let elapsed = start.elapsed();
        println!(
            "watch fan-out to 100 watchers, {idle} idle ones elsewhere: {} delivered, {} written",
            rate(events, elapsed),
            rate(count, elapsed)
        );
    }
}

fn reads() {
    let store = open(Memory);
    commit_all(&store, 512, 10_000, 1024, 0);
    let best = |mut read: Box<dyn FnMut() + '_>| {
        let mut times: Vec<Duration> = (0..200)
            .map(|_| {
                let start = Instant::now();
                read();
                start.elapsed()
            })
            .collect();
        times.sort();
        (times[100], times[198])
    };
    let (p50, p99) = best(Box::new(|| {
        assert_eq!(store.range(&Range::all("configmaps")).expect("read").items.len(), 10_000);
    }));
    println!("range of 10,000 entries: p50 {p50:?}, p99 {p99:?}");
    let (p50, p99) = best(Box::new(|| {
        let mut bytes = 0;
        let visited = store.visit(&Range::all("configmaps"), |entry| {
            bytes += entry.value.0.len();
            ControlFlow::Continue(())
        });
        assert!(visited.is_ok() && bytes == 10_000 * 1024);
    }));
    println!("visit of 10,000 entries: p50 {p50:?}, p99 {p99:?}");
    let start = Instant::now();
    let keys: Vec<Key> = (0..10_000).map(|number| txn(number, 0).ops.remove(0).key).collect();
    for _ in 0..20 {
        for key in &keys {
            assert!(store.get(key).expect("read").is_some());
        }
    }
    println!("get: {}", rate(200_000, start.elapsed()));
    // Readers of long lists beside a writer.
    let is_over = AtomicBool::new(false);
    let count = 100_000;
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                store.range(&Range::all("configmaps")).expect("read");
            }
        });
        commit_all(&store, 64, count, 1024, 1 << 40);
        is_over.store(true, Ordering::Relaxed);
    });
    println!("commits in memory beside a reader of long lists: {}", rate(count, start.elapsed()));
}

fn million(path: &Path) {
    let path = path.join("million");
    let start = Instant::now();
    {
        let store = open(embedded(&path));
        commit_all(&store, 1024, 1_000_000, 1024, 0);
        println!("10^6 keys of 1 KB written: {:?}, {:?}", start.elapsed(), store.stats());
    }
    let files = fs::read_dir(&path).expect("listed");
    let bytes: u64 =
        files.map(|file| file.and_then(|file| file.metadata()).map_or(0, |m| m.len())).sum();
    println!("files: {} MiB", bytes >> 20);
    // In a process of its own, whose memory holds nothing else.
    let binary = std::env::current_exe().expect("the bench's own file");
    let status = Command::new(binary).env(OPEN_VARIABLE, &path).status();
    assert!(status.expect("it starts").success());
}

/// Names the directory that the bench, started again by itself, is to open.
const OPEN_VARIABLE: &str = "PODO_STORE_BENCH_OPEN";

fn open_million(path: &Path) {
    let before = rss_kib();
    let start = Instant::now();
    let store = open(embedded(path));
    let elapsed = start.elapsed();
    let grown = (rss_kib() - before) * 1024;
    let stats = store.stats();
    println!(
        "open with {} keys: {elapsed:?}; {} bytes per entry beside its 1,024, history {} events",
        stats.keys,
        (grown / stats.keys as u64).saturating_sub(1024),
        stats.history_events,
    );
}

fn main() {
    if let Some(path) = std::env::var_os(OPEN_VARIABLE) {
        return open_million(Path::new(&path));
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let only = std::env::args().nth(1).filter(|name| !name.starts_with('-'));
    let is_wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    if is_wanted("commits") {
        commits(directory.path());
    }
    if is_wanted("fan-out") {
        fan_out();
    }
    if is_wanted("reads") {
        reads();
    }
    if is_wanted("million") {
        million(directory.path());
    }
}

//! Bad input against the API: Kubernetes' error, bounded memory and time, and no panic.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use podo_cluster_tests::api::{JSON, Lines, STRATEGIC};
use podo_cluster_tests::{Api, Cluster, Options, PATIENCE, until, with_cluster};
use serde_json::{Value, json};

use crate::hostile::resident_kib;
use crate::number;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const YAML: &str = "application/yaml";
/// How much the server may grow by what these tests send at it.
const GROWTH_MAX_KIB: u64 = 128 * 1024;
/// How much an idle watch may cost the server, also where it has a connection with TLS to itself, in bytes.
const IDLE_WATCH_MAX: u64 = 96 * 1024;
/// How long one refusal may take, also in a debug build.
const REFUSAL_MAX: Duration = Duration::from_secs(5);

/// A cluster without registry whose server has neither panicked nor grown when the test is over.
fn attacked(test: impl FnOnce(&mut Cluster) + Send) {
    with_cluster(Options { has_registry: false, ..Options::default() }, |it| {
        let before = resident_kib(it.pid());
        test(it);
        // Memory is given back when the connections have ended, a moment after their clients.
        until("memory is given back", PATIENCE, || {
            let after = resident_kib(it.pid());
            let is_small = after < before + GROWTH_MAX_KIB;
            is_small.then_some(()).ok_or_else(|| format!("{before} KiB grew to {after}"))
        });
        assert_eq!(it.api.get("/readyz").text(), "ok");
        let log = std::fs::read_to_string(it.folder.join("up.err")).unwrap();
        assert!(!log.contains("panicked"), "{log}");
    });
}

#[track_caller]
fn refused(it: &Cluster, content_type: &str, body: impl Into<bytes::Bytes>, code: u16, text: &str) {
    let began = Instant::now();
    let (status, _, message) =
        it.api.request("POST", MAPS, &[("content-type", content_type)], body).failure();
    assert_eq!(status, code, "{message}");
    assert!(message.contains(text), "{message}");
    assert!(began.elapsed() < REFUSAL_MAX, "{:?}", began.elapsed());
}

#[test]
fn malformed_bodies_are_bad_requests() {
    attacked(|it| {
        refused(it, JSON, "{", 400, "");
        refused(it, JSON, "", 400, "");
        refused(it, JSON, "[]", 400, "");
        refused(it, JSON, "\u{0}\u{1}", 400, "");
        refused(it, JSON, &b"\xff\xfe{}"[..], 400, "");
        refused(it, YAML, "a: [b", 400, "");
        refused(it, YAML, "a: 1\n\tb: 2", 400, "");
        refused(it, "application/vnd.kubernetes.protobuf", "no protobuf", 400, "");
        refused(
            it,
            "application/vnd.kubernetes.protobuf",
            &b"k8s\0\x0a\xff\xff\xff\xff\x0f"[..],
            400,
            "",
        );
        refused(it, "text/plain", "x", 415, "the body of the request was in an unknown format");
        refused(it, JSON, r#"{"kind":"Colour","apiVersion":"v1"}"#, 400, "");
        refused(it, JSON, r#"{"kind":"ConfigMap","apiVersion":"v9"}"#, 400, "");
        refused(
            it,
            JSON,
            r#"{"metadata":{"name":"a"},"data":{"a":1}}"#,
            400,
            "cannot unmarshal number",
        );
        refused(it, JSON, r#"{"metadata":{"name":"a"},"data":[]}"#, 400, "cannot unmarshal array");
        assert_eq!(
            it.api.get(&format!("{MAPS}?fieldSelector=metadata.name%3Da")).ok()["items"],
            json!([])
        );
    });
}

#[test]
fn invalid_names_and_paths_are_refused() {
    attacked(|it| {
        for name in ["UPPER", "-a", "a..b", &"x".repeat(254), "a/b", "..", "한"] {
            let (code, reason, message) =
                it.api.post(MAPS, &json!({"metadata": {"name": name}})).failure();
            assert_eq!((code, reason.as_str()), (422, "Invalid"), "{name}: {message}");
        }
        for path in [
            "/api/v1/namespaces/default/none",
            "/apis/none/v1/x",
            "/api/v9/pods",
            "/api/v1/namespaces/default/pods/a/none",
            "/%00",
            "/api/v1/pods/%2e%2e",
        ] {
            let status = it.api.get(path).status;
            assert!((400..500).contains(&status), "{path}: {status}");
        }
        for query in [
            "limit=-x",
            "labelSelector=a%20in",
            "fieldSelector=spec.none%3Dx",
            "resourceVersion=x",
            "continue=x",
        ] {
            let status = it.api.get(&format!("/api/v1/pods?{query}")).status;
            assert_eq!(status, 400, "{query}");
        }
        // The recorded answer of Kubernetes to a watch from no version is another than to a list.
        let (code, _, message) = it.api.get("/api/v1/pods?watch=true&resourceVersion=-4").failure();
        assert_eq!(code, 500);
        assert!(message.contains("strconv.ParseUint"), "{message}");
        assert_eq!(it.api.request("BREW", MAPS, &[], "").status, 405);
    });
}

#[test]
fn large_bodies_are_refused_before_they_are_read_whole() {
    attacked(|it| {
        let object = |bytes: usize| {
            json!({"metadata": {"name": "large"}, "data": {"a": "x".repeat(bytes)}}).to_string()
        };
        refused(
            it,
            JSON,
            object(4 * 1024 * 1024),
            413,
            "Request entity too large: limit is 3145728",
        );
        refused(it, JSON, object(2 * 1024 * 1024), 422, "Too long");
        // Three MiB are taken, a byte more is not.
        let padded = |name: &str, bytes: usize| {
            let text = json!({"metadata": {"name": name}}).to_string();
            format!("{text}{}", " ".repeat(bytes - text.len()))
        };
        let full = it.api.request("POST", MAPS, &[("content-type", JSON)], padded("full", 3 << 20));
        assert_eq!(full.status, 201, "{}", full.text());
        refused(it, JSON, padded("over", (3 << 20) + 1), 413, "limit is 3145728");
        let patch = json!({"data": {"a": "x".repeat(4 * 1024 * 1024)}});
        it.create(MAPS, &json!({"metadata": {"name": "small"}}));
        assert_eq!(it.api.patch(&format!("{MAPS}/small"), STRATEGIC, &patch).status, 413);
        let headers = "x".repeat(2 * 1024 * 1024);
        let answer = it.api.in_time(
            Duration::from_secs(10),
            it.api.call("GET", "/version", &[("x-large", &headers)], bytes::Bytes::new()),
        );
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 431));
    });
}

#[test]
fn deep_nesting_and_alias_bombs_cost_nothing() {
    attacked(|it| {
        let deep = format!("{{\"metadata\":{}1{}}}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
        refused(it, JSON, deep, 400, "");
        refused(it, JSON, format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)), 400, "");
        refused(it, YAML, format!("{}x{}", "[".repeat(10_000), "]".repeat(10_000)), 400, "");
        refused(it, YAML, format!("a: {}", "- ".repeat(10_000)), 400, "");
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let below = format!("*a{},", level - 1).repeat(10);
            writeln!(bomb, "a{level}: &a{level} [{}]", below.trim_end_matches(',')).unwrap();
        }
        refused(it, YAML, bomb, 400, "");
        let deep_patch = json!({"data": {"a": "b"}})
            .to_string()
            .replace("\"b\"", &format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)));
        it.create(MAPS, &json!({"metadata": {"name": "target"}}));
        let answer = it.api.request(
            "PATCH",
            &format!("{MAPS}/target"),
            &[("content-type", STRATEGIC)],
            deep_patch,
        );
        assert_eq!(answer.status, 400, "{}", answer.text());
        // Ten thousand operations are what Kubernetes takes at most.
        let many = Value::Array(vec![
            json!({"op": "test", "path": "/metadata/name", "value": "target"});
            10_001
        ]);
        let answer = it.api.patch(&format!("{MAPS}/target"), "application/json-patch+json", &many);
        assert_eq!(answer.status, 413, "{}", answer.text());
    });
}

/// Bodies of many small parts: what a check of each against each other would take minutes for.
fn bodies_of_many(count: usize) -> Vec<(&'static str, Value)> {
    let many = |part: Value| Value::Array(vec![part; count]);
    let each = |part: &dyn Fn(usize) -> Value| Value::Array((0..count).map(part).collect());
    let container = |name: &str, parts: Value| json!([{"name": "c", "image": "i", name: parts}]);
    let pod = |field: &str, parts: Value| {
        let mut pod = json!({"metadata": {"name": "m"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        pod["spec"][field] = parts;
        ("/api/v1/namespaces/default/pods?dryRun=All", pod)
    };
    let files = json!([{"name": "v", "configMap": {"name": "m", "items": many(json!({"key": "a", "path": "a"}))}}]);
    let spread = |index: usize| json!({"maxSkew": 1, "topologyKey": format!("k{index}"), "whenUnsatisfiable": "DoNotSchedule"});
    let port = |index: usize| json!({"name": format!("p{index}"), "port": index + 1});
    let owner = |index: usize| json!({"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": format!("u{index}")});
    vec![
        pod("containers", container("ports", many(json!({"containerPort": 80})))),
        pod("containers", container("env", many(json!({"name": "A", "value": "x"})))),
        pod("initContainers", many(json!({"name": "c", "image": "i"}))),
        pod("volumes", files),
        pod("volumes", many(json!({"name": "v", "emptyDir": {}}))),
        pod("topologySpreadConstraints", each(&spread)),
        pod("imagePullSecrets", many(json!({"name": "s"}))),
        (
            "/api/v1/namespaces/default/services?dryRun=All",
            json!({"metadata": {"name": "m"}, "spec": {"ports": each(&port)}}),
        ),
        (
            "/api/v1/namespaces/default/configmaps?dryRun=All",
            json!({"metadata": {"name": "m", "ownerReferences": each(&owner)}}),
        ),
    ]
}

#[test]
fn bodies_of_many_parts_hold_nobody_up() {
    attacked(|it| {
        let (config, is_over) = (&it.kubeconfig(), &std::sync::atomic::AtomicBool::new(false));
        std::thread::scope(|scope| {
            let health = scope.spawn(move || {
                let mut longest = Duration::ZERO;
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    let began = Instant::now();
                    assert_eq!(Api::of(config).get("/healthz").text(), "ok");
                    longest = longest.max(began.elapsed());
                }
                longest
            });
            let sent: Vec<_> = bodies_of_many(10_000)
                .into_iter()
                .map(|(path, body)| {
                    scope.spawn(move || {
                        let began = Instant::now();
                        let status = Api::of(config).post(path, &body).status;
                        assert!(matches!(status, 201 | 403 | 422), "{path}: {status}");
                        began.elapsed()
                    })
                })
                .collect();
            let took: Vec<Duration> = sent.into_iter().map(|one| one.join().unwrap()).collect();
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            let longest = health.join().unwrap();
            assert!(longest < REFUSAL_MAX, "others waited {longest:?}");
            assert!(took.iter().all(|took| *took < PATIENCE), "{took:?}");
        });
    });
}

#[test]
fn half_open_connections_hold_nobody_up() {
    attacked(|it| {
        let address = (Ipv4Addr::LOCALHOST, it.options.ports.0);
        let mut held = Vec::new();
        for index in 0..300 {
            let mut stream = TcpStream::connect(address).unwrap();
            if index % 2 == 0 {
                // The first bytes of a TLS hello, and then nothing.
                stream.write_all(&[22, 3, 1, 2, 0, 1, 0]).unwrap();
            }
            held.push(stream);
        }
        let began = Instant::now();
        assert_eq!(Api::of(&it.kubeconfig()).get("/version").status, 200);
        assert!(began.elapsed() < REFUSAL_MAX);
        let mut plain = TcpStream::connect(address).unwrap();
        plain.write_all(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        plain.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut answer = Vec::new();
        let _reset_or_end = plain.read_to_end(&mut answer);
        assert!(!String::from_utf8_lossy(&answer).contains("gitVersion"), "no answer without TLS");
        drop(held);
    });
}

/// Opens watches on connections of their own and reads none of them.
#[test]
fn slow_readers_are_bounded() {
    attacked(|it| {
        it.create(MAPS, &json!({"metadata": {"name": "noise"}}));
        let mut held = Vec::new();
        for _ in 0..20 {
            let api = Api::of(&it.kubeconfig());
            held.push(api.watch(&format!("{MAPS}?watch=true&resourceVersion=0")));
        }
        let text = "x".repeat(200_000);
        for round in 0..100 {
            let patch = json!({"data": {"a": format!("{round}{text}")}});
            it.api.patch(&format!("{MAPS}/noise"), podo_cluster_tests::api::MERGE, &patch).ok();
        }
        // A reader that was too slow is told so or cut off; it never misses an event in silence.
        for mut watch in held {
            let mut last = 0;
            let mut has_gap = false;
            while let Ok(Some(event)) =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| watch.next_event()))
            {
                if event["type"] == "ERROR" {
                    break;
                }
                let Some(data) = event["object"]["data"]["a"].as_str() else { continue };
                let round: i64 = data.trim_end_matches('x').parse().unwrap();
                has_gap |= round > last + 1;
                last = round;
                if round == 99 {
                    break;
                }
            }
            assert!(!has_gap);
        }
    });
}

#[test]
fn idle_watches_are_cheap_and_each_gets_its_event() {
    let count = number("PODO_TEST_WATCHES", 500);
    let per_connection = number("PODO_TEST_WATCHES_PER_CONNECTION", 200);
    attacked(|it| {
        let clients: Vec<Api> =
            (0..count.div_ceil(per_connection)).map(|_| it.api.again()).collect();
        let path = format!("{MAPS}?watch=true&fieldSelector=metadata.name%3Dbell");
        let before = resident_kib(it.pid());
        let mut watches = Vec::new();
        for index in 0..count {
            let api = &clients[index / per_connection];
            let body = api
                .in_time(Duration::from_secs(30), api.open("GET", &path, &[], bytes::Bytes::new()))
                .unwrap();
            assert_eq!(body.status(), 200);
            watches.push((api, Lines::new(body.into_body())));
        }
        let each = (resident_kib(it.pid()).saturating_sub(before)) * 1024 / count as u64;
        println!("{count} idle watches, {per_connection} to a connection: {each} bytes each");
        assert!(each < IDLE_WATCH_MAX, "{each} bytes for an idle watch");
        it.create(MAPS, &json!({"metadata": {"name": "bell"}}));
        for (api, lines) in &mut watches {
            let event = api.in_time(Duration::from_secs(30), lines.next()).unwrap().unwrap();
            assert_eq!(event["object"]["metadata"]["name"], "bell");
        }
    });
}

//! The Pod as a unit: what its containers share and what they do not (S01 – S08, S15).

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use podo_cluster_tests::host::{HOST, OUTSIDE};
use podo_cluster_tests::pods::{also, container, idle, is_ready, once, pod, restarts, shell};
use podo_cluster_tests::{Cluster, Options, PATIENCE, leaks, with_cluster};
use podo_network::link;
use podo_network::netlink::{Protocol, Socket};
use podo_network::route::{self, Route};
use serde_json::{Value, json};

use crate::on_cluster;

/// How long a connection that must not come about is tried: nothing here takes a tenth of it.
const IMPATIENCE: Duration = Duration::from_millis(500);

pub(crate) fn ip(pod: &Value) -> Ipv4Addr {
    pod["status"]["podIP"].as_str().expect("an address").parse().expect("IPv4")
}

/// Asks a web server and returns its whole answer.
pub(crate) fn http_get(address: Ipv4Addr, port: u16) -> Result<String, String> {
    let target = SocketAddr::from((address, port));
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&target, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET / HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().map_err(|error| error.to_string())
}

/// The answer of a web server that is about to come up.
#[track_caller]
pub(crate) fn http_answer(address: Ipv4Addr, port: u16) -> String {
    podo_cluster_tests::until("a web server answers", PATIENCE, || http_get(address, port))
}

fn two(name: &str) -> Value {
    pod(name, json!({"containers": [idle("one"), idle("two")]}))
}

/// A namespace of a container, as it sees it itself.
fn namespace(it: &Cluster, pod: &str, container: &str, kind: &str) -> String {
    it.exec(pod, container, &format!("readlink /proc/self/ns/{kind}")).trim().to_owned()
}

#[test]
fn s01_all_containers_of_a_pod_run_on_one_node_and_live_and_die_together() {
    on_cluster(|it| {
        let made = it.ready(&two("unit"));
        assert_eq!(made["spec"]["nodeName"], podo_cluster_tests::cluster::NODE);
        for name in ["one", "two"] {
            assert!(
                container(&made, name)["state"]["running"]["startedAt"].is_string(),
                "{made:#}"
            );
        }
        it.delete_pod("unit");
        let missing = it.api.get(&format!("{}/unit", podo_cluster_tests::cluster::PODS));
        assert_eq!(missing.failure().2, "pods \"unit\" not found");
    });
}

#[test]
fn s02_containers_of_a_pod_share_network_uts_and_ipc() {
    on_cluster(|it| {
        let server =
            shell("one", "mkdir /w; hostname > /w/index.html; exec httpd -f -p 8080 -h /w");
        it.ready(&pod("shared", json!({"containers": [server, idle("two")]})));
        for kind in ["net", "uts", "ipc"] {
            assert_eq!(
                namespace(it, "shared", "one", kind),
                namespace(it, "shared", "two", kind),
                "{kind}"
            );
        }
        let address = "ip -4 -o addr show dev eth0 | awk '{print $4}'";
        assert_eq!(it.exec("shared", "one", address), it.exec("shared", "two", address));
        assert_eq!(it.exec("shared", "two", "hostname"), "shared\n");
        let through_localhost = "until wget -qO- http://localhost:8080/; do :; done";
        assert_eq!(it.exec("shared", "two", through_localhost), "shared\n");
    });
}

#[test]
fn s02_posix_shared_memory_works_between_containers_of_a_pod() {
    on_cluster(|it| {
        it.ready(&two("memory"));
        it.exec("memory", "one", "echo from-one > /dev/shm/letter");
        assert_eq!(it.exec("memory", "two", "cat /dev/shm/letter"), "from-one\n");
        // Message queues are of the IPC namespace, as System V's are; a queue is a file that is made.
        it.exec("memory", "one", "touch /dev/mqueue/queue");
        assert_eq!(it.exec("memory", "two", "ls /dev/mqueue"), "queue\n");
    });
}

#[test]
fn s02_a_port_used_twice_in_a_pod_fails_in_the_second_container_as_on_one_host() {
    on_cluster(|it| {
        let first = shell("first", "exec httpd -f -p 8080 -h /tmp");
        // The second one tries only when the first one listens.
        let second = shell(
            "second",
            "until wget -qO- http://127.0.0.1:8080/ 2>&1 | grep -q '404\\|403'; do :; done; exec httpd -f -p 8080 -h /tmp",
        );
        it.create_pod(&pod("clash", json!({"containers": [first, second]})));
        let seen =
            it.until("clash", "restarts the second container", |pod| restarts(pod, "second") > 0);
        assert_eq!(restarts(&seen, "first"), 0);
        let ended = &container(&seen, "second")["lastState"]["terminated"];
        assert_eq!(ended["reason"], "Error", "{seen:#}");
        let path = "/api/v1/namespaces/default/pods/clash/log?container=second&previous=true";
        assert!(
            it.api.get(path).text().contains("Address already in use"),
            "{}",
            it.api.get(path).text()
        );
    });
}

#[test]
fn s03_each_container_keeps_its_own_mount_and_pid_namespace() {
    on_cluster(|it| {
        it.ready(&two("apart"));
        for kind in ["mnt", "pid"] {
            assert_ne!(
                namespace(it, "apart", "one", kind),
                namespace(it, "apart", "two", kind),
                "{kind}"
            );
        }
        it.exec("apart", "one", "echo mine > /only-here");
        assert_eq!(it.exec("apart", "two", "ls /only-here 2>/dev/null || echo absent"), "absent\n");
        let processes = it.exec("apart", "two", "ls -d /proc/[0-9]* | wc -l");
        assert!(processes.trim().parse::<u32>().expect("a number") < 8, "{processes}");
        assert!(
            it.exec("apart", "one", "tr '\\0' ' ' < /proc/1/cmdline").starts_with("sh -c trap")
        );
    });
}

#[test]
fn s03_a_pod_shares_its_pid_namespace_on_request() {
    on_cluster(|it| {
        let spec = json!({"shareProcessNamespace": true, "containers": [idle("one"), idle("two")]});
        it.ready(&pod("together", spec));
        assert_eq!(
            namespace(it, "together", "one", "pid"),
            namespace(it, "together", "two", "pid")
        );
    });
}

#[test]
fn s03_a_pod_has_users_of_its_own_on_request() {
    on_cluster(|it| {
        it.create(
            "/api/v1/namespaces/default/configmaps",
            &json!({"metadata": {"name": "map"}, "data": {"a": "read"}}),
        );
        let made = |name: &str| {
            let mounts =
                json!([{"name": "v", "mountPath": "/v"}, {"name": "m", "mountPath": "/m"}]);
            let main = also(idle("main"), json!({"volumeMounts": mounts}));
            pod(
                name,
                json!({"hostUsers": false, "containers": [main], "volumes": [
                {"name": "v", "emptyDir": {}}, {"name": "m", "configMap": {"name": "map"}}]}),
            )
        };
        let mut ranges = Vec::new();
        for name in ["one", "two"] {
            it.ready(&made(name));
            let map = it.exec(name, "main", "cat /proc/self/uid_map");
            let numbers: Vec<u32> =
                map.split_whitespace().map(|word| word.parse().expect("a number")).collect();
            assert!(numbers[0] == 0 && numbers[1] >= 65_536 && numbers[2] == 65_536, "{map}");
            ranges.push(numbers[1]);
            // Root inside writes what the Pod was given, and reads what the API says.
            let script =
                "id -u; echo x > /v/file; stat -c %u /v/file; cat /m/a; cat /etc/hosts | head -n 1";
            let printed = it.exec(name, "main", script);
            assert_eq!(printed, "0\n0\nread# Kubernetes-managed hosts file.\n");
            // Settings of the whole machine are not root's there.
            let kernel = it.exec(
                name,
                "main",
                "echo x > /proc/sys/kernel/core_pattern 2>/dev/null || echo no",
            );
            assert_eq!(kernel, "no\n");
        }
        assert_ne!(ranges[0], ranges[1], "two Pods have the same users");
        let processes = leaks::processes(&[&it.instance()]);
        let owner = |pid: u32| {
            fs::metadata(format!("/proc/{pid}"))
                .map(|data| std::os::unix::fs::MetadataExt::uid(&data))
        };
        let owners: Vec<u32> = processes.into_iter().filter_map(|pid| owner(pid).ok()).collect();
        assert!(ranges.iter().all(|range| owners.contains(range)), "{ranges:?} {owners:?}");
    });
}

#[test]
fn s04_a_pause_process_holds_the_namespaces_while_containers_come_and_go() {
    on_cluster(|it| {
        let script = "readlink /proc/self/ns/net; read go < /dev/null; exit 1";
        it.create_pod(&pod("held", json!({"restartPolicy": "OnFailure", "containers": [shell("again", script), idle("stays")]})));
        let before = it.until("held", "has an address", |pod| pod["status"]["podIP"].is_string());
        let after = it.until("held", "restarts a container", |pod| restarts(pod, "again") > 1);
        assert_eq!(ip(&before), ip(&after));
        let previous =
            it.api.get("/api/v1/namespaces/default/pods/held/log?container=again&previous=true");
        assert_eq!(previous.text().trim(), namespace(it, "held", "stays", "net"));
        assert_eq!(pauses(it).len(), 1);
    });
}

/// The processes that hold Pods' namespaces.
fn pauses(it: &Cluster) -> Vec<u32> {
    let mark = it.folder.to_string_lossy().into_owned();
    let mut all = leaks::processes(&[&mark, &it.instance()]);
    all.retain(|pid| leaks::command_line(*pid).contains("pause"));
    all
}

/// Kills the process that holds the namespaces of the only Pod.
pub(crate) fn kill_pause(it: &Cluster) -> u32 {
    let [pause] = pauses(it)[..] else { panic!("{:?}", pauses(it)) };
    let pid = i32::try_from(pause).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    pause
}

#[test]
fn s04_a_pod_whose_pause_process_is_killed_begins_anew_with_another_address() {
    on_cluster(|it| {
        let before = it.ready(&pod("anew", json!({"containers": [idle("main")]})));
        let pause = kill_pause(it);
        let after =
            it.until("anew", "runs again", |pod| restarts(pod, "main") == 1 && is_ready(pod));
        assert_ne!(ip(&before), ip(&after));
        let told = it.event("anew", "SandboxChanged");
        assert_eq!(told["message"], "Pod sandbox changed, it will be killed and re-created.");
        let [new] = pauses(it)[..] else { panic!("{:?}", pauses(it)) };
        assert_ne!(new, pause);
        assert_eq!(it.exec("anew", "main", "hostname"), "anew\n");
    });
}

#[test]
fn s04_an_image_can_be_put_in_the_place_of_the_pause_process() {
    let options = Options {
        args: vec!["--pod-infra-container-image=docker.io/library/pause-web:1".into()],
        ..Options::default()
    };
    with_cluster(options, |it| {
        let made = it.ready(&pod("other-pause", json!({"containers": [idle("main")]})));
        let answer = http_answer(ip(&made), 8080);
        assert!(
            answer.starts_with("HTTP/1."),
            "the image's program runs in the Pod's network: {answer}"
        );
    });
}

#[test]
fn s05_a_volume_is_shared_between_containers_at_different_paths_and_read_only_per_mount() {
    on_cluster(|it| {
        let writer =
            also(idle("writer"), json!({"volumeMounts": [{"name": "v", "mountPath": "/out"}]}));
        let reader =
            json!({"volumeMounts": [{"name": "v", "mountPath": "/in/deep", "readOnly": true}]});
        let spec = json!({"containers": [writer, also(idle("reader"), reader)], "volumes": [{"name": "v", "emptyDir": {}}]});
        it.ready(&pod("volume", spec));
        it.exec("volume", "writer", "echo hello > /out/file");
        assert_eq!(it.exec("volume", "reader", "cat /in/deep/file"), "hello\n");
        let refused = it.exec("volume", "reader", "(echo x > /in/deep/file) 2>&1 || true");
        assert!(refused.contains("Read-only file system"), "{refused}");
    });
}

#[test]
fn s06_a_native_sidecar_runs_beside_the_main_container_and_ends_after_it() {
    on_cluster(|it| {
        let logs = json!([{"name": "logs", "mountPath": "/logs"}]);
        let sidecar = also(
            shell(
                "collector",
                "trap 'echo last words; exit 0' TERM; touch /logs/app; tail -f /logs/app & wait",
            ),
            json!({"restartPolicy": "Always", "volumeMounts": logs}),
        );
        let main = also(
            shell("main", "echo from the app >> /logs/app; sleep 1"),
            json!({"volumeMounts": logs}),
        );
        let spec = json!({
            "restartPolicy": "Never", "terminationGracePeriodSeconds": 10,
            "initContainers": [sidecar], "containers": [main], "volumes": [{"name": "logs", "emptyDir": {}}],
        });
        let seen = it.ended(&pod("side", spec));
        assert_eq!(seen["status"]["phase"], "Succeeded", "{seen:#}");
        let log = it.log("side", "collector");
        assert!(log.contains("from the app") && log.ends_with("last words\n"), "{log}");
        assert_eq!(container(&seen, "collector")["state"]["terminated"]["exitCode"], 0);
        let at = |name: &str, key: &str| {
            container(&seen, name)["state"]["terminated"][key].as_str().map(str::to_owned)
        };
        assert!(at("collector", "finishedAt") >= at("main", "finishedAt"), "{seen:#}");
    });
}

#[test]
fn s06_a_sidecar_that_ends_is_started_again_while_the_main_container_goes_on() {
    on_cluster(|it| {
        let sidecar = also(shell("helper", "exit 3"), json!({"restartPolicy": "Always"}));
        it.create_pod(&pod(
            "helped",
            json!({"initContainers": [sidecar], "containers": [idle("main")]}),
        ));
        let seen = it.until("helped", "restarts its sidecar", |pod| restarts(pod, "helper") > 0);
        assert_eq!(
            container(&seen, "helper")["lastState"]["terminated"]["exitCode"],
            3,
            "{seen:#}"
        );
    });
}

#[test]
fn s07_pods_and_the_node_reach_each_other_without_translation() {
    on_cluster(|it| {
        let server = shell("main", "exec httpd -f -vv -p 7000 -h /tmp 2>&1");
        let server = it.ready(&pod("server", json!({"containers": [server]})));
        let client = it.ready(&pod("client", json!({"containers": [idle("main")]})));
        // wget of the distribution's static busybox crashes when it is given a bound in time.
        let ask = format!(
            "for i in $(seq 100); do
                printf 'GET /none HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {} 7000 | grep -q 404 && exit 0
                sleep 0.05
            done; exit 1",
            ip(&server)
        );
        it.exec("client", "main", &ask);
        let log = it.log("server", "main");
        assert!(
            log.contains(&format!("{}]:", ip(&client))),
            "the receiver sees the sender's own address: {log}"
        );
        let node = it.exec("client", "main", &format!("ping -c 1 -W 2 {HOST}"));
        assert!(node.contains("1 packets received"), "{node}");
    });
}

#[test]
fn s08_pod_addresses_are_reachable_inside_the_cluster_only_and_a_new_pod_gets_a_new_one() {
    on_cluster(|it| {
        let made = |name: &str| {
            pod(
                name,
                json!({"containers": [{"name": "k", "image": "luksa/kubia", "imagePullPolicy": "IfNotPresent"}]}),
            )
        };
        let first = ip(&it.ready(&made("first")));
        assert!(http_answer(first, 8080).contains("You've hit first"));
        let target = SocketAddr::from((first, 8080));
        // Even a machine that takes the node for its way to Pods.
        it.outside(|| {
            let mut socket = Socket::open(Protocol::Route).unwrap();
            let up = link::find(&mut socket, "up0").unwrap().unwrap().index;
            let way = Route::through("10.42.0.0/16".parse().unwrap(), up, HOST);
            socket.execute(&[route::replace(&way)]).unwrap();
        });
        let reached = it.outside(|| TcpStream::connect_timeout(&target, IMPATIENCE).is_ok());
        assert!(!reached, "a machine outside reaches a Pod");
        it.delete_pod("first");
        let second = ip(&it.ready(&made("first")));
        assert_ne!(first, second);
    });
}

#[test]
fn s08_what_leaves_the_cluster_carries_the_address_of_the_node() {
    on_cluster(|it| {
        it.ready(&pod("caller", json!({"containers": [idle("main")]})));
        let listener = it.outside(|| TcpListener::bind((OUTSIDE, 7000)).expect("a free port"));
        let caller = it.start_kubectl(
            &it.own(),
            &["exec", "caller", "--", "sh", "-c", "echo hi | nc -w 5 192.0.2.2 7000"],
        );
        let (_, peer) = listener.accept().expect("a connection");
        assert_eq!(peer.ip(), HOST);
        let ended = caller.wait_with_output().expect("kubectl ends");
        assert!(ended.status.success(), "{ended:?}");
    });
}

#[test]
fn s48_a_pod_may_say_who_it_is_and_whom_it_asks_for_names() {
    on_cluster(|it| {
        let more = |name: &str, more: Value| {
            let spec = json!({"containers": [idle("main")]});
            pod(name, also(spec, more))
        };
        let dns = json!({"nameservers": ["192.0.2.53", "192.0.2.54"], "searches": ["example.test", "test"],
            "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]});
        let aliases = json!([{"ip": "192.0.2.9", "hostnames": ["nine", "nine.example.test"]}]);
        let named = json!({"hostname": "box", "subdomain": "sub", "hostAliases": aliases,
            "dnsPolicy": "None", "dnsConfig": dns});
        let seen = it.ready(&more("named", named));
        assert_eq!(
            it.exec("named", "main", "cat /etc/resolv.conf"),
            "search example.test test\nnameserver 192.0.2.53\nnameserver 192.0.2.54\noptions ndots:2 edns0\n"
        );
        let hosts = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";
        let full = "box.sub.default.svc.cluster.local";
        let address = ip(&seen);
        assert_eq!(
            it.exec("named", "main", "cat /etc/hosts"),
            format!(
                "{hosts}{address}\t{full}\tbox\n\n# Entries added by HostAliases.\n192.0.2.9\tnine\tnine.example.test\n"
            )
        );
        assert_eq!(it.exec("named", "main", "hostname; cat /etc/hostname"), "box\nbox\n");
        let whole = json!({"hostname": "box", "subdomain": "sub", "setHostnameAsFQDN": true, "dnsPolicy": "Default"});
        it.ready(&more("whole", whole));
        assert_eq!(it.exec("whole", "main", "hostname"), format!("{full}\n"));
        let of_host = fs::read_to_string("/etc/resolv.conf").expect("the host has one");
        let given = it.exec("whole", "main", "cat /etc/resolv.conf");
        let servers = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| line.starts_with("nameserver"));
            lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
        };
        assert_eq!(servers(&given), servers(&of_host), "{given}");
        assert!(!given.contains("cluster.local"), "{given}");
    });
}

#[test]
fn s15_a_process_is_reachable_on_a_port_that_no_container_port_names() {
    on_cluster(|it| {
        let script = "mkdir /w; echo here > /w/index.html; exec httpd -f -p 9123 -h /w";
        let spec = json!({"containers": [also(shell("main", script), json!({"ports": [{"containerPort": 80}]}))]});
        let made = it.ready(&pod("ports", spec));
        assert!(http_answer(ip(&made), 9123).ends_with("here\n"));
    });
}

#[test]
fn the_quickstart_pod_answers_with_its_name_and_needs_no_network() {
    let quickstart = podo_cluster_tests::binary::workspace().join("examples/quickstart.yaml");
    let args = vec!["--filename".into(), quickstart.to_string_lossy().into_owned()];
    with_cluster(Options { has_registry: false, args, ..Options::default() }, |it| {
        let made = it.until("hello", "is ready", is_ready);
        assert!(http_answer(ip(&made), 8080).contains("You've hit hello"));
        let url = format!("http://{}:8080", ip(&made));
        podo_cluster_tests::until("podo up tells how to reach it", PATIENCE, || {
            let said = fs::read_to_string(it.folder.join("up.out")).unwrap_or_default();
            if said.contains(&url) { Ok(()) } else { Err(said) }
        });
    });
}

#[test]
fn a_container_with_a_read_only_root_cannot_write_it_and_runs_as_the_user_it_was_given() {
    on_cluster(|it| {
        let security = json!({"securityContext": {"readOnlyRootFilesystem": true, "runAsUser": 1000, "runAsGroup": 2000}});
        let mut made = once("guarded", "id -u; id -g; touch /x 2>&1; true");
        made["spec"]["containers"][0] = also(made["spec"]["containers"][0].clone(), security);
        let log = it.output(&made);
        assert!(log.starts_with("1000\n2000\n"), "{log}");
        assert!(log.contains("Read-only file system"), "{log}");
    });
}

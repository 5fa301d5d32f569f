//! Sandboxes on the network: their own, the host's, ports of the host, forwarded ports.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use podo_cri::v1::*;
use podo_cri::{Code, Cri};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Test;
use crate::harness::*;

pub(crate) const TESTS: &[Test] = &[
    ("pods_reach_each_other_and_the_node_reaches_them", pods_reach_each_other),
    ("a_host_port_leads_into_the_pod", a_host_port_leads_into_the_pod),
    ("a_pod_on_the_hosts_network_sees_the_host", a_pod_on_the_hosts_network_sees_the_host),
    ("ports_are_forwarded_from_inside", ports_are_forwarded_from_inside),
    ("ports_that_do_not_answer_hold_nobody_else_up", ports_that_do_not_answer_hold_nobody_else_up),
    ("low_ports_are_free_to_everybody_inside", low_ports_are_free_to_everybody_inside),
];

/// Answers every connection with a word.
fn server(port: u16, word: &str) -> ContainerConfig {
    shell("server", &format!("nc -ll -p {port} -e echo {word}"))
}

async fn read_word(address: &str) -> String {
    let look = async || {
        let address: SocketAddr = address.parse().unwrap();
        let mut stream = TcpStream::connect(address).await.ok()?;
        let mut text = String::new();
        let read = tokio::time::timeout(Duration::from_secs(1), stream.read_to_string(&mut text));
        read.await.ok()?.ok()?;
        Some(text)
    };
    eventually(address, look, Option::is_some).await.unwrap()
}

async fn ip_of(world: &World, pod: &str) -> String {
    world.pod_status(pod).await.network.unwrap().ip
}

fn pods_reach_each_other() {
    with_world(async |world| {
        let (a, b) = (world.plain_pod("a").await, world.plain_pod("b").await);
        world.launch(&a, server(8080, "from-a")).await;
        let ip = ip_of(world, &a).await;
        assert_eq!(read_word(&format!("{ip}:8080")).await, "from-a\n");
        let script = format!("until nc {ip} 8080; do usleep 5000; done");
        assert_eq!(world.run(&b, shell("client", &script)).await.1, "from-a\n");
        assert_ne!(ip, ip_of(world, &b).await);
        let request = StopPodSandboxRequest { pod_sandbox_id: a.clone() };
        world.cri.stop_pod_sandbox(request.clone()).await.unwrap();
        world.cri.stop_pod_sandbox(request).await.unwrap();
        assert_eq!(ip_of(world, &a).await, "");
        world.cri.network().settle().unwrap();
        assert_eq!(world.cri.network().endpoints().len(), 1);
    });
}

fn a_host_port_leads_into_the_pod() {
    with_world(async |world| {
        let mut config = world.pod("ported");
        let mapping = |host_port, host_ip: &str| PortMapping {
            container_port: 8080,
            host_port,
            host_ip: host_ip.into(),
            ..Default::default()
        };
        config.port_mappings =
            vec![mapping(18_088, ""), mapping(18_089, "127.0.0.1"), mapping(0, "")];
        let pod = world.run_pod(config).await.unwrap();
        world.launch(&pod, server(8080, "inside")).await;
        for address in ["192.0.2.1:18088", "127.0.0.1:18088", "127.0.0.1:18089"] {
            assert_eq!(read_word(address).await, "inside\n", "{address}");
        }
        assert!(TcpStream::connect("192.0.2.1:18089").await.is_err());
        world.remove_pod(&pod).await;
        assert!(TcpStream::connect("192.0.2.1:18088").await.is_err());
    });
}

fn a_pod_on_the_hosts_network_sees_the_host() {
    with_world(async |world| {
        let mut config = world.pod("host");
        config.hostname = String::new();
        let context = config.linux.as_mut().unwrap().security_context.as_mut().unwrap();
        context.namespace_options.as_mut().unwrap().network = NamespaceMode::Node as i32;
        let pod = world.run_pod(config).await.unwrap();
        assert_eq!(ip_of(world, &pod).await, "");
        let (_, log) = world.run(&pod, shell("c", "ip addr show up0; hostname")).await;
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        assert!(log.contains("192.0.2.1") && log.ends_with(&format!("{hostname}\n")), "{log}");
        assert!(world.cri.network().endpoints().is_empty());
        world.launch(&pod, server(18_090, "on-host")).await;
        assert_eq!(read_word("127.0.0.1:18090").await, "on-host\n");
        let connect = async || world.cri.port_forward(pod.clone(), 18_090).await.ok();
        let mut stream = eventually_some(connect).await;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "on-host\n");
    });
}

fn ports_are_forwarded_from_inside() {
    with_world(async |world| {
        let pod = world.plain_pod("forward").await;
        // On loopback only: nobody outside can reach it.
        world.launch(&pod, shell("server", "httpd -f -p 127.0.0.1:8080 -h /etc")).await;
        let connect = async || world.cri.port_forward(pod.clone(), 8080).await.ok();
        let stream = eventually_some(connect).await;
        let (mut read, mut write) = tokio::io::split(stream);
        write.write_all(b"GET /text HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        read.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("not a program"), "{answer}");
        let error = world.cri.port_forward(pod.clone(), 9).await.err().unwrap();
        assert_eq!(error.code(), Code::Unavailable);
        assert!(error.message().contains("failed to connect to localhost:9"), "{error}");
        let request = StopPodSandboxRequest { pod_sandbox_id: pod.clone() };
        world.cri.stop_pod_sandbox(request).await.unwrap();
        let error = world.cri.port_forward(pod, 8080).await.err().unwrap();
        assert_eq!(error.code(), Code::FailedPrecondition);
    });
}

/// A port that takes no connection and refuses none, as that of a server that hangs.
async fn deaf_port() -> (u16, tokio::net::TcpListener, Vec<TcpStream>) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    let limit = Duration::from_millis(100);
    while let Ok(stream) = tokio::time::timeout(limit, TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
    }
    (address.port(), listener, waiting)
}

fn ports_that_do_not_answer_hold_nobody_else_up() {
    /// More than verbs that may be at work at once.
    const DIALS: usize = 80;
    with_world(async |world| {
        let mut config = world.pod("deaf");
        config.hostname = String::new();
        let context = config.linux.as_mut().unwrap().security_context.as_mut().unwrap();
        context.namespace_options.as_mut().unwrap().network = NamespaceMode::Node as i32;
        let pod = world.run_pod(config).await.unwrap();
        let id = world.launch(&pod, shell("c", "sleep 100")).await;
        let (port, _listener, _waiting) = deaf_port().await;
        let mut dials = tokio::task::JoinSet::new();
        for _ in 0..DIALS {
            let (cri, pod) = (Arc::clone(&world.cri), pod.clone());
            dials.spawn(async move { cri.port_forward(pod, port).await });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let began = tokio::time::Instant::now();
        assert_eq!(world.exec(&id, "echo here").await, ("here\n".into(), 0));
        let took = began.elapsed();
        assert!(took < Duration::from_secs(3), "another verb took {took:?}");
        for dialled in dials.join_all().await {
            let error = dialled.err().unwrap();
            assert_eq!(error.code(), Code::Unavailable, "{error}");
        }
    });
}

async fn eventually_some<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "it does not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn low_ports_are_free_to_everybody_inside() {
    with_world(async |world| {
        let pod = world.plain_pod("low").await;
        let mut config = shell("c", "nc -l -p 80 -e echo low");
        let context = security(&mut config);
        context.run_as_user = Some(Int64Value { value: 1000 });
        context.capabilities =
            Some(Capability { drop_capabilities: vec!["ALL".into()], ..Default::default() });
        world.launch(&pod, config).await;
        let ip = ip_of(world, &pod).await;
        assert_eq!(read_word(&format!("{ip}:80")).await, "low\n");
    });
}

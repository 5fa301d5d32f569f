use super::*;

fn config(options: v1::NamespaceOption) -> v1::PodSandboxConfig {
    let security =
        v1::LinuxSandboxSecurityContext { namespace_options: Some(options), ..Default::default() };
    let linux = v1::LinuxPodSandboxConfig {
        cgroup_parent: "/kubepods/burstable/pod1".into(),
        security_context: Some(security),
        ..Default::default()
    };
    v1::PodSandboxConfig { hostname: "web".into(), linux: Some(linux), ..Default::default() }
}

#[track_caller]
fn made(options: v1::NamespaceOption) -> SandboxSpec {
    spec("id", &config(options), "podo-a", "/run/netns/id".into()).expect("good")
}

#[test]
fn a_plain_pod_has_its_own_network_and_containers_their_own_processes() {
    let spec =
        made(v1::NamespaceOption { pid: NamespaceMode::Container as i32, ..Default::default() });
    assert_eq!(spec.network, NetworkMode::Pinned("/run/netns/id".into()));
    assert_eq!((spec.pid, spec.host_ipc, spec.user_namespace), (PidMode::Container, false, None));
    assert_eq!(spec.cgroup, "podo-a/kubepods/burstable/pod1");
    assert_eq!(spec.sysctls.len(), 2);
}

#[test]
fn the_nodes_namespaces_are_given_on_request() {
    let node = NamespaceMode::Node as i32;
    let spec =
        made(v1::NamespaceOption { network: node, pid: node, ipc: node, ..Default::default() });
    assert_eq!((spec.network, spec.pid, spec.host_ipc), (NetworkMode::Host, PidMode::Host, true));
    assert!(spec.sysctls.is_empty(), "the host's settings are not the Pod's to change");
    assert_eq!(made(v1::NamespaceOption::default()).pid, PidMode::Sandbox);
}

#[test]
fn a_setting_that_the_pod_asks_for_is_not_overridden() {
    let asked = [("net.ipv4.ip_unprivileged_port_start".to_owned(), "1024".to_owned())].into();
    let all = sysctls(&asked, &NetworkMode::Private, false);
    assert_eq!(all["net.ipv4.ip_unprivileged_port_start"], "1024");
    assert_eq!(sysctls(&asked, &NetworkMode::Private, true).len(), 1);
}

#[test]
fn only_ports_with_a_host_port_are_led_in() {
    let mapping = |host_port, host_ip: &str| v1::PortMapping {
        container_port: 80,
        host_port,
        host_ip: host_ip.into(),
        ..Default::default()
    };
    let ports = host_ports(&[mapping(0, ""), mapping(8080, ""), mapping(81, "127.0.0.1")]);
    let shown: Vec<String> = ports
        .expect("good")
        .iter()
        .map(|port| format!("{} to {}", port.host, port.endpoint_port))
        .collect();
    assert_eq!(shown, ["0.0.0.0:8080/TCP to 80", "127.0.0.1:81/TCP to 80"]);
    for bad in [mapping(70_000, ""), mapping(80, "::1"), mapping(80, "host")] {
        assert!(host_ports(std::slice::from_ref(&bad)).is_err(), "{bad:?}");
    }
}

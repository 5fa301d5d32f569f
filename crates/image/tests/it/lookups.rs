//! Host names through a name server of our own, on an address of the loopback network.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use podo_image::registry::dns::{DnsError, Resolver};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

/// An answer with one address for `reg.test`, and "no such name" for others.
fn reply(question: &[u8], is_cut: bool) -> Vec<u8> {
    let mut message = question.to_vec();
    let is_known = question.windows(8).any(|part| part == b"\x03reg\x04tes");
    let is_for_v4 = question[question.len() - 3] == 1;
    message[2] = if is_cut && is_known { 0x83 } else { 0x81 };
    message[3] = if is_known { 0x80 } else { 0x83 };
    if is_known && is_for_v4 && !is_cut {
        message[7] = 1;
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 9]);
    }
    message
}

async fn serve_udp(socket: UdpSocket) {
    let mut buffer = [0_u8; 512];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let mut forged = reply(&buffer[..length], false);
        forged[1] ^= 1; // An answer to another question comes first and must be ignored.
        let truth = reply(&buffer[..length], true);
        for answer in [forged, truth] {
            socket.send_to(&answer, from).await.expect("send");
        }
    }
}

async fn serve_tcp(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let length = stream.read_u16().await.expect("length");
        let mut question = vec![0_u8; usize::from(length)];
        stream.read_exact(&mut question).await.expect("question");
        let answer = reply(&question, false);
        let length = u16::try_from(answer.len()).expect("short");
        stream.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat()).await.expect("send");
    }
}

#[tokio::test]
async fn names_are_asked_of_the_server_in_resolv_conf_and_cut_answers_again_by_tcp() {
    let server = IpAddr::from([127, 77, 0, 53]);
    let udp = UdpSocket::bind((server, 53)).await;
    let tcp = TcpListener::bind((server, 53)).await;
    let (Ok(udp), Ok(tcp)) = (udp, tcp) else {
        eprintln!("SKIP names_are_asked_of_the_server: port 53 of {server} cannot be bound");
        return;
    };
    let mut servers = JoinSet::new();
    servers.spawn(serve_udp(udp));
    servers.spawn(serve_tcp(tcp));
    let dir = tempfile::tempdir().expect("temporary directory");
    let conf = dir.path().join("resolv.conf");
    std::fs::write(
        &conf,
        format!("nameserver {server}\nsearch test\noptions timeout:2 attempts:1\n"),
    )
    .expect("write");
    let resolver = Resolver::new(Path::new("/nonexistent"), &conf);
    let expected = vec![IpAddr::from(Ipv4Addr::new(192, 0, 2, 9))];
    for name in ["reg.test", "reg.test.", "REG.TEST", "reg"] {
        assert_eq!(resolver.lookup(name).await.expect(name), expected);
    }
    let missing = resolver.lookup("nobody.example").await.expect_err("unknown");
    assert!(matches!(&missing, DnsError::NotFound { .. }), "{missing}");
    assert_eq!(missing.to_string(), "lookup nobody.example: no such host");
}

//! Port-forward: SPDY, SPDY inside WebSocket, and the older channels.

use futures_util::{SinkExt as _, StreamExt as _};
use podo_client::websocket::spdy::Frame;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::Message;

use super::super::websocket::ByteTunnel;
use super::exec_websocket::open;
use super::spdy_client::{SpdyClient, upgrade};
use super::*;

const PATH: &str = "/portForward/default/p";

/// Opens the pair of streams of one connection, the error's first.
async fn pair<S>(client: &mut SpdyClient<S>, port: &str, id: &str) -> (u32, u32)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let error = client.open(&[("streamType", "error"), ("port", port), ("requestID", id)]).await;
    client.data(error, b"", true).await;
    let data = client.open(&[("streamType", "data"), ("port", port), ("requestID", id)]).await;
    (error, data)
}

async fn speaks_both_ways<S: AsyncRead + AsyncWrite + Unpin>(client: &mut SpdyClient<S>) {
    let (error, data) = pair(client, "7", "0").await;
    client.data(data, b"hello", true).await;
    let (texts, _) = client.drain(&[error, data]).await;
    assert_eq!(texts, ["", "hello"]);
    // The port closes first: nothing is waited for from the client.
    let (error, data) = pair(client, "17", "1").await;
    let (texts, _) = client.drain(&[error, data]).await;
    assert_eq!(texts, ["", "quote"]);
    // Nobody listens: the reason is told and both streams are closed.
    let (error, data) = pair(client, "9", "2").await;
    let (texts, _) = client.drain(&[error, data]).await;
    let expected = "error forwarding port 9 to pod s1, uid : dial tcp4 127.0.0.1:9: connect: connection refused";
    assert_eq!(texts, [expected, ""]);
}

#[tokio::test]
async fn connections_go_through_spdy() {
    let fixture = Fixture::start().await;
    let mut client = upgrade(&fixture, PATH, "portforward.k8s.io").await;
    speaks_both_ways(&mut client).await;
    fixture.facts.alive(0).await;
    fixture.stop().await;
}

#[tokio::test]
async fn connections_go_through_spdy_inside_a_websocket() {
    let fixture = Fixture::start().await;
    let socket = open(&fixture, PATH, "SPDY/3.1+portforward.k8s.io").await.unwrap();
    let mut client = SpdyClient::new(ByteTunnel::new(socket));
    speaks_both_ways(&mut client).await;
    fixture.facts.alive(0).await;
    fixture.stop().await;
}

#[tokio::test]
async fn many_connections_share_one_and_end_alone() {
    let fixture = Fixture::start().await;
    let mut client = upgrade(&fixture, PATH, "portforward.k8s.io").await;
    let mut pairs = Vec::new();
    for index in 0..50 {
        pairs.push(pair(&mut client, "7", &index.to_string()).await);
    }
    fixture.facts.alive(50).await;
    let (error, data) = pairs[25];
    client.data(data, b"alone", true).await;
    let (texts, _) = client.drain(&[error, data]).await;
    assert_eq!(texts, ["", "alone"]);
    fixture.facts.alive(49).await;
    // A reset stream takes its connection with it, and the client learns that this is over.
    client.send(Frame::Reset { id: pairs[0].1, status: 5 }).await;
    fixture.facts.alive(48).await;
    drop(client);
    fixture.facts.alive(0).await;
    fixture.stop().await;
}

#[tokio::test]
async fn streams_without_a_port_are_reset() {
    let fixture = Fixture::start().await;
    let mut client = upgrade(&fixture, PATH, "portforward.k8s.io").await;
    for port in ["", "0", "65536", "http"] {
        let id = client.begin(&[("streamType", "data"), ("port", port), ("requestID", "1")]).await;
        assert_eq!(client.next().await, Some(Frame::Reset { id, status: 1 }), "{port:?}");
    }
    fixture.stop().await;
}

#[tokio::test]
async fn a_pair_without_a_name_is_known_by_its_numbers() {
    let fixture = Fixture::start().await;
    let mut client = upgrade(&fixture, PATH, "portforward.k8s.io").await;
    let error = client.open(&[("streamType", "error"), ("port", "17")]).await;
    let data = client.open(&[("streamType", "data"), ("port", "17")]).await;
    let (texts, _) = client.drain(&[error, data]).await;
    assert_eq!(texts, ["", "quote"]);
    fixture.stop().await;
}

#[tokio::test]
async fn the_older_channels_begin_with_their_port() {
    let fixture = Fixture::start().await;
    let path = format!("{PATH}?port=7&port=9");
    let mut socket = open(&fixture, &path, "v4.channel.k8s.io").await.unwrap();
    socket.send(Message::Binary(Bytes::from_static(b"\x00hello"))).await.unwrap();
    let mut channels = <[Vec<u8>; 4]>::default();
    while channels[0].len() < 7 || channels[3].len() < 10 {
        let message = soon("a message", socket.next()).await.unwrap().unwrap().into_data();
        channels[usize::from(message[0])].extend_from_slice(&message[1..]);
    }
    assert_eq!(channels[0], b"\x07\0hello");
    assert_eq!((&channels[1][..], &channels[2][..]), (&b"\x07\0"[..], &b"\x09\0"[..]));
    assert!(channels[3].starts_with(b"\x09\0error forwarding port 9 to pod s1"), "{channels:?}");
    fixture.stop().await;
}

#[tokio::test]
async fn the_older_channels_need_their_ports_beforehand() {
    let fixture = Fixture::start().await;
    for query in ["", "?port=0", "?port=http"] {
        let refused = open(&fixture, &format!("{PATH}{query}"), "v4.channel.k8s.io").await;
        let error = refused.expect_err("refused");
        let tokio_tungstenite::tungstenite::Error::Http(answer) = error else { panic!("{error}") };
        assert_eq!(answer.status(), 400, "{query}");
    }
    fixture.stop().await;
}

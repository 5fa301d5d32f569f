//! Exec and attach over WebSocket.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::*;

type Socket = WebSocketStream<TlsStream<TcpStream>>;

pub(super) async fn open(fixture: &Fixture, path: &str, protocol: &str) -> Result<Socket, Error> {
    let mut request = format!("wss://node{path}").into_client_request().unwrap();
    if !protocol.is_empty() {
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
    }
    let opened = tokio_tungstenite::client_async(request, fixture.connect().await).await;
    let (socket, response) = opened?;
    let chosen =
        response.headers().get("sec-websocket-protocol").map_or("", |name| name.to_str().unwrap());
    assert_eq!(chosen, protocol);
    Ok(socket)
}

async fn send(socket: &mut Socket, channel: u8, bytes: &[u8]) {
    let message = [&[channel], bytes].concat();
    socket.send(Message::Binary(message.into())).await.unwrap();
}

/// Everything that comes until the goodbye: the bytes of each channel, and the channels in the order in which they spoke.
async fn drain(socket: &mut Socket) -> ([Vec<u8>; 5], Vec<u8>, u16) {
    let (mut channels, mut order) = (<[Vec<u8>; 5]>::default(), Vec::new());
    loop {
        match soon("the end", socket.next()).await.unwrap().unwrap() {
            Message::Binary(bytes) => {
                let (channel, bytes) = bytes.split_first().unwrap();
                channels[usize::from(*channel)].extend_from_slice(bytes);
                order.push(*channel);
            }
            Message::Close(frame) => return (channels, order, frame.unwrap().code.into()),
            other => panic!("unexpected {other:?}"),
        }
    }
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(bytes)))
}

#[tokio::test]
async fn a_container_that_is_not_there_is_told_in_the_stream_of_the_newest_protocol_only() {
    let fixture = Fixture::start().await;
    for path in ["/exec/default/p/gone?command=cat&output=1", "/attach/default/p/gone?output=1"] {
        let mut socket = open(&fixture, path, "v5.channel.k8s.io").await.unwrap();
        let status = json_of(&drain(&mut socket).await.0[3]);
        let told =
            "Internal error occurred: unable to upgrade connection: container not found (\"gone\")";
        assert_eq!(
            (&status["reason"], &status["message"]),
            (&json!("InternalError"), &json!(told))
        );
        let Err(Error::Http(refused)) = open(&fixture, path, "v4.channel.k8s.io").await else {
            panic!("accepted");
        };
        assert_eq!(refused.status(), 500);
    }
    fixture.stop().await;
}

#[tokio::test]
async fn output_comes_before_the_status_and_the_end_is_regular() {
    let fixture = Fixture::start().await;
    let path = "/exec/default/p/c?command=exit&command=3&output=1&error=1";
    let mut socket = open(&fixture, path, "v5.channel.k8s.io").await.unwrap();
    let (channels, order, code) = drain(&mut socket).await;
    assert_eq!((&channels[1][..], &channels[2][..]), (&b"out"[..], &b"err"[..]));
    let status = json_of(&channels[3]);
    assert_eq!(status["reason"], "NonZeroExitCode");
    assert_eq!(status["details"]["causes"], json!([{"reason": "ExitCode", "message": "3"}]));
    assert_eq!((order.last(), code), (Some(&3), 1000));
    fixture.stop().await;
}

#[tokio::test]
async fn the_fifth_version_closes_the_input_alone() {
    let fixture = Fixture::start().await;
    let path = "/exec/default/p/c?command=cat&input=1&output=1";
    let mut socket = open(&fixture, path, "v5.channel.k8s.io").await.unwrap();
    send(&mut socket, 0, b"hello ").await;
    send(&mut socket, 0, b"world").await;
    send(&mut socket, 255, &[0]).await;
    let (channels, _, code) = drain(&mut socket).await;
    assert_eq!((&channels[1][..], code), (&b"hello world"[..], 1000));
    assert_eq!(json_of(&channels[3]), json!({"metadata": {}, "status": "Success"}));
    fixture.stop().await;
}

#[tokio::test]
async fn a_large_message_goes_through_a_process_that_reads_little_at_a_time() {
    let fixture = Fixture::start().await;
    let path = "/exec/default/p/c?command=cat&input=1&output=1";
    let socket = open(&fixture, path, "v5.channel.k8s.io").await.unwrap();
    let (mut sink, mut source) = socket.split();
    let sent: Vec<u8> = (0..6_000_000_u32).map(|index| (index % 251) as u8).collect();
    let message = [&[0], &sent[..]].concat();
    let write = async {
        sink.send(Message::Binary(message.into())).await.unwrap();
        sink.send(Message::Binary(vec![255, 0].into())).await.unwrap();
    };
    let read = async {
        let mut received = Vec::new();
        while let Some(Ok(message)) = source.next().await {
            if let Message::Binary(bytes) = message
                && bytes[0] == 1
            {
                received.extend_from_slice(&bytes[1..]);
            }
        }
        received
    };
    let ((), received) = soon("the echo", async { tokio::join!(write, read) }).await;
    assert!(received == sent, "{} bytes", received.len());
    fixture.stop().await;
}

#[tokio::test]
async fn a_terminal_learns_its_size() {
    let fixture = Fixture::start().await;
    let path = "/exec/default/p/c?command=size&output=1&tty=1";
    let mut socket = open(&fixture, path, "v4.channel.k8s.io").await.unwrap();
    send(&mut socket, 4, br#"{"Width":132,"Height":43}"#).await;
    let (channels, ..) = drain(&mut socket).await;
    assert_eq!(channels[1], b"132x43");
    fixture.stop().await;
}

#[tokio::test]
async fn a_command_that_cannot_be_run_is_told_on_the_error_channel() {
    let fixture = Fixture::start().await;
    let mut socket =
        open(&fixture, "/exec/default/p/c?command=missing&output=1", "v4.channel.k8s.io")
            .await
            .unwrap();
    let (channels, _, code) = drain(&mut socket).await;
    let status = json_of(&channels[3]);
    assert_eq!((status["reason"].as_str(), code), (Some("InternalError"), 1000));
    let message = "Internal error occurred: error executing command in container: exec: \"missing\": executable file not found in $PATH";
    assert_eq!(status["message"], message);
    fixture.stop().await;
}

#[tokio::test]
async fn older_protocols_tell_the_end_as_text_and_success_not_at_all() {
    let fixture = Fixture::start().await;
    for protocol in ["", "channel.k8s.io"] {
        let path = "/exec/default/p/c?command=exit&command=3&output=1";
        let mut socket = open(&fixture, path, protocol).await.unwrap();
        let (channels, ..) = drain(&mut socket).await;
        let text = String::from_utf8_lossy(&channels[3]).into_owned();
        assert!(text.starts_with("command terminated with non-zero exit code: "), "{text}");
        let mut socket =
            open(&fixture, "/exec/default/p/c?command=exit&command=0&output=1", protocol)
                .await
                .unwrap();
        let (channels, ..) = drain(&mut socket).await;
        assert_eq!((&channels[1][..], &channels[3][..]), (&b"out"[..], &b""[..]));
    }
    fixture.stop().await;
}

#[tokio::test]
async fn channels_in_base64_are_digits_and_text() {
    let fixture = Fixture::start().await;
    let path = "/attach/default/p/c?input=1&output=1";
    let mut socket = open(&fixture, path, "v4.base64.channel.k8s.io").await.unwrap();
    socket.send(Message::text("0aGVsbG8=")).await.unwrap();
    let mut texts: Vec<String> = Vec::new();
    while !texts.concat().contains("aGVsbG8=") {
        let message = soon("the echo", socket.next()).await.unwrap().unwrap();
        texts.push(message.into_text().unwrap().to_string());
    }
    assert_eq!(texts, ["1", "1aGVsbG8="]);
    fixture.stop().await;
}

#[tokio::test]
async fn a_client_that_disappears_takes_its_process_streams_with_it() {
    let fixture = Fixture::start().await;
    let path = "/exec/default/p/c?command=forever&input=1&output=1";
    let mut socket = open(&fixture, path, "v5.channel.k8s.io").await.unwrap();
    while soon("output", socket.next()).await.unwrap().unwrap().into_data() != "\x01ready" {}
    fixture.facts.alive(1).await;
    drop(socket);
    fixture.facts.alive(0).await;
    fixture.stop().await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_back_the_process_and_not_the_server() {
    let fixture = Fixture::start().await;
    let path = "/exec/default/p/c?command=flood&command=100000000000&output=1";
    let socket = open(&fixture, path, "v5.channel.k8s.io").await.unwrap();
    fixture.facts.alive(1).await;
    let mut other =
        open(&fixture, "/exec/default/p/c?command=exit&command=0&output=1", "v5.channel.k8s.io")
            .await
            .unwrap();
    let (channels, ..) = drain(&mut other).await;
    assert_eq!(channels[1], b"out");
    drop(socket);
    fixture.facts.alive(0).await;
    fixture.stop().await;
}

#[tokio::test]
async fn open_streams_end_when_the_server_stops() {
    let fixture = Fixture::start().await;
    let path = "/exec/default/p/c?command=forever&input=1&output=1";
    let mut socket = open(&fixture, path, "v5.channel.k8s.io").await.unwrap();
    fixture.facts.alive(1).await;
    let facts = Arc::clone(&fixture.facts);
    fixture.stop().await;
    facts.alive(0).await;
    while let Some(Ok(_)) = soon("the end", socket.next()).await {}
}

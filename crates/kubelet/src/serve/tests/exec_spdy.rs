//! Exec and attach over SPDY/3.1.

use podo_client::websocket::spdy::Frame;
use serde_json::{Value, json};

use super::spdy_client::upgrade;
use super::*;

#[tokio::test]
async fn output_input_and_the_status_are_streams_of_their_own() {
    let fixture = Fixture::start().await;
    let path = "/exec/default/p/c?command=cat&input=1&output=1&error=1";
    let mut client = upgrade(&fixture, path, "v4.channel.k8s.io").await;
    let error = client.open(&[("streamType", "error")]).await;
    let stdin = client.open(&[("streamType", "stdin")]).await;
    let stdout = client.open(&[("streamType", "stdout")]).await;
    let stderr = client.open(&[("streamType", "stderr")]).await;
    client.send(Frame::Ping { id: 1 }).await;
    assert_eq!(client.next().await, Some(Frame::Ping { id: 1 }));
    client.data(stdin, b"typed", true).await;
    let (texts, ended) = client.drain(&[error, stdout, stderr]).await;
    let status: Value = serde_json::from_str(&texts[0]).unwrap();
    assert_eq!((&texts[1], &texts[2]), (&"typed".to_owned(), &String::new()));
    assert_eq!(status, json!({"metadata": {}, "status": "Success"}));
    assert_eq!(ended.last(), Some(&error), "the status is the last word");
    assert_eq!(client.next().await, None, "the server takes leave");
    fixture.stop().await;
}

#[tokio::test]
async fn exit_codes_are_told_as_each_version_has_them() {
    let fixture = Fixture::start().await;
    for version in ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"]
    {
        let path = "/exec/default/p/c?command=exit&command=3&output=1&error=1";
        let mut client = upgrade(&fixture, path, version).await;
        let error = client.open(&[("streamType", "error")]).await;
        let stdout = client.open(&[("streamType", "stdout")]).await;
        let stderr = client.open(&[("streamType", "stderr")]).await;
        let (texts, _) = client.drain(&[error, stdout, stderr]).await;
        assert_eq!((&*texts[1], &*texts[2]), ("out", "err"), "{version}");
        if version == "v4.channel.k8s.io" {
            let status: Value = serde_json::from_str(&texts[0]).unwrap();
            assert_eq!(status["details"]["causes"][0]["message"], "3");
        } else {
            assert!(
                texts[0].starts_with("command terminated with non-zero exit code: "),
                "{}",
                texts[0]
            );
        }
    }
    fixture.stop().await;
}

#[tokio::test]
async fn a_terminal_has_a_stream_for_its_size() {
    let fixture = Fixture::start().await;
    let path = "/exec/default/p/c?command=size&output=1&error=1&tty=1";
    let mut client = upgrade(&fixture, path, "v4.channel.k8s.io").await;
    let error = client.open(&[("streamType", "error")]).await;
    let stdout = client.open(&[("streamType", "stdout")]).await;
    let resize = client.open(&[("streamType", "resize")]).await;
    client.data(resize, b"{\"Width\":100,", false).await;
    client.data(resize, b"\"Height\":50}\n", false).await;
    let (texts, _) = client.drain(&[error, stdout]).await;
    assert_eq!(texts[1], "100x50");
    fixture.stop().await;
}

#[tokio::test]
async fn streams_that_make_no_sense_are_reset() {
    let fixture = Fixture::start().await;
    let mut client = upgrade(&fixture, "/attach/default/p/c?output=1", "v4.channel.k8s.io").await;
    let id = client.begin(&[("streamType", "nonsense")]).await;
    assert_eq!(client.next().await, Some(Frame::Reset { id, status: 1 }));
    client
        .send(Frame::SynStream {
            id: 2,
            fin: false,
            headers: vec![("streamtype".into(), "error".into())],
        })
        .await;
    assert_eq!(client.next().await, Some(Frame::Reset { id: 2, status: 1 }));
    // Data of a stream that nobody knows is nobody's.
    client.data(99, b"lost", true).await;
    client.open(&[("streamType", "error")]).await;
    fixture.stop().await;
}

#[tokio::test]
async fn a_client_that_disappears_takes_its_process_streams_with_it() {
    let fixture = Fixture::start().await;
    let path = "/exec/default/p/c?command=forever&input=1&output=1";
    let mut client = upgrade(&fixture, path, "v4.channel.k8s.io").await;
    for kind in ["error", "stdin", "stdout"] {
        client.begin(&[("streamType", kind)]).await;
    }
    fixture.facts.alive(1).await;
    drop(client);
    fixture.facts.alive(0).await;
    fixture.stop().await;
}

//! Logs.

use super::*;

#[tokio::test]
async fn a_log_is_sent_whole_and_its_options_are_read() {
    let mut fixture = Fixture::start().await;
    let path = "/containerLogs/default/p/c?tailLines=5&timestamps=true&previous=true&limitBytes=100&sinceTime=2024-01-02T03:04:05Z";
    assert_eq!(fixture.get(path).await, (200, "first\nlast\n".to_owned()));
    let request = fixture.facts.logs.lock().pop().unwrap();
    assert_eq!((request.tail_lines, request.limit_bytes), (Some(5), Some(100)));
    assert!(request.timestamps && request.previous && !request.follow);
    assert_eq!(request.since, podo_base::Timestamp::parse("2024-01-02T03:04:05Z"));
    fixture.get("/containerLogs/default/p/c?sinceSeconds=60&tail=all").await;
    let request = fixture.facts.logs.lock().pop().unwrap();
    let since = podo_base::Clock::now(&podo_base::SystemClock).since(request.since.unwrap());
    assert!(since >= Duration::from_secs(60) && since < Duration::from_secs(60) + DEADLINE);
    assert_eq!(request.tail_lines, None);
    fixture.stop().await;
}

#[tokio::test]
async fn following_shows_each_line_at_once_and_ends_with_the_client() {
    let mut fixture = Fixture::start().await;
    let stream = fixture.connect().await;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    let client = StopOnDrop::spawn(&mut fixture.tasks, connection);
    let response =
        sender.send_request(get("/containerLogs/default/p/c?follow=true")).await.unwrap();
    let mut body = response.into_body();
    let piece = soon("the first line", body.frame()).await.unwrap().unwrap();
    assert_eq!(piece.into_data().unwrap(), "first\n");
    fixture.facts.alive(1).await;
    client.trigger();
    fixture.facts.alive(0).await;
    fixture.stop().await;
}

/// Runs a client's connection until it is told to break it off.
struct StopOnDrop;

impl StopOnDrop {
    fn spawn(tasks: &mut Tasks, connection: impl Future + Send + 'static) -> podo_base::StopHandle {
        let handle = podo_base::StopHandle::new();
        let stop = handle.stop();
        tasks.spawn("client", async move {
            let _ended = stop.or(connection).await;
        });
        handle
    }
}

//! Peers that are silent.

use http_body::Frame;
use http_body_util::StreamBody;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::Instant;

use super::*;
use crate::http::activity::IDLE_MAX;
use crate::http::full;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the answer to every request is.
#[derive(Clone, Copy)]
enum Answer {
    Whole,
    /// One frame after ten minutes.
    Late,
}

/// How long a peer that has said this is listened to.
async fn held(said: &[u8], answer: Answer) -> (Duration, Vec<u8>) {
    let (mut near, far) = tokio::io::duplex(64 * 1024);
    let began = Instant::now();
    near.write_all(said).await.expect("written");
    let tasks = Tasks::new("test");
    let stop = tasks.stop_signal();
    let serve = serve_stream(far, move |_| std::future::ready(answer_with(answer)), &stop);
    let ((), heard) = tokio::join!(serve, hear(&mut near));
    (began.elapsed(), heard)
}

async fn hear(stream: &mut DuplexStream) -> Vec<u8> {
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.expect("read to the end");
    heard
}

fn answer_with(answer: Answer) -> Response {
    match answer {
        Answer::Whole => Response::new(full("ok")),
        Answer::Late => {
            let frames = futures_util::stream::once(async {
                tokio::time::sleep(Duration::from_secs(600)).await;
                Ok(Frame::data("late".into()))
            });
            Response::new(StreamBody::new(frames).boxed_unsync())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_or_not_enough_is_left() {
    let slack = Duration::from_secs(30);
    for said in [&b""[..], b"P", b"GET / HT", &PREFACE[..20], PREFACE] {
        let (held, _) = held(said, Answer::Whole).await;
        assert!(held <= IDLE_MAX + slack, "{:?} held for {held:?}", String::from_utf8_lossy(said));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_lasts_as_long_as_what_is_asked_on_it() {
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let (idle, heard) = held(request, Answer::Whole).await;
    assert!(heard.ends_with(b"ok"));
    assert!(idle <= IDLE_MAX + Duration::from_secs(5), "{idle:?}");
    let (busy, heard) = held(request, Answer::Late).await;
    assert!(String::from_utf8_lossy(&heard).contains("late"));
    assert!(busy >= Duration::from_secs(600), "{busy:?}");
}

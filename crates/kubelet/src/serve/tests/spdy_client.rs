//! A client that speaks SPDY/3.1, over a connection or inside WebSocket messages.

use podo_client::websocket::spdy::{Codec, Frame};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::*;

pub(super) struct SpdyClient<S> {
    io: S,
    codec: Codec,
    next_id: u32,
}

/// Changes a connection's protocol with the client's own bytes.
pub(super) async fn upgrade(
    fixture: &Fixture,
    path: &str,
    version: &str,
) -> SpdyClient<TlsStream<TcpStream>> {
    let mut io = fixture.connect().await;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: {version}\r\n\
         X-Stream-Protocol-Version: v1.nonsense\r\n\r\n"
    );
    io.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(soon("the answer", io.read_u8()).await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap().to_lowercase();
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    assert!(answer.contains(&format!("x-stream-protocol-version: {version}\r\n")), "{answer}");
    SpdyClient::new(io)
}

impl<S: AsyncRead + AsyncWrite + Unpin> SpdyClient<S> {
    pub(super) fn new(io: S) -> Self {
        Self { io, codec: Codec::new(), next_id: 1 }
    }

    /// Opens a stream and waits for the answer to it.
    pub(super) async fn open(&mut self, headers: &[(&str, &str)]) -> u32 {
        let id = self.begin(headers).await;
        assert_eq!(
            self.next().await,
            Some(Frame::SynReply { id, fin: false, headers: Vec::new() })
        );
        id
    }

    pub(super) async fn begin(&mut self, headers: &[(&str, &str)]) -> u32 {
        let id = self.next_id;
        self.next_id += 2;
        let headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.send(Frame::SynStream { id, fin: false, headers }).await;
        id
    }

    pub(super) async fn send(&mut self, frame: Frame) {
        let bytes = self.codec.encode(&frame);
        self.io.write_all(&bytes).await.unwrap();
        self.io.flush().await.unwrap();
    }

    pub(super) async fn data(&mut self, id: u32, bytes: &'static [u8], fin: bool) {
        self.send(Frame::Data { id, fin, bytes: Bytes::from_static(bytes) }).await;
    }

    /// The next frame; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.codec.next_frame().unwrap() {
                return Some(frame);
            }
            let count = soon("a frame", self.io.read(&mut buffer)).await.unwrap_or(0);
            if count == 0 {
                return None;
            }
            self.codec.feed(&buffer[..count]);
        }
    }

    /// What comes on some streams until each has ended, and the order in which they ended.
    pub(super) async fn drain(&mut self, ids: &[u32]) -> (Vec<String>, Vec<u32>) {
        let (mut texts, mut ended) = (vec![Vec::new(); ids.len()], Vec::new());
        while ended.len() < ids.len() {
            let frame = self.next().await.expect("a frame");
            let Frame::Data { id, fin, bytes } = frame else { panic!("unexpected {frame:?}") };
            let index = ids.iter().position(|known| *known == id).expect("a known stream");
            texts[index].extend_from_slice(&bytes);
            if fin {
                ended.push(id);
            }
        }
        (texts.into_iter().map(|text| String::from_utf8(text).unwrap()).collect(), ended)
    }
}

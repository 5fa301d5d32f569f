//! Many connections in one WebSocket: two SPDY streams each, one for data and one for an error.
//!
//! Holds     nothing is sent on a stream before its reply has come: the Go server drops what comes earlier.

use std::collections::HashMap;

use bytes::Bytes;
use podo_base::Tasks;
use podo_client::websocket::WebSocket;
use podo_client::websocket::spdy::{Codec, Frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};

/// The size of a piece of data, as kubectl copies.
const PIECE_BYTES: usize = 32 << 10;
/// How many pieces wait on either side of a connection: 1 MiB.
const PIECES_MAX: usize = 32;

/// A running tunnel.
pub(super) struct Tunnel {
    orders: mpsc::Sender<Order>,
    /// Errors of connections, for the user; ends when the tunnel ends.
    pub(super) messages: Mutex<mpsc::Receiver<String>>,
}

/// What a connection asks of the tunnel.
enum Order {
    Open { local: u16, remote: u16, news: mpsc::Sender<News> },
    Data { id: u32, bytes: Bytes },
    End { id: u32 },
    Abort { id: u32 },
}

/// What the tunnel tells a connection.
enum News {
    Ready { id: u32 },
    Data(Bytes),
    End,
}

/// What the tunnel knows of a connection; the error stream is two before the data stream.
struct Connection {
    local: u16,
    remote: u16,
    news: mpsc::Sender<News>,
}

struct Actor {
    socket: WebSocket,
    codec: Codec,
    connections: HashMap<u32, Connection>,
    next: u32,
    requests: u32,
    messages: mpsc::Sender<String>,
}

impl Tunnel {
    /// Starts a tunnel in a stream.
    pub(super) fn start(tasks: &mut Tasks, socket: WebSocket) -> Self {
        let (orders, received) = mpsc::channel(PIECES_MAX);
        let (messages, told) = mpsc::channel(PIECES_MAX);
        let actor = Actor {
            socket,
            codec: Codec::new(),
            connections: HashMap::new(),
            next: 1,
            requests: 0,
            messages,
        };
        let stop = tasks.stop_signal();
        tasks.spawn("tunnel", async move {
            let _stopped = stop.or(actor.run(received)).await;
        });
        Self { orders, messages: Mutex::new(told) }
    }

    /// Carries one connection to its end.
    pub(super) fn connection(
        &self,
        stream: TcpStream,
        local: u16,
        remote: u16,
    ) -> impl Future<Output = ()> + Send + 'static {
        let orders = self.orders.clone();
        async move {
            let (news, received) = mpsc::channel(PIECES_MAX);
            if orders.send(Order::Open { local, remote, news }).await.is_ok() {
                carry(stream, &orders, received).await;
            }
        }
    }
}

async fn carry(
    mut stream: TcpStream,
    orders: &mpsc::Sender<Order>,
    mut news: mpsc::Receiver<News>,
) {
    let Some(News::Ready { id }) = news.recv().await else {
        return; // The stream was refused, which the tunnel has told.
    };
    let (mut reader, mut writer) = stream.split();
    let up = async {
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let order = match reader.read(&mut buffer).await {
                Ok(0) => Order::End { id },
                Ok(count) => Order::Data { id, bytes: Bytes::copy_from_slice(&buffer[..count]) },
                Err(_reset) => Order::Abort { id },
            };
            let is_last = !matches!(order, Order::Data { .. });
            if orders.send(order).await.is_err() || is_last {
                return;
            }
        }
    };
    let down = async {
        while let Some(news) = news.recv().await {
            match news {
                News::Data(bytes) => {
                    if writer.write_all(&bytes).await.is_err() {
                        let _tunnel_gone = orders.send(Order::Abort { id }).await;
                        return;
                    }
                }
                News::Ready { .. } => {}
                News::End => break,
            }
        }
        let _peer_gone = writer.shutdown().await;
    };
    // What the Pod sends decides: when it has said all, the connection is over (as kubectl does).
    tokio::pin!(up);
    tokio::select! {
        biased;
        () = down => { let _tunnel_gone = orders.send(Order::Abort { id }).await; }
        () = async { up.as_mut().await; std::future::pending::<()>().await } => {}
    }
}

impl Actor {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let alive = tokio::select! {
                biased;
                frame = self.socket.next() => match frame {
                    Ok(Some(bytes)) => self.receive(&bytes).await,
                    Ok(None) | Err(_) => false,
                },
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => false,
                },
            };
            if !alive {
                self.socket.close().await;
                return;
            }
        }
    }

    async fn send(&mut self, frame: &Frame) -> bool {
        let bytes = self.codec.encode(frame);
        self.socket.send(bytes).await.is_ok()
    }

    async fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Open { local, remote, news } => {
                let error = self.next;
                self.next += 4;
                let request = self.requests.to_string();
                self.requests += 1;
                let headers = |kind: &str| {
                    [
                        ("port", remote.to_string()),
                        ("requestid", request.clone()),
                        ("streamtype", kind.to_owned()),
                    ]
                    .map(|(name, value)| (name.to_owned(), value))
                    .to_vec()
                };
                let frames = [(error, headers("error")), (error + 2, headers("data"))];
                self.connections.insert(error + 2, Connection { local, remote, news });
                for (id, headers) in frames {
                    if !self.send(&Frame::SynStream { id, fin: false, headers }).await {
                        return false;
                    }
                }
                true
            }
            Order::Data { id, bytes } => self.send(&Frame::Data { id, fin: false, bytes }).await,
            Order::End { id } => {
                self.send(&Frame::Data { id, fin: true, bytes: Bytes::new() }).await
            }
            Order::Abort { id } => {
                if self.connections.remove(&id).is_none() {
                    return true;
                }
                // 5 is CANCEL (SPDY/3.1 §2.6.3): nobody reads what still comes.
                self.send(&Frame::Reset { id, status: 5 }).await
                    && self.send(&Frame::Reset { id: id - 2, status: 5 }).await
            }
        }
    }

    async fn receive(&mut self, bytes: &[u8]) -> bool {
        self.codec.feed(bytes);
        loop {
            match self.codec.next_frame() {
                Ok(Some(frame)) => {
                    if !self.handle(frame).await {
                        return false;
                    }
                }
                Ok(None) => return true,
                Err(error) => {
                    let _user_gone = self.messages.send(error.to_string()).await;
                    return false;
                }
            }
        }
    }

    async fn handle(&mut self, frame: Frame) -> bool {
        match frame {
            Frame::SynReply { id, .. } if self.connections.contains_key(&id) => {
                self.tell(id, News::Ready { id }).await;
                true
            }
            // The error stream is for the other side to write on.
            Frame::SynReply { id, .. } => {
                self.send(&Frame::Data { id, fin: true, bytes: Bytes::new() }).await
            }
            Frame::Data { id, fin, bytes } if self.connections.contains_key(&id) => {
                if !bytes.is_empty() {
                    self.tell(id, News::Data(bytes)).await;
                }
                if fin {
                    self.tell(id, News::End).await;
                }
                true
            }
            Frame::Data { id, bytes, .. } => {
                if let Some(connection) =
                    self.connections.get(&(id + 2)).filter(|_| !bytes.is_empty())
                {
                    let message = format!(
                        "an error occurred forwarding {} -> {}: {}",
                        connection.local,
                        connection.remote,
                        String::from_utf8_lossy(&bytes)
                    );
                    let _user_gone = self.messages.send(message).await;
                    // One that fails ends all (client-go v1.36 `handleConnection`).
                    return false;
                }
                true
            }
            Frame::Reset { id, .. } => {
                self.connections.remove(&id);
                true
            }
            Frame::Ping { id } => self.send(&Frame::Ping { id }).await,
            Frame::GoAway { .. } => false,
            Frame::SynStream { .. } | Frame::Ignored => true,
        }
    }

    async fn tell(&mut self, id: u32, news: News) {
        if let Some(connection) = self.connections.get(&id) {
            // A connection that is gone asks for the end of its streams by itself.
            let _connection_gone = connection.news.send(news).await;
        }
    }
}

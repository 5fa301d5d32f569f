//! A slow way to a port of the same host.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What comes at once.
const PIECE: usize = 32 * 1024;
/// How long after a piece the next comes.
const PAUSE: Duration = Duration::from_millis(25);

/// Takes connections on a port and leads them on until this value is dropped; what comes back takes its time.
pub struct SlowLink {
    port: u16,
    /// Waiting for its sender is the pause: it ends early with the link.
    _end: SyncSender<()>,
}

impl SlowLink {
    /// Leads from `port` to `to` on the loopback of the calling thread's host, with some 1.2 MiB a second.
    ///
    /// # Panics
    /// If the port is taken.
    pub fn start(port: u16, to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port");
        let (end, ended) = sync_channel(0);
        let ended = Arc::new(Mutex::new(ended));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else { continue };
                let ended = Arc::clone(&ended);
                // Either side may go at any time: that is the end of both.
                std::thread::spawn(move || drop(lead(&client, &server, &ended)));
            }
        });
        Self { port, _end: end }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn lead(client: &TcpStream, server: &TcpStream, ended: &Mutex<Receiver<()>>) -> io::Result<()> {
    let (mut asks, mut asked) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        // The other direction hears of it as well.
        let _gone = io::copy(&mut asks, &mut asked);
        let _gone = asked.shutdown(Shutdown::Write);
    });
    let (mut answers, mut answered, mut piece) = (server, client, vec![0; PIECE]);
    loop {
        let count = answers.read(&mut piece)?;
        if count == 0 {
            return client.shutdown(Shutdown::Both);
        }
        answered.write_all(piece.get(..count).unwrap_or_default())?;
        let pause = ended.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(PAUSE);
        if pause == Err(std::sync::mpsc::RecvTimeoutError::Disconnected) {
            return client.shutdown(Shutdown::Both);
        }
    }
}

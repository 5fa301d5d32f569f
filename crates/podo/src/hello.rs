//! `podo hello`: answers `You've hit NAME` to every HTTP request. It is what the built-in image runs.
//!
//! A few hundred bytes of HTTP/1.1, each connection on a thread of its own and bounded in number: a program for a quickstart.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The port, as the image of the documents' example has it.
const PORT: u16 = 8080;

/// Connections at a time; the next ones wait to be accepted.
const CONNECTIONS_MAX: usize = 64;

/// A peer that is silent so long is left.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Lines of a request's head that are read.
const HEAD_LINES_MAX: usize = 200;
/// Bytes of a line of a request's head; a longer one ends the connection.
const HEAD_LINE_BYTES_MAX: u64 = 8 << 10;

/// Serves until the process is ended.
pub(crate) fn main() -> ExitCode {
    let listener = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT))
        .or_else(|_| TcpListener::bind(("0.0.0.0", PORT)))
    {
        Ok(listener) => listener,
        Err(error) => {
            crate::tell(&format!("error: cannot listen on port {PORT}: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    crate::say(&format!("{name} answers on port {PORT}"));
    let body: Arc<str> = format!("You've hit {name}\n").into();
    std::thread::spawn(move || serve(&listener, &body));
    match wait_for_end() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            crate::tell(&format!("error: cannot wait for signals: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A container's first process gets only the signals that it asks for.
fn wait_for_end() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}

fn serve(listener: &TcpListener, body: &Arc<str>) {
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming().flatten() {
        if open.load(Ordering::Acquire) >= CONNECTIONS_MAX {
            continue;
        }
        open.fetch_add(1, Ordering::AcqRel);
        let (body, open) = (Arc::clone(body), Arc::clone(&open));
        std::thread::spawn(move || {
            // A peer that goes away in the middle is its own affair.
            let _gone = answer(&stream, &body);
            open.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

/// Answers the requests of a connection until the peer is done.
fn answer(stream: &TcpStream, body: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut keeps_open = true;
        let mut line = String::new();
        for index in 0..=HEAD_LINES_MAX {
            line.clear();
            let mut limited = io::Read::take(&mut reader, HEAD_LINE_BYTES_MAX);
            if limited.read_line(&mut line)? == 0
                || index == HEAD_LINES_MAX
                || !line.ends_with('\n')
            {
                return Ok(());
            }
            let text = line.trim_end().to_ascii_lowercase();
            keeps_open &= text != "connection: close" && !text.ends_with("http/1.0");
            if text.is_empty() {
                break;
            }
        }
        let connection = if keeps_open { "keep-alive" } else { "close" };
        let mut writer = stream;
        writer.write_all(
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        )?;
        if !keeps_open {
            return Ok(());
        }
    }
}

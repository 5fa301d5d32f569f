//! Waiting for a shim's events with the reactor.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::UnixStream;

use podo_runtime::wire::Event;
use podo_runtime::{Connection, RuntimeError};

/// The reactor's hold on a connection: a second descriptor of it, never read through.
#[derive(Debug)]
pub(super) struct Readiness(UnixStream);

impl Readiness {
    /// Needs a tokio runtime. The connection is nonblocking by itself.
    pub(super) fn of(connection: &Connection) -> io::Result<Self> {
        let socket = StdUnixStream::from(connection.as_fd().try_clone_to_owned()?);
        Ok(Self(UnixStream::from_std(socket)?))
    }

    /// The next event of that connection. Dropping it while it waits loses nothing.
    pub(super) async fn next(&self, connection: &mut Connection) -> Result<Event, RuntimeError> {
        // Events may have come together with an earlier answer: no readiness tells of them.
        if let Some(event) = connection.next_event(Duration::ZERO)? {
            return Ok(event);
        }
        loop {
            let gone = |source| RuntimeError::Io { step: "wait for the shim".to_owned(), source };
            self.0.readable().await.map_err(gone)?;
            let taken = self.0.try_io(Interest::READABLE, || {
                match connection.next_event(Duration::ZERO) {
                    Ok(None) => Err(io::ErrorKind::WouldBlock.into()), // Waits for what is new.
                    taken => Ok(taken),
                }
            });
            match taken {
                Ok(Ok(Some(event))) => return Ok(event),
                Ok(Err(error)) => return Err(error),
                Ok(Ok(None)) | Err(_) => {}
            }
        }
    }
}

//! Streams of processes as asynchronous ones: pipes, and terminals, which behave like pipes but for their ends.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;

/// What is behind a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pipe,
    /// The master side of a terminal.
    Terminal,
}

/// What a process reads.
#[derive(Debug)]
pub(super) struct Input {
    /// None once it was ended.
    pipe: Option<pipe::Sender>,
    kind: Kind,
}

/// What a process writes.
#[derive(Debug)]
pub(super) struct Output {
    pipe: pipe::Receiver,
    kind: Kind,
}

impl Input {
    pub(super) fn new(fd: OwnedFd, kind: Kind) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Self { pipe: Some(pipe::Sender::from_owned_fd_unchecked(fd)?), kind })
    }
}

impl Output {
    pub(super) fn new(fd: OwnedFd, kind: Kind) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Self { pipe: pipe::Receiver::from_owned_fd_unchecked(fd)?, kind })
    }
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.pipe).poll_read(context, buffer) {
            // A terminal whose last user has ended.
            Poll::Ready(Err(error))
                if self.kind == Kind::Terminal
                    && error.raw_os_error() == Some(Errno::IO.raw_os_error()) =>
            {
                Poll::Ready(Ok(()))
            }
            polled => polled,
        }
    }
}

impl AsyncWrite for Input {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.pipe {
            Some(pipe) => Pin::new(pipe).poll_write(context, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends the input: the reader of a pipe then reads its end. A terminal has no such end.
    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.kind == Kind::Pipe {
            self.pipe = None;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn what_is_written_is_read_and_its_end_is_seen() {
        let (read, write) = rustix::pipe::pipe().expect("a pipe");
        let mut read = Output::new(read, Kind::Pipe).expect("a stream");
        let mut write = Input::new(write, Kind::Pipe).expect("a stream");
        // More than a pipe holds, so that both sides have to wait.
        let sent = vec![7_u8; 1 << 20];
        let writing = async {
            write.write_all(&sent).await.expect("written");
            write.shutdown().await.expect("ended");
            assert!(write.write_all(b"more").await.is_err());
        };
        let reading = async {
            let mut seen = Vec::new();
            read.read_to_end(&mut seen).await.expect("read");
            seen
        };
        let ((), seen) = tokio::join!(writing, reading);
        assert_eq!(seen, sent);
    }
}

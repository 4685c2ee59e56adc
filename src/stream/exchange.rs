//! Reading and writing at the same time, in one task.
//!
//! A server must read while it writes. Otherwise two servers could wait for each other for ever: the buffers of both
//! are full, and neither reads.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite as _;

use super::connection::Connection;

/// What has happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exchanged {
    /// The connection is lost.
    Lost,
    /// The number of bytes that were read. Some of what was sent may have been written, too.
    Read(usize),
    /// Some of what was sent was written. All, if [`Connection::is_written`].
    Written,
}

impl Connection {
    /// Whether all that was sent is written.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.out.is_empty()
    }

    /// How many bytes of what was sent are not written.
    #[must_use]
    pub fn unwritten(&self) -> usize {
        self.out.len()
    }

    /// How many bytes were written since the connection began.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// How many bytes will have been written when all that was sent is.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.written + self.out.len() as u64
    }

    /// Appends what is to be written.
    pub fn send_bytes(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.out);
    }

    /// Waits until something was read or written. Nothing is lost if the caller stops polling.
    pub async fn exchange(&mut self) -> Exchanged {
        self.exchange_if(true).await
    }

    /// As [`Connection::exchange`], but reads only if `may_read`. Otherwise TCP makes the peer wait, and its end is not
    /// noticed unless something is written.
    pub async fn exchange_if(&mut self, may_read: bool) -> Exchanged {
        let done = poll_fn(|cx| self.poll_exchange(cx, may_read)).await;
        if done == Exchanged::Lost {
            self.channel = None;
        }
        done
    }

    fn poll_exchange(&mut self, cx: &mut Context<'_>, may_read: bool) -> Poll<Exchanged> {
        // Write first: otherwise a peer that sends without a pause would never get anything.
        let is_written = match self.poll_write_out(cx) {
            Poll::Ready(Err(_)) => return Poll::Ready(Exchanged::Lost),
            Poll::Ready(Ok(any)) => any,
            Poll::Pending => false,
        };
        if !may_read {
            return if is_written { Poll::Ready(Exchanged::Written) } else { Poll::Pending };
        }
        let Some(channel) = self.channel.as_mut() else { return Poll::Ready(Exchanged::Lost) };
        match channel.poll_receive(cx, self.input.received()) {
            Poll::Ready(Ok(Some(count))) => Poll::Ready(Exchanged::Read(count)),
            Poll::Ready(Ok(None) | Err(_)) => Poll::Ready(Exchanged::Lost),
            Poll::Pending if is_written => Poll::Ready(Exchanged::Written),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Writes some of what was sent. `false` if there is nothing.
    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Some(channel) = self.channel.as_mut() else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if self.out.is_empty() {
            // Encrypted bytes may wait for the socket. Nobody needs to know when they are written.
            return match Pin::new(channel).poll_flush(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
            };
        }
        let mut written = 0;
        while written < self.out.len() {
            match Pin::new(&mut *channel).poll_write(cx, &self.out[written..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => written += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        if written == 0 {
            return Poll::Pending;
        }
        self.written += written as u64;
        match written == self.out.len() {
            // An idle connection holds no buffer.
            true => self.out = Vec::new(),
            false => drop(self.out.drain(..written)),
        }
        match Pin::new(channel).poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(true)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::stream::channel::Channel;
    use crate::stream::wire::Wire;
    use crate::xml::Limits;

    #[tokio::test]
    async fn what_does_not_fit_is_written_while_something_is_read() {
        let (ours, mut theirs) = tokio::io::duplex(4);
        let peer = ([127, 0, 0, 1], 0).into();
        let limits = Limits { bytes: 100, depth: 9, attributes: 9, nodes: 99 };
        let channel = Channel::Tcp(Wire::Plain(Box::new(ours)));
        let mut connection = Connection::new(channel, peer, limits, Duration::from_secs(1));
        connection.send_bytes(|out| out.extend_from_slice(b"abcdefgh"));
        assert_eq!(connection.exchange().await, Exchanged::Written);
        assert_eq!(connection.unwritten(), 4);
        theirs.write_all(b"<a").await.unwrap();
        assert_eq!(connection.exchange().await, Exchanged::Read(2));
        let mut read = [0; 4];
        theirs.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"abcd");
        theirs.write_all(b"b").await.unwrap();
        assert_eq!(connection.exchange_if(false).await, Exchanged::Written, "nothing is read");
        assert!(connection.is_written());
        assert_eq!((connection.written(), connection.end()), (8, 8));
        assert_eq!(connection.exchange().await, Exchanged::Read(1));
        drop(theirs);
        assert_eq!(connection.exchange().await, Exchanged::Lost);
        assert!(connection.is_lost());
    }
}

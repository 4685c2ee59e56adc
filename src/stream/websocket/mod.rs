//! WebSocket (RFC 6455): a connection after its opening handshake. The frames that come in are decoded
//! here. The frames that go out are made by [`Framing`](super::framing::Framing); this adds control frames
//! between them.

pub mod frames;
mod utf8;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::received::Received;
use super::wire::CHUNK;
use frames::{Closing, Decoded, Decoder, NORMAL};

/// A WebSocket after its opening handshake. It holds no buffer while nothing is being written.
#[derive(Debug)]
pub struct WebSocket<S> {
    io: S,
    /// What was read beyond the handshake.
    early: Bytes,
    decoder: Decoder,
    /// Frames that are being written.
    out: Vec<u8>,
    /// How many bytes of them are written.
    gone: usize,
    /// The code (§7.4) with which it is to be closed, if a fault of the client is the reason.
    fault: Option<u16>,
    /// The closing frame was written, or is being written.
    is_closing: bool,
    /// What the client sends is ignored from now on.
    ignores_client: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// A connection whose handshake is done. Messages longer than `limit` bytes are given out, too, but
    /// then the WebSocket is closed with 1009.
    #[must_use]
    pub fn new(io: S, early: Bytes, limit: usize) -> Self {
        Self {
            io,
            early,
            decoder: Decoder::new(limit),
            out: Vec::new(),
            gone: 0,
            fault: None,
            is_closing: false,
            ignores_client: false,
        }
    }

    /// Appends what can be read. How many bytes of messages came: 0 if it was a control frame that is a
    /// sign of life, or an empty message. `None` at the end of the connection, or if it is being closed.
    pub fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        received: &mut Received,
    ) -> Poll<io::Result<Option<usize>>> {
        loop {
            self.push(cx);
            if self.ignores_client {
                // RFC 6455 §7.1.1: the server closes the connection.
                match Pin::new(&mut *self).poll_shutdown(cx) {
                    Poll::Pending | Poll::Ready(_) => return Poll::Ready(Ok(None)),
                }
            }
            let mut stack = [0; CHUNK];
            let mut raw = ReadBuf::new(&mut stack);
            if self.early.is_empty() {
                ready!(Pin::new(&mut self.io).poll_read(cx, &mut raw))?;
            } else {
                let count = self.early.len().min(raw.remaining());
                raw.put_slice(&self.early[..count]);
                self.early.advance(count);
            }
            if raw.filled().is_empty() {
                return Poll::Ready(Ok(None));
            }
            let before = (received.bytes.len(), received.messages.len());
            let found = self.decoder.decode(raw.filled_mut(), received);
            let is_alive = found.is_alive;
            self.answer(found);
            self.push(cx);
            if is_alive || (received.bytes.len(), received.messages.len()) != before {
                return Poll::Ready(Ok(Some(received.bytes.len() - before.0)));
            }
        }
    }

    /// Asks whether the client is there (§5.5.2). Written when something is read or written next.
    pub fn ping(&mut self) {
        if !self.is_closing && self.out.len() - self.gone < MANY {
            frames::ping(&mut self.out);
        }
    }

    /// Writes what is due while it reads: the answer to a ping must not wait for the next stanza. The
    /// writing loop writes the rest, and notices errors. Both loops are of one task, which is woken for
    /// either.
    fn push(&mut self, cx: &mut Context<'_>) {
        match self.poll_sent(cx) {
            Poll::Pending | Poll::Ready(_) => {}
        }
    }

    /// Answers control frames and faults.
    fn answer(&mut self, found: Decoded) {
        if let Some(payload) = found.ping
            && !self.is_closing
            && self.out.len() - self.gone < MANY
        {
            frames::pong(&mut self.out, &payload);
        }
        if found.is_too_large {
            self.fault = Some(TOO_BIG);
        }
        let code = match found.closing {
            None => return,
            Some(Closing::Binary) => UNSUPPORTED,
            Some(Closing::NotText) => INVALID,
            // §7.4.1: some codes are never sent.
            Some(Closing::Client(Some(code @ (1000..=1003 | 1007..=1014 | 3000..=4999)))) => code,
            Some(Closing::Client(None)) => NORMAL,
            Some(Closing::Client(Some(_)) | Closing::Protocol) => PROTOCOL,
        };
        self.ignores_client = true;
        self.close(code);
    }

    /// Checks that the client still reads what is sent.
    ///
    /// # Errors
    /// If the WebSocket is being closed, by either side.
    fn check(&self) -> io::Result<()> {
        if self.is_closing { Err(io::ErrorKind::NotConnected.into()) } else { Ok(()) }
    }

    fn close(&mut self, code: u16) {
        if !self.is_closing {
            frames::close(&mut self.out, code);
            self.is_closing = true;
        }
    }

    /// Writes what is due, as much as the connection takes.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.gone < self.out.len() {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, &self.out[self.gone..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.gone += count;
            if self.gone == self.out.len() {
                self.out = Vec::new();
                self.gone = 0;
                return Pin::new(&mut self.io).poll_flush(cx);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes whole frames of these bytes, as many as may be on their way at once, and one at least.
    /// Answers how many bytes that was; `None` if there is no whole frame.
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut end = 0;
        while end < bytes.len().min(AT_ONCE) {
            let (opcode, payload) = frames::first(&bytes[end..])?;
            let next = end + payload.end;
            if opcode == frames::CLOSE {
                self.out.extend_from_slice(&bytes[..end]);
                self.close(self.fault.unwrap_or(NORMAL));
                return Some(next);
            }
            end = next;
        }
        self.out.extend_from_slice(&bytes[..end]);
        Some(end)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    /// Takes whole frames, and more only when all that was taken is gone: so the writer notices a client
    /// that does not read.
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check()?;
        ready!(this.poll_sent(cx))?;
        let count = this.take(bytes).ok_or(io::ErrorKind::InvalidInput)?;
        match this.poll_sent(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(count)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_sent(cx))?;
        ready!(Pin::new(&mut this.io).poll_flush(cx))?;
        // A client that has closed the WebSocket does not read: what was written is not delivered.
        Poll::Ready(this.check())
    }

    /// Closes it (§7.1.2), and this side of the connection. A stream that has not ended may go on
    /// elsewhere: then the code is 1001.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.close(this.fault.unwrap_or(GOING_AWAY));
        ready!(this.poll_sent(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

/// Codes of §7.4.1. The server ends, or gives the connection up.
const GOING_AWAY: u16 = 1001;
const PROTOCOL: u16 = 1002;
const UNSUPPORTED: u16 = 1003;
const INVALID: u16 = 1007;
const TOO_BIG: u16 = 1009;
/// A client that does not read gets no answers to pings beyond so many bytes.
const MANY: usize = 64 * 1024;
/// How many bytes of a write are taken at once. A write of a session may be much larger.
const AT_ONCE: usize = 32 * 1024;

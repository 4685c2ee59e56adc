//! A client's stream over WebSocket (RFC 7395), as if it were a connection: what is written is cut
//! into messages, what is read has an end after each message (`Input::of_documents`).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::websocket::{GOING_AWAY, WebSocket};
use crate::stream::framing::Cutter;
use crate::stream::wire::Io;

/// A WebSocket that carries a stream.
pub(super) struct Framed {
    socket: WebSocket<Box<dyn Io>>,
    cutter: Cutter,
}

impl Framed {
    /// `limit`: bytes of a stanza.
    pub(super) fn new(io: Box<dyn Io>, early: Bytes, limit: usize) -> Self {
        Self { socket: WebSocket::new(io, early, limit), cutter: Cutter::default() }
    }
}

impl AsyncRead for Framed {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().socket.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Framed {
    /// Takes more only when all that was taken is gone: the writer notices who does not read.
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { socket, cutter } = self.get_mut();
        socket.check()?;
        ready!(socket.poll_sent(cx))?;
        let bytes = &bytes[..bytes.len().min(AT_ONCE)];
        cutter.cut(bytes, |message| socket.send(message)).map_err(io::Error::other)?;
        match socket.poll_sent(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = &mut self.get_mut().socket;
        ready!(socket.poll_flush(cx))?;
        // A client that has closed the WebSocket reads no more: what was written is not delivered.
        Poll::Ready(socket.check())
    }

    /// RFC 7395 §3.6: after `<close/>` the WebSocket is closed. Without it the session may go on
    /// elsewhere.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { socket, cutter } = self.get_mut();
        if !cutter.has_ended() {
            socket.set_code(GOING_AWAY);
        }
        socket.poll_shutdown(cx)
    }
}

/// Bytes that are framed at once; a write of a session may be much larger.
const AT_ONCE: usize = 32 * 1024;

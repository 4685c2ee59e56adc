//! WebSocket (RFC 6455): the opening handshake, and a connection after it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, request};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::{self, Closing, Decoded, Decoder};

/// The server's half of the opening handshake (RFC 6455 §4.2), if this subprotocol is among those
/// that the client speaks. After the answer 101 the connection is a WebSocket; any other one says
/// what is wrong.
#[must_use]
pub fn accept(request: &request::Parts, protocol: &'static str) -> Response {
    let headers = &request.headers;
    let is_upgrade = has(headers, &UPGRADE, "websocket") && has(headers, &CONNECTION, "upgrade");
    if !is_upgrade || request.method != Method::GET || request.version != Version::HTTP_11 {
        let head = [(UPGRADE, "websocket"), (CONNECTION, "Upgrade")];
        let text = "This address is for XMPP clients, over WebSocket.\n";
        return (StatusCode::UPGRADE_REQUIRED, head, text).into_response();
    }
    if !has(headers, &SEC_WEBSOCKET_VERSION, "13") {
        let head = [(SEC_WEBSOCKET_VERSION, "13")];
        return (StatusCode::UPGRADE_REQUIRED, head).into_response();
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let is_key = |key: &&[u8]| STANDARD.decode(key).is_ok_and(|key| key.len() == 16);
    let Some(key) = key.filter(is_key) else {
        return (StatusCode::BAD_REQUEST, "There is no Sec-WebSocket-Key.\n").into_response();
    };
    if !has(headers, &SEC_WEBSOCKET_PROTOCOL, protocol) {
        let text = format!("The subprotocol is {protocol}.\n");
        return (StatusCode::BAD_REQUEST, text).into_response();
    }
    let hash = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let head = [
        (UPGRADE, "websocket".to_owned()),
        (CONNECTION, "Upgrade".to_owned()),
        (SEC_WEBSOCKET_ACCEPT, STANDARD.encode(hash)),
        (SEC_WEBSOCKET_PROTOCOL, protocol.to_owned()),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, head).into_response()
}

/// Whether a header, which is a list, has this word in it, in whatever case.
fn has(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
}

/// A WebSocket after its handshake. Holds no buffer while nothing is on its way.
#[derive(Debug)]
pub struct WebSocket<S> {
    io: S,
    /// What came with the handshake.
    early: Bytes,
    decoder: Decoder,
    /// Frames on their way out.
    out: Vec<u8>,
    /// How many bytes of them are gone.
    gone: usize,
    /// With what it is to be closed; 1000 if there is no other reason.
    code: u16,
    /// The closing frame is among what went out, or is on its way.
    is_closing: bool,
    /// Nothing of what the client sends counts any more.
    is_deaf: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// What becomes of a connection by the handshake. Messages beyond `limit` are given out, too,
    /// but the WebSocket is closed with 1009 then.
    #[must_use]
    pub fn new(io: S, early: Bytes, limit: usize) -> Self {
        Self {
            io,
            early,
            decoder: Decoder::new(limit),
            out: Vec::new(),
            gone: 0,
            code: NORMAL,
            is_closing: false,
            is_deaf: false,
        }
    }

    /// Reads text, with [`frames::END`] after each message and [`frames::ALIVE`] for control frames
    /// between messages. 0 bytes at the end: of the connection,
    /// or because it is being closed.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            self.push(cx);
            if self.is_deaf {
                // RFC 6455 §7.1.1: it is the server who closes. Nobody else may do it any more.
                match self.poll_shutdown(cx) {
                    Poll::Pending | Poll::Ready(_) => return Poll::Ready(Ok(())),
                }
            }
            let room = buffer.initialize_unfilled();
            if room.len() < 2 {
                return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
            }
            // The first byte is room for the decoder.
            let mut raw = ReadBuf::new(&mut room[1..]);
            if self.early.is_empty() {
                ready!(Pin::new(&mut self.io).poll_read(cx, &mut raw))?;
            } else {
                let count = self.early.len().min(raw.remaining());
                raw.put_slice(&self.early[..count]);
                self.early.advance(count);
            }
            let count = raw.filled().len();
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
            let found = self.decoder.decode(&mut room[..=count]);
            let messages = found.messages;
            self.answer(found);
            self.push(cx);
            if messages > 0 {
                buffer.advance(messages);
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// An answer to a ping must not wait for the next stanza: the reading side tries to send it. The
    /// writing side goes on with what is left, and sees what fails; both are of one task, which is
    /// woken for either.
    fn push(&mut self, cx: &mut Context<'_>) {
        match self.poll_sent(cx) {
            Poll::Pending | Poll::Ready(_) => {}
        }
    }

    /// Answers frames that are no messages.
    fn answer(&mut self, found: Decoded) {
        if let Some(payload) = found.ping
            && !self.is_closing
            && self.out.len() - self.gone < MANY
        {
            frames::pong(&mut self.out, &payload);
        }
        if found.is_too_large {
            self.code = TOO_BIG;
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
        self.is_deaf = true;
        self.close(code);
    }

    /// Enters a message among what goes out. After the closing frame nothing may (§5.5.1).
    pub fn send(&mut self, message: &[u8]) {
        if !self.is_closing {
            frames::text(&mut self.out, message);
        }
    }

    /// Whether what is sent still reaches the client.
    ///
    /// # Errors
    /// If it does not: it has closed the WebSocket, or has been thrown out.
    pub fn check(&self) -> io::Result<()> {
        if self.is_closing { Err(io::ErrorKind::NotConnected.into()) } else { Ok(()) }
    }

    /// Says why it will be closed, if nothing else has been the reason.
    pub fn set_code(&mut self, code: u16) {
        if self.code == NORMAL {
            self.code = code;
        }
    }

    fn close(&mut self, code: u16) {
        if !self.is_closing {
            frames::close(&mut self.out, code);
            self.is_closing = true;
        }
    }

    /// Writes what is on its way, as far as it goes.
    pub fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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

    /// Writes what is on its way, and whatever is below.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sent(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Closes it (§7.1.2), and this side of the connection.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close(self.code);
        ready!(self.poll_sent(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// RFC 6455 §1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Codes of §7.4.1. All is said.
pub const NORMAL: u16 = 1000;
/// The server ends, or gives the connection up.
pub const GOING_AWAY: u16 = 1001;
const PROTOCOL: u16 = 1002;
const UNSUPPORTED: u16 = 1003;
const INVALID: u16 = 1007;
const TOO_BIG: u16 = 1009;
/// Who does not read gets no more answers to pings.
const MANY: usize = 64 * 1024;

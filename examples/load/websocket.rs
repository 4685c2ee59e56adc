//! Streams over WebSocket (RFC 7395): each element goes out in a frame of its own, and the payloads of all frames
//! that come are read as one stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use anyhow::ensure;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::client::{Stream, Wire};

/// A connection after its upgrade.
pub(crate) struct WebSocket<S> {
    stream: S,
    /// What has come and is not decoded.
    raw: Vec<u8>,
    /// Where the next frame begins in `raw`.
    at: usize,
    /// Bytes that are left of the frame that was begun.
    left: usize,
    /// Frames that are not written yet.
    out: Vec<u8>,
}

impl<S: Stream> WebSocket<S> {
    /// Asks for the upgrade (RFC 6455 §4.1).
    pub(crate) async fn open(mut wire: Wire<S>, domain: &str) -> anyhow::Result<Self> {
        wire.send(&format!(
            "GET /ws HTTP/1.1\r\nHost: {domain}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: xmpp\r\n\r\n"
        ))
        .await?;
        let answer = wire.expect("\r\n\r\n").await?;
        ensure!(answer.starts_with("HTTP/1.1 101"), "no WebSocket: {answer}");
        let (stream, raw) = wire.into_parts();
        Ok(Self { stream, raw, at: 0, left: 0, out: Vec::new() })
    }

    /// Moves what has come of payloads to `to`, as far as there is room. `None` if a frame has to come first.
    fn decode(&mut self, to: &mut ReadBuf<'_>) -> io::Result<Option<()>> {
        let mut has_some = false;
        loop {
            if self.left == 0 {
                let Some((head, length)) = head(&self.raw[self.at..])? else { break };
                (self.at, self.left) = (self.at + head, length);
            }
            let count = self.left.min(self.raw.len() - self.at).min(to.remaining());
            to.put_slice(&self.raw[self.at..self.at + count]);
            (self.at, self.left) = (self.at + count, self.left - count);
            has_some |= count > 0;
            if count == 0 {
                break;
            }
        }
        self.raw.drain(..self.at);
        self.at = 0;
        Ok(has_some.then_some(()))
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncRead for WebSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut piece = [0; 16 * 1024];
        while this.decode(to)?.is_none() {
            let mut read = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                break;
            }
            this.raw.extend_from_slice(read.filled());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for WebSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        elements: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_out(cx))?;
        let mut rest = elements;
        while let Some(end) = first_element(rest) {
            frame(&mut self.out, &rest[..end]);
            rest = rest[end..].trim_ascii_start();
        }
        assert!(rest.is_empty(), "only whole elements are written");
        // What is left of the frames goes out with the next write, or the flush that follows each one.
        match self.poll_out(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(elements.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The lengths of the head and of the payload of the frame at the beginning, if its head has come (RFC 6455 §5.2).
fn head(bytes: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if first & 0x0f == CLOSE {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let extended = match second & 0x7f {
        126 => 2,
        127 => 8,
        length => return Ok(Some((2, length.into()))),
    };
    let Some(length) = rest.get(..extended) else { return Ok(None) };
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    Ok(Some((2 + extended, length)))
}

/// Adds a frame with an element, masked with zeros: a client must mask (RFC 6455 §5.3). A stanza names its namespace,
/// as no header around it does (RFC 7395 §3.3.3).
fn frame(out: &mut Vec<u8>, element: &[u8]) {
    let name = element.iter().position(|byte| b" />".contains(byte)).unwrap_or(element.len());
    let (name, rest) = element.split_at(name);
    let is_stanza = [&b"<iq"[..], b"<message", b"<presence"].contains(&name);
    let namespace: &[u8] = if is_stanza { b" xmlns='jabber:client'" } else { b"" };
    let text = [name, namespace, rest].concat();
    out.push(0x81);
    match u16::try_from(text.len()) {
        Ok(length) if length < 126 => out.push(0x80 | length as u8),
        Ok(length) => {
            out.push(0x80 | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(text.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&text);
}

/// Where the first element of `xml` ends. There is neither `>` nor `/` before a `>` in attributes of the load.
fn first_element(xml: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, _) in xml.iter().enumerate().filter(|(_, byte)| **byte == b'>') {
        let tag = &xml[..at];
        let begin = tag.iter().rposition(|byte| *byte == b'<')?;
        match (tag[begin..].starts_with(b"</"), tag.ends_with(b"/")) {
            (true, _) => depth = depth.checked_sub(1)?,
            (false, true) => {}
            (false, false) => depth += 1,
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

const CLOSE: u8 = 8;

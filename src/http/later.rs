//! A request that is answered later (long polling). As long as it waits, its connection has no buffers: those of hyper
//! are 16 KiB for each connection, more than all else that an idle client needs (`docs/performance.md`).

use std::fmt;
use std::future::pending;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::http::header::{CONNECTION, CONTENT_LENGTH};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::files::headers::http_date;
use crate::clock::Clock;

/// The answer that comes later.
pub(super) type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// What [`later`] puts into a response.
#[derive(Clone)]
struct Later(Arc<Mutex<Option<Answer>>>);

/// A response that stands for another one, which comes later. Its body must be in memory.
pub fn later(answer: impl Future<Output = Response> + Send + 'static) -> Response {
    let mut response = ().into_response();
    response.extensions_mut().insert(Later(Arc::new(Mutex::new(Some(Box::pin(answer))))));
    response
}

/// The request of a connection that waits for its answer.
pub(super) struct Held {
    /// The server ends: then nothing is held any more.
    stopping: CancellationToken,
    answer: Mutex<Option<Answer>>,
    came: Notify,
}

impl Held {
    pub(super) fn new(stopping: CancellationToken) -> Self {
        Self { stopping, answer: Mutex::default(), came: Notify::new() }
    }

    /// The answer that a response stands for, or the response. An answer that is not there soon is given to the
    /// connection, if it `may_hold`: then this never returns.
    pub(super) async fn resolve(&self, mut response: Response, may_hold: bool) -> Response {
        let Some(Later(answer)) = response.extensions_mut().remove::<Later>() else {
            return response;
        };
        let Some(mut answer) = answer.lock().take() else { return response };
        if !may_hold {
            return answer.await;
        }
        tokio::select! {
            biased;
            response = &mut answer => response,
            () = sleep(SOON) => {
                if self.stopping.is_cancelled() {
                    return answer.await;
                }
                *self.answer.lock() = Some(answer);
                self.came.notify_one();
                pending().await
            }
        }
    }

    /// Waits until a request is to be held.
    pub(super) async fn next(&self) -> Answer {
        loop {
            self.came.notified().await;
            let answer = self.answer.lock().take();
            if let Some(answer) = answer {
                return answer;
            }
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

/// Waits for the answer to the request that a connection holds, and writes it. Returns what the client has sent
/// meanwhile (the beginning of its next request), or `None` if the connection is over. `ahead`: what it had sent before.
///
/// # Errors
/// If the connection fails.
pub(super) async fn answer(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ahead: Bytes,
    mut answer: Answer,
    clock: &Clock,
) -> io::Result<Option<Bytes>> {
    let mut ahead = BytesMut::from(&ahead[..]);
    let response = loop {
        tokio::select! {
            biased;
            response = &mut answer => break response,
            read = io.read_buf(&mut ahead), if ahead.len() < AHEAD => {
                if read? == 0 {
                    return Ok(None);
                }
            }
        }
    };
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(io::Error::other)?;
    let mut out = Vec::with_capacity(512 + body.len());
    write!(out, "HTTP/1.1 {}\r\n", head.status)?;
    for (name, value) in head.headers.iter().filter(|(name, _)| *name != CONTENT_LENGTH) {
        write!(out, "{name}: ")?;
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    let date = http_date(clock.now());
    write!(out, "content-length: {}\r\ndate: {date}\r\n\r\n", body.len())?;
    out.extend_from_slice(&body);
    io.write_all(&out).await?;
    io.flush().await?;
    let is_last = head.headers.get(CONNECTION).is_some_and(|value| value == "close");
    if is_last {
        io.shutdown().await?;
        return Ok(None);
    }
    Ok(Some(ahead.freeze()))
}

/// An answer that is there so soon is written as any other.
const SOON: Duration = Duration::from_millis(50);
/// What a client may send while its request is held: as much as a head may have.
const AHEAD: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use tokio::io::duplex;

    use super::*;
    use crate::payload::datetime::Timestamp;

    fn clock() -> Clock {
        Clock::manual(Timestamp::from_micros(784_111_777_000_000))
    }

    /// What the client gets, and what is left of what it has sent.
    async fn answered(sent: &[u8], response: Response) -> (String, io::Result<Option<Bytes>>) {
        let (mut ours, mut theirs) = duplex(1024);
        ours.write_all(sent).await.unwrap();
        let late = async {
            sleep(Duration::from_secs(9)).await;
            response
        };
        let left =
            answer(&mut theirs, Bytes::from_static(b"POST "), Box::pin(late), &clock()).await;
        drop(theirs);
        let mut got = String::new();
        ours.read_to_string(&mut got).await.unwrap();
        (got, left)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_written_and_what_was_sent_meanwhile_is_kept() {
        let response = (StatusCode::OK, [("x-a", "b")], "hello").into_response();
        let (got, left) = answered(b"/http-bind", response).await;
        let wanted = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\nx-a: b\r\n\
                      content-length: 5\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nhello";
        assert_eq!(got, wanted);
        assert_eq!(left.unwrap().unwrap(), &b"POST /http-bind"[..]);
        let last = (StatusCode::OK, [(CONNECTION, "close")]).into_response();
        assert!(answered(b"", last).await.1.unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_goes_is_noticed() {
        let (ours, mut theirs) = duplex(1024);
        drop(ours);
        let never = Box::pin(pending());
        assert!(answer(&mut theirs, Bytes::new(), never, &clock()).await.unwrap().is_none());
    }
}

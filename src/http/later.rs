//! A request that is answered later (long polling). As long as it waits, its connection has no buffers: those of hyper
//! are 16 KiB for each connection, more than all else that an idle client needs (`docs/performance.md`).

use std::fmt;
use std::future::pending;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, HeaderName};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::files::headers::http_date;
use super::meter::Meter;
use crate::clock::Clock;

/// The answer that comes later.
pub(super) type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// What [`later`] puts into a response.
#[derive(Clone)]
struct Later(Arc<Mutex<Option<Delayed>>>);

/// An answer that comes later.
pub(super) struct Delayed {
    answer: Answer,
    hurry: Arc<Notify>,
    /// The connection ends with it.
    is_last: bool,
    /// Counts it, once it is held.
    meter: Option<Meter>,
}

/// A response that stands for another one, which comes later. Its body must be in memory. `hurry` is notified when the
/// client has shut down its sending side: it may have closed the connection, or wait for this answer alone. So answer
/// soon then, if possible with something that may be lost.
pub fn later(
    hurry: &Arc<Notify>,
    answer: impl Future<Output = Response> + Send + 'static,
) -> Response {
    let mut response = ().into_response();
    let delayed =
        Delayed { answer: Box::pin(answer), hurry: Arc::clone(hurry), is_last: false, meter: None };
    response.extensions_mut().insert(Later(Arc::new(Mutex::new(Some(delayed)))));
    response
}

/// The request of a connection that waits for its answer.
pub(super) struct Held {
    /// Cancelled when the server ends: then held requests are answered.
    stopping: CancellationToken,
    delayed: Mutex<Option<Delayed>>,
    came: Notify,
}

impl Held {
    pub(super) fn new(stopping: CancellationToken) -> Self {
        Self { stopping, delayed: Mutex::default(), came: Notify::new() }
    }

    /// The answer that a response stands for, or the response. An answer that is not there soon is given to the
    /// connection: then this never returns, and whoever writes it counts it. `is_last`: the connection ends with it.
    pub(super) async fn resolve(
        &self,
        mut response: Response,
        is_last: bool,
        meter: &Meter,
    ) -> Response {
        let Some(Later(delayed)) = response.extensions_mut().remove::<Later>() else {
            return response;
        };
        let Some(mut delayed) = delayed.lock().take() else { return response };
        tokio::select! {
            biased;
            response = &mut delayed.answer => response,
            () = sleep(SOON) => {
                if self.stopping.is_cancelled() {
                    return delayed.answer.await;
                }
                (delayed.is_last, delayed.meter) = (is_last, Some(meter.clone()));
                *self.delayed.lock() = Some(delayed);
                self.came.notify_one();
                pending().await
            }
        }
    }

    /// Waits until a request is to be held.
    pub(super) async fn next(&self) -> Delayed {
        loop {
            self.came.notified().await;
            let delayed = self.delayed.lock().take();
            if let Some(delayed) = delayed {
                return delayed;
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
/// A client that has shut down its sending side still gets the answer (RFC 9293 §3.6), and gets it soon.
///
/// # Errors
/// If the connection fails.
pub(super) async fn answer(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ahead: Bytes,
    delayed: Delayed,
    clock: &Clock,
) -> io::Result<Option<Bytes>> {
    let Delayed { mut answer, hurry, mut is_last, meter } = delayed;
    let (mut ahead, mut is_silent) = (BytesMut::from(&ahead[..]), false);
    let response = loop {
        tokio::select! {
            biased;
            response = &mut answer => break response,
            read = io.read_buf(&mut ahead), if !is_silent && ahead.len() < AHEAD => {
                if read? == 0 {
                    (is_silent, is_last) = (true, true);
                    hurry.notify_one();
                }
            }
            () = sleep(LAST), if is_silent => return Ok(None),
        }
    };
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(io::Error::other)?;
    if let Some(meter) = meter {
        meter.answered(head.status);
        meter.sent(body.len());
    }
    let mut out = Vec::with_capacity(512 + body.len());
    write!(out, "HTTP/1.1 {}\r\n", head.status)?;
    is_last |= head.headers.get(CONNECTION).is_some_and(|value| value == "close");
    let written = |name: &HeaderName| *name != CONTENT_LENGTH && *name != CONNECTION;
    for (name, value) in head.headers.iter().filter(|(name, _)| written(name)) {
        write!(out, "{name}: ")?;
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if is_last {
        out.extend_from_slice(b"connection: close\r\n");
    }
    let date = http_date(clock.now());
    write!(out, "content-length: {}\r\ndate: {date}\r\n\r\n", body.len())?;
    out.extend_from_slice(&body);
    io.write_all(&out).await?;
    io.flush().await?;
    if is_last {
        io.shutdown().await?;
        return Ok(None);
    }
    Ok(Some(ahead.freeze()))
}

/// An answer that is there so soon is written as any other.
const SOON: Duration = Duration::from_millis(50);
/// How long a client that has stopped sending waits for its answer.
const LAST: Duration = Duration::from_secs(5);
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

    fn delayed(
        answer: impl Future<Output = Response> + Send + 'static,
        hurry: Arc<Notify>,
    ) -> Delayed {
        Delayed { answer: Box::pin(answer), hurry, is_last: false, meter: None }
    }

    /// What the client gets, and what is left of what it has sent.
    async fn answered(sent: &[u8], response: Response) -> (String, io::Result<Option<Bytes>>) {
        let (mut ours, mut theirs) = duplex(1024);
        ours.write_all(sent).await.unwrap();
        let late = async {
            sleep(Duration::from_secs(9)).await;
            response
        };
        let delayed = delayed(late, Arc::default());
        let left = answer(&mut theirs, Bytes::from_static(b"POST "), delayed, &clock()).await;
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
        let delayed = delayed(pending(), Arc::default());
        assert!(answer(&mut theirs, Bytes::new(), delayed, &clock()).await.unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_sent_all_still_gets_its_answer() {
        let (mut ours, mut theirs) = duplex(1024);
        ours.shutdown().await.unwrap();
        let hurry = Arc::new(Notify::new());
        let waits = Arc::clone(&hurry);
        let late = async move {
            waits.notified().await;
            "hello".into_response()
        };
        let delayed = delayed(late, hurry);
        assert!(answer(&mut theirs, Bytes::new(), delayed, &clock()).await.unwrap().is_none());
        drop(theirs);
        let mut got = String::new();
        ours.read_to_string(&mut got).await.unwrap();
        assert!(got.contains("connection: close\r\n") && got.ends_with("hello"), "{got}");
    }
}

//! The body of a request that was answered before all of it was read. The connection reads on for a moment, and drops
//! what comes: if it were closed while bytes wait, the kernel would reset it, and a client that is still sending would
//! never see the answer (RFC 9112 §9.6).

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

/// What a connection still has to read of the body of its request.
#[derive(Debug, Default)]
pub(super) struct Unread {
    body: Mutex<Option<Incoming>>,
    came: Notify,
}

impl Unread {
    fn put(&self, rest: Incoming) {
        *self.body.lock() = Some(rest);
        self.came.notify_one();
    }

    /// Reads on whenever a body was given up. It is polled beside the connection.
    pub(super) async fn discard(&self) -> Infallible {
        loop {
            self.came.notified().await;
            let body = self.body.lock().take();
            if let Some(body) = body {
                // However this ends: when the body is dropped, the connection goes on, or ends.
                drop(timeout(LINGER, discard(body)).await);
            }
        }
    }
}

async fn discard(mut body: Incoming) {
    let mut left = MOST;
    while left > 0
        && let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
    {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
    }
}

/// The body of a request. If it is dropped before its end, the connection discards the rest.
#[derive(Debug)]
pub(super) struct RequestBody {
    body: Option<Incoming>,
    /// The client sends it, and does not wait until it is asked (RFC 9110 §10.1.1).
    is_sent: bool,
    unread: Arc<Unread>,
}

impl RequestBody {
    /// `is_sent`: the client does not wait for 100 (Continue).
    pub(super) fn new(body: Incoming, is_sent: bool, unread: Arc<Unread>) -> Self {
        Self { body: Some(body), is_sent, unread }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.is_sent = true;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| self.is_sent && !body.is_end_stream());
        if let Some(rest) = rest {
            self.unread.put(rest);
        }
    }
}

/// How long a connection reads what nobody wants.
const LINGER: Duration = Duration::from_secs(2);
/// How many bytes of it.
const MOST: usize = 32 * 1024 * 1024;

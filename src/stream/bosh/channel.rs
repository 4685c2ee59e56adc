//! A session of BOSH, shared by its stream, which reads and writes documents, and by requests, each of which waits for
//! its answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::http::HeaderValue;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Condition};
use super::engine::{Answers, Engine, Said};
use super::request::{Request, Terms};
use crate::stream::received::Received;
use crate::xml::Limits;

/// What requests and stream share.
pub struct Shared(Mutex<State>);

struct State {
    engine: Engine<oneshot::Sender<Answer>>,
    /// The type of the answers, if not the usual one.
    content: Option<HeaderValue>,
    /// The limits for reading the next requests.
    limits: Limits,
    tickets: u64,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The stream's end.
pub struct BoshChannel {
    shared: Arc<Shared>,
    /// While no request waits.
    away: Option<Pin<Box<Sleep>>>,
    stopping: CancellationToken,
    over: Over,
}

/// Called when the stream ends. The argument: how long the session must stay findable so that the client learns of
/// it.
pub(super) type Over = Box<dyn Fn(Option<Duration>) + Send + Sync>;

/// A request that waits for its answer. If it is dropped before, its connection was lost.
pub struct Waiting {
    shared: Arc<Shared>,
    ticket: u64,
    answer: oneshot::Receiver<Answer>,
    is_answered: bool,
}

impl Shared {
    /// A session, and the request that began it.
    pub(super) fn begin(
        sid: &smol_str::SmolStr,
        terms: Terms,
        content: Option<HeaderValue>,
        limits: Limits,
    ) -> (Arc<Self>, Waiting) {
        let (reply, answer) = oneshot::channel();
        let engine = Engine::new(sid.clone(), terms, 0, reply, Instant::now());
        let state = State { engine, content, limits, tickets: 0, reader: None, writer: None };
        let shared = Arc::new(Self(Mutex::new(state)));
        (Arc::clone(&shared), Waiting { shared, ticket: 0, answer, is_answered: false })
    }

    /// The limits for reading the next request.
    pub fn limits(&self) -> Limits {
        self.0.lock().limits
    }

    /// The type of the answers, if not the usual one.
    pub fn content_type(&self) -> Option<HeaderValue> {
        self.0.lock().content.clone()
    }

    /// The domain that the client has asked for.
    pub fn domain(&self) -> String {
        self.0.lock().engine.terms().to.clone()
    }

    /// Takes a request, which waits for its answer.
    pub fn request(self: Arc<Self>, request: Request) -> Waiting {
        let (reply, answer) = oneshot::channel();
        let ticket = self.change(true, |state| {
            state.tickets += 1;
            let answers = state.engine.request(request, state.tickets, reply, Instant::now());
            (answers, state.tickets)
        });
        Waiting { shared: self, ticket, answer, is_answered: false }
    }

    /// Takes a request that cannot be read: the session ends with it.
    pub fn fail(self: Arc<Self>, condition: Condition) -> Waiting {
        let (reply, answer) = oneshot::channel();
        let ticket = self.change(true, |state| {
            state.tickets += 1;
            (state.engine.unreadable(condition, reply), state.tickets)
        });
        Waiting { shared: self, ticket, answer, is_answered: false }
    }

    /// The longest time for which a request waits.
    fn wait(&self) -> Duration {
        let wait = self.0.lock().engine.terms().wait;
        if wait.is_zero() { UNTIL_OPEN } else { wait }
    }

    /// Changes the session, gives the answers out, and wakes the writer, if it can go on, and perhaps the
    /// reader.
    fn change<T>(&self, wakes_reader: bool, change: impl FnOnce(&mut State) -> (Waiters, T)) -> T {
        let mut state = self.0.lock();
        let (answers, result) = change(&mut state);
        let is_said = state.engine.is_said() || state.engine.has_ended();
        let reader = state.reader.take_if(|_| wakes_reader);
        let wakers = [reader, state.writer.take_if(|_| is_said)];
        drop(state);
        for (reply, answer) in answers {
            // If the request has ended meanwhile, the client may ask again.
            drop(reply.send(answer));
        }
        wakers.into_iter().flatten().for_each(Waker::wake);
        result
    }
}

type Waiters = Answers<oneshot::Sender<Answer>>;

impl Waiting {
    /// Waits for the answer. `hurry`: it must come now, as if the client had waited long enough.
    pub async fn answer(mut self, hurry: &Notify) -> Answer {
        let wait = self.shared.wait();
        loop {
            tokio::select! {
                biased;
                answer = &mut self.answer => {
                    self.is_answered = true;
                    let lost = Condition::InternalServerError;
                    return answer.unwrap_or_else(|_| lost.answer(false));
                }
                () = sleep(wait) => {}
                () = hurry.notified() => {}
            }
            let (ticket, now) = (self.ticket, Instant::now());
            self.shared.change(true, |state| (state.engine.elapsed(ticket, now), ()));
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.is_answered {
            let (ticket, now) = (self.ticket, Instant::now());
            self.shared.change(true, |state| {
                state.engine.lost(ticket, now);
                (Vec::new(), ())
            });
        }
    }
}

impl BoshChannel {
    pub(super) fn new(shared: Arc<Shared>, stopping: CancellationToken, over: Over) -> Self {
        Self { shared, away: None, stopping, over }
    }

    pub(in crate::stream) fn set_limits(&mut self, limits: Limits) {
        self.shared.0.lock().limits = limits;
    }

    /// Whether no request waits.
    pub(in crate::stream) fn is_away(&self) -> bool {
        self.shared.0.lock().engine.idle_until().is_some()
    }

    /// Appends what has come in requests, as documents. How many bytes that was: 0 if a request was empty.
    /// `None` at the end, or when the client has been away for too long.
    pub(in crate::stream) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        received: &mut Received,
    ) -> Poll<io::Result<Option<usize>>> {
        loop {
            let (count, is_heard) = self.take(received);
            if count > 0 || is_heard {
                return Poll::Ready(Ok(Some(count)));
            }
            let mut state = self.shared.0.lock();
            if state.engine.has_news() {
                continue;
            }
            if state.engine.is_over() {
                return Poll::Ready(Ok(None));
            }
            let Some(until) = state.engine.idle_until() else {
                state.reader = Some(cx.waker().clone());
                self.away = None;
                return Poll::Pending;
            };
            state.reader = Some(cx.waker().clone());
            drop(state);
            let away = self.away.get_or_insert_with(|| Box::pin(sleep_until(until)));
            if away.deadline() != until {
                away.as_mut().reset(until);
            }
            if away.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.shared.change(false, |state| (state.engine.expire(Instant::now()), ()));
        }
    }

    /// How many bytes came, and whether anything did.
    fn take(&self, received: &mut Received) -> (usize, bool) {
        self.shared.change(false, |state| {
            let mut count = 0;
            while let Some(document) = state.engine.next_incoming() {
                received.bytes.extend_from_slice(&document);
                received.messages.push_back(document.len());
                count += document.len();
            }
            (state.engine.taken(Instant::now()), (count, state.engine.take_heard()))
        })
    }

    /// Takes complete elements, and more only when everything that was taken is in an answer: so nothing counts as sent that
    /// no request has fetched.
    pub(in crate::stream) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some((said, count)) = Said::read(bytes) else {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        };
        // The last words do not wait.
        if !said.is_close && self.poll_flush(cx)?.is_pending() {
            return Poll::Pending;
        }
        if self.shared.0.lock().engine.has_ended() {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        // The reader notices if no request waits.
        self.shared.change(true, |state| (state.engine.say(said, Instant::now()), ()));
        Poll::Ready(Ok(count))
    }

    pub(in crate::stream) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.0.lock();
        if state.engine.is_said() {
            return Poll::Ready(Ok(()));
        }
        if state.engine.has_ended() {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(in crate::stream) fn poll_shutdown(&mut self) -> Poll<io::Result<()>> {
        self.close();
        Poll::Ready(Ok(()))
    }

    /// Ends the session, because the stream has ended, perhaps without closing.
    fn close(&self) {
        let condition = if self.stopping.is_cancelled() {
            Condition::SystemShutdown
        } else {
            Condition::RemoteConnectionFailed
        };
        self.shared.change(true, |state| (state.engine.close(condition, Instant::now()), ()));
    }
}

impl Drop for BoshChannel {
    fn drop(&mut self) {
        self.close();
        let state = self.shared.0.lock();
        let away = state.engine.has_last_words().then(|| state.engine.terms().inactivity);
        drop(state);
        (self.over)(away);
    }
}

/// How long the stream may take to open, if the client does not let us wait (§12).
const UNTIL_OPEN: Duration = Duration::from_secs(5);

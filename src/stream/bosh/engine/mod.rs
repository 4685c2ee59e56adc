//! A session of BOSH: what comes in requests goes to the stream, in order and once; what the stream says
//! goes into the answers; and each request is answered once, in order, when there is something to say or
//! its time is over.
//!
//! It knows no clock, no connection and no stream: callers tell it what happens, with the time, and it says which
//! requests are answered with what. `R` stands for a request that waits.
//!
//! What is easy to get wrong: an answer may be lost with its connection, and the client asks again by the same `rid`. So
//! answers are kept for a while (§14.3), and a request whose connection was lost is still the next one to be answered.

mod replies;
mod requests;
mod said;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use smol_str::SmolStr;
use tokio::time::Instant;

use super::answer::{Answer, Condition, Opened};
use super::request::{Key, Request, Terms};
pub use said::Said;

/// Which requests are answered, and with what.
pub type Answers<R> = Vec<(R, Answer)>;

/// A session of BOSH. See the file.
#[derive(Debug)]
pub struct Engine<R> {
    sid: SmolStr,
    terms: Terms,
    /// The number of the request that is handled next.
    next: u64,
    /// Requests that were handled and not answered, in order.
    held: VecDeque<Held<R>>,
    /// Requests that came before their turn.
    ahead: Vec<Ahead<R>>,
    /// The last answers, in order.
    answered: VecDeque<Answered>,
    /// What the next key must hash to.
    key: Option<Key>,
    /// What has come for the stream.
    incoming: VecDeque<Bytes>,
    /// A request has come since the stream was told.
    is_heard: bool,
    /// What the stream has written for the client.
    out: Vec<u8>,
    opened: Option<Opened>,
    /// The client knows the session.
    is_created: bool,
    /// Since when no request waits that is next in order.
    idle_since: Option<Instant>,
    /// How long that may last; a pause is longer (§10).
    inactivity: Duration,
    /// When the last new request came, and whether it was empty.
    last: Option<(Instant, bool)>,
    /// The last answer had something for the client.
    had_payload: bool,
    /// Requests that came again since the last new one.
    repeats: u32,
    /// An answer that the client seems to have missed.
    report: Option<u64>,
    /// The client has ended the session.
    is_terminating: bool,
    end: Option<End>,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Held<R> {
    rid: u64,
    key: Option<SmolStr>,
    /// `None` if its connection was lost.
    reply: Option<(u64, R)>,
}

/// A request that came before its turn.
#[derive(Debug)]
struct Ahead<R> {
    request: Request,
    ticket: u64,
    reply: R,
}

#[derive(Debug)]
struct Answered {
    rid: u64,
    key: Option<SmolStr>,
    body: Bytes,
    at: Instant,
}

/// The session is over.
#[derive(Debug)]
struct End {
    /// What the client must still be told.
    last_words: Option<Bytes>,
}

impl<R> Engine<R> {
    /// Begins a session by the request that asks for it.
    pub fn new(sid: SmolStr, mut terms: Terms, ticket: u64, reply: R, now: Instant) -> Self {
        let payload = std::mem::take(&mut terms.payload);
        Self {
            sid,
            next: terms.rid + 1,
            held: [Held { rid: terms.rid, key: None, reply: Some((ticket, reply)) }].into(),
            ahead: Vec::new(),
            answered: VecDeque::new(),
            key: terms.key,
            incoming: std::iter::once(terms.open.clone()).chain(payload).collect(),
            is_heard: true,
            out: Vec::new(),
            opened: None,
            is_created: false,
            idle_since: None,
            inactivity: terms.inactivity,
            last: Some((now, false)),
            had_payload: true,
            repeats: 0,
            report: None,
            is_terminating: false,
            end: None,
            terms,
        }
    }

    /// The terms of the session.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Notes that the connection of a request was lost.
    pub fn lost(&mut self, ticket: u64, now: Instant) {
        let was_waiting = self.is_waiting();
        self.ahead.retain(|ahead| ahead.ticket != ticket);
        for held in &mut self.held {
            held.reply.take_if(|reply| reply.0 == ticket);
        }
        if was_waiting {
            self.note_idle(now);
        }
    }

    /// Ends the session if the client has been away for too long (§10). Only requests that wait for an earlier one, which
    /// has never come, are answered.
    pub fn expire(&mut self, now: Instant) -> Answers<R> {
        if self.end.is_some() || self.idle_until().is_none_or(|until| until > now) {
            return Answers::new();
        }
        self.end = Some(End { last_words: None });
        let gone = Condition::ItemNotFound.answer(self.terms.ver.is_none());
        self.ahead.drain(..).map(|ahead| (ahead.reply, gone.clone())).collect()
    }

    /// Until when the client must send the next request. `None` as long as one waits that is next in order.
    pub fn idle_until(&self) -> Option<Instant> {
        self.idle_since.map(|since| since + self.inactivity)
    }

    /// What the stream reads next; `None` if there is nothing now. Nothing waits longer than until the earlier requests were
    /// taken: see [`Engine::taken`].
    pub fn next_incoming(&mut self) -> Option<Bytes> {
        self.incoming.pop_front()
    }

    /// Whether the stream has not read everything.
    pub fn has_news(&self) -> bool {
        self.is_heard || !self.incoming.is_empty()
    }

    /// Whether a request has come since this was asked: a sign of life.
    pub fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.is_heard)
    }

    /// Whether the session has ended, and the stream has read everything.
    pub fn is_over(&self) -> bool {
        self.end.is_some() && self.incoming.is_empty()
    }

    /// Whether the stream can say something: what it said before was put into an answer, or goes into the last one.
    pub fn is_said(&self) -> bool {
        self.out.is_empty() || self.is_terminating
    }

    /// The session is over.
    pub fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Whether the client must still be told that the session has ended.
    pub fn has_last_words(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.last_words.is_some())
    }

    /// How many requests wait whose connections are open.
    fn live(&self) -> usize {
        self.held.iter().filter(|held| held.reply.is_some()).count()
    }

    /// Whether a request waits that is next in order: for its answer, or until the stream takes what it brings. One that
    /// waits for an earlier request does not count: that one may never come.
    fn is_waiting(&self) -> bool {
        self.live() > 0 || self.ahead.iter().any(|ahead| ahead.request.rid == self.next)
    }

    fn note_idle(&mut self, now: Instant) {
        if !self.is_waiting() {
            self.idle_since = Some(now);
        }
    }
}

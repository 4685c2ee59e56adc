//! Requests are answered (XEP-0124 §8, §9, §13, §17).

use bytes::Bytes;
use tokio::time::Instant;

use super::said::Said;
use super::{Answered, Answers, End, Engine, Held};
use crate::stream::bosh::answer::{Answer, Condition, Opened, Says};
use crate::xml::Frame;

impl<R> Engine<R> {
    /// Takes what the stream has said.
    pub fn say(&mut self, said: Said, now: Instant) -> Answers<R> {
        let mut answers = Answers::new();
        if self.end.is_some() {
            return answers;
        }
        if let Some(open) = said.open.filter(|_| self.opened.is_none()) {
            self.opened = opened(open);
        }
        self.out.extend(said.elements);
        if said.is_close {
            let condition = said.is_error.then_some(Condition::RemoteStreamError);
            self.finish(condition, now, &mut answers);
        } else {
            self.settle(now, &mut answers);
        }
        answers
    }

    /// Ends the session, because the stream has ended, perhaps without closing.
    pub fn close(&mut self, condition: Condition, now: Instant) -> Answers<R> {
        let mut answers = Answers::new();
        if self.end.is_none() {
            self.finish(Some(condition), now, &mut answers);
        }
        answers
    }

    /// Answers a request that was held for long enough, and those before it, too.
    pub fn elapsed(&mut self, ticket: u64, now: Instant) -> Answers<R> {
        let mut answers = Answers::new();
        let is_it = |held: &Held<R>| held.reply.as_ref().is_some_and(|reply| reply.0 == ticket);
        if let Some(at) = self.held.iter().position(is_it) {
            for _ in 0..=at {
                self.answer(true, now, &mut answers);
            }
        }
        answers
    }

    /// Answers what is due.
    pub(super) fn settle(&mut self, now: Instant, answers: &mut Answers<R>) {
        while self.end.is_none() && self.is_due() {
            self.answer(true, now, answers);
        }
    }

    fn is_due(&self) -> bool {
        if self.held.is_empty() || !self.is_created && self.opened.is_none() {
            return false;
        }
        let has_something = !self.out.is_empty() || !self.is_created || self.report.is_some();
        // The oldest of them gets the answer to the end of the session (§13), with what the stream says until then.
        let most = if self.terms.polls() { 0 } else { self.terms.hold };
        !self.is_terminating && (has_something && self.live() > 0 || self.held.len() > most)
    }

    /// Answers the oldest request. What the stream has said goes to the first one whose connection is open.
    pub(super) fn answer(&mut self, may_say: bool, now: Instant, answers: &mut Answers<R>) {
        let Some(Held { rid, key, reply }) = self.held.pop_front() else { return };
        let may_say = may_say && reply.is_some();
        let payload = if may_say { std::mem::take(&mut self.out) } else { Vec::new() };
        let report = self.report.take_if(|_| may_say).and_then(|rid| {
            let kept = self.answered.iter().find(|kept| kept.rid == rid)?;
            Some((rid, now.duration_since(kept.at).as_millis()))
        });
        let is_first = rid == self.terms.rid;
        let highest = self.next - 1;
        let says = Says {
            created: is_first.then_some((&self.sid, &self.terms, self.opened.as_ref())),
            ack: (is_first || highest != rid).then_some(highest),
            report,
            payload: &payload,
            ..Says::default()
        };
        self.is_created |= is_first;
        self.had_payload = !payload.is_empty();
        let body = says.bytes();
        self.answered.push_back(Answered { rid, key, body: body.clone(), at: now });
        // §14.3.
        let most = if self.terms.acknowledges { KEPT } else { self.terms.requests() };
        if self.answered.len() > most {
            self.answered.pop_front();
        }
        if let Some((_, reply)) = reply {
            answers.push((reply, Answer::Body(body)));
            self.note_idle(now);
        }
    }

    /// §13, §17.2: after the end of the stream, tells the oldest request; the others get nothing.
    fn finish(&mut self, condition: Option<Condition>, now: Instant, answers: &mut Answers<R>) {
        let payload = std::mem::take(&mut self.out);
        let created =
            (!self.is_created).then_some((self.sid.as_str(), &self.terms, self.opened.as_ref()));
        let says =
            Says { created, terminates: true, condition, payload: &payload, ..Says::default() };
        let mut last_words = Some(says.bytes());
        let held = self.held.drain(..).filter_map(|held| held.reply.map(|(_, reply)| reply));
        for reply in held.chain(self.ahead.drain(..).map(|ahead| ahead.reply)) {
            let body = last_words.take().unwrap_or_else(|| Says::default().bytes());
            answers.push((reply, Answer::Body(body)));
        }
        self.idle_since = Some(now);
        self.end = Some(End { last_words });
    }

    /// Ends the session with a fault of the client.
    pub(super) fn fail(
        &mut self,
        condition: Condition,
        reply: Option<R>,
        answers: &mut Answers<R>,
    ) {
        let is_legacy = self.terms.ver.is_none();
        let ahead = self.ahead.drain(..).map(|ahead| ahead.reply);
        let held = self.held.drain(..).filter_map(|held| held.reply.map(|(_, reply)| reply));
        let mut others: Vec<R> = held.chain(ahead).collect();
        // The latest request is the one at fault.
        if let Some(at_fault) = reply.or_else(|| others.pop()) {
            answers.push((at_fault, condition.answer(is_legacy)));
        }
        for other in others {
            answers.push((other, Condition::OtherRequest.answer(is_legacy)));
        }
        self.incoming.clear();
        self.end = Some(End { last_words: None });
    }
}

/// Our header, as it is told to the client.
fn opened(open: Bytes) -> Option<Opened> {
    let frame = Frame::from_bytes(open).ok()?;
    let attribute = |name| frame.root().attr(name).map(std::borrow::Cow::into_owned);
    Some(Opened { id: attribute("id")?, from: attribute("from")? })
}

/// Answers that are kept for a client that says which ones it has got.
const KEPT: usize = 8;

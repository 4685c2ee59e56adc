//! Requests come in (XEP-0124 §9 to §15).

use bytes::Bytes;
use tokio::time::Instant;

use super::{Ahead, Answers, Engine, Held};
use crate::ns;
use crate::stream::bosh::answer::{Answer, Condition, recoverable};
use crate::stream::bosh::request::{Key, MAX_RID, POLLING, Request};
use crate::xml::element;

impl<R> Engine<R> {
    /// Takes a request. `ticket` tells it from every other one, also from those with the same `rid`.
    pub fn request(&mut self, request: Request, ticket: u64, reply: R, now: Instant) -> Answers<R> {
        let mut answers = Answers::new();
        if self.end.is_some() {
            answers.push((reply, self.after_the_end(&request)));
            return answers;
        }
        self.is_heard = true;
        let most = self.terms.requests() + usize::from(request.may_be_one_more());
        if request.rid < self.next {
            self.repeat(&request, ticket, reply, now, &mut answers);
            return answers;
        }
        // §14.2.
        if request.rid > MAX_RID || request.rid >= self.next + most as u64 {
            self.fail(Condition::ItemNotFound, Some(reply), &mut answers);
            return answers;
        }
        if let Some(at) = self.ahead.iter().position(|ahead| ahead.request.rid == request.rid) {
            answers.push((self.ahead.swap_remove(at).reply, recoverable()));
        }
        self.ahead.push(Ahead { request, ticket, reply });
        if self.live() + self.ahead.len() > most {
            self.fail(Condition::PolicyViolation, None, &mut answers);
            return answers;
        }
        self.advance(now, &mut answers);
        if self.is_waiting() {
            self.idle_since = None;
        }
        answers
    }

    /// Handles requests that had to wait, because the stream has taken everything.
    pub fn taken(&mut self, now: Instant) -> Answers<R> {
        let mut answers = Answers::new();
        if !self.ahead.is_empty() {
            self.advance(now, &mut answers);
        }
        answers
    }

    /// Ends the session for this reason, because one of its requests cannot be read.
    pub fn unreadable(&mut self, condition: Condition, reply: R) -> Answers<R> {
        let mut answers = Answers::new();
        if self.end.is_some() {
            answers.push((reply, Condition::ItemNotFound.answer(self.terms.ver.is_none())));
        } else {
            self.fail(condition, Some(reply), &mut answers);
        }
        answers
    }

    /// Handles the requests whose turn it is, as long as the stream takes what they bring.
    fn advance(&mut self, now: Instant, answers: &mut Answers<R>) {
        while self.end.is_none() && self.has_room() {
            let turn = self.ahead.iter().position(|ahead| ahead.request.rid == self.next);
            let Some(at) = turn else { break };
            let Ahead { request, ticket, reply } = self.ahead.swap_remove(at);
            self.handle(request, ticket, reply, now, answers);
        }
        self.settle(now, answers);
    }

    fn has_room(&self) -> bool {
        self.incoming.iter().map(Bytes::len).sum::<usize>() < ROOM
    }

    /// Handles a request whose turn it is.
    fn handle(
        &mut self,
        request: Request,
        ticket: u64,
        reply: R,
        now: Instant,
        answers: &mut Answers<R>,
    ) {
        if !self.take_key(&request) {
            return self.fail(Condition::ItemNotFound, Some(reply), answers);
        }
        let is_empty = request.is_empty();
        let is_too_soon = self.is_too_soon(is_empty, now);
        self.last = Some((now, is_empty));
        self.repeats = 0;
        self.inactivity = self.terms.inactivity;
        self.next += 1;
        self.held.push_back(Held {
            rid: request.rid,
            key: request.key,
            reply: Some((ticket, reply)),
        });
        self.idle_since = None;
        if is_too_soon {
            return self.fail(Condition::PolicyViolation, None, answers);
        }
        self.acknowledge(request.ack, request.rid, now);
        self.incoming.extend(request.restart);
        self.incoming.extend(request.payload);
        if request.terminates {
            self.is_terminating = true;
            self.incoming.push_back(element("close").ns(ns::FRAMING).to_bytes().into());
        } else if let Some(pause) = request.pause {
            // §10: the answers say nothing.
            while !self.held.is_empty() {
                self.answer(false, now, answers);
            }
            self.inactivity = pause.clamp(SHORTEST, self.terms.pause.max(SHORTEST));
        }
    }

    /// §15.4. The next request must have the next key.
    fn take_key(&mut self, request: &Request) -> bool {
        let Some(expected) = self.key else {
            self.key = request.newkey;
            return true;
        };
        let Some(key) = request.key.as_deref().filter(|key| expected.is_hash_of(key)) else {
            return false;
        };
        self.key = request.newkey.or_else(|| Key::from_hex(key));
        self.key.is_some()
    }

    /// §11, §12: an empty request comes too soon after the one before. `self.held` are those before.
    fn is_too_soon(&self, is_empty: bool, now: Instant) -> bool {
        let Some((last, was_empty)) = self.last.filter(|_| is_empty) else { return false };
        let is_soon = now < last + POLLING;
        if self.terms.polls() {
            return is_soon && was_empty && !self.had_payload;
        }
        is_soon && self.is_created && self.live() + 1 >= self.terms.requests()
    }

    /// §9.2. What the client has got is not kept any longer.
    fn acknowledge(&mut self, ack: Option<u64>, rid: u64, now: Instant) {
        if !self.terms.acknowledges {
            return;
        }
        let got = ack.unwrap_or(rid - 1);
        while self.answered.front().is_some_and(|answered| answered.rid <= got) {
            self.answered.pop_front();
        }
        // An answer may still be on its way.
        let missing = self.answered.front().filter(|answered| now >= answered.at + ON_ITS_WAY);
        self.report = missing.map(|answered| answered.rid);
    }

    /// §14.3: a request comes again.
    fn repeat(
        &mut self,
        request: &Request,
        ticket: u64,
        reply: R,
        now: Instant,
        answers: &mut Answers<R>,
    ) {
        self.repeats += 1;
        if self.repeats > REPEATS {
            return self.fail(Condition::PolicyViolation, Some(reply), answers);
        }
        if let Some(held) = self.held.iter_mut().find(|held| held.rid == request.rid)
            && held.key == request.key
        {
            if let Some((_, before)) = held.reply.replace((ticket, reply)) {
                answers.push((before, recoverable()));
            }
            self.idle_since = None;
            return self.settle(now, answers);
        }
        let kept = self.answered.iter().find(|kept| kept.rid == request.rid);
        match kept.filter(|kept| kept.key == request.key) {
            Some(kept) => {
                answers.push((reply, Answer::Body(kept.body.clone())));
                self.note_idle(now);
            }
            None => self.fail(Condition::ItemNotFound, Some(reply), answers),
        }
    }

    /// Tells a client that had no request waiting when the stream ended.
    fn after_the_end(&mut self, request: &Request) -> Answer {
        let is_next = request.rid >= self.next && request.rid < self.next + LAST;
        let is_owner = self.key.is_none_or(|expected| {
            request.key.as_ref().is_some_and(|key| expected.is_hash_of(key))
        });
        let last_words = self.end.as_mut().filter(|_| is_next && is_owner);
        match last_words.and_then(|end| end.last_words.take()) {
            Some(body) => Answer::Body(body),
            None => Condition::ItemNotFound.answer(self.terms.ver.is_none()),
        }
    }
}

/// How many bytes of what clients send wait for the stream at most.
const ROOM: usize = 64 * 1024;
/// How often a client on a bad network may send requests again until a new one gets through.
const REPEATS: u32 = 20;
/// No answer takes longer to arrive, as a rule.
const ON_ITS_WAY: std::time::Duration = std::time::Duration::from_secs(2);
/// A pause is not shorter.
const SHORTEST: std::time::Duration = std::time::Duration::from_secs(1);
/// Beyond the last request that was handled.
const LAST: u64 = 4;

//! How we prove our domain on a stream that we have opened, and what else is proven there: by a certificate (SASL
//! EXTERNAL, XEP-0178 §3), by dialback (XEP-0220), in which we are the initiating server; and what may come back on it
//! (XEP-0288).

use smallvec::smallvec;

use super::action::{Action, Actions, Purpose, Seen};
use super::features::in_words;
use super::machine::{Outgoing, State};
use crate::auth;
use crate::jid::Jid;
use crate::ns;
use crate::s2s::dialback::{self, Verdict, pair_of};
use crate::s2s::failure::Failure;
use crate::stanza::{Condition, StreamCondition};
use crate::xml::{ElementRef, Frame, element};

impl Outgoing {
    /// Checks that the server is the right one, or that dialback is enough for its domain. Only then it is told who we are.
    pub(super) fn under_tls(&mut self, features: &ElementRef<'_>) -> Actions {
        self.has_dialback |= dialback::is_offered(features);
        self.has_management = features.has_child(ns::SM, "sm");
        let mechanisms = features.child(ns::SASL, "mechanisms");
        let has_external = mechanisms.is_some_and(|mechanisms| {
            mechanisms.children().any(|one| one.name() == "mechanism" && one.text() == "EXTERNAL")
        });
        if self.is_look() {
            self.state = State::Over;
            let (has_dialback, features) = (self.has_dialback, in_words(features));
            return smallvec![Action::Seen(Seen { has_external, has_dialback, features })];
        }
        let remote = &self.pair.remote;
        let certificate = self.certificate.as_ref();
        let checked = certificate.map_or(Ok(()), |certificate| certificate.check(remote));
        if let Err(fault) = checked.or_else(|fault| match self.rules.is_dialback_enough(remote) {
            true => Ok(()),
            false => Err(fault),
        }) {
            return self.fail(fault.into());
        }
        if let Some(certificate) = &mut self.certificate {
            certificate.forget_chain();
        }
        if let Purpose::Verify { stream, key } = &self.purpose {
            self.state = State::Verifying;
            return smallvec![Action::Send(dialback::verify(&self.pair, stream, key))];
        }
        let mut actions = Actions::new();
        if features.has_child(ns::BIDI_FEATURE, "bidi") {
            // Before authentication (XEP-0288 §2).
            self.is_bidi = true;
            let bidi = element("bidi").ns(ns::BIDI).child(self.our_limits.to_node());
            actions.push(Action::Send(bidi));
        }
        if !has_external {
            actions.extend(self.by_dialback());
            return actions;
        }
        self.state = State::LoggingIn;
        let auth = element("auth").ns(ns::SASL).attr("mechanism", "EXTERNAL");
        let identity = auth::encode(self.pair.local.as_bytes());
        actions.push(Action::Send(auth.text(&identity)));
        actions
    }

    /// Takes a stanza that comes the other way, if it belongs to the pair of this stream (XEP-0288 §2).
    pub(super) fn stanza(&mut self, frame: Frame) -> Actions {
        let root = frame.root();
        let address = |name| root.attr(name).and_then(|text| Jid::parse(&text).ok());
        let (Some(from), Some(to)) = (address("from"), address("to")) else {
            return self.close(StreamCondition::ImproperAddressing.into());
        };
        if from.domain() != self.pair.remote {
            return self.close(StreamCondition::InvalidFrom.into());
        }
        if to.domain() != self.pair.local {
            return self.close(StreamCondition::HostUnknown.into());
        }
        smallvec![Action::Stanza(frame)]
    }

    /// Keeps a stanza that comes while we wait for the answer about the previous stream.
    pub(super) fn keep(&mut self, frame: Frame) -> Actions {
        let bytes: usize = self.early.iter().map(|early| early.bytes().len()).sum();
        if self.early.len() >= MOST_EARLY || bytes >= MOST_EARLY_BYTES {
            return self.fail(Failure::protocol("the other server sends much before it answers"));
        }
        self.early.push(frame);
        Actions::new()
    }

    /// What is to be done about the stanzas that were kept, now that stanzas may be sent.
    pub(in crate::s2s) fn kept(&mut self) -> Vec<Actions> {
        std::mem::take(&mut self.early).into_iter().map(|frame| self.stanza(frame)).collect()
    }

    /// The other server asks whether we have made a key, on a stream of ours.
    pub(super) fn verify(&self, root: &ElementRef<'_>) -> Actions {
        let (Some(pair), Some(stream), None) = (pair_of(root), root.attr("id"), root.attr("type"))
        else {
            return Actions::new();
        };
        let verdict = match self.rules.is_ours(&pair.local) {
            false => Verdict::Error(Condition::ItemNotFound),
            true if self.key.is_ours(&pair, &stream, &root.text()) => Verdict::Valid,
            true => Verdict::Invalid,
        };
        smallvec![Action::Send(dialback::verified(&pair, &stream, verdict))]
    }

    /// Refuses a further pair that the other server wants to prove on a stream of ours. It may open one of its own.
    pub(super) fn no_more(&self, root: &ElementRef<'_>) -> Actions {
        match pair_of(root).filter(|_| root.attr("type").is_none()) {
            None => Actions::new(),
            Some(pair) => {
                let error = Verdict::Error(Condition::ResourceConstraint);
                smallvec![Action::Send(dialback::result(&pair, error))]
            }
        }
    }

    /// Tries a key, because the other server does not accept our certificate.
    pub(super) fn by_dialback(&mut self) -> Actions {
        if !self.has_dialback {
            let why = "the other server does not take the certificate of this one";
            return self.fail(Failure::of_pair(why));
        }
        if self.id.is_empty() {
            // RFC 6120 §4.7.3: a key is made for the id.
            return self.fail(Failure::protocol("the other server gives its stream no id"));
        }
        self.state = State::KeySent;
        let key = self.key.make(&self.pair, &self.id);
        smallvec![Action::Send(dialback::ask(&self.pair, &key))]
    }

    /// The answer to our key (XEP-0220 §2.1.1).
    pub(super) fn answer_to_key(&mut self, root: &ElementRef<'_>) -> Actions {
        if pair_of(root).as_ref() != Some(&self.pair) {
            return Actions::new();
        }
        match Verdict::of(root) {
            Some(Verdict::Valid) if self.has_management => self.begin_management(),
            Some(Verdict::Valid) => self.ready(),
            Some(Verdict::Invalid) => self.fail(Failure {
                condition: Condition::InternalServerError,
                ..Failure::of_pair("the other server takes our key for a wrong one")
            }),
            Some(Verdict::Error(_) | Verdict::Unreachable) => {
                let why = "the other server could not check who we are";
                self.fail(Failure { is_permanent: false, ..Failure::of_pair(why) })
            }
            None => Actions::new(),
        }
    }

    /// The answer to the key of somebody else (XEP-0220 §2.1.2).
    pub(super) fn answer(&mut self, root: &ElementRef<'_>) -> Actions {
        let Purpose::Verify { stream, .. } = &self.purpose else { return Actions::new() };
        let is_it = pair_of(root).as_ref() == Some(&self.pair)
            && root.attr("id").as_deref() == Some(stream);
        match Verdict::of(root).filter(|_| is_it) {
            None => Actions::new(),
            Some(verdict) => {
                self.state = State::Over;
                smallvec![Action::Answered(verdict)]
            }
        }
    }
}

/// Stanzas that are kept, and the bytes after which no further one is.
const MOST_EARLY: usize = 256;
const MOST_EARLY_BYTES: usize = 4 << 20;

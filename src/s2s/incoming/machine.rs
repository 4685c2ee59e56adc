//! The negotiation of a stream that another server has opened, and what it may send on it: events in, actions out.
//!
//! RFC 6120 §4 to §6, §13.7; XEP-0178 §3; XEP-0220. The machine makes no I/O. What is easy to get wrong: a pair of
//! domains is proven for this direction alone, and nothing of a pair that is not proven is accepted.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};
use smol_str::SmolStr;

use super::action::{Action, Actions, Proof};
use super::features;
use crate::ns;
use crate::s2s::announced_limits::{OurLimits, PeerLimits};
use crate::s2s::dialback::Verdict;
use crate::s2s::key::DialbackKey;
use crate::s2s::pair::Pair;
use crate::s2s::rules::Rules;
use crate::stanza::{StreamCondition, StreamError};
use crate::stream::header::{self, StreamHeader};
use crate::tls::PeerCertificate;
use crate::xml::{Frame, Header};

/// A stream that another server has opened.
pub(super) struct Incoming {
    pub(super) rules: Rules,
    pub(super) key: DialbackKey,
    our_limits: OurLimits,
    pub(super) state: State,
    /// The id of our stream, by which keys are bound to it.
    pub(super) id: SmolStr,
    /// What the header says. It is a claim.
    pub(super) claimed: Option<Pair>,
    /// What the peer has shown in the handshake; `None` before it.
    pub(super) certificate: Option<Arc<PeerCertificate>>,
    /// The pairs that are proven.
    pub(super) proven: SmallVec<[Pair; 1]>,
    /// The pairs whose keys are being verified.
    pub(super) asked: SmallVec<[Pair; 1]>,
    /// What has come of keys while no stream was open: it is told on the next one.
    pub(super) late: SmallVec<[(Pair, Verdict); 1]>,
    /// Logins that have failed.
    pub(super) failed: u32,
    /// Keys that were not verified.
    pub(super) failed_keys: u32,
    /// What the peer has asked by dialback.
    pub(super) requests: u32,
    is_open: bool,
    /// The peer takes our stanzas on this stream, too (XEP-0288).
    is_bidi: bool,
    /// How large they may be (XEP-0478 §4).
    peer_limits: PeerLimits,
    /// What is sent is acknowledged (XEP-0198).
    pub(super) is_managed: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// A header is due.
    Header(Stage),
    /// Features have been sent.
    Open(Stage),
    /// `<proceed/>` has been sent; the driver is making the handshake.
    Securing,
    /// A challenge has been sent.
    Challenged,
    /// We have ended our stream, and hear what the peer says until it ends its own (RFC 6120 §4.4).
    Leaving,
    /// Over.
    Over,
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// Not encrypted.
    Plain,
    /// Encrypted.
    Secured,
    /// Encrypted, and the peer has logged in by its certificate.
    Authenticated,
}

impl Incoming {
    /// A stream in the clear; or under TLS already (XEP-0368), with this certificate.
    pub(super) fn new(
        rules: Rules,
        key: DialbackKey,
        our_limits: OurLimits,
        certificate: Option<PeerCertificate>,
    ) -> Self {
        let stage = if certificate.is_some() { Stage::Secured } else { Stage::Plain };
        Self {
            rules,
            key,
            our_limits,
            state: State::Header(stage),
            id: SmolStr::default(),
            claimed: None,
            certificate: certificate.map(Arc::new),
            proven: SmallVec::new(),
            asked: SmallVec::new(),
            late: SmallVec::new(),
            failed: 0,
            failed_keys: 0,
            requests: 0,
            is_open: false,
            is_bidi: false,
            peer_limits: PeerLimits::default(),
            is_managed: false,
        }
    }

    /// The pair that the header names. It is a claim.
    pub(super) fn claimed(&self) -> Option<&Pair> {
        self.claimed.as_ref()
    }

    /// The id of our stream.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether the peer takes our stanzas on this stream, too (XEP-0288).
    pub(super) fn is_bidirectional(&self) -> bool {
        self.is_bidi
    }

    /// Whether what is sent is acknowledged.
    pub(super) fn is_managed(&self) -> bool {
        self.is_managed
    }

    /// How large our stanzas may be.
    pub(super) fn peer_limits(&self) -> PeerLimits {
        self.peer_limits
    }

    /// Stanzas may be written: our header is, and nothing but stanzas is due (RFC 6120 §4.3.3).
    pub(super) fn is_ready(&self) -> bool {
        self.is_proven() && matches!(self.state, State::Open(_))
    }

    /// Something is proven, and no header is due.
    pub(super) fn is_settled(&self) -> bool {
        self.is_proven() && !matches!(self.state, State::Header(_))
    }

    /// The pairs that are proven.
    pub(super) fn pairs(&self) -> &[Pair] {
        &self.proven
    }

    /// Whether anything is proven.
    pub(super) fn is_proven(&self) -> bool {
        !self.proven.is_empty()
    }

    /// A stream header came.
    pub(super) fn header(&mut self, header: &Header) -> Actions {
        let State::Header(stage) = self.state else {
            return self.fail(StreamCondition::BadFormat.into());
        };
        let taken = header::check_server(header).and_then(|()| self.take_addresses(header, stage));
        if let Err(error) = taken {
            return self.fail(error);
        }
        let features = match stage {
            Stage::Plain => features::plain(),
            Stage::Secured => features::secured(self.is_external_offered(), self.our_limits),
            Stage::Authenticated => features::authenticated(self.our_limits),
        };
        self.state = State::Open(stage);
        let mut actions: Actions = smallvec![Action::Open(self.response()), Action::Send(features)];
        for (pair, verdict) in std::mem::take(&mut self.late) {
            actions.extend(self.checked(pair, verdict));
        }
        actions
    }

    /// A whole element came.
    pub(super) fn element(&mut self, frame: Frame) -> Actions {
        let root = frame.root();
        match self.state {
            State::Over => Actions::new(),
            // The peer ends its stream with an error. No error answers an error.
            _ if root.is(ns::STREAM, "error") => self.ended(),
            State::Open(Stage::Plain) if root.is(ns::TLS, "starttls") => {
                self.state = State::Securing;
                let proceed = crate::xml::element("proceed").ns(ns::TLS);
                smallvec![Action::Send(proceed), Action::Secure]
            }
            State::Open(Stage::Plain) if root.ns() == ns::SASL => self.encryption_required(),
            State::Open(Stage::Plain) if root.ns() == ns::DIALBACK => self.dialback(&root),
            State::Open(Stage::Plain) => {
                self.fail(StreamCondition::PolicyViolation.text("start TLS first"))
            }
            State::Open(Stage::Secured) if root.is(ns::SASL, "auth") => self.auth(&root),
            State::Challenged if root.is(ns::SASL, "response") => self.response_of_peer(&root),
            State::Challenged if root.is(ns::SASL, "abort") => self.aborted(),
            // XEP-0288 §2: before the login or the key.
            State::Open(Stage::Secured) if root.is(ns::BIDI, "bidi") && self.proven.is_empty() => {
                self.is_bidi = true;
                self.peer_limits = PeerLimits::of(&root);
                Actions::new()
            }
            State::Open(Stage::Authenticated) | State::Leaving if root.ns() == ns::SM => {
                self.manage(&root)
            }
            State::Open(Stage::Secured) if root.ns() == ns::SM => match self.is_proven() {
                true => self.manage(&root),
                false => self.manage_too_early(),
            },
            State::Open(_) if root.ns() == ns::DIALBACK => self.dialback(&root),
            State::Open(_) if root.ns() == ns::CLIENT => self.stanza(frame),
            State::Leaving if root.ns() == ns::CLIENT => self.stanza(frame),
            State::Leaving => Actions::new(),
            State::Header(_) | State::Securing => self.fail(StreamCondition::BadFormat.into()),
            State::Open(_) | State::Challenged => {
                self.fail(StreamCondition::UnsupportedStanzaType.into())
            }
        }
    }

    /// The peer has closed its stream.
    pub(super) fn ended(&mut self) -> Actions {
        self.state = State::Over;
        smallvec![Action::Close(None)]
    }

    /// We end the stream. Stanzas are carried until the peer ends its own.
    pub(super) fn leave(&mut self) -> Actions {
        self.state = if self.is_ready() { State::Leaving } else { State::Over };
        smallvec![Action::Close(None)]
    }

    /// Whether there may be more to hear, although we have ended our stream.
    pub(super) fn is_leaving(&self) -> bool {
        self.state == State::Leaving
    }

    /// The driver has made the TLS handshake.
    pub(super) fn secured(&mut self, certificate: PeerCertificate) -> Actions {
        if self.state != State::Securing {
            return self.fail(StreamCondition::InternalServerError.into());
        }
        self.certificate = Some(Arc::new(certificate));
        self.restart(Stage::Secured);
        smallvec![Action::Restart]
    }

    /// The stream is to end with this error. It is told on an open stream (RFC 6120 §4.9.1.1).
    pub(super) fn fail(&mut self, error: StreamError) -> Actions {
        let mut actions = Actions::new();
        if !self.is_open && self.state != State::Over {
            actions.push(Action::Open(self.response()));
        }
        self.state = State::Over;
        actions.push(Action::Close(Some(error)));
        actions
    }

    pub(super) fn restart(&mut self, stage: Stage) {
        self.is_open = false;
        self.state = State::Header(stage);
    }

    pub(super) fn prove(&mut self, pair: Pair, proof: Proof) -> Action {
        // The DNS may be asked about it for further domains, but hardly about its authorities if they are trusted.
        if let Some(certificate) = self.certificate.as_mut().and_then(Arc::get_mut)
            && certificate.own_fault(&pair.remote).is_none()
        {
            certificate.forget_authorities();
        }
        if !self.proven.contains(&pair) {
            self.proven.push(pair.clone());
        }
        Action::Proven(pair, proof)
    }

    /// Our header.
    fn response(&mut self) -> StreamHeader {
        self.is_open = true;
        let (from, to) = match &self.claimed {
            Some(pair) => (pair.local.as_str(), pair.remote_jid()),
            None => (self.rules.default_domain(), None),
        };
        let header = StreamHeader::to_server(from, to);
        self.id.clone_from(&header.id);
        header
    }
}

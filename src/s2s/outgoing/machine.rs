//! The negotiation of a stream that we open to another server: events in, actions out.
//!
//! RFC 6120 §4 to §6, RFC 7590, XEP-0178 §3, XEP-0220. The machine does no I/O. What is easy to get wrong: nothing that is
//! meant for the other server may be sent before it has proven that it is the right one.

use smallvec::smallvec;
use smol_str::SmolStr;

use super::action::{Action, Actions, Management, Purpose, Resumption};
use crate::ns;
use crate::s2s::announced_limits::{OurLimits, PeerLimits};
use crate::s2s::dialback;
use crate::s2s::failure::Failure;
use crate::s2s::key::DialbackKey;
use crate::s2s::pair::Pair;
use crate::s2s::rules::Rules;
use crate::stanza::{StreamCondition, StreamError};
use crate::stream::header::{self, StreamHeader};
use crate::tls::PeerCertificate;
use crate::xml::{ElementRef, Frame, Header, element};

/// A stream to another server.
pub(in crate::s2s) struct Outgoing {
    pub(super) pair: Pair,
    pub(super) purpose: Purpose,
    pub(super) rules: Rules,
    pub(super) key: DialbackKey,
    pub(super) state: State,
    /// The id that the other server has given to the stream.
    pub(super) id: SmolStr,
    /// What the other server has shown in the handshake; `None` before it.
    pub(super) certificate: Option<PeerCertificate>,
    /// The header or the features had dialback.
    pub(super) has_dialback: bool,
    /// They had stream management, for after dialback.
    pub(super) has_management: bool,
    /// The other server sends its stanzas on this stream, too (XEP-0288).
    pub(super) is_bidi: bool,
    /// Our limits, which it is told then.
    pub(super) our_limits: OurLimits,
    /// The limits that the other server has announced.
    pub(super) peer_limits: PeerLimits,
    /// Stream management (XEP-0198).
    pub(super) management: Management,
    /// What is known of the previous stream.
    pub(super) resumption: Resumption,
    /// Stanzas of the other server that have come before stanzas may be sent.
    pub(super) early: Vec<Frame>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// A header is due.
    Header(Stage),
    /// Features are due.
    Features(Stage),
    /// `<starttls/>` was sent.
    Asked,
    /// The driver is making the handshake.
    Securing,
    /// `<auth/>` was sent.
    LoggingIn,
    /// It was asked how much was handled on the previous stream.
    Resuming,
    /// A key was sent.
    KeySent,
    /// The key of somebody else was sent.
    Verifying,
    /// Stanzas may be sent.
    Ready,
    /// We have ended our stream, and read what the other server says until it ends its own (RFC 6120 §4.4).
    Leaving,
    /// Over.
    Over,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    Plain,
    Secured,
    Authenticated,
}

impl Outgoing {
    /// A stream in the clear; or under TLS already (XEP-0368), with this certificate.
    pub(in crate::s2s) fn new(
        pair: Pair,
        purpose: Purpose,
        rules: Rules,
        key: DialbackKey,
        our_limits: OurLimits,
        certificate: Option<PeerCertificate>,
    ) -> Self {
        let stage = if certificate.is_some() { Stage::Secured } else { Stage::Plain };
        Self {
            pair,
            purpose,
            rules,
            key,
            state: State::Header(stage),
            id: SmolStr::default(),
            certificate,
            has_dialback: false,
            has_management: false,
            is_bidi: false,
            our_limits,
            peer_limits: PeerLimits::default(),
            management: Management::Off,
            resumption: Resumption::default(),
            early: Vec::new(),
        }
    }

    /// Whether it is opened only to look what the other server offers.
    pub(super) fn is_look(&self) -> bool {
        matches!(self.purpose, Purpose::Look)
    }

    /// The limits that the other server has announced.
    pub(in crate::s2s) fn peer_limits(&self) -> PeerLimits {
        self.peer_limits
    }

    /// Whether the other server sends its stanzas on this stream, too (XEP-0288).
    pub(in crate::s2s) fn is_bidirectional(&self) -> bool {
        self.is_bidi
    }

    /// The certificate of the other server.
    pub(in crate::s2s) fn certificate(&self) -> Option<&PeerCertificate> {
        self.certificate.as_ref()
    }

    /// Whether we wait for a verdict: the other server asks a third one, and may take its time.
    pub(in crate::s2s) fn awaits_verdict(&self) -> bool {
        matches!(self.state, State::KeySent | State::Verifying)
    }

    /// Opens the stream.
    pub(in crate::s2s) fn begin(&self) -> Actions {
        match self.pair.remote_jid() {
            Some(to) => smallvec![Action::Open(StreamHeader::initial(&self.pair.local, to))],
            None => smallvec![Action::Fail(Failure::not_found("this is no domain"))],
        }
    }

    /// A stream header came.
    pub(in crate::s2s) fn header(&mut self, header: &Header) -> Actions {
        let State::Header(stage) = self.state else { return self.bad_format() };
        if header::check_server(header).is_err() {
            return self.fail(Failure::protocol("the other server speaks another protocol"));
        }
        self.id = header.id.as_deref().unwrap_or_default().into();
        self.has_dialback = dialback::is_declared(header);
        self.state = State::Features(stage);
        Actions::new()
    }

    /// A whole element came.
    pub(in crate::s2s) fn element(&mut self, frame: Frame) -> Actions {
        let root = frame.root();
        if root.is(ns::STREAM, "error") {
            return self.refused(&root);
        }
        match self.state {
            State::Features(stage) if root.is(ns::STREAM, "features") => {
                self.features(stage, &root)
            }
            State::Asked if root.is(ns::TLS, "proceed") => {
                self.state = State::Securing;
                smallvec![Action::Secure]
            }
            State::Asked if root.is(ns::TLS, "failure") => {
                self.fail(Failure::protocol("the other server cannot make TLS"))
            }
            State::LoggingIn if root.is(ns::SASL, "success") => {
                self.state = State::Header(Stage::Authenticated);
                let mut actions: Actions = smallvec![Action::Restart];
                actions.extend(self.begin());
                actions
            }
            State::LoggingIn if root.is(ns::SASL, "challenge") => {
                smallvec![Action::Send(element("response").ns(ns::SASL).text("="))]
            }
            State::LoggingIn if root.is(ns::SASL, "failure") => self.by_dialback(),
            State::KeySent if root.is(ns::DIALBACK, "result") => self.answer_to_key(&root),
            State::Verifying if root.is(ns::DIALBACK, "verify") => self.answer(&root),
            State::Over => Actions::new(),
            State::Ready | State::Leaving if root.ns() == ns::SM => self.manage(&root),
            State::Resuming if root.is(ns::SM, "failed") => self.not_resumed(&root),
            State::Resuming if root.is(ns::SM, "resumed") => self.went_on(&root),
            State::Resuming if self.is_bidi && root.ns() == ns::CLIENT => self.keep(frame),
            State::Leaving if self.is_bidi && root.ns() == ns::CLIENT => self.stanza(frame),
            State::Leaving => Actions::new(),
            State::Ready if self.is_bidi && root.is(ns::DIALBACK, "verify") => self.verify(&root),
            State::Ready if self.is_bidi && root.is(ns::DIALBACK, "result") => self.no_more(&root),
            // Answers that come twice, or without a question.
            _ if root.ns() == ns::DIALBACK => Actions::new(),
            State::Ready if self.is_bidi && root.ns() == ns::CLIENT => self.stanza(frame),
            State::Ready if root.ns() == ns::CLIENT => {
                let text = "stanzas go this way on a stream of yours";
                self.close(StreamCondition::NotAuthorized.text(text))
            }
            State::Ready => self.close(StreamCondition::UnsupportedStanzaType.into()),
            _ => self.fail(Failure::protocol("the other server does not follow the protocol")),
        }
    }

    /// The other server has closed its stream.
    pub(in crate::s2s) fn ended(&mut self) -> Actions {
        let was_ready = self.state == State::Ready;
        self.state = State::Over;
        match was_ready {
            true => smallvec![Action::Close(None)],
            false => smallvec![Action::Fail(Failure::protocol("the other server has hung up"))],
        }
    }

    /// We end the stream. Stanzas are carried until the other server ends its own.
    pub(in crate::s2s) fn leave(&mut self) {
        self.state = State::Leaving;
    }

    /// Ends the stream, because its XML is invalid.
    pub(in crate::s2s) fn broken(&mut self, error: StreamError) -> Actions {
        match self.state {
            State::Ready => self.close(error),
            _ => self.fail(Failure::protocol("the other server sends what is no stream")),
        }
    }

    /// The driver has made the TLS handshake.
    pub(in crate::s2s) fn secured(&mut self, certificate: PeerCertificate) -> Actions {
        self.certificate = Some(certificate);
        self.state = State::Header(Stage::Secured);
        let mut actions: Actions = smallvec![Action::Restart];
        actions.extend(self.begin());
        actions
    }

    fn features(&mut self, stage: Stage, features: &ElementRef<'_>) -> Actions {
        // The limits in the last features are valid (XEP-0478 §5). Those after the login may have none.
        if stage != Stage::Plain && features.has_child(ns::STREAM_LIMITS, "limits") {
            self.peer_limits = PeerLimits::of(features);
        }
        match stage {
            Stage::Plain if features.has_child(ns::TLS, "starttls") => {
                self.state = State::Asked;
                smallvec![Action::Send(element("starttls").ns(ns::TLS))]
            }
            Stage::Plain => self.fail(Failure::protocol("the other server has no TLS")),
            Stage::Authenticated => {
                let is_offered = features.has_child(ns::SM, "sm");
                if is_offered { self.begin_management() } else { self.ready() }
            }
            Stage::Secured => self.under_tls(features),
        }
    }

    pub(super) fn ready(&mut self) -> Actions {
        self.state = State::Ready;
        smallvec![Action::Ready]
    }

    fn refused(&mut self, root: &ElementRef<'_>) -> Actions {
        let was_ready = self.state == State::Ready;
        self.state = State::Over;
        if was_ready {
            return smallvec![Action::Close(None)];
        }
        let mut conditions = root.children().filter(|child| child.ns() == ns::STREAM_ERRORS);
        let condition = conditions.find_map(|child| StreamCondition::named(child.name()));
        smallvec![Action::Fail(Failure::refused(condition))]
    }

    fn bad_format(&mut self) -> Actions {
        self.broken(StreamCondition::BadFormat.into())
    }

    pub(super) fn close(&mut self, error: StreamError) -> Actions {
        self.state = State::Over;
        smallvec![Action::Close(Some(error))]
    }

    pub(super) fn fail(&mut self, failure: Failure) -> Actions {
        self.state = State::Over;
        smallvec![Action::Fail(failure)]
    }
}

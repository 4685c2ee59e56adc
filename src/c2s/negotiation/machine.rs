//! The states of a negotiation, and what an event leads to. See the module.

use std::sync::Arc;

use smallvec::smallvec;
use smol_str::SmolStr;

use super::action::{Action, Actions, Stage};
use super::feature_cache::SessionState;
use super::features;
use super::profile::Profile;
use super::settings::Settings;
use crate::auth::{Offer, SaslError, Upgrade, UserAgent};
use crate::jid::BareJid;
use crate::ns;
use crate::stanza::{StreamCondition, StreamError};
use crate::xml::{ElementRef, Frame, Node, element};

/// A negotiation. See the module.
#[derive(Debug)]
pub(crate) struct Negotiation {
    pub(super) settings: Arc<Settings>,
    pub(super) state: State,
    /// The domain of the stream; empty until a header has named one.
    pub(super) domain: String,
    /// Our header has been sent on this stream.
    pub(super) open: bool,
    pub(super) offer: Option<Offer>,
    /// The version of the features before the login (XEP-0509).
    pub(super) version: SmolStr,
    pub(super) user: Option<BareJid>,
    /// The address in the client's header under TLS. Until the login it is a claim.
    pub(super) from: Option<BareJid>,
    /// The profile of the login.
    pub(super) profile: Profile,
    /// The upgrades that are still to be done, the next one last (XEP-0480).
    pub(super) tasks: Vec<Upgrade>,
    /// `<continue/>` has been sent. No other login may begin on this stream (XEP-0388 §4).
    pub(super) has_continued: bool,
    pub(super) failed: u32,
    /// How many requests to bind or to resume were refused.
    refused: u32,
    pub(super) bind_id: Option<SmolStr>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// A header is due.
    Header(Stage),
    /// The driver is looking for the mechanisms that can be used for the account in the client's header.
    FindingMechanisms,
    /// Features have been sent.
    Features(Stage),
    /// `<proceed/>` has been sent; the driver is making the handshake.
    Securing,
    /// The driver is working on a message of the SASL exchange.
    Verifying,
    /// A challenge has been sent.
    Challenged,
    /// The driver is looking for the upgrades that the account needs.
    FindingTasks,
    /// `<continue/>` has been sent.
    TaskOffered,
    /// The salt has been sent.
    TaskBegun,
    /// The driver is adding keys to the account.
    AddingKeys,
    /// The driver is making a token.
    Issuing,
    /// The driver is binding.
    Binding,
    /// Over.
    Over,
}

impl Negotiation {
    /// A negotiation in the clear; or under TLS already (XEP-0368), if there is something to offer there.
    pub(crate) fn new(settings: Arc<Settings>, offer: Option<Offer>) -> Self {
        let stage = if offer.is_some() { Stage::Secured } else { Stage::Plain };
        Self {
            settings,
            state: State::Header(stage),
            domain: String::new(),
            open: false,
            offer,
            version: SmolStr::default(),
            user: None,
            from: None,
            profile: Profile::Sasl,
            tasks: Vec::new(),
            has_continued: false,
            failed: 0,
            refused: 0,
            bind_id: None,
        }
    }

    /// What does not change.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The domain that the client has asked for; empty before its header.
    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// The features after the login.
    pub(super) fn features(&self, session: SessionState) -> Action {
        Action::Features(features::authenticated(&self.settings, &self.domain, session))
    }

    /// The user who has logged in.
    pub(crate) fn user(&self) -> Option<&BareJid> {
        self.user.as_ref()
    }

    /// What the client that logs in says of itself.
    pub(crate) fn user_agent(&self) -> UserAgent {
        match &self.profile {
            Profile::Sasl => UserAgent::default(),
            Profile::Sasl2(inline) => inline.user_agent(),
        }
    }

    /// The account to which a login by XEP-0388 must belong, if the client's header has named one (XEP-0388 §2.3).
    pub(crate) fn claimed(&self) -> Option<&BareJid> {
        self.from.as_ref().filter(|_| matches!(self.profile, Profile::Sasl2(_)))
    }

    /// What is offered under TLS.
    pub(crate) fn offer(&self) -> Option<&Offer> {
        self.offer.as_ref()
    }

    /// Whether a login by XEP-0388 waits for the client. Then white space ends the stream (XEP-0388 §2.4).
    ///
    /// DEPARTS: XEP-0388 §2.4 – line breaks, and white space that is read together with an element, do not end the
    /// stream. Clients write line breaks behind their elements.
    pub(crate) fn is_within_login(&self) -> bool {
        let waits = matches!(self.state, State::Challenged | State::TaskOffered | State::TaskBegun);
        waits && matches!(self.profile, Profile::Sasl2(_))
    }

    /// A whole element came.
    pub(crate) fn element(&mut self, frame: &Frame) -> Actions {
        let root = frame.root();
        match self.state {
            // The client ends its stream with an error. No error answers an error.
            _ if root.is(ns::STREAM, "error") => self.ended(),
            // RFC 7395 §3.4. Over TCP the framer checks this.
            State::Header(_) => self.fail(StreamCondition::BadFormat.text(FIRST)),
            State::Features(Stage::Plain) if root.is(ns::TLS, "starttls") => {
                self.state = State::Securing;
                let proceed = element("proceed").ns(ns::TLS);
                smallvec![Action::Send(proceed), Action::Secure]
            }
            // RFC 6120 §6.5.4: no login without TLS.
            State::Features(Stage::Plain) if root.is(ns::SASL, "auth") => {
                self.refuse(SaslError::EncryptionRequired)
            }
            State::Features(Stage::Secured) if self.has_continued && is_login(&root) => {
                self.second_login()
            }
            State::Features(Stage::Secured) if root.is(ns::SASL, "auth") => self.auth(&root),
            State::Features(Stage::Secured) if root.is(ns::SASL2, "authenticate") => {
                self.authenticate(frame)
            }
            State::Features(Stage::Secured)
                if self.settings.registration && root.is(ns::CLIENT, "iq") =>
            {
                self.register(frame)
            }
            State::Challenged if root.is(self.profile.ns(), "response") => {
                self.sasl_response(&root)
            }
            State::TaskOffered if root.is(ns::SASL2, "next") => self.begin_task(&root),
            State::TaskBegun if root.is(ns::SASL2, "task-data") => self.task_data(&root),
            State::Challenged | State::TaskOffered | State::TaskBegun
                if root.is(self.profile.ns(), "abort") =>
            {
                self.refuse(SaslError::Aborted)
            }
            State::Features(stage) if root.ns() == ns::SM => self.manage(stage, &root),
            // XEP-0198 §3: `<failed/>` for a wrong order. The SASL exchange goes on. XEP-0388 §2.4 does not allow that.
            State::Challenged if root.ns() == ns::SM && matches!(self.profile, Profile::Sasl) => {
                self.manage(Stage::Secured, &root)
            }
            State::Features(Stage::Authenticated) => self.bind(frame),
            // RFC 6120 §4.9.3.12: no stanza before authentication, no authentication before TLS.
            State::Features(Stage::Plain) if matches!(root.ns(), ns::SASL | ns::SASL2) => {
                self.fail(StreamCondition::NotAuthorized.text("start TLS before you log in"))
            }
            _ if root.ns() == ns::CLIENT => self.fail(StreamCondition::NotAuthorized.into()),
            _ => self.fail(StreamCondition::UnsupportedStanzaType.into()),
        }
    }

    /// The client has closed its stream.
    pub(crate) fn ended(&mut self) -> Actions {
        self.state = State::Over;
        smallvec![Action::Close(None)]
    }

    /// The driver has made the TLS handshake, and this is offered to log in with.
    pub(crate) fn secured(&mut self, offer: Offer) -> Actions {
        if self.state != State::Securing {
            return self.unasked();
        }
        self.offer = Some(offer);
        self.restart(Stage::Secured);
        smallvec![Action::Restart(Stage::Secured)]
    }

    /// The stream is to end with this error. It is told on an open stream (RFC 6120 §4.9.1.1).
    pub(crate) fn fail(&mut self, error: StreamError) -> Actions {
        let mut actions = Actions::new();
        if !self.open && self.state != State::Over {
            actions.push(Action::Open(self.response(None)));
        }
        self.state = State::Over;
        actions.push(Action::Close(Some(error)));
        actions
    }

    /// The driver has reported something that it was not asked for.
    pub(super) fn unasked(&mut self) -> Actions {
        self.fail(StreamCondition::InternalServerError.into())
    }

    pub(super) fn restart(&mut self, stage: Stage) {
        self.open = false;
        self.state = State::Header(stage);
    }

    /// Refuses a request to bind or to resume with this answer. The client may try again, ten times
    /// (RFC 6120 §7.7.3).
    pub(super) fn try_again(&mut self, answer: Node) -> Actions {
        self.refused += 1;
        let mut actions: Actions = smallvec![Action::Send(answer)];
        if self.refused > RETRIES {
            actions
                .extend(self.fail(StreamCondition::PolicyViolation.text("too many failed logins")));
        }
        actions
    }
}

fn is_login(root: &ElementRef<'_>) -> bool {
    root.is(ns::SASL, "auth") || root.is(ns::SASL2, "authenticate")
}

const FIRST: &str = "a stream begins with open";

/// Refused requests to bind or to resume (RFC 6120 §7.7.3: no fewer than five, no more than ten).
const RETRIES: u32 = 10;

//! The negotiation of a client's stream, from the first byte to the bound session, as a pure
//! state machine: events in, actions out (RFC 6120 §4.3, §5, §6, §7).
//!
//! It does no I/O and holds no clock, so every path through it can be tried in a table. Whoever
//! drives it carries out the actions in order. The one thing to get wrong: what arrives before
//! TLS or before authentication must not be taken for what arrives after.

use smallvec::{SmallVec, smallvec};

use super::features::{self, Limits};
use super::header;
use crate::auth::{self, Offer, SaslError, Step};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::random::random_id;
use crate::stanza::{Condition, Iq, IqKind, Refusal, Stanza, StreamCondition, StreamError};
use crate::xml::{ElementRef, Frame, Header, Node, element};

/// What the driver is to do, in order.
#[derive(Clone, Debug)]
pub enum Action {
    /// Write these bytes.
    Send(Vec<u8>),
    /// Make the TLS handshake. What was read before it is thrown away; then report
    /// [`Negotiation::secured`].
    Secure,
    /// Begin a SASL exchange with this mechanism and initial response; then report
    /// [`Negotiation::sasl`].
    Begin(String, Option<Vec<u8>>),
    /// Go on with the SASL exchange; then report [`Negotiation::sasl`].
    Continue(Vec<u8>),
    /// The exchange is over; forget it.
    Forget,
    /// Answer this request of a stranger about an account (XEP-0077). Nothing else changes.
    Register(Box<Iq>),
    /// A new stream begins: expect a header, and read stanzas of this size from now on.
    Restart(Stage),
    /// Bind a session with this resource, or one of the server's making; then report
    /// [`Negotiation::bound`].
    Bind(Option<String>),
    /// Resume the session with this id, of which the client has handled so many stanzas
    /// (XEP-0198 §5); then report [`Negotiation::resumed`].
    Resume(String, u32),
    /// There is a session and negotiation is over.
    Run,
    /// End the stream, with the error if there is one.
    Close(Option<StreamError>),
}

/// Actions in order.
pub type Actions = SmallVec<[Action; 3]>;

/// How far a stream has come. Each stage is a new stream (RFC 6120 §4.3.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Not encrypted: nothing but STARTTLS.
    Plain,
    /// Encrypted: nothing but SASL.
    Secured,
    /// Authenticated: nothing but bind.
    Authenticated,
}

/// What does not change during a negotiation.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The served domains, the first one being the default.
    pub domains: Vec<String>,
    /// Told before authentication.
    pub limits_before_auth: Limits,
    /// Told after authentication.
    pub limits: Limits,
    /// The server's capabilities (XEP-0115 §6.3).
    pub caps: Node,
    /// Strangers may make accounts (XEP-0077), under TLS.
    pub registration: bool,
    /// Failed logins before the stream is closed (RFC 6120 §6.4.5).
    pub failures: u32,
    /// Sessions can be resumed (XEP-0198 §5).
    pub resumption: bool,
}

/// A negotiation. See the module.
#[derive(Debug)]
pub struct Negotiation {
    settings: Settings,
    state: State,
    /// Empty until a header has named one.
    domain: String,
    /// Our header has been sent on this stream.
    open: bool,
    offer: Option<Offer>,
    user: Option<BareJid>,
    failed: u32,
    /// What was refused that leads to a session.
    refused: u32,
    bind_id: Option<smol_str::SmolStr>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// A header is due.
    Header(Stage),
    /// Features have been sent.
    Features(Stage),
    /// `<proceed/>` has been sent; the driver is making the handshake.
    Securing,
    /// The driver is working on a message of the SASL exchange.
    Verifying,
    /// A challenge has been sent.
    Challenged,
    /// The driver is binding.
    Binding,
    /// Over.
    Over,
}

impl Negotiation {
    /// Begins: in the clear, or under TLS already (XEP-0368) with what is offered there.
    #[must_use]
    pub fn new(settings: Settings, offer: Option<Offer>) -> Self {
        let stage = if offer.is_some() { Stage::Secured } else { Stage::Plain };
        Self {
            settings,
            state: State::Header(stage),
            domain: String::new(),
            open: false,
            offer,
            user: None,
            failed: 0,
            refused: 0,
            bind_id: None,
        }
    }

    /// The domain that the client has asked for; empty before its header.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Our header has been sent on this stream, or is among the last actions.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Who has logged in.
    #[must_use]
    pub fn user(&self) -> Option<&BareJid> {
        self.user.as_ref()
    }

    /// What is offered under TLS.
    #[must_use]
    pub fn offer(&self) -> Option<&Offer> {
        self.offer.as_ref()
    }

    /// A stream header came.
    pub fn header(&mut self, header: &Header) -> Actions {
        let State::Header(stage) = self.state else {
            return self.fail(StreamCondition::BadFormat.into());
        };
        if let Err(error) = header::check(header).and_then(|()| self.take_domain(header)) {
            return self.fail(error);
        }
        let features = match (stage, &self.offer) {
            (Stage::Plain, _) => features::plain(),
            (Stage::Authenticated, _) => {
                features::authenticated(self.settings.limits, self.settings.caps.clone())
            }
            (Stage::Secured, Some(offer)) => features::secured(
                offer,
                self.settings.limits_before_auth,
                self.settings.registration,
            ),
            (Stage::Secured, None) => {
                return self.fail(StreamCondition::InternalServerError.into());
            }
        };
        let mut out = self.response(header.from.as_deref());
        features.write(&mut out);
        self.state = State::Features(stage);
        smallvec![Action::Send(out)]
    }

    /// A whole element came.
    pub fn element(&mut self, frame: &Frame) -> Actions {
        let root = frame.root();
        match self.state {
            // The stream of the peer is over; no error answers an error.
            _ if root.is(ns::STREAM, "error") => self.ended(),
            // RFC 7395 §3.4; on TCP the framer sees to it.
            State::Header(_) => self.fail(StreamCondition::BadFormat.text(FIRST)),
            State::Features(Stage::Plain) if root.is(ns::TLS, "starttls") => {
                self.state = State::Securing;
                let proceed = element("proceed").ns(ns::TLS);
                smallvec![Action::Send(proceed.to_bytes().to_vec()), Action::Secure]
            }
            // RFC 6120 §6.5.4: in the clear there is nothing to authenticate with.
            State::Features(Stage::Plain) if root.is(ns::SASL, "auth") => {
                self.refuse(SaslError::EncryptionRequired)
            }
            State::Features(Stage::Secured) if root.is(ns::SASL, "auth") => self.auth(&root),
            State::Features(Stage::Secured)
                if self.settings.registration && root.is(ns::CLIENT, "iq") =>
            {
                self.register(frame)
            }
            State::Challenged if root.is(ns::SASL, "response") => match sasl_payload(&root) {
                Ok(message) => {
                    self.state = State::Verifying;
                    smallvec![Action::Continue(message.unwrap_or_default())]
                }
                Err(error) => self.refuse(error),
            },
            State::Challenged if root.is(ns::SASL, "abort") => self.refuse(SaslError::Aborted),
            State::Features(stage) if root.ns() == ns::SM => self.manage(stage, &root),
            // An exchange under way goes on (XEP-0198 §3: the order is enforced by `<failed/>`).
            State::Challenged if root.ns() == ns::SM => self.manage(Stage::Secured, &root),
            State::Features(Stage::Authenticated) => self.bind(frame),
            // RFC 6120 §4.9.3.12: no stanza before authentication, no authentication before TLS.
            State::Features(Stage::Plain) if root.ns() == ns::SASL => {
                self.fail(StreamCondition::NotAuthorized.text("start TLS before you log in"))
            }
            _ if root.ns() == ns::CLIENT => self.fail(StreamCondition::NotAuthorized.into()),
            _ => self.fail(StreamCondition::UnsupportedStanzaType.into()),
        }
    }

    /// The client has closed its stream.
    pub fn ended(&mut self) -> Actions {
        self.state = State::Over;
        smallvec![Action::Close(None)]
    }

    /// The TLS handshake is done, and this may be used to log in.
    pub fn secured(&mut self, offer: Offer) -> Actions {
        if self.state != State::Securing {
            return self.unasked();
        }
        self.offer = Some(offer);
        self.restart(Stage::Secured);
        smallvec![Action::Restart(Stage::Secured)]
    }

    /// The answer to a message of a SASL exchange.
    pub fn sasl(&mut self, step: Result<Step, SaslError>) -> Actions {
        if self.state != State::Verifying {
            return self.unasked();
        }
        match step {
            Err(error) => self.refuse(error),
            Ok(Step::Challenge(data)) => {
                self.state = State::Challenged;
                // Only a response says `=` for nothing (RFC 6120 §6.4.2); `encode` would here.
                let data = if data.is_empty() { String::new() } else { auth::encode(&data) };
                let challenge = element("challenge").ns(ns::SASL).text(&data);
                smallvec![Action::Send(challenge.to_bytes().to_vec())]
            }
            Ok(Step::Success { user, data, .. }) => {
                self.user = Some(user);
                let mut success = element("success").ns(ns::SASL);
                if let Some(data) = data {
                    success = success.text(&auth::encode(&data));
                }
                self.restart(Stage::Authenticated);
                let success = success.to_bytes().to_vec();
                let restart = Action::Restart(Stage::Authenticated);
                smallvec![Action::Forget, Action::Send(success), restart]
            }
        }
    }

    /// The session is bound to this address, or cannot be.
    pub fn bound(&mut self, jid: Result<&Jid, Condition>) -> Actions {
        if self.state != State::Binding {
            return self.unasked();
        }
        let id = self.bind_id.take();
        match jid {
            Ok(jid) => {
                self.state = State::Over;
                let bound = element("bind").ns(ns::BIND).child(element("jid").text(jid.as_str()));
                smallvec![Action::Send(iq("result", id.as_deref(), bound)), Action::Run]
            }
            Err(condition) => {
                self.state = State::Features(Stage::Authenticated);
                let error = crate::stanza::StanzaError::from(condition).to_node();
                self.try_again(iq("error", id.as_deref(), error))
            }
        }
    }

    /// The session with this id goes on, and has handled so many stanzas of the client; or it
    /// does not, and perhaps one knows how many it had handled (XEP-0198 §5). Then it is not found,
    /// even if nobody can resume now.
    pub fn resumed(&mut self, id: &str, handled: Result<u32, Option<u32>>) -> Actions {
        if self.state != State::Binding {
            return self.unasked();
        }
        match handled {
            Ok(h) => {
                self.state = State::Over;
                let resumed = element("resumed").ns(ns::SM).attr("previd", id);
                let resumed = resumed.attr("h", h.to_string()).to_bytes();
                smallvec![Action::Send(resumed), Action::Run]
            }
            Err(h) => {
                self.state = State::Features(Stage::Authenticated);
                let condition = match h {
                    None if !self.settings.resumption => Condition::FeatureNotImplemented,
                    _ => Condition::ItemNotFound,
                };
                let h = h.map(|h| h.to_string());
                self.try_again(sm_failed(condition, h.as_deref()))
            }
        }
    }

    /// The stream is to end with this error. It is told on an open stream (RFC 6120 §4.9.1.1).
    pub fn fail(&mut self, error: StreamError) -> Actions {
        let mut actions = Actions::new();
        if !self.open && self.state != State::Over {
            actions.push(Action::Send(self.response(None)));
        }
        self.state = State::Over;
        actions.push(Action::Close(Some(error)));
        actions
    }

    /// The driver reports what it was not asked for.
    fn unasked(&mut self) -> Actions {
        self.fail(StreamCondition::InternalServerError.into())
    }

    fn restart(&mut self, stage: Stage) {
        self.open = false;
        self.state = State::Header(stage);
    }

    fn response(&mut self, from: Option<&str>) -> Vec<u8> {
        self.open = true;
        let default = self.settings.domains.first().map_or("", String::as_str);
        let domain = if self.domain.is_empty() { default } else { &self.domain };
        let to = from.and_then(|from| Jid::parse(from).ok());
        header::response(&random_id(), domain, to.as_ref())
    }

    /// RFC 6120 §4.7.2, §4.9.3.6: a domain of ours, and the same on each stream of a connection.
    fn take_domain(&mut self, header: &Header) -> Result<(), StreamError> {
        let to = header.to.as_deref().ok_or(StreamCondition::ImproperAddressing)?;
        let to = Jid::parse(to).map_err(|_| StreamCondition::HostUnknown)?;
        let domain = to.domain();
        let is_ours = to.local().is_none() && self.settings.domains.iter().any(|d| d == domain);
        if !is_ours {
            return Err(StreamCondition::HostUnknown.into());
        }
        if self.user.is_some() && self.domain != domain {
            return Err(StreamCondition::NotAuthorized.text("the login was for another domain"));
        }
        domain.clone_into(&mut self.domain);
        Ok(())
    }

    fn auth(&mut self, root: &ElementRef<'_>) -> Actions {
        let Some(mechanism) = root.attr("mechanism") else {
            return self.refuse(SaslError::InvalidMechanism);
        };
        match sasl_payload(root) {
            Ok(initial) => {
                self.state = State::Verifying;
                smallvec![Action::Begin(mechanism.into_owned(), initial)]
            }
            Err(error) => self.refuse(error),
        }
    }

    /// RFC 6120 §6.4.5: the client may try again, but not for ever.
    fn refuse(&mut self, error: SaslError) -> Actions {
        let is_plain = self.state == State::Features(Stage::Plain);
        let stage = if is_plain { Stage::Plain } else { Stage::Secured };
        self.state = State::Features(stage);
        self.failed += u32::from(!error.is_about_binding());
        let failure = element("failure").ns(ns::SASL).child(element(error.condition()));
        let mut actions: Actions =
            smallvec![Action::Forget, Action::Send(failure.to_bytes().to_vec())];
        if self.failed >= self.settings.failures {
            actions
                .extend(self.fail(StreamCondition::PolicyViolation.text("too many failed logins")));
        }
        actions
    }

    /// A request that leads to a session was refused with this answer. RFC 6120 §7.7.3: the client may
    /// try again, ten times.
    fn try_again(&mut self, answer: Vec<u8>) -> Actions {
        self.refused += 1;
        let mut actions: Actions = smallvec![Action::Send(answer)];
        if self.refused > RETRIES {
            actions
                .extend(self.fail(StreamCondition::PolicyViolation.text("too many failed logins")));
        }
        actions
    }

    /// XEP-0198 §3, §5: nothing but a resumption before there is a session, and nothing at all
    /// before authentication.
    fn manage(&mut self, stage: Stage, root: &ElementRef<'_>) -> Actions {
        if root.name() != "resume" || stage != Stage::Authenticated {
            return self.try_again(sm_failed(Condition::UnexpectedRequest, None));
        }
        let h = root.attr("h").and_then(|h| h.parse().ok());
        let (Some(id), Some(h)) = (root.attr("previd"), h) else {
            return self.try_again(sm_failed(Condition::BadRequest, None));
        };
        self.state = State::Binding;
        smallvec![Action::Resume(id.into_owned(), h)]
    }

    /// XEP-0077 §3.1.1: the one stanza before authentication, where it is allowed.
    fn register(&mut self, frame: &Frame) -> Actions {
        match Stanza::read(frame.clone()) {
            Ok(Stanza::Iq(iq)) if is_register(&iq) => smallvec![Action::Register(Box::new(iq))],
            _ => self.fail(StreamCondition::NotAuthorized.into()),
        }
    }

    /// RFC 6120 §7: nothing but a bind request before there is a session (§7.3.1).
    fn bind(&mut self, frame: &Frame) -> Actions {
        let iq = match Stanza::read(frame.clone()) {
            Ok(Stanza::Iq(iq)) => iq,
            // RFC 6120 §8.3.1: but an error, or a result, is never answered.
            Err(Refusal::Faulty(stanza, error)) if is_request(&stanza) => {
                let id = stanza.head().id.as_deref();
                return self.try_again(iq("error", id, error.to_node()));
            }
            Err(Refusal::NotAStanza) => {
                return self.fail(StreamCondition::UnsupportedStanzaType.into());
            }
            _ => return self.fail(StreamCondition::NotAuthorized.into()),
        };
        let Some(resource) = wished_resource(&iq) else {
            return self.fail(StreamCondition::NotAuthorized.into());
        };
        self.bind_id = iq.head.id;
        self.state = State::Binding;
        smallvec![Action::Bind(resource)]
    }
}

const FIRST: &str = "a stream begins with open";

fn is_request(stanza: &Stanza) -> bool {
    matches!(stanza, Stanza::Iq(iq) if iq.is_request())
}

fn is_register(iq: &Iq) -> bool {
    let is_payload = iq.payload().is_some_and(|query| query.is(ns::REGISTER, "query"));
    iq.is_request() && is_payload
}

/// `None` if it is no bind request; `Some(None)` if the server is to make the resource.
fn wished_resource(iq: &Iq) -> Option<Option<String>> {
    let bind = iq.payload().filter(|bind| bind.is(ns::BIND, "bind"))?;
    if iq.kind != IqKind::Set {
        return None;
    }
    let resource = bind.child(ns::BIND, "resource").map(|r| r.text().into_owned());
    Some(resource.filter(|r| !r.is_empty()))
}

/// RFC 6120 §6.4.2: no data at all, or base64, with `=` for empty data.
fn sasl_payload(root: &ElementRef<'_>) -> Result<Option<Vec<u8>>, SaslError> {
    let text = root.text();
    if text.is_empty() {
        return Ok(None);
    }
    auth::decode(&text).map(Some)
}

/// `<failed/>` of stream management (XEP-0198 §6). `h`: stanzas that the session had handled.
pub fn sm_failed(condition: Condition, h: Option<&str>) -> Vec<u8> {
    let condition = element(condition.as_str()).ns(ns::STANZA_ERRORS);
    element("failed").ns(ns::SM).maybe_attr("h", h).child(condition).to_bytes()
}

/// RFC 6120 §8.3.1: the id of a request that has none is empty.
fn iq(kind: &str, id: Option<&str>, payload: Node) -> Vec<u8> {
    let id = id.unwrap_or_default();
    element("iq").attr("type", kind).attr("id", id).child(payload).to_bytes().to_vec()
}

/// Of requests that lead to a session (RFC 6120 §7.7.3: no fewer than five, no more than ten).
const RETRIES: u32 = 10;

#[cfg(test)]
mod tests;

//! Logging in by the Extensible SASL Profile (XEP-0388): as RFC 6120 §6, in fewer round trips. The client
//! asks in advance for what it wants once it is logged in: to resume its session (XEP-0198 §9), or else
//! to bind a new one (XEP-0386). There is no new stream after the login.

use smallvec::smallvec;

use super::action::{Action, Actions, Stage};
use super::feature_cache::SessionState;
use super::machine::{Negotiation, State};
use super::profile::{Inline, NS_BIND, NS_IAP, Profile, decode};
use super::resume::sm_failed;
use crate::auth::SaslError;
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, StreamCondition};
use crate::xml::{Frame, Node, element};

impl Negotiation {
    /// `<authenticate/>` came (XEP-0388 §2.3).
    pub(super) fn authenticate(&mut self, frame: &Frame) -> Actions {
        let root = frame.root();
        let inline = Inline { request: frame.clone(), data: None, failed: None, token: None };
        if inline.expects_other_features(&self.version) {
            return smallvec![Action::Send(other_features())];
        }
        let token = inline.token_login();
        self.profile = Profile::Sasl2(Box::new(inline));
        let Some(mechanism) = root.attr("mechanism") else {
            return self.refuse(SaslError::InvalidMechanism);
        };
        let initial = match root.child(ns::SASL2, "initial-response") {
            // An empty element is an empty response (XEP-0388 §2.2).
            Some(initial) => decode(&initial.text()).map(Some),
            None => Ok(None),
        };
        match initial {
            Ok(initial) => {
                self.state = State::Verifying;
                smallvec![Action::Begin(mechanism.into_owned(), initial, token)]
            }
            Err(error) => self.refuse(error),
        }
    }

    /// The login has succeeded, and is not finished until what the client wants with it is done: first a
    /// token (XEP-0484 §3.3), then resumption, then bind (XEP-0386 §3.2).
    pub(super) fn logged_in(&mut self, inline: Box<Inline>) -> Actions {
        self.state = State::Issuing;
        self.profile = Profile::Sasl2(inline.clone());
        smallvec![Action::Forget, Action::Authenticated, Action::IssueToken(inline)]
    }

    /// The driver has made a token for the client, or it gets none.
    pub(crate) fn token_issued(&mut self, token: Option<Node>) -> Actions {
        let Profile::Sasl2(inline) = &mut self.profile else { return self.unasked() };
        if self.state != State::Issuing {
            return self.unasked();
        }
        inline.token = token;
        self.state = State::Binding;
        let resume = inline.child(ns::SM, "resume").map(|resume| {
            let h = resume.attr("h").and_then(|h| h.parse().ok());
            Some((resume.attr("previd")?.into_owned(), h?))
        });
        match resume {
            Some(Some((id, h))) => smallvec![Action::Resume(id, h)],
            Some(None) => self.not_resumed(sm_failed(Condition::BadRequest, None)),
            None => self.bind_or_not(),
        }
    }

    /// The session is resumed. No features follow (XEP-0198 §9.2).
    pub(super) fn resumed_inline(&mut self, jid: &Jid, resumed: Node) -> Actions {
        self.state = State::Over;
        smallvec![Action::Send(self.profile.success(jid.as_str(), [resumed])), Action::Run]
    }

    /// The session is not resumed. Then a new one is bound, if the client wants that.
    pub(super) fn not_resumed(&mut self, failed: Node) -> Actions {
        if let Profile::Sasl2(inline) = &mut self.profile {
            inline.failed = Some(failed);
        }
        self.bind_or_not()
    }

    fn bind_or_not(&mut self) -> Actions {
        if let Profile::Sasl2(inline) = &self.profile
            && inline.bind().is_some()
        {
            return smallvec![Action::BindInline(inline.clone())];
        }
        self.state = State::Features(Stage::Authenticated);
        let address = self.user.as_ref().map(ToString::to_string).unwrap_or_default();
        let success = self.profile.success(&address, []);
        self.profile = Profile::Sasl;
        smallvec![Action::Send(success), self.features(SessionState::None)]
    }

    /// The driver has bound a session to this address. `results`: what `<bound/>` contains (XEP-0386
    /// §3.2).
    pub(crate) fn bound_inline(&mut self, bound: Result<(&Jid, Vec<Node>), Condition>) -> Actions {
        if self.state != State::Binding {
            return self.unasked();
        }
        match bound {
            Ok((jid, results)) => {
                self.state = State::Over;
                let session =
                    if self.enables_sm() { SessionState::Managed } else { SessionState::Unmanaged };
                let bound = element("bound").ns(NS_BIND).children(results);
                let success = self.profile.success(jid.as_str(), [bound]);
                // Features are the very next element (XEP-0388 §2.6.1).
                smallvec![Action::Send(success), self.features(session), Action::Run]
            }
            Err(_) => self.fail(StreamCondition::InternalServerError.into()),
        }
    }

    /// The client has asked for stream management together with its session.
    fn enables_sm(&self) -> bool {
        let Profile::Sasl2(inline) = &self.profile else { return false };
        inline.bind().is_some_and(|bind| bind.child(ns::SM, "enable").is_some())
    }
}

/// The client has logged in by other features than it was offered (XEP-0509 §2.2). Nothing was tried, so nothing is
/// counted.
fn other_features() -> Node {
    element("failure")
        .ns(ns::SASL2)
        .child(element(SaslError::Aborted.condition()).ns(ns::SASL))
        .child(element("config-version-mismatch").ns(NS_IAP))
}

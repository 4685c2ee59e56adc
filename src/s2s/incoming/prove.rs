//! How another server proves its domain: by its certificate (SASL EXTERNAL, RFC 6120 §6, XEP-0178 §3), or by dialback
//! (XEP-0220), in which we are the receiving server; and how we answer for our own domains, as the authoritative one.

use smallvec::smallvec;

use super::action::{Action, Actions, Proof, Question};
use super::machine::{Incoming, Stage, State};
use crate::auth::{self, SaslError};
use crate::ns;
use crate::s2s::dialback::{self, Verdict, pair_of};
use crate::s2s::pair::{Pair, domain};
use crate::stanza::{Condition, StreamCondition};
use crate::tls::CertificateFault;
use crate::xml::{ElementRef, element};

impl Incoming {
    /// A login begins.
    pub(super) fn auth(&mut self, root: &ElementRef<'_>) -> Actions {
        if root.attr("mechanism").as_deref() != Some("EXTERNAL") {
            return self.refuse(SaslError::InvalidMechanism);
        }
        if !self.is_external_offered() {
            let fault = self.claimed.as_ref().and_then(|claimed| self.fault(&claimed.remote));
            let why = fault.map_or("it has named no domain", CertificateFault::words);
            let mut actions: Actions = smallvec![Action::Refused(None, why)];
            actions.extend(self.refuse(SaslError::NotAuthorized));
            return actions;
        }
        let text = root.text();
        if text.trim().is_empty() {
            // RFC 6120 §6.4.2: there is no initial response.
            self.state = State::Challenged;
            return smallvec![Action::Send(element("challenge").ns(ns::SASL))];
        }
        self.login(text.trim())
    }

    /// The answer to our empty challenge.
    pub(super) fn response_of_peer(&mut self, root: &ElementRef<'_>) -> Actions {
        self.state = State::Open(Stage::Secured);
        self.login(root.text().trim())
    }

    /// The peer has given up its login.
    pub(super) fn aborted(&mut self) -> Actions {
        self.state = State::Open(Stage::Secured);
        self.refuse(SaslError::Aborted)
    }

    /// RFC 6120 §6.5.4: no login without TLS.
    pub(super) fn encryption_required(&mut self) -> Actions {
        self.refuse(SaslError::EncryptionRequired)
    }

    /// `identity`: the domain as which the peer wants to act, in base64; empty or `=` for that of its header
    /// (XEP-0178 §3, RFC 6120 §6.3.8).
    fn login(&mut self, identity: &str) -> Actions {
        let Some(pair) = self.claimed.clone() else { return self.refuse(SaslError::NotAuthorized) };
        let identity = match identity {
            "" | "=" => Vec::new(),
            text => match auth::decode(text) {
                Ok(identity) => identity,
                Err(error) => return self.refuse(error),
            },
        };
        let identity = String::from_utf8_lossy(&identity);
        if !identity.is_empty() && domain(Some(&identity)).as_ref() != Some(&pair.remote) {
            return self.refuse(SaslError::InvalidAuthzid);
        }
        let proven = self.prove(pair, Proof::Certificate);
        self.restart(Stage::Authenticated);
        let success = element("success").ns(ns::SASL);
        smallvec![Action::Send(success), proven, Action::Restart]
    }

    fn refuse(&mut self, error: SaslError) -> Actions {
        self.failed += 1;
        let condition = element(error.condition());
        let failure = element("failure").ns(ns::SASL).child(condition);
        let mut actions: Actions = smallvec![Action::Send(failure)];
        if self.failed >= MOST_FAILED {
            actions.extend(self.fail(StreamCondition::NotAuthorized.into()));
        }
        actions
    }

    /// The peer asks us to accept a key, or whether a key is ours. The number of its requests is limited until it has
    /// proven something.
    pub(super) fn dialback(&mut self, root: &ElementRef<'_>) -> Actions {
        self.requests = self.requests.saturating_add(1);
        if self.proven.is_empty() && self.requests > MOST_REQUESTS {
            let text = "too many keys before one of them is proven";
            return self.fail(StreamCondition::PolicyViolation.text(text));
        }
        match root.name() {
            "result" | "verify" if self.certificate.is_none() => Self::not_before_tls(root),
            "result" => self.result(root),
            "verify" => self.verify(root),
            _ => self.fail(StreamCondition::UnsupportedStanzaType.into()),
        }
    }

    /// XEP-0220 §2.4: keys come under TLS.
    fn not_before_tls(root: &ElementRef<'_>) -> Actions {
        let Some(pair) = pair_of(root).filter(|_| root.attr("type").is_none()) else {
            return Actions::new();
        };
        let error = Verdict::Error(Condition::PolicyViolation);
        let id = root.attr("id").unwrap_or_default();
        smallvec![Action::Send(match root.name() {
            "verify" => dialback::verified(&pair, &id, error),
            _ => dialback::result(&pair, error),
        })]
    }

    /// The peer sends a key, with which it wants to prove a pair (XEP-0220 §2.2.1).
    fn result(&mut self, root: &ElementRef<'_>) -> Actions {
        if root.attr("type").is_some() {
            // An answer to a question that nobody has asked on this stream (XEP-0220 §3.1).
            return Actions::new();
        }
        let Some(pair) = pair_of(root) else {
            return self.fail(StreamCondition::ImproperAddressing.into());
        };
        if self.rules.is_ours(&pair.remote) {
            return self.fail(StreamCondition::InvalidFrom.into());
        }
        if let Err(condition) = self.may_ask(&pair) {
            let why = match condition {
                Condition::NotAuthorized => {
                    self.fault(&pair.remote).map_or("its key is not taken", CertificateFault::words)
                }
                Condition::PolicyViolation => "this server does not talk to its domain",
                Condition::ItemNotFound => "it wants to talk to a domain that is not served here",
                Condition::ResourceConstraint => "it sends too many keys",
                _ => "it sends a key again",
            };
            let error = Action::Send(dialback::result(&pair, Verdict::Error(condition)));
            return smallvec![error, Action::Refused(Some(pair), why)];
        }
        self.asked.push(pair.clone());
        let key = root.text().trim().to_owned();
        let certificate = self.certificate.clone().filter(|_| !self.is_believed(&pair.remote));
        smallvec![Action::Verify(Question { pair, key, certificate })]
    }

    fn may_ask(&self, pair: &Pair) -> Result<(), Condition> {
        if !self.rules.is_ours(&pair.local) {
            return Err(Condition::ItemNotFound);
        }
        if !self.rules.may_talk(&pair.remote) {
            return Err(Condition::PolicyViolation);
        }
        // Others may know a certificate that is not valid otherwise.
        let is_missing = self.fault(&pair.remote) == Some(CertificateFault::Missing);
        let may_be_named = self.rules.may_be_named(&pair.remote) && !is_missing;
        if !self.is_believed(&pair.remote) && !may_be_named {
            return Err(Condition::NotAuthorized);
        }
        if self.asked.contains(pair) {
            return Err(Condition::NotAcceptable);
        }
        let pairs = self.asked.len() + self.proven.len();
        if self.asked.len() >= MOST_ASKED || pairs >= MOST_PAIRS {
            return Err(Condition::ResourceConstraint);
        }
        Ok(())
    }

    /// Whether the certificate is valid for the domain from which the stream claims to come (XEP-0178 §3).
    pub(super) fn is_external_offered(&self) -> bool {
        let Some(claimed) = &self.claimed else { return false };
        self.is_certified(&claimed.remote)
    }

    /// Whether the certificate is valid for this domain.
    pub(super) fn is_certified(&self, domain: &str) -> bool {
        self.fault(domain).is_none()
    }

    /// What is wrong with the certificate, for this domain.
    pub(super) fn fault(&self, domain: &str) -> Option<CertificateFault> {
        match &self.certificate {
            Some(certificate) => certificate.check(domain).err(),
            None => Some(CertificateFault::Missing),
        }
    }

    /// Whether a key proves this domain, without a further question about its certificate.
    fn is_believed(&self, domain: &str) -> bool {
        self.rules.is_dialback_enough(domain) || self.is_certified(domain)
    }

    /// The driver knows what has come of a key. If it is invalid, and nothing else was proven, the stream ends; otherwise the
    /// peer gets an error (XEP-0220 §2.2.1).
    pub(super) fn checked(&mut self, pair: Pair, verdict: Verdict) -> Actions {
        if matches!(self.state, State::Header(_)) {
            // No stream is open on which it could be told.
            self.late.push((pair, verdict));
            return Actions::new();
        }
        let Some(place) = self.asked.iter().position(|asked| *asked == pair) else {
            return Actions::new();
        };
        self.asked.remove(place);
        if self.state == State::Over {
            return Actions::new();
        }
        let verdict = match verdict {
            // It was denied meanwhile.
            Verdict::Valid if !self.rules.may_talk(&pair.remote) => {
                Verdict::Error(Condition::PolicyViolation)
            }
            // The other pairs stay proven (XEP-0220 §2.2.1).
            Verdict::Invalid if !self.proven.is_empty() => Verdict::Error(Condition::Forbidden),
            verdict => verdict,
        };
        let told = Action::Send(dialback::result(&pair, verdict));
        if verdict != Verdict::Valid {
            self.failed_keys += 1;
            if self.failed_keys >= MOST_FAILED_KEYS {
                let mut actions: Actions = smallvec![told];
                let text = "too many keys that cannot be verified";
                actions.extend(self.fail(StreamCondition::PolicyViolation.text(text)));
                return actions;
            }
        }
        match verdict {
            Verdict::Valid => smallvec![self.prove(pair, Proof::Dialback), told],
            Verdict::Error(_) | Verdict::Unreachable => smallvec![told],
            Verdict::Invalid => {
                let mut actions: Actions = smallvec![told];
                actions.extend(self.ended());
                actions
            }
        }
    }

    /// Another server asks whether we have made a key (XEP-0220 §2.2.2).
    fn verify(&mut self, root: &ElementRef<'_>) -> Actions {
        if root.attr("type").is_some() {
            return Actions::new();
        }
        let (Some(pair), Some(stream)) = (pair_of(root), root.attr("id")) else {
            return self.fail(StreamCondition::ImproperAddressing.into());
        };
        let verdict = match self.rules.is_ours(&pair.local) {
            false => Verdict::Error(Condition::ItemNotFound),
            true if self.key.is_ours(&pair, &stream, &root.text()) => Verdict::Valid,
            true => Verdict::Invalid,
        };
        smallvec![Action::Send(dialback::verified(&pair, &stream, verdict))]
    }
}

/// Failed logins that end a stream.
const MOST_FAILED: u32 = 3;
/// Keys of one stream that are being verified.
const MOST_ASKED: usize = 4;
/// Keys that were not verified, which end a stream.
const MOST_FAILED_KEYS: u32 = 16;
/// Pairs on one stream.
const MOST_PAIRS: usize = 64;
/// Elements of dialback that a peer may send before anything is proven.
const MOST_REQUESTS: u32 = 128;

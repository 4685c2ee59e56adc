//! Stream headers (RFC 6120 §4.7), and the features that follow them.

use smallvec::smallvec;

use super::action::{Action, Actions, Stage};
use super::feature_cache::SessionState;
use super::features;
use super::machine::{Negotiation, State};
use crate::auth::Offer;
use crate::jid::Jid;
use crate::stanza::{StreamCondition, StreamError};
use crate::stream::header::{self, StreamHeader};
use crate::xml::Header;

impl Negotiation {
    /// A stream header came.
    pub(crate) fn header(&mut self, header: &Header) -> Actions {
        let State::Header(stage) = self.state else {
            return self.fail(StreamCondition::BadFormat.into());
        };
        if let Err(error) = header::check(header).and_then(|()| self.take_domain(header)) {
            return self.fail(error);
        }
        if stage == Stage::Secured
            && let Err(error) = self.take_from(header)
        {
            return self.fail(error);
        }
        let next = match (stage, &self.offer, &self.from) {
            (Stage::Plain, ..) => Action::Features(features::plain()),
            (Stage::Authenticated, ..) => self.features(SessionState::None),
            (Stage::Secured, Some(_), Some(from)) if from.local().is_some() => {
                Action::FindMechanisms(from.clone())
            }
            (Stage::Secured, Some(offer), _) => {
                let (features, version) = features::secured(offer, &self.settings);
                self.version = version;
                Action::Features(features)
            }
            (Stage::Secured, None, _) => {
                return self.fail(StreamCondition::InternalServerError.into());
            }
        };
        self.state = match next {
            Action::FindMechanisms(_) => State::FindingMechanisms,
            _ => State::Features(stage),
        };
        let header = self.response(header.from.as_deref());
        smallvec![Action::Open(header), next]
    }

    /// The driver has found what can be used for the account in the client's header (XEP-0388 §2.1).
    pub(crate) fn mechanisms_found(&mut self, offer: Offer) -> Actions {
        if self.state != State::FindingMechanisms {
            return self.unasked();
        }
        let (features, version) = features::secured(&offer, &self.settings);
        (self.offer, self.version) = (Some(offer), version);
        self.state = State::Features(Stage::Secured);
        smallvec![Action::Features(features)]
    }

    /// Our header.
    pub(super) fn response(&mut self, from: Option<&str>) -> StreamHeader {
        self.open = true;
        let default = self.settings.domains.first().map_or("", String::as_str);
        let domain = if self.domain.is_empty() { default } else { &self.domain };
        let to = from.and_then(|from| Jid::parse(from).ok());
        StreamHeader::new(domain, to)
    }

    /// Takes the domain of a header: it must be ours (RFC 6120 §4.7.2, §4.9.3.6), and after the login it
    /// must be that of the login.
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

    /// Takes the address of a header under TLS: it must be of the domain of the stream (XEP-0388 §2.1, RFC 6120
    /// §4.9.3.9).
    fn take_from(&mut self, header: &Header) -> Result<(), StreamError> {
        let from = header.from.as_deref().and_then(|from| Jid::parse(from).ok());
        self.from = from.map(|from| from.to_bare());
        match &self.from {
            Some(from) if from.domain() != self.domain => Err(StreamCondition::InvalidFrom.into()),
            _ => Ok(()),
        }
    }
}

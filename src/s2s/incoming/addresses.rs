//! The addresses of a stream that another server has opened, and of the stanzas on it: what they may be.

use smallvec::smallvec;

use super::action::{Action, Actions};
use super::machine::{Incoming, Stage};
use crate::jid::Jid;
use crate::s2s::pair::{Pair, domain};
use crate::stanza::{StreamCondition, StreamError};
use crate::xml::{Frame, Header};

impl Incoming {
    /// The pair of the header: `to` is ours, `from` is not (RFC 6120 §4.7.1, §4.7.2). After a login it is that of
    /// the login.
    pub(super) fn take_addresses(
        &mut self,
        header: &Header,
        stage: Stage,
    ) -> Result<(), StreamError> {
        let to = header.to.as_deref().ok_or(StreamCondition::ImproperAddressing)?;
        let local = domain(Some(to)).filter(|local| self.rules.is_ours(local));
        let local = local.ok_or(StreamCondition::HostUnknown)?;
        let text = "a server must say in whose name it opens a stream";
        let from = header.from.as_deref();
        let from = from.ok_or_else(|| StreamCondition::ImproperAddressing.text(text))?;
        let remote = domain(Some(from)).filter(|remote| !self.rules.is_ours(remote));
        let pair = Pair { local, remote: remote.ok_or(StreamCondition::InvalidFrom)? };
        if !self.rules.may_talk(&pair.remote) {
            let text = "this server does not talk to your domain";
            return Err(StreamCondition::PolicyViolation.text(text));
        }
        if stage == Stage::Authenticated && !self.proven.contains(&pair) {
            return Err(StreamCondition::InvalidFrom.text("the login was for other domains"));
        }
        self.claimed = Some(pair);
        Ok(())
    }

    /// A stanza: its addresses must be a pair that is proven (RFC 6120 §8.1.1.2, §8.1.2.2).
    pub(super) fn stanza(&mut self, frame: Frame) -> Actions {
        if self.proven.is_empty() {
            let text = "prove your domain before you send stanzas";
            return self.fail(StreamCondition::NotAuthorized.text(text));
        }
        let root = frame.root();
        let address = |name| root.attr(name).and_then(|text| Jid::parse(&text).ok());
        let (Some(from), Some(to)) = (address("from"), address("to")) else {
            return self.fail(StreamCondition::ImproperAddressing.into());
        };
        let is_proven = |pair: &Pair| pair.remote == from.domain() && pair.local == to.domain();
        if let Some(pair) = self.proven.iter().find(|pair| is_proven(pair)) {
            let remote = pair.remote.clone();
            return smallvec![Action::Stanza(remote, frame)];
        }
        self.fail(match self.rules.is_ours(to.domain()) {
            true => StreamCondition::InvalidFrom.into(),
            false => StreamCondition::HostUnknown.into(),
        })
    }
}

//! Invite tokens (XEP-0488): a user who enters with one, in place of a password, becomes a member.

use super::affiliation::Role;
use super::extra::Token;
use super::{Actor, Affiliation, Effects, Moment, Room};
use crate::jid::BareJid;
use crate::stanza::{Condition, Iq, IqKind, StanzaError};
use crate::xml::{ElementRef, Node, element};

/// The namespace.
pub(super) const NS: &str = "urn:xmpp:muc-token-invite:0";

impl Token {
    fn is_valid(&self, now: &Moment) -> bool {
        now.at.as_micros() < self.until && self.uses != Some(0)
    }

    /// The token with what is left of it (XEP-0488 §3.3, §3.6).
    fn node(&self, now: &Moment) -> Node {
        let left = self.until.saturating_sub(now.at.as_micros());
        let seconds = left.saturating_add(MICROS - 1) / MICROS;
        element("token")
            .attr("delay", seconds.to_string())
            .maybe_attr("counter", self.uses.map(|uses| uses.to_string()))
    }
}

impl Room {
    /// A request about tokens, if this is one. `None`: another file answers.
    ///
    /// # Errors
    /// `forbidden` for users without the right, `item-not-found` if there is no such token.
    pub(super) fn token_request(
        &mut self,
        now: &Moment,
        actor: &Actor,
        iq: &Iq,
        fx: &mut Effects,
    ) -> Option<Result<(), StanzaError>> {
        let payload = iq.payload().filter(|payload| payload.ns() == NS)?;
        Some(match (iq.kind, payload.name()) {
            (IqKind::Set, "request") => self.make_token(now, actor, &payload, fx),
            (IqKind::Get, "tokens") => self.list_tokens(now, actor, fx),
            (IqKind::Set, "revoke") => self.revoke_token(actor, payload.text().trim(), fx),
            _ => Err(Condition::BadRequest.into()),
        })
    }

    /// Whether a user may create tokens: the same users who may make others members by inviting them (XEP-0488 §7).
    fn may_make_tokens(&self, actor: &Actor) -> bool {
        let affiliation = self.affiliation_of(actor);
        affiliation.is_admin() || (self.config.allow_invites && affiliation.is_member())
    }

    /// Admins and moderators revoke all tokens, others their own (XEP-0488 §7).
    fn revokes_all(&self, actor: &Actor) -> bool {
        let standing = self.standing(actor);
        standing.affiliation.is_admin() || standing.role == Role::Moderator
    }

    fn make_token(
        &mut self,
        now: &Moment,
        actor: &Actor,
        request: &ElementRef<'_>,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        if !self.may_make_tokens(actor) {
            return Err(Condition::Forbidden.text("you may not invite others by tokens"));
        }
        let number = |name| match request.attr(name).map(|text| text.trim().parse::<u32>()) {
            None => Ok(None),
            Some(Ok(number)) if number > 0 => Ok(Some(number)),
            Some(_) => Err(Condition::BadRequest.text("this is not a number above 0")),
        };
        let seconds = number("delay")?.unwrap_or(DEFAULT_SECONDS).min(MOST_SECONDS);
        let uses = number("counter")?;
        let at = now.at.as_micros();
        let tokens = &mut self.extra.tokens;
        tokens.retain(|token| at < token.until.saturating_add(KEEP_EXPIRED_MICROS));
        if tokens.iter().filter(|token| token.is_valid(now)).count() >= MOST_TOKENS {
            return Err(Condition::ResourceConstraint.text("this room has too many tokens"));
        }
        if tokens.len() >= 2 * MOST_TOKENS {
            tokens.retain(|token| token.is_valid(now));
        }
        // A token that an administrator of the service creates without an affiliation belongs to the room.
        let is_member = self.members.affiliation(&actor.user).is_member();
        let token = Token {
            text: now.token.to_string(),
            creator: if is_member { actor.user.to_string() } else { String::new() },
            until: at.saturating_add(i64::from(seconds) * MICROS),
            uses,
        };
        fx.answer = Some(token.node(now).ns(NS).text(&token.text));
        self.extra.tokens.push(token);
        fx.change.extra = Some(self.extra.to_stored());
        Ok(())
    }

    /// The tokens that somebody may revoke.
    fn list_tokens(
        &self,
        now: &Moment,
        actor: &Actor,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let sees_all = self.revokes_all(actor);
        if !sees_all && !self.may_make_tokens(actor) {
            return Err(Condition::Forbidden.text("you may not invite others by tokens"));
        }
        let tokens = self.extra.tokens.iter().filter(|token| token.is_valid(now));
        let seen = tokens.filter(|token| sees_all || token.creator == actor.user.as_str());
        let nodes = seen.map(|token| {
            let creator = Some(&token.creator).filter(|creator| !creator.is_empty());
            token.node(now).maybe_attr("creator", creator).text(&token.text)
        });
        fx.answer = Some(element("tokens").ns(NS).children(nodes));
        Ok(())
    }

    fn revoke_token(
        &mut self,
        actor: &Actor,
        text: &str,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let revokes_all = self.revokes_all(actor);
        if !revokes_all && !self.may_make_tokens(actor) {
            return Err(Condition::Forbidden.text("you may not invite others by tokens"));
        }
        let before = self.extra.tokens.len();
        self.extra.tokens.retain(|token| {
            token.text != text || !(revokes_all || token.creator == actor.user.as_str())
        });
        if self.extra.tokens.len() == before {
            return Err(Condition::ItemNotFound.text("there is no such token"));
        }
        fx.change.extra = Some(self.extra.to_stored());
        Ok(())
    }

    /// Whether a user who wants to enter becomes a member by the token in place of a password. It does not count for users
    /// with an affiliation (XEP-0488 §4), and it is invalid if its creator is no longer a member.
    ///
    /// # Errors
    /// `not-authorized` if the token has expired (XEP-0488 §3.5).
    pub(super) fn comes_by_token(
        &self,
        now: &Moment,
        actor: &Actor,
        password: Option<&str>,
    ) -> Result<bool, StanzaError> {
        if self.affiliation_of(actor) != Affiliation::None
            || password == self.config.password.as_deref()
        {
            return Ok(false);
        }
        let tokens = &self.extra.tokens;
        let Some(token) = tokens.iter().find(|token| Some(token.text.as_str()) == password) else {
            return Ok(false);
        };
        let is_of_member = token.creator.is_empty()
            || BareJid::parse(&token.creator)
                .is_ok_and(|creator| self.members.affiliation(&creator).is_member());
        if !token.is_valid(now) || !is_of_member {
            let mut error = Condition::NotAuthorized.text("the token has expired");
            error.detail = Some(element("expired-token").ns(NS));
            return Err(error);
        }
        if self.members.get(&actor.user).is_none() {
            self.have_room_for_members(1)?;
        }
        Ok(true)
    }

    /// Makes a user who enters by a token a member.
    pub(super) fn spend_token(
        &mut self,
        now: &Moment,
        user: &BareJid,
        text: Option<&str>,
        fx: &mut Effects,
    ) {
        let mut tokens = self.extra.tokens.iter_mut();
        if let Some(token) = tokens.find(|token| Some(token.text.as_str()) == text) {
            token.uses = token.uses.map(|uses| uses.saturating_sub(1));
            fx.change.extra = Some(self.extra.to_stored());
        }
        let member = self.members.set(user, Affiliation::Member, None, now.at);
        fx.save_member(&member);
    }
}

const MICROS: i64 = 1_000_000;
/// How long a token is valid if its creator sets no time: a week.
const DEFAULT_SECONDS: u32 = 7 * 24 * 3_600;
/// How long at most: 30 days.
const MOST_SECONDS: u32 = 30 * 24 * 3_600;
/// How long an expired token is stored, so that its users get an error that says so: 30 days.
const KEEP_EXPIRED_MICROS: i64 = 30 * 24 * 3_600 * MICROS;
/// Valid tokens of a room, at most.
const MOST_TOKENS: usize = 100;

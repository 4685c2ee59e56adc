//! In a moderated room, voice that was given or taken still applies at the next visit (XEP-0045 §5.1).

use super::affiliation::Role;
use super::{Affiliation, Effects, Room};
use crate::jid::BareJid;

impl Room {
    /// The role with which a user enters.
    pub(super) fn role_on_entry(&self, user: &BareJid, affiliation: Affiliation) -> Role {
        let role = Role::on_entry(affiliation, self.config.moderated);
        if !self.config.moderated || affiliation.is_admin() || role == Role::None {
            return role;
        }
        let kept = self.extra.roles.iter().find(|(known, _)| known == user.as_str());
        kept.and_then(|(_, role)| Role::parse(role)).unwrap_or(role)
    }

    /// Keeps the role that a moderator has given to a user, except a role that the user would have anyway, and that of a
    /// moderator.
    pub(super) fn keep_role(&mut self, user: &BareJid, role: Role, fx: &mut Effects) {
        let usual = Role::on_entry(self.members.affiliation(user), true);
        let is_voice = matches!(role, Role::Participant | Role::Visitor);
        let is_kept = self.config.moderated && is_voice && role != usual;
        let roles = &mut self.extra.roles;
        let before = roles.clone();
        roles.retain(|(known, _)| known != user.as_str());
        if is_kept {
            if roles.len() >= MOST {
                roles.remove(0);
            }
            roles.push((user.to_string(), role.as_str().to_owned()));
        }
        if *roles != before {
            fx.change.extra = Some(self.extra.to_stored());
        }
    }

    /// Forgets the roles, because the room is no longer moderated: everybody has voice.
    pub(super) fn forget_roles(&mut self, fx: &mut Effects) {
        if !self.extra.roles.is_empty() {
            self.extra.roles.clear();
            fx.change.extra = Some(self.extra.to_stored());
        }
    }
}

/// Users whose roles are kept, at most; the oldest are forgotten.
const MOST: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::muc::tests::{Coven, user};

    #[test]
    fn a_role_is_kept_if_it_is_not_the_usual_one() {
        let mut coven = Coven::new();
        coven.room.config.moderated = true;
        let (hag, mut fx) = (user("hag66"), Effects::default());
        let entry =
            |coven: &Coven, affiliation| coven.room.role_on_entry(&user("hag66"), affiliation);
        coven.room.keep_role(&hag, Role::Visitor, &mut fx);
        assert!(fx.change.extra.is_none(), "it is one anyway");
        coven.room.keep_role(&hag, Role::Participant, &mut fx);
        assert!(fx.change.extra.is_some());
        assert_eq!(entry(&coven, Affiliation::None), Role::Participant);
        assert_eq!(entry(&coven, Affiliation::Admin), Role::Moderator);
        assert_eq!(entry(&coven, Affiliation::Outcast), Role::None);
        coven.room.keep_role(&hag, Role::Moderator, &mut fx);
        assert_eq!(entry(&coven, Affiliation::None), Role::Visitor);
        coven.room.keep_role(&hag, Role::Participant, &mut fx);
        coven.room.keep_role(&hag, Role::None, &mut fx);
        assert_eq!(entry(&coven, Affiliation::None), Role::Visitor, "who is kicked begins anew");
        for nth in 0..=MOST {
            coven.room.keep_role(&user(&format!("hag{nth}")), Role::Participant, &mut fx);
        }
        assert_eq!(coven.room.extra.roles.len(), MOST);
        assert!(coven.room.extra.roles.iter().all(|(known, _)| known != "hag0@witches"));
        coven.room.forget_roles(&mut fx);
        assert!(coven.room.extra.roles.is_empty());
    }
}

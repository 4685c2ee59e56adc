//! Affiliations and roles (XEP-0045 §5), and who may change those of others.

use super::Affiliation;
use crate::stanza::{Condition, StanzaError};

/// What an occupant may do while in the room (XEP-0045 §5.1). In ascending order.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Not in the room.
    None,
    /// Reads. In a moderated room a visitor may not write to all.
    Visitor,
    /// Reads and writes.
    Participant,
    /// Also gives and takes roles, and kicks.
    Moderator,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Visitor, Self::Participant, Self::Moderator];

    /// The value in XML.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Visitor => "visitor",
            Self::Participant => "participant",
            Self::Moderator => "moderator",
        }
    }

    /// The one with this value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// The role with which somebody enters (XEP-0045 §5.1.2).
    #[must_use]
    pub fn on_entry(affiliation: Affiliation, is_moderated: bool) -> Self {
        match affiliation {
            Affiliation::Owner | Affiliation::Admin => Self::Moderator,
            Affiliation::Member => Self::Participant,
            Affiliation::None if is_moderated => Self::Visitor,
            Affiliation::None => Self::Participant,
            Affiliation::Outcast => Self::None,
        }
    }
}

impl Affiliation {
    /// All of them, the highest first.
    pub const ALL: [Self; 5] = [Self::Owner, Self::Admin, Self::Member, Self::None, Self::Outcast];

    /// The value in XML.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::None => "none",
            Self::Outcast => "outcast",
        }
    }

    /// The one with this value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|affiliation| affiliation.as_str() == text)
    }

    /// How high it is: an outcast has 0, an owner 4.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Outcast => 0,
            Self::None => 1,
            Self::Member => 2,
            Self::Admin => 3,
            Self::Owner => 4,
        }
    }

    /// Whether it is that of an admin, or higher.
    #[must_use]
    pub fn is_admin(self) -> bool {
        self.rank() >= Self::Admin.rank()
    }

    /// Whether it is that of a member, or higher.
    #[must_use]
    pub fn is_member(self) -> bool {
        self.rank() >= Self::Member.rank()
    }
}

/// Whether somebody with the affiliation `by` may change an affiliation from `from` to `to` (XEP-0045 §5.2.2).
///
/// # Errors
/// `forbidden` if `by` may not change it, `not-allowed` if it may not ban this user.
pub(super) fn may_change_affiliation(
    by: Affiliation,
    from: Affiliation,
    to: Affiliation,
) -> Result<(), StanzaError> {
    match by {
        Affiliation::Owner => Ok(()),
        // Admins make members and outcasts. Owners make and remove admins and owners (§10.3, §10.4, §10.6, §10.7).
        Affiliation::Admin if !from.is_admin() && !to.is_admin() => Ok(()),
        Affiliation::Admin if to == Affiliation::Outcast => {
            // §9.1 has another error than those sections.
            Err(Condition::NotAllowed.text("only owners ban admins and owners"))
        }
        Affiliation::Admin => {
            Err(Condition::Forbidden.text("only owners change admins and owners"))
        }
        _ => Err(Condition::Forbidden.text("only admins and owners change affiliations")),
    }
}

/// Somebody whose role is changed, or who changes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) affiliation: Affiliation,
    pub(super) role: Role,
}

/// Whether `by` may give the role `to` to somebody else (XEP-0045 §8.2 to §8.4, §9.6, §9.7).
///
/// # Errors
/// `forbidden` if `by` may not make such changes at all, `not-allowed` if it may not make this one.
pub(super) fn may_change_role(by: Standing, of: Standing, to: Role) -> Result<(), StanzaError> {
    if by.role != Role::Moderator && !by.affiliation.is_admin() {
        return Err(Condition::Forbidden.text("only moderators change roles"));
    }
    // The role is that of a moderator, and does not come from an affiliation.
    let is_made_moderator = of.role == Role::Moderator && !of.affiliation.is_admin();
    if !by.affiliation.is_admin()
        && (to == Role::Moderator || (to == Role::Participant && is_made_moderator))
    {
        return Err(Condition::Forbidden.text("only admins make and unmake moderators"));
    }
    let is_below = of.affiliation.rank() < by.affiliation.rank();
    let is_peer = of.affiliation.rank() == by.affiliation.rank();
    let allowed = match to {
        Role::Moderator => true,
        // Admins and owners are moderators because of the affiliation: the role cannot be taken from them (§8.4, §9.7).
        Role::Participant | Role::Visitor if of.affiliation.is_admin() => false,
        _ if of.role == Role::Moderator || of.affiliation.is_admin() => {
            let is_kick = to == Role::None;
            (by.affiliation.is_admin() && is_below)
                || (is_kick && is_peer && by.affiliation == Affiliation::Owner)
        }
        // §8.4 takes the voice of equals from moderators; §8.2 does not keep them from kicking equals.
        Role::Visitor => is_below || by.affiliation.is_admin(),
        // Each moderator gives voice to each visitor (§8.3).
        Role::Participant => true,
        Role::None => is_below || is_peer || by.affiliation.is_admin(),
    };
    match allowed {
        true => Ok(()),
        false => Err(Condition::NotAllowed.text("that occupant stands too high")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_on_entry_follow_from_affiliations() {
        use Affiliation::{Admin, Member, None, Outcast, Owner};
        for (affiliation, open, moderated) in [
            (Owner, Role::Moderator, Role::Moderator),
            (Admin, Role::Moderator, Role::Moderator),
            (Member, Role::Participant, Role::Participant),
            (None, Role::Participant, Role::Visitor),
            (Outcast, Role::None, Role::None),
        ] {
            assert_eq!(Role::on_entry(affiliation, false), open, "{affiliation:?}");
            assert_eq!(Role::on_entry(affiliation, true), moderated, "{affiliation:?}");
        }
    }

    #[test]
    fn admins_change_members_and_outcasts_and_owners_everybody() {
        use Affiliation::{Admin, Member, None, Outcast, Owner};
        let told = |by, from, to| match may_change_affiliation(by, from, to) {
            Ok(()) => "",
            Err(error) => error.condition.as_str(),
        };
        for from in Affiliation::ALL {
            for to in Affiliation::ALL {
                assert_eq!(told(Owner, from, to), "");
                let refused = if to == Outcast { "not-allowed" } else { "forbidden" };
                let high = from.is_admin() || to.is_admin();
                assert_eq!(told(Admin, from, to), if high { refused } else { "" });
                for by in [Member, None, Outcast] {
                    assert_eq!(told(by, from, to), "forbidden");
                }
            }
        }
    }

    #[test]
    fn nobody_kicks_a_higher_one() {
        let standing = |affiliation, role| Standing { affiliation, role };
        let admin = standing(Affiliation::Admin, Role::Moderator);
        let owner = standing(Affiliation::Owner, Role::Moderator);
        let helper = standing(Affiliation::None, Role::Moderator);
        let marshal = standing(Affiliation::Member, Role::Moderator);
        let guest = standing(Affiliation::None, Role::Participant);
        let member = standing(Affiliation::Member, Role::Participant);
        let told = |by, of, to| match may_change_role(by, of, to) {
            Ok(()) => "",
            Err(error) => error.condition.as_str(),
        };
        let mute = standing(Affiliation::Member, Role::Visitor);
        assert_eq!(told(helper, mute, Role::Participant), "", "each moderator gives voice (§8.3)");
        assert_eq!(told(admin, guest, Role::None), "");
        assert_eq!(told(helper, guest, Role::None), "");
        // §8.4: not from one at the moderator's level.
        assert_eq!(told(helper, guest, Role::Visitor), "not-allowed");
        assert_eq!(told(marshal, guest, Role::Visitor), "");
        assert_eq!(told(marshal, member, Role::Visitor), "not-allowed");
        assert_eq!(told(admin, guest, Role::Visitor), "");
        assert_eq!(told(helper, guest, Role::Participant), "");
        assert_eq!(told(helper, member, Role::None), "not-allowed");
        assert_eq!(told(helper, admin, Role::None), "not-allowed");
        // §9: only admins; §9.7: nobody takes it from admins and owners.
        assert_eq!(told(helper, guest, Role::Moderator), "forbidden");
        assert_eq!(told(helper, marshal, Role::Participant), "forbidden");
        assert_eq!(told(helper, owner, Role::Participant), "not-allowed");
        assert_eq!(told(helper, marshal, Role::None), "not-allowed");
        assert_eq!(told(admin, guest, Role::Moderator), "");
        assert_eq!(told(admin, owner, Role::None), "not-allowed");
        assert_eq!(told(admin, admin, Role::Participant), "not-allowed");
        assert_eq!(told(admin, helper, Role::Participant), "");
        assert_eq!(told(owner, admin, Role::None), "");
        assert_eq!(told(owner, admin, Role::Participant), "not-allowed");
        assert_eq!(told(owner, admin, Role::Visitor), "not-allowed");
        assert_eq!(told(owner, owner, Role::None), "");
        assert_eq!(told(guest, guest, Role::None), "forbidden");
    }
}

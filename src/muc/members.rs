//! Who belongs to a room (XEP-0045 §5.2), with registered nicknames (§7.10), and the version of the list
//! (XEP-0463).

use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::Affiliation;
use super::nick_skeleton::NicksBySkeleton;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::RoomMember;

/// The affiliations of a room, by address.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    by_user: FxHashMap<BareJid, RoomMember>,
    /// Who has registered a nickname.
    by_nick: FxHashMap<SmolStr, BareJid>,
    by_skeleton: NicksBySkeleton,
    /// The number of the last change.
    version: i64,
    owners: usize,
    /// How many have an affiliation or a nickname.
    needed: usize,
}

impl Members {
    pub(super) fn new(stored: Vec<RoomMember>) -> Self {
        let mut this = Self::default();
        for member in stored {
            this.enter(member);
        }
        this
    }

    fn enter(&mut self, member: RoomMember) {
        self.version = self.version.max(member.version);
        self.needed += usize::from(is_needed(&member));
        if let Some(old) = self.by_user.get(&member.jid) {
            self.needed -= usize::from(is_needed(old));
            self.owners -= usize::from(old.affiliation == Affiliation::Owner);
            if let Some(nick) = &old.nick {
                self.by_nick.remove(nick.as_str());
                self.by_skeleton.remove(nick);
            }
        }
        self.owners += usize::from(member.affiliation == Affiliation::Owner);
        if let Some(nick) = &member.nick {
            self.by_nick.insert(nick.into(), member.jid.clone());
            self.by_skeleton.add(nick);
        }
        self.by_user.insert(member.jid.clone(), member);
    }

    /// The affiliation of a user. One who is not listed is banned, if the domain is.
    pub(super) fn affiliation(&self, user: &BareJid) -> Affiliation {
        if let Some(member) = self.by_user.get(user)
            && member.affiliation != Affiliation::None
        {
            return member.affiliation;
        }
        match BareJid::parse(user.domain()).ok().and_then(|domain| self.by_user.get(&domain)) {
            Some(domain) if domain.affiliation == Affiliation::Outcast => Affiliation::Outcast,
            _ => Affiliation::None,
        }
    }

    pub(super) fn get(&self, user: &BareJid) -> Option<&RoomMember> {
        self.by_user.get(user)
    }

    /// Who has registered this nickname.
    pub(super) fn holder_of(&self, nick: &str) -> Option<&BareJid> {
        self.by_nick.get(nick)
    }

    /// The nickname that a user has registered.
    pub(super) fn nick_of(&self, user: &BareJid) -> Option<&str> {
        self.by_user.get(user)?.nick.as_deref()
    }

    /// Who has registered nicknames with this skeleton.
    pub(super) fn with_skeleton(&self, skeleton: &str) -> impl Iterator<Item = &BareJid> {
        self.by_skeleton.with(skeleton).filter_map(|nick| self.by_nick.get(nick))
    }

    /// All members, admins and owners.
    pub(super) fn users(&self) -> impl Iterator<Item = &BareJid> {
        let members = self.by_user.values().filter(|member| member.affiliation.is_member());
        members.map(|member| &member.jid)
    }

    /// All with this affiliation, in the order of their addresses.
    pub(super) fn with(&self, affiliation: Affiliation) -> Vec<&RoomMember> {
        let mut found: Vec<_> =
            self.by_user.values().filter(|member| member.affiliation == affiliation).collect();
        found.sort_by(|one, other| one.jid.as_str().cmp(other.jid.as_str()));
        found
    }

    /// Those that have changed after this version.
    pub(super) fn since(&self, version: i64) -> Vec<&RoomMember> {
        let mut found: Vec<_> =
            self.by_user.values().filter(|member| member.version > version).collect();
        found.sort_by_key(|member| member.version);
        found
    }

    /// The number of the last change.
    pub(super) fn version(&self) -> i64 {
        self.version
    }

    pub(super) fn owners(&self) -> usize {
        self.owners
    }

    /// How many addresses have an affiliation or a nickname.
    pub(super) fn needed(&self) -> usize {
        self.needed
    }

    /// Whether this address is one of those.
    pub(super) fn is_needed(&self, user: &BareJid) -> bool {
        self.by_user.get(user).is_some_and(is_needed)
    }

    /// If there are more than `most` addresses, forgets addresses that have lost affiliation and nickname, in the order
    /// in which they lost them. The last one stays, since it may have the number of the last change. Returns the
    /// addresses, and the number of the newest change that is forgotten.
    pub(super) fn forget(&mut self, most: usize) -> Option<(Vec<BareJid>, i64)> {
        let surplus = self.by_user.len().saturating_sub(most);
        if surplus == 0 || self.by_user.len() - self.needed <= 1 {
            return None;
        }
        let idle = self.by_user.values().filter(|member| !is_needed(member));
        let mut idle: Vec<_> = idle.map(|member| (member.version, member.jid.clone())).collect();
        idle.sort_unstable_by_key(|(version, _)| *version);
        idle.pop();
        // Some more than necessary, so that it need not be done each time.
        idle.truncate(surplus + most / 32);
        let newest = idle.last()?.0;
        let users: Vec<BareJid> = idle.into_iter().map(|(_, user)| user).collect();
        for user in &users {
            self.by_user.remove(user);
        }
        Some((users, newest))
    }

    /// Gives an affiliation. The registered nickname stays, unless the user is banned or removed. Returns the
    /// entry, to be stored.
    pub(super) fn set(
        &mut self,
        user: &BareJid,
        affiliation: Affiliation,
        reason: Option<&str>,
        at: Timestamp,
    ) -> RoomMember {
        let old = self.by_user.get(user);
        let nick = old.and_then(|old| old.nick.clone()).filter(|_| affiliation.is_member());
        let since = match old {
            Some(old) if old.affiliation.is_member() && affiliation.is_member() => old.since,
            _ => at,
        };
        let member = RoomMember {
            jid: user.clone(),
            affiliation,
            nick,
            reason: reason.map(str::to_owned),
            since,
            version: self.version + 1,
        };
        self.enter(member.clone());
        member
    }

    /// Registers or gives up a nickname. Returns the entry, to be stored.
    pub(super) fn set_nick(
        &mut self,
        user: &BareJid,
        nick: Option<&str>,
        at: Timestamp,
    ) -> RoomMember {
        let old = self.by_user.get(user).cloned();
        let mut member = old.unwrap_or_else(|| RoomMember {
            jid: user.clone(),
            affiliation: Affiliation::None,
            nick: None,
            reason: None,
            since: at,
            version: 0,
        });
        member.nick = nick.map(str::to_owned);
        member.version = self.version + 1;
        self.enter(member.clone());
        member
    }
}

/// Whether an entry says more than that there was one.
fn is_needed(member: &RoomMember) -> bool {
    member.affiliation != Affiliation::None || member.nick.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    #[test]
    fn affiliations_and_nicknames_change_with_versions() {
        let mut members = Members::default();
        let (hag, crone) = (user("hag66@shakespeare.lit"), user("crone1@shakespeare.lit"));
        let at = Timestamp::from_micros;
        members.set(&crone, Affiliation::Owner, None, at(1));
        members.set(&hag, Affiliation::Member, Some("A worthy witch!"), at(2));
        members.set_nick(&hag, Some("thirdwitch"), at(3));
        assert_eq!((members.owners(), members.version()), (1, 3));
        assert_eq!(members.holder_of("thirdwitch"), Some(&hag));
        let admin = members.set(&hag, Affiliation::Admin, None, at(4));
        assert_eq!((admin.since, admin.nick.as_deref()), (at(2), Some("thirdwitch")));
        assert_eq!(members.since(3).len(), 1);
        let outcast = members.set(&hag, Affiliation::Outcast, None, at(5));
        assert_eq!((outcast.since, outcast.nick), (at(5), None));
        assert_eq!(members.holder_of("thirdwitch"), None);
        members.set(&crone, Affiliation::None, None, at(6));
        assert_eq!((members.owners(), members.needed()), (0, 1));
        assert!(members.is_needed(&hag) && !members.is_needed(&crone));
    }

    #[test]
    fn those_who_are_nothing_any_more_are_forgotten_in_their_order() {
        let mut members = Members::default();
        let at = Timestamp::from_micros(1);
        let users: Vec<_> = (0..4).map(|nth| user(&format!("w{nth}@b.example"))).collect();
        for user in &users {
            members.set(user, Affiliation::Member, None, at);
        }
        for user in &users[1..] {
            members.set(user, Affiliation::None, None, at);
        }
        assert!(members.forget(4).is_none());
        assert_eq!(members.forget(3), Some((vec![users[1].clone()], 5)));
        assert_eq!(members.forget(0), Some((vec![users[2].clone()], 6)));
        assert!(members.forget(0).is_none(), "the number of the last change stays");
        assert_eq!((members.version(), members.needed()), (7, 1));
    }

    #[test]
    fn a_banned_domain_bans_its_users_but_not_members() {
        let mut members = Members::default();
        members.set(&user("evil.example"), Affiliation::Outcast, None, Timestamp::from_micros(1));
        let good = user("good@evil.example");
        members.set(&good, Affiliation::Member, None, Timestamp::from_micros(2));
        assert_eq!(members.affiliation(&user("bad@evil.example")), Affiliation::Outcast);
        assert_eq!(members.affiliation(&good), Affiliation::Member);
        assert_eq!(members.affiliation(&user("a@b.example")), Affiliation::None);
    }
}

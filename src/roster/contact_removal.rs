//! What a contact is told when the user removes it from the roster, or when the account of the user is
//! removed (RFC 6121 §2.5.2).

use super::subscription::State;
use crate::jid::{BareJid, FullJid};
use crate::stanza::{Presence, PresenceKind};
use crate::storage::RosterItem;

/// The presence that ends all subscriptions between `user` and the contact of `item`, in order. A contact
/// that may see the user is first sent unavailable presence of the `available` sessions (RFC 6121
/// §3.2.2). Other contacts learn nothing of these sessions.
#[must_use]
pub fn farewell(user: &BareJid, available: &[FullJid], item: &RosterItem) -> Vec<Presence> {
    let state = State::of(item);
    let (unsubscribe, unsubscribed) = state.farewells();
    let to = || item.jid.clone();
    let mut said = Vec::new();
    if unsubscribe {
        said.push(Presence::bare(PresenceKind::Unsubscribe, user.clone(), to()));
    }
    if state.is_seen() {
        let gone = |from: &FullJid| Presence::bare(PresenceKind::Unavailable, from.clone(), to());
        said.extend(available.iter().map(gone));
    }
    if unsubscribed {
        said.push(Presence::bare(PresenceKind::Unsubscribed, user.clone(), to()));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::farewell;
    use crate::jid::{BareJid, FullJid, Jid};
    use crate::roster::item;
    use crate::storage::{RosterItem, Subscription};

    #[test]
    fn each_contact_hears_what_concerns_it() {
        let user = BareJid::parse("romeo@localhost").unwrap();
        let here = [FullJid::parse("romeo@localhost/orchard").unwrap()];
        let plain = || item::new(Jid::parse("juliet@localhost").unwrap());
        let with = |subscription| RosterItem { subscription, ..plain() };
        let asked = || Some("<presence/>".to_owned());
        let cases: [(RosterItem, &[&str]); 6] = [
            (plain(), &[]),
            (RosterItem { pending_out: true, ..plain() }, &["unsubscribe"]),
            (RosterItem { pending_in: asked(), ..plain() }, &["unsubscribed"]),
            (with(Subscription::To), &["unsubscribe"]),
            (with(Subscription::From), &["unavailable", "unsubscribed"]),
            (with(Subscription::Both), &["unsubscribe", "unavailable", "unsubscribed"]),
        ];
        for (item, expected) in cases {
            let said = farewell(&user, &here, &item);
            let kinds: Vec<_> = said.iter().filter_map(|p| p.kind.as_str()).collect();
            assert_eq!(kinds, expected, "{item:?}");
            assert!(said.iter().all(|p| p.head.to.as_ref() == Some(&item.jid)));
        }
    }
}

//! The contacts of accounts in memory: what each presence needs to know of a roster.
//!
//! The roster itself, with names, versions and requests, is read from the store (`src/modules/roster.rs`).

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{AccountCache, Invalidation, Read, ServerState, SharedState};
use crate::jid::{BareJid, Jid};
use crate::storage::{self, ReadCache, RosterItem, Subscription};

/// A contact, or the address of a subscription request that waits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Contact {
    /// The address. Usually bare; a domain is possible.
    pub jid: Jid,
    /// Who sees whose presence.
    pub subscription: Subscription,
    /// The user has asked for a subscription and has no answer yet (RFC 6121 §3.1.2).
    pub pending_out: bool,
    /// Whether it is in the user's roster. `false`: it is only a request.
    pub listed: bool,
    /// The groups that the user has put it in, each once.
    pub groups: Box<[String]>,
}

/// The contacts of an account.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct ContactList {
    /// In the order of their addresses.
    contacts: Box<[Contact]>,
    /// Subscription requests wait for an answer of the user: the store has them.
    pub has_requests: bool,
}

/// A cache of the contact lists of online users, and of single contacts of others. The feature that changes rosters
/// registers it.
#[derive(Debug)]
pub struct ContactLists {
    lists: AccountCache<Arc<ContactList>>,
    /// One contact of an account without sessions.
    single: ReadCache<(BareJid, Jid), Option<Contact>>,
}

impl Default for ContactLists {
    fn default() -> Self {
        Self { lists: AccountCache::new(CACHE_BYTES), single: ReadCache::new(SINGLE_BYTES) }
    }
}

impl SharedState for ContactLists {
    fn invalidate(&self, what: &Invalidation) {
        if let Invalidation::Account(user) | Invalidation::Roster(user) = what {
            self.lists.forget(user);
            self.single.forget(user);
        }
    }
}

impl From<RosterItem> for Contact {
    fn from(item: RosterItem) -> Self {
        let RosterItem { jid, groups, subscription, pending_out, listed, .. } = item;
        Self { jid, subscription, pending_out, listed, groups: groups.into() }
    }
}

impl ContactList {
    fn new(items: Vec<RosterItem>) -> Self {
        let has_requests = items.iter().any(|item| item.pending_in.is_some());
        let mut contacts: Box<[_]> = items.into_iter().map(Contact::from).collect();
        contacts.sort_unstable_by(|a, b| a.jid.as_str().cmp(b.jid.as_str()));
        Self { contacts, has_requests }
    }

    /// All contacts, in the order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.iter()
    }

    /// The contact with this address, which is usually bare.
    #[must_use]
    pub fn get(&self, jid: &str) -> Option<&Contact> {
        let place = self.contacts.binary_search_by(|contact| contact.jid.as_str().cmp(jid));
        place.ok().map(|place| &self.contacts[place])
    }

    /// About how many bytes it occupies.
    fn bytes(&self) -> usize {
        let one = |contact: &Contact| contact.bytes() + size_of::<Contact>();
        self.contacts.iter().map(one).sum()
    }
}

impl Contact {
    /// About how many bytes it occupies beside its own size.
    fn bytes(&self) -> usize {
        let groups = self.groups.iter().map(|group| group.len() + size_of::<String>());
        self.jid.as_str().len() + groups.sum::<usize>()
    }
}

/// The contacts of an account; from memory, if the user is online.
///
/// # Errors
/// If the store fails.
///
/// # Panics
/// If no feature has registered [`ContactLists`].
pub async fn of(server: &ServerState, user: &BareJid) -> storage::Result<Arc<ContactList>> {
    server.shared::<ContactLists>().lists.get_or_read(user, read(server, user)).await
}

/// The contact with this address; from memory, if the user is online, or if somebody has asked for it lately. For users
/// who are offline it reads one item, not the whole roster.
///
/// # Errors
/// If the store fails.
pub async fn find(
    server: &ServerState,
    user: &BareJid,
    contact: &Jid,
) -> storage::Result<Option<Contact>> {
    if !server.sessions.of(user).is_empty() {
        return Ok(of(server, user).await?.get(contact.as_str()).cloned());
    }
    let single = &server.shared::<ContactLists>().single;
    let key = (user.clone(), contact.clone());
    if let Some(known) = single.get(&key) {
        return Ok(known);
    }
    let seen = single.seen(user);
    let found = server.storage.roster().find(user, contact).await?.map(Contact::from);
    single.hold(key, found.clone(), found.as_ref().map_or(0, Contact::bytes), seen);
    Ok(found)
}

/// Reads at once one contact of each of these accounts without sessions, so that [`find`] need not read them one by one.
///
/// # Errors
/// If the store fails.
pub async fn read_ahead(
    server: &ServerState,
    users: &[BareJid],
    contact: &Jid,
) -> storage::Result<()> {
    let single = &server.shared::<ContactLists>().single;
    let key = |user: &BareJid| (user.clone(), contact.clone());
    let is_missing = |user: &&BareJid| single.get(&key(user)).is_none();
    let missing: Vec<BareJid> = users.iter().filter(is_missing).cloned().collect();
    let seen: Vec<_> = missing.iter().map(|user| single.seen(user)).collect();
    let found = server.storage.roster().find_in_each(&missing, contact).await?;
    let mut found: FxHashMap<BareJid, RosterItem> = found.into_iter().collect();
    for (user, seen) in missing.into_iter().zip(seen) {
        let contact = found.remove(&user).map(Contact::from);
        let bytes = contact.as_ref().map_or(0, Contact::bytes);
        single.hold(key(&user), contact, bytes, seen);
    }
    Ok(())
}

async fn read(server: &ServerState, user: &BareJid) -> storage::Result<Read<Arc<ContactList>>> {
    let (_, items) = server.storage.roster().load(user).await?;
    let list = ContactList::new(items);
    // The lists of offline users would push others out of the cache.
    let is_held = !server.sessions.of(user).is_empty();
    Ok(Read { bytes: is_held.then(|| list.bytes()), value: Arc::new(list) })
}

/// Bytes of contact lists held in memory: some 50,000 contacts of online users.
const CACHE_BYTES: usize = 8 << 20;
/// Bytes of single contacts of users who are offline: some 20,000.
const SINGLE_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::ContactList;
    use crate::jid::Jid;
    use crate::storage::{RosterItem, Subscription};

    fn item(jid: &str, pending_in: Option<&str>) -> RosterItem {
        RosterItem {
            jid: Jid::parse(jid).unwrap(),
            name: String::new(),
            groups: vec!["Friends".to_owned()],
            subscription: Subscription::Both,
            pending_out: false,
            pending_in: pending_in.map(ToOwned::to_owned),
            approved: false,
            listed: pending_in.is_none(),
        }
    }

    #[test]
    fn a_contact_is_found_by_its_address() {
        let jids = ["z@a", "a@z", "capulet.lit", "m@m"];
        let list = ContactList::new(jids.iter().map(|jid| item(jid, None)).collect());
        for jid in jids {
            assert_eq!(list.get(jid).map(|contact| contact.jid.as_str()), Some(jid));
        }
        assert_eq!(list.get("m@m/r"), None);
        assert!(!list.has_requests && list.iter().count() == 4);
        let list = ContactList::new(vec![item("a@b", Some("<presence type='subscribe'/>"))]);
        assert!(list.has_requests && list.iter().all(|contact| !contact.listed));
    }
}

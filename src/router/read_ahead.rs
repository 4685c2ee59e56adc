//! What the accounts of many contacts say of a user, read with a few queries.
//!
//! The first presence of a session goes to each contact, asks whether the contact is online, and brings the last items
//! of the contact's nodes. Each time the contact's account is asked whether it has blocked the user, and whether it shows
//! its presence. If the contact is offline, the store has the answers. They are read here with few queries, and held in
//! the caches in which they are looked up. What a cache has dropped until then is read again.

use super::contacts::Contacts;
use crate::host::{Cx, Halt, block_list, contact_list};
use crate::jid::BareJid;
use crate::modules::last_activity;
use crate::storage::Subscription;

/// Reads it for all contacts of this user that have their accounts here and are offline.
pub(super) async fn read_ahead(cx: &Cx<'_>, user: &BareJid) -> Result<(), Halt> {
    let contacts = Contacts::of(cx, user).await?;
    let is_here = |jid: &BareJid| {
        jid.local().is_some()
            && cx.server.host(jid.domain()).is_some()
            && cx.server.sessions.of(jid).is_empty()
    };
    let with_presence = contacts.iter().filter(|one| one.subscription != Subscription::None);
    let offline: Vec<BareJid> =
        with_presence.map(|one| one.jid.to_bare()).filter(is_here).take(MOST).collect();
    if offline.len() < FEW {
        return Ok(());
    }
    let user = user.clone().into_jid();
    for part in offline.chunks(AT_ONCE) {
        block_list::read_ahead(cx.server, part).await?;
        contact_list::read_ahead(cx.server, part, &user).await?;
        last_activity::read_ahead(cx.server, part).await?;
    }
    Ok(())
}

/// Fewer contacts are read one by one.
const FEW: usize = 4;
/// Contacts that are read with one query.
const AT_ONCE: usize = 256;
/// At most this many contacts are read ahead: more would not fit in the cache.
const MOST: usize = 5_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Invalidation, Registry};
    use crate::jid::Jid;
    use crate::modules;
    use crate::router::Router;
    use crate::router::internal::Internal;
    use crate::stanza::Content;
    use crate::storage::RosterItem;

    fn item(jid: &Jid) -> RosterItem {
        RosterItem {
            jid: jid.clone(),
            name: String::new(),
            groups: Vec::new(),
            subscription: Subscription::Both,
            pending_out: false,
            pending_in: None,
            approved: false,
            listed: true,
        }
    }

    #[tokio::test]
    async fn what_was_read_is_held_until_it_changes() {
        let mut on = Registry::default();
        for module in modules::ALL {
            module.register(&mut on);
        }
        let router = Router::for_tests(&["localhost"], on);
        let (server, store) = (&router.server, &router.server.storage);
        let romeo = Jid::parse("romeo@localhost").unwrap();
        let friends: Vec<_> =
            (0..6).map(|n| BareJid::parse(&format!("friend{n}@localhost")).unwrap()).collect();
        for friend in &friends {
            let jid = friend.clone().into_jid();
            store.roster().put(&romeo.to_bare(), &item(&jid), 9).await.unwrap();
            store.roster().put(friend, &item(&romeo), 9).await.unwrap();
            let last = "<last xmlns='jabber:iq:last' at='1'>Good night</last>";
            store.documents().put(friend, "last", "", last).await.unwrap();
        }
        store
            .documents()
            .put(&friends[5], block_list::KIND, "romeo@localhost", "<x/>")
            .await
            .unwrap();
        let mut work = Internal::for_domain(&router, "localhost").unwrap();
        let cx = work.cx();
        read_ahead(&cx, &romeo.to_bare()).await.unwrap();
        assert!(!cx.shows_presence(&friends[5], &romeo).await.unwrap(), "romeo is blocked");
        // The store changes, and nobody is told.
        let one = &friends[0];
        store.documents().put(one, block_list::KIND, "romeo@localhost", "<x/>").await.unwrap();
        store.roster().remove(one, &romeo).await.unwrap();
        store.documents().remove(one, "last", "").await.unwrap();
        let last_words = async || last_activity::last_words(&cx, one).await.unwrap();
        let contact = async || contact_list::find(server, one, &romeo).await.unwrap();
        let blocked = async || block_list::of(server, one).await.unwrap().len();
        assert!(cx.shows_presence(one, &romeo).await.unwrap());
        let nothing = Content::default().size();
        assert!(last_words().await.size() > nothing);
        assert!(contact().await.is_some());
        assert_eq!(blocked().await, 0);
        for what in [
            Invalidation::BlockList(one.clone()),
            Invalidation::Roster(one.clone()),
            Invalidation::LastActivity(one.clone()),
        ] {
            server.invalidate(&what);
        }
        assert_eq!(blocked().await, 1);
        assert!(contact().await.is_none());
        assert_eq!(last_words().await.size(), nothing);
    }
}

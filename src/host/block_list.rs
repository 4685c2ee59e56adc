//! The addresses that an account has blocked (XEP-0191). Every stanza to its sessions is checked.

use std::sync::{Arc, LazyLock};

use rustc_hash::FxHashSet;

use super::{AccountCache, Invalidation, Read, ServerState, SharedState};
use crate::jid::{BareJid, Jid};
use crate::storage::{self, ReadCache};

/// The addresses that an account has blocked.
pub type BlockList = FxHashSet<Jid>;

/// The kind of document under which the list is stored: one for each address.
pub const KIND: &str = "blocked";

/// A cache of the block lists of accounts. The feature that changes block lists registers it.
#[derive(Debug)]
pub struct BlockLists {
    lists: AccountCache<Arc<BlockList>>,
    /// Accounts without sessions that block nobody: nearly all.
    empty: ReadCache<BareJid, ()>,
}

impl Default for BlockLists {
    fn default() -> Self {
        Self { lists: AccountCache::new(CACHE_BYTES), empty: ReadCache::new(EMPTY_BYTES) }
    }
}

impl SharedState for BlockLists {
    fn invalidate(&self, what: &Invalidation) {
        if let Invalidation::Account(user) | Invalidation::BlockList(user) = what {
            self.lists.forget(user);
            self.empty.forget(user);
        }
    }
}

/// The block list of an account; from memory, if it was used lately.
///
/// # Errors
/// If the store fails. Then it is unknown who is blocked, and the stanza must not be delivered.
///
/// # Panics
/// If no feature has registered [`BlockLists`].
pub async fn of(server: &ServerState, user: &BareJid) -> storage::Result<Arc<BlockList>> {
    let BlockLists { lists, empty } = server.shared::<BlockLists>();
    if let Some(list) = lists.at_hand(user) {
        return Ok(list);
    }
    if server.sessions.of(user).is_empty() && empty.get(user).is_some() {
        return Ok(nobody());
    }
    lists.get_or_read(user, read(server, user)).await
}

/// Reads at once which of these accounts block nobody, so that [`of`] need not read them one by one.
///
/// # Errors
/// If the store fails.
pub async fn read_ahead(server: &ServerState, users: &[BareJid]) -> storage::Result<()> {
    let BlockLists { lists, empty } = server.shared::<BlockLists>();
    let is_missing = |user: &&BareJid| lists.at_hand(user).is_none() && empty.get(user).is_none();
    let missing: Vec<BareJid> = users.iter().filter(is_missing).cloned().collect();
    let seen: Vec<_> = missing.iter().map(|user| empty.seen(user)).collect();
    let blocking = server.storage.documents().owners_with(&missing, KIND).await?;
    let blocking: FxHashSet<BareJid> = blocking.into_iter().collect();
    for (user, seen) in missing.into_iter().zip(seen) {
        if !blocking.contains(&user) {
            empty.hold(user, (), 0, seen);
        }
    }
    Ok(())
}

/// The empty list. All users who block nobody share one value.
fn nobody() -> Arc<BlockList> {
    static NOBODY: LazyLock<Arc<BlockList>> = LazyLock::new(Arc::default);
    Arc::clone(&NOBODY)
}

async fn read(server: &ServerState, user: &BareJid) -> storage::Result<Read<Arc<BlockList>>> {
    let empty = &server.shared::<BlockLists>().empty;
    let seen = empty.seen(user);
    let kept = server.storage.documents().all(user, KIND).await?;
    let read = |(jid, _): &(String, String)| match Jid::parse(jid) {
        Ok(jid) => Some(jid),
        Err(error) => {
            tracing::error!(jid = %user, %error, "a stored blocked address is damaged: it is not blocked");
            None
        }
    };
    let list: BlockList = kept.iter().filter_map(read).collect();
    let list = if list.is_empty() { nobody() } else { Arc::new(list) };
    // A client that writes to many offline accounts must not push the lists of online users out of the
    // cache.
    let is_held = !list.is_empty() || !server.sessions.of(user).is_empty();
    if !is_held {
        empty.hold(user.clone(), (), 0, seen);
    }
    let bytes = is_held.then(|| list.iter().map(|j| j.as_str().len() + size_of::<Jid>() * 2).sum());
    Ok(Read { value: list, bytes })
}

/// Whether an address is blocked by a list: the address itself, its bare one, its domain with its
/// resource, its domain (XEP-0191 §5).
#[must_use]
pub fn hits(list: &BlockList, jid: &Jid) -> bool {
    if list.is_empty() {
        return false;
    }
    let domain = jid.domain();
    list.contains(jid.as_str())
        || list.contains(jid.bare_str())
        || list.contains(domain)
        || jid.resource().is_some_and(|resource| {
            jid.local().is_some() && list.contains(format!("{domain}/{resource}").as_str())
        })
}

/// Whether `user`, who has this list, gets nothing from `from`.
#[must_use]
pub fn keeps_out(list: &BlockList, user: &BareJid, from: &Jid) -> bool {
    hits(list, from) && !is_always_heard(user, from)
}

/// The user's own account (XEP-0191 §4, note 1) and the server: blocking them has no effect.
#[must_use]
pub fn is_always_heard(user: &BareJid, other: &Jid) -> bool {
    other.bare_str() == user.as_str()
        || (other.local().is_none() && other.domain() == user.domain())
}

/// Bytes of block lists held in memory.
const CACHE_BYTES: usize = 16 << 20;
/// Bytes of addresses of offline accounts that block nobody: some 40,000.
const EMPTY_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::{BlockList, hits, is_always_heard};
    use crate::jid::{BareJid, Jid};

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    /// XEP-0191 §5: what is blocked, and what is hit and what is not.
    #[test]
    fn an_address_is_matched_by_itself_its_bare_form_and_its_domain() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("a@b/c", &["a@b/c"], &["a@b", "a@b/d", "b", "b/c"]),
            ("a@b", &["a@b", "a@b/c", "a@b/d"], &["b", "x@b", "a@sub.b", "b/c"]),
            ("b/c", &["b/c", "a@b/c"], &["b", "a@b", "a@b/d", "b/d"]),
            ("b", &["b", "b/c", "a@b", "a@b/c"], &["sub.b", "a@sub.b", "a@x/b"]),
        ];
        for (blocked, hit, missed) in cases {
            let list = BlockList::from_iter([jid(blocked)]);
            for other in *hit {
                assert!(hits(&list, &jid(other)), "{blocked} blocks {other}");
            }
            for other in *missed {
                assert!(!hits(&list, &jid(other)), "{blocked} does not block {other}");
            }
        }
        assert!(!hits(&BlockList::default(), &jid("a@b")));
    }

    #[test]
    fn ones_own_account_and_server_are_always_heard() {
        let user = BareJid::parse("romeo@montague.lit").unwrap();
        for own in ["romeo@montague.lit", "romeo@montague.lit/orchard", "montague.lit"] {
            assert!(is_always_heard(&user, &jid(own)), "{own}");
        }
        for other in ["benvolio@montague.lit", "capulet.lit", "romeo@capulet.lit"] {
            assert!(!is_always_heard(&user, &jid(other)), "{other}");
        }
    }
}

//! XEP-0441: which messages a user wants in the archive.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;

use crate::host::{AccountCache, Cx, Invalidation, IqHandler, IqReply, Read, SharedState};
use crate::jid::{BareJid, Jid};
use crate::payload::archive_preferences::{Default, Preferences};
use crate::stanza::{Condition, Iq, IqKind, StanzaError};
use crate::storage::{self, Storage};
use crate::xml::Frame;

/// Answers requests for the preferences, and changes them (XEP-0441 §2.1).
pub(super) struct Wishes;

#[async_trait]
impl IqHandler for Wishes {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let user = super::owner::owner(cx)?;
        if request.kind == IqKind::Get {
            return Ok(Some(of(cx, &user).await?.to_node()));
        }
        let wanted = Preferences::read(&request.payload().ok_or(Condition::BadRequest)?)?;
        // The account may have been removed meanwhile: nothing may stay behind.
        cx.must_have_account(&user).await?;
        let documents = cx.server.storage.documents();
        let kept = if wanted == Preferences::default() {
            documents.remove(&user, KIND, "").await.map(drop)
        } else {
            let xml = wanted.to_node().to_xml();
            documents.put(&user, KIND, "", &xml).await
        };
        cx.server.invalidate(&Invalidation::ArchivePreferences(user.clone()));
        kept?;
        Ok(Some(wanted.to_node()))
    }
}

/// Preferences of users, as far as they were needed lately.
pub(super) struct Cache(AccountCache<Arc<Preferences>>);

impl Cache {
    pub(super) fn new() -> Self {
        Self(AccountCache::new(CACHE_BYTES))
    }
}

impl SharedState for Cache {
    fn invalidate(&self, what: &Invalidation) {
        if let Invalidation::Account(user) | Invalidation::ArchivePreferences(user) = what {
            self.0.forget(user);
        }
    }
}

/// The preferences of a user, from the cache or from the store.
///
/// # Errors
/// `internal-server-error` if the store fails, so that a message is not archived against the user's will.
pub(super) async fn of(cx: &Cx<'_>, user: &BareJid) -> Result<Arc<Preferences>, StanzaError> {
    let read = async {
        // Most users have the default: they share one value.
        static DEFAULT: LazyLock<Arc<Preferences>> = LazyLock::new(Arc::default);
        let stored = stored(&*cx.server.storage, user).await?;
        let is_default = stored == Preferences::default();
        let value = if is_default { Arc::clone(&DEFAULT) } else { Arc::new(stored) };
        let jids = value.always.iter().chain(&value.never);
        let bytes = jids.map(|jid| jid.as_str().len() + size_of::<Jid>()).sum();
        Ok(Read { value, bytes: Some(bytes) })
    };
    cx.server.shared::<Cache>().0.get_or_read(user, read).await
}

/// The preferences of a user, from the store.
///
/// # Errors
/// If the store fails.
pub async fn stored(storage: &dyn Storage, user: &BareJid) -> storage::Result<Preferences> {
    let kept = storage.documents().get(user, KIND, "").await?;
    let Some(xml) = kept else { return Ok(Preferences::default()) };
    let frame = Frame::from_bytes(xml).ok();
    let preferences = frame.and_then(|frame| Preferences::read(&frame.root()).ok());
    Ok(preferences.unwrap_or_else(|| {
        tracing::error!(jid = %user, "stored archive preferences are damaged: nothing is archived");
        Preferences { default: Default::Never, ..Preferences::default() }
    }))
}

const KIND: &str = "archive-preferences";
/// Bytes of preferences held in memory.
const CACHE_BYTES: usize = 16 << 20;

//! The push registrations of accounts, cached in memory: they are needed for each message.

use std::sync::{Arc, LazyLock};

use super::content::Content;
use super::settings::Settings;
use crate::host::{AccountCache, Invalidation, Read, ServerState, SharedState};
use crate::jid::BareJid;
use crate::storage::{self, PushDevice, PushRegistration};

/// A cache of registrations.
#[derive(Debug)]
pub(super) struct Registrations(AccountCache<Arc<Registered>>);

/// What is cached of an account.
#[derive(Debug, Default)]
pub(super) struct Registered {
    /// Its registrations.
    pub(super) all: Vec<PushRegistration>,
    /// What its notifications contain.
    pub(super) content: Content,
    /// Which messages notify.
    pub(super) settings: Settings,
}

impl Default for Registrations {
    fn default() -> Self {
        Self(AccountCache::new(CACHE_BYTES))
    }
}

impl Registrations {
    /// Whether it is known, without reading, that an account has none.
    pub(super) fn are_none(&self, user: &BareJid) -> bool {
        self.0.at_hand(user).is_some_and(|of| of.all.is_empty())
    }
}

impl SharedState for Registrations {
    fn invalidate(&self, what: &Invalidation) {
        match what {
            Invalidation::Account(user)
            | Invalidation::Bookmarks(user)
            | Invalidation::Push(user) => self.0.forget(user),
            _ => {}
        }
    }
}

/// The registrations of an account; from memory, if they were used lately.
///
/// # Errors
/// If the store fails.
pub(super) async fn of(server: &ServerState, user: &BareJid) -> storage::Result<Arc<Registered>> {
    let read = async {
        let all = server.storage.push().registrations(user).await?;
        // Most accounts have none: they share one value.
        static NONE: LazyLock<Arc<Registered>> = LazyLock::new(Arc::default);
        if all.is_empty() {
            return Ok(Read { value: Arc::clone(&NONE), bytes: Some(0) });
        }
        let content = Content::of(&*server.storage, user).await?;
        let settings = Settings::of(server, user).await?;
        let bytes = all.iter().map(bytes).sum::<usize>() + settings.bytes();
        let value = Arc::new(Registered { all, content, settings });
        Ok(Read { value, bytes: Some(bytes) })
    };
    server.shared::<Registrations>().0.get_or_read(user, read).await
}

/// About how many bytes a registration occupies.
fn bytes(one: &PushRegistration) -> usize {
    let (PushDevice::Installation(device) | PushDevice::Resource(device)) = &one.device;
    let texts = [one.service.as_str(), &one.node, one.options.as_deref().unwrap_or(""), device];
    size_of::<PushRegistration>() + texts.iter().map(|text| text.len()).sum::<usize>()
}

/// Bytes of registrations held in memory.
const CACHE_BYTES: usize = 16 << 20;

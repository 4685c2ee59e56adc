//! What hashes of capabilities stand for (XEP-0115, XEP-0390): a cache that outlives the server.

use async_trait::async_trait;
use smol_str::SmolStr;

use super::Result;
use crate::jid::BareJid;

/// What hashes of capabilities stand for. The caller has verified each: it holds for everybody.
///
/// It is a cache. Its size is bounded, also for an account, and so it does not count for the quota: an entry
/// can go at any time, and then a client is asked again.
#[async_trait]
pub trait CapabilityStore: Send + Sync {
    /// The nodes of which a client with this hash wants to hear, in the order in which they were given.
    /// `None` if the hash is not known.
    async fn interests(&self, hash: &str) -> Result<Option<Vec<SmolStr>>>;

    /// Remembers the nodes for this hash, which a client of `owner` has told. If the hash is known already,
    /// nothing changes. The oldest entries above [`MAX_CAPABILITIES_OF_OWNER`] of the owner, and above
    /// [`MAX_CAPABILITIES`] of all, go.
    async fn remember(&self, owner: &BareJid, hash: &str, nodes: &[SmolStr]) -> Result<()>;
}

/// Entries for which the clients of one account are the first.
pub const MAX_CAPABILITIES_OF_OWNER: usize = 20;
/// Entries of all.
pub const MAX_CAPABILITIES: usize = 10_000;

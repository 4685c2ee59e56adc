//! Rooms of group chats (XEP-0045).
//!
//! A room is an owner of its own, by its address, as an account is: its archive is that of this owner. It has no
//! account, and no quota, unless `UsageStore::set_quota` gives it one. The store does not know who may do what:
//! that is decided in `src/muc/`, which also writes and reads the texts that are stored here as they are.

use async_trait::async_trait;

use super::Result;
use crate::jid::{BareJid, FullJid};
use crate::payload::datetime::Timestamp;

/// The long-lived relation of a user to a room (XEP-0045 §5.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RoomAffiliation {
    /// May change the settings, and destroy the room.
    Owner,
    /// May ban users and choose members.
    Admin,
    /// May enter a room that is for members only.
    Member,
    /// Nothing of these.
    None,
    /// Is banned.
    Outcast,
}

/// The settings of a room, and what of them is found without the engine.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RoomSettings {
    /// All settings, as the engine writes them (XML).
    pub settings: String,
    /// The name; empty: none.
    pub name: String,
    /// The description; empty: none.
    pub description: String,
    /// The language (RFC 5646); empty: not known.
    pub language: String,
    /// The room is listed (XEP-0045 §4.2, `muc_public`).
    pub is_public: bool,
    /// The room stays when nobody is in it (XEP-0045 §4.2, `muc_persistent`).
    pub is_persistent: bool,
}

/// What a room knows of a user, whether the user is in it or not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoomMember {
    /// The user.
    pub jid: BareJid,
    /// The affiliation. A user with [`RoomAffiliation::None`] and without a nickname is kept, so that others can
    /// be told of the change (XEP-0463).
    pub affiliation: RoomAffiliation,
    /// The nickname that the user has registered (XEP-0045 §7.10).
    pub nick: Option<String>,
    /// Why the user has this affiliation, if that was said.
    pub reason: Option<String>,
    /// Since when the user has this affiliation.
    pub since: Timestamp,
    /// Counts the changes in this room (XEP-0463): that of the last change of this user.
    pub version: i64,
}

/// A session that is in a room.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoomOccupant {
    /// The session of the user.
    pub session: FullJid,
    /// The nickname in the room. The store does not see to it that it is the only one.
    pub nick: String,
    /// The presence, and whatever else the engine needs to go on after a restart, as it writes it.
    pub data: String,
}

/// A room, as it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredRoom {
    /// When it was made.
    pub created: Timestamp,
    /// Who made it. It stays the creator, whatever its affiliation becomes.
    pub creator: BareJid,
    /// The settings.
    pub settings: RoomSettings,
    /// The subject with its author and time, as the engine writes it (XML).
    pub subject: Option<String>,
    /// Hats, avatar and others, as the engine writes them (XML).
    pub extra: Option<String>,
    /// Users with an affiliation or a nickname, in the order of their addresses.
    pub members: Vec<RoomMember>,
    /// Who is in the room, in the order of the sessions' addresses.
    pub occupants: Vec<RoomOccupant>,
}

/// A change of a room. The default changes nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RoomChange {
    /// Other settings.
    pub settings: Option<RoomSettings>,
    /// Another subject, or none.
    pub subject: Option<Option<String>>,
    /// Another text of [`StoredRoom::extra`], or none.
    pub extra: Option<Option<String>>,
    /// Each replaces what was known of its user. Of two for one user, the last counts.
    pub members: Vec<RoomMember>,
    /// Users of whom nothing is left to be stored. They are forgotten before `members` are stored.
    pub forget_members: Vec<BareJid>,
    /// Each replaces that of its session. Of two for one session, the last counts.
    pub occupants: Vec<RoomOccupant>,
    /// Sessions that have left. They go before `occupants` are stored.
    pub gone: Vec<FullJid>,
}

/// A room in a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoomSummary {
    /// Its address.
    pub room: BareJid,
    /// The name; empty: none.
    pub name: String,
    /// The description; empty: none.
    pub description: String,
    /// The language; empty: not known.
    pub language: String,
    /// The room is listed.
    pub is_public: bool,
    /// The room stays when nobody is in it.
    pub is_persistent: bool,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it.
    pub creator: BareJid,
}

/// Which rooms are wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RoomQuery<'a> {
    /// The rooms of this domain.
    pub domain: &'a str,
    /// Only those that are public.
    pub public_only: bool,
    /// Only those in whose name, description or local part all of these words occur, upper and lower case being
    /// the same. A word is what stands between spaces. It occurs in longer words, too. 16 words of 64 characters
    /// are looked for at most; what is beyond that does not count. Without a word, all rooms are found.
    pub text: Option<&'a str>,
    /// Only those after this address. The room need not exist.
    pub after: Option<&'a BareJid>,
    /// Only those before this address, and the last of them. The room need not exist. An address without a local
    /// part, such as the domain itself, stands for the end of the list: then these are the last rooms of all.
    pub before: Option<&'a BareJid>,
    /// How many at most.
    pub limit: usize,
}

/// Rooms of group chats.
#[async_trait]
pub trait RoomStore: Send + Sync {
    /// Makes a room, which has no quota. It inherits nothing: what was stored for its address before, such as an
    /// archive, is deleted. `false`, and nothing is changed, if there is a room or an account of this address.
    ///
    /// # Errors
    /// `StorageError::Limit` if the creator has `max_of_creator` rooms on this domain already.
    async fn create(&self, room: &BareJid, new: &StoredRoom, max_of_creator: u64) -> Result<bool>;
    /// The room, if there is one.
    async fn load(&self, room: &BareJid) -> Result<Option<StoredRoom>>;
    /// Changes a room, all at once. `false` if there is no such room. It is durable when this returns.
    async fn change(&self, room: &BareJid, change: RoomChange) -> Result<bool>;
    /// Removes a room with its archive and all else that is stored for its address. `false`, and nothing is
    /// removed, if there is no such room.
    async fn remove(&self, room: &BareJid) -> Result<bool>;
    /// Rooms of a domain, in the order of their addresses.
    async fn list(&self, query: RoomQuery<'_>) -> Result<Vec<RoomSummary>>;
    /// How many rooms a domain has.
    async fn count(&self, domain: &str, public_only: bool) -> Result<u64>;
    /// Rooms of all domains with which a server begins: those that somebody is in, and those that are not
    /// persistent. In the order of their addresses, after `after`, `limit` at most. Other rooms are not read.
    async fn occupied(&self, after: Option<&BareJid>, limit: usize) -> Result<Vec<BareJid>>;
    /// Rooms of a domain in whose [`StoredRoom::extra`] a text occurs; maybe also some in which it occurs with other
    /// upper and lower case. In the order of their addresses, after `after`, `limit` at most. All rooms of the domain
    /// are read.
    async fn mentioning(
        &self,
        domain: &str,
        text: &str,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<BareJid>>;
    /// Rooms of all domains in which a user has an affiliation other than [`RoomAffiliation::None`], with what
    /// they know of the user. In the order of their addresses, after `after`, `limit` at most.
    async fn rooms_of(
        &self,
        user: &BareJid,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<(BareJid, RoomMember)>>;
}

impl StoredRoom {
    /// Whether a server that starts must read this room.
    pub(super) fn is_awake(&self) -> bool {
        !self.settings.is_persistent || !self.occupants.is_empty()
    }
}

impl RoomSettings {
    /// The text in which words are looked for.
    pub(super) fn searched(&self, room: &BareJid) -> String {
        let local = room.local().unwrap_or_default();
        format!("{local}\n{}\n{}", self.name, self.description).to_lowercase()
    }
}

impl RoomQuery<'_> {
    /// There are words to look for.
    pub(super) fn has_words(&self) -> bool {
        self.text.is_some_and(|text| text.split_whitespace().next().is_some())
    }

    /// The words that are looked for, in lower case.
    pub(super) fn words(&self) -> Vec<String> {
        let text = self.text.unwrap_or_default().to_lowercase();
        let words = text.split_whitespace().take(WORDS);
        words.map(|word| word.chars().take(LETTERS).collect()).collect()
    }

    /// The address before which the rooms are. The outer option: the last rooms are wanted, not the first.
    pub(super) fn end(&self) -> Option<Option<&BareJid>> {
        self.before.map(|before| Some(before).filter(|before| before.local().is_some()))
    }
}

/// The limit on the rooms of one creator, as [`StorageError::Limit`](super::StorageError::Limit) names it.
pub const ROOMS_OF_CREATOR: &str = "rooms of one creator on a domain";
/// Words that are looked for, and characters of each.
const WORDS: usize = 16;
const LETTERS: usize = 64;

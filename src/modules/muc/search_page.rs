//! Rooms that are found by a search, page by page (XEP-0433 §6), in whatever order.

use super::active::ActiveRooms;
use super::search_form::Wish;
use super::settings::PAGE;
use crate::host::Cx;
use crate::jid::BareJid;
use crate::muc::{Room, Whois};
use crate::stanza::{Condition, StanzaError};
use crate::storage::{RoomQuery, RoomSummary};

/// What is known of a room that is in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// How many are in it.
    pub(super) occupants: usize,
    /// Everybody may enter.
    pub(super) is_open: bool,
    /// Who learns real addresses.
    pub(super) whois: Whois,
}

impl Seen {
    /// What a room shows.
    pub(super) fn of(room: &Room) -> Self {
        let config = room.config();
        Self {
            occupants: room.occupants(),
            is_open: !config.members_only && config.password.is_none(),
            whois: config.whois,
        }
    }
}

/// A room that is found. Nobody is in a room of which nothing is known.
pub(super) type Found = (RoomSummary, Option<Seen>);

/// Public rooms that may fit: the store looks for the words in names, descriptions and addresses.
pub(super) async fn page(
    cx: &mut Cx<'_>,
    domain: &BareJid,
    wish: &Wish,
    after: Option<&BareJid>,
    before: Option<&BareJid>,
) -> Result<Vec<RoomSummary>, StanzaError> {
    let query = RoomQuery {
        domain: domain.domain(),
        public_only: true,
        text: wish.words.as_deref(),
        after,
        before,
        limit: PAGE,
    };
    let rooms = cx.server.storage.rooms().list(query).await?;
    cx.keeping.count_deliveries(cost(rooms.len()));
    Ok(rooms)
}

/// What it costs to read so many rooms, in deliveries.
fn cost(rooms: usize) -> usize {
    1 + rooms / 25
}

/// The room, if it fits, with what is known of it.
pub(super) fn fitting(room: RoomSummary, wish: &Wish, rooms: &ActiveRooms) -> Option<Found> {
    if !wish.fits(&room) {
        return None;
    }
    let seen = rooms.look(&room.room, Seen::of);
    (occupants(seen) >= wish.least_occupants).then_some((room, seen))
}

/// How many are in a room.
pub(super) fn occupants(seen: Option<Seen>) -> usize {
    seen.map_or(0, |seen| seen.occupants)
}

/// The room at which a page begins.
///
/// # Errors
/// `item-not-found` for what is no address.
pub(super) fn room_of(id: &str) -> Result<BareJid, StanzaError> {
    BareJid::parse(id).map_err(|_| Condition::ItemNotFound.into())
}

/// The first room, the last one, and the position of the first one, if that is known.
pub(super) fn ends(
    found: &[Found],
    index: Option<usize>,
) -> Option<(String, String, Option<usize>)> {
    let ((first, _), (last, _)) = found.first().zip(found.last())?;
    Some((first.room.to_string(), last.room.to_string(), index))
}

/// Pages of the store that are read for one answer, at most.
pub(super) const ROUNDS: usize = 20;

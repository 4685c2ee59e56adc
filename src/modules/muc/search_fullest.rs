//! Searching for rooms, the fullest first (XEP-0433 §6.1).
//!
//! The list has two parts: rooms that somebody is in, which are in memory, the fullest first; and all others, as the
//! store has them. Both are in the order of their addresses where they are equally full. So no answer reads all rooms,
//! and whoever turns the pages finds all of them.

use std::cmp::Reverse;

use rustc_hash::FxHashSet;

use super::active::ActiveRooms;
use super::search_form::Wish;
use super::search_page::{Found, ROUNDS, Seen, ends, occupants, page, room_of};
use super::settings::PAGE;
use crate::host::Cx;
use crate::jid::BareJid;
use crate::muc::Room;
use crate::payload::result_set::{SetAnswer, Start};
use crate::stanza::{Condition, StanzaError};
use crate::storage::RoomSummary;

/// A page of the list.
///
/// # Errors
/// `item-not-found` for a page that begins at what is no room, `feature-not-implemented` for one that begins at a
/// position far behind (XEP-0059 §2.6).
pub(super) async fn page_of(
    cx: &mut Cx<'_>,
    domain: &BareJid,
    wish: &Wish,
    rooms: &ActiveRooms,
) -> Result<(Vec<Found>, SetAnswer), StanzaError> {
    let full = occupied(domain, wish, rooms).await;
    cx.keeping.count_deliveries(1 + full.len() / 100);
    let rest = Rest { domain, wish, full: full.iter().map(|(room, _)| &room.room).collect() };
    let limit = wish.set.limit(PAGE);
    let (found, index) = match &wish.set.from {
        Start::First => (rest.at_index(cx, &full, 0, limit).await?, Some(0)),
        Start::Index(index) => (rest.at_index(cx, &full, *index, limit).await?, Some(*index)),
        Start::After(id) => match place(&full, id) {
            Some(at) => (rest.at_index(cx, &full, at + 1, limit).await?, Some(at + 1)),
            None => (rest.after(cx, Some(room_of(id)?), limit).await?, None),
        },
        Start::Before(id) => match place(&full, id) {
            Some(at) => {
                (full[at.saturating_sub(limit)..at].to_vec(), Some(at.saturating_sub(limit)))
            }
            None => (rest.to_end(cx, &full, room_of(id)?, limit).await?, None),
        },
        // An address without a local part stands for the end of the list.
        Start::Last => (rest.to_end(cx, &full, domain.clone(), limit).await?, None),
    };
    let set = SetAnswer { page: ends(&found, index), count: rest.count(cx, full.len()).await? };
    Ok((found, set))
}

/// Where a room is among these.
fn place(of: &[Found], id: &str) -> Option<usize> {
    of.iter().position(|(room, _)| room.room.as_str() == id)
}

/// The public rooms that somebody is in and that fit, the fullest first.
pub(super) async fn occupied(domain: &BareJid, wish: &Wish, rooms: &ActiveRooms) -> Vec<Found> {
    let mut found = Vec::new();
    for jid in rooms.occupied(domain.domain()) {
        let look = |room: &Room| summary(room).map(|summary| (summary, Seen::of(room)));
        if let Some((room, seen)) = rooms.look_when_idle(&jid, look).await.flatten()
            && occupants(Some(seen)) >= wish.least_occupants.max(1)
            && wish.has_words(&room)
        {
            found.push((room, Some(seen)));
        }
    }
    found.sort_by(|(one, of_one), (other, of_other)| {
        let key = |seen: &Option<Seen>| Reverse(occupants(*seen));
        key(of_one).cmp(&key(of_other)).then_with(|| one.room.cmp(&other.room))
    });
    found
}

/// What a list shows of a room; `None` if it is not listed.
fn summary(room: &Room) -> Option<RoomSummary> {
    let config = room.config();
    (config.is_public && !config.locked).then(|| RoomSummary {
        room: room.jid().clone(),
        name: config.name.clone(),
        description: config.description.clone(),
        language: config.language.clone(),
        is_public: true,
        is_persistent: config.is_persistent,
        created: room.created(),
        creator: room.creator().clone(),
    })
}

/// The rooms that nobody is in, in the order of their addresses.
struct Rest<'a> {
    domain: &'a BareJid,
    wish: &'a Wish,
    /// The rooms of the first part.
    full: FxHashSet<&'a BareJid>,
}

impl Rest<'_> {
    /// The rooms of the whole list from a position on, at most `limit`.
    async fn at_index(
        &self,
        cx: &mut Cx<'_>,
        full: &[Found],
        index: usize,
        limit: usize,
    ) -> Result<Vec<Found>, StanzaError> {
        let mut found: Vec<Found> = full.iter().skip(index).take(limit).cloned().collect();
        let skipped = index.saturating_sub(full.len());
        if skipped > FAR {
            return Err(Condition::FeatureNotImplemented.into());
        }
        if found.len() < limit {
            let more = self.after(cx, None, skipped + limit - found.len()).await?;
            found.extend(more.into_iter().skip(skipped));
        }
        Ok(found)
    }

    /// At most `limit` rooms of the whole list: the last ones before a room of the second part.
    async fn to_end(
        &self,
        cx: &mut Cx<'_>,
        full: &[Found],
        before: BareJid,
        limit: usize,
    ) -> Result<Vec<Found>, StanzaError> {
        let mut found = self.before(cx, before, limit).await?;
        let begin = full.len().saturating_sub(limit - found.len());
        found.splice(0..0, full[begin..].iter().cloned());
        Ok(found)
    }

    /// How many rooms fit, if that is known. `full`: those of the first part.
    async fn count(&self, cx: &mut Cx<'_>, full: usize) -> Result<Option<usize>, StanzaError> {
        if !self.wish.is_narrow() {
            let all = cx.server.storage.rooms().count(self.domain.domain(), true).await?;
            return Ok(Some(usize::try_from(all).unwrap_or(usize::MAX)));
        }
        if self.rounds() == 0 {
            return Ok(Some(full));
        }
        let listed = page(cx, self.domain, self.wish, None, None).await?;
        let fitting = listed.iter().filter(|room| self.fits(room)).count();
        Ok((listed.len() < PAGE).then_some(full + fitting))
    }

    async fn after(
        &self,
        cx: &mut Cx<'_>,
        mut after: Option<BareJid>,
        limit: usize,
    ) -> Result<Vec<Found>, StanzaError> {
        let mut found = Vec::new();
        for _ in 0..self.rounds() {
            if found.len() >= limit {
                break;
            }
            let listed = page(cx, self.domain, self.wish, after.as_ref(), None).await?;
            let is_last = listed.len() < PAGE;
            after = listed.last().map(|room| room.room.clone()).or(after);
            let fitting = listed.into_iter().filter(|room| self.fits(room));
            found.extend(fitting.map(|room| (room, None)));
            if is_last {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    async fn before(
        &self,
        cx: &mut Cx<'_>,
        mut before: BareJid,
        limit: usize,
    ) -> Result<Vec<Found>, StanzaError> {
        let mut found = Vec::new();
        for _ in 0..self.rounds() {
            if found.len() >= limit {
                break;
            }
            let listed = page(cx, self.domain, self.wish, None, Some(&before)).await?;
            let is_last = listed.len() < PAGE;
            before = listed.first().map_or(before, |room| room.room.clone());
            let fitting = listed.into_iter().rev().filter(|room| self.fits(room));
            found.extend(fitting.map(|room| (room, None)));
            if is_last {
                break;
            }
        }
        found.truncate(limit);
        found.reverse();
        Ok(found)
    }

    fn fits(&self, room: &RoomSummary) -> bool {
        self.wish.fits(room) && !self.full.contains(&room.room)
    }

    /// Pages that may be read: none, if somebody must be in the rooms.
    fn rounds(&self) -> usize {
        if self.wish.least_occupants > 0 { 0 } else { ROUNDS }
    }
}

/// A position in the second part that is farther behind is not counted up to.
const FAR: usize = ROUNDS * PAGE / 2;

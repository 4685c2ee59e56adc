//! XEP-0433: Extended Channel Search, among the public rooms of the service itself.

use super::active::ActiveRooms;
use super::search_form::{Order, Wish};
use super::search_fullest;
use super::settings::PAGE;
use crate::host::{Cx, IqReply};
use crate::jid::BareJid;
use crate::muc::{Room, Whois};
use crate::payload::result_set::{SetAnswer, Start};
use crate::stanza::{Condition, StanzaError};
use crate::storage::{RoomQuery, RoomSummary};
use crate::xml::{ElementRef, Node, element};

/// The namespace of requests and results.
pub(super) const NS: &str = "urn:xmpp:channel-search:0:search";

/// What is known of a room that is in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    occupants: usize,
    /// Everybody may enter.
    is_open: bool,
    whois: Whois,
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

/// Answers a request for the form, or for a page of rooms (XEP-0433 §4.2).
pub(super) async fn answer(
    cx: &mut Cx<'_>,
    domain: &BareJid,
    search: &ElementRef<'_>,
    rooms: &ActiveRooms,
) -> IqReply {
    let Some(wish) = Wish::read(search)? else {
        return Ok(Some(element("search").ns(NS).child(super::search_form::form())));
    };
    let (found, set) = match wish.order {
        _ if !wish.wants_rooms => (Vec::new(), SetAnswer { page: None, count: Some(0) }),
        Order::Address => by_address(cx, domain, &wish, rooms).await?,
        Order::Occupants => search_fullest::page_of(cx, domain, &wish, rooms).await?,
    };
    let items = found.iter().map(item);
    Ok(Some(element("result").ns(NS).children(items).child(set.to_node())))
}

/// In the order of their addresses: no page omits or repeats a room.
async fn by_address(
    cx: &mut Cx<'_>,
    domain: &BareJid,
    wish: &Wish,
    rooms: &ActiveRooms,
) -> Result<(Vec<Found>, SetAnswer), StanzaError> {
    let limit = wish.set.limit(PAGE);
    let (mut after, mut before) = (None, None);
    match &wish.set.from {
        Start::First => {}
        Start::After(id) => after = Some(room_of(id)?),
        Start::Before(id) => before = Some(room_of(id)?),
        Start::Last => before = Some(domain.clone()),
        Start::Index(_) => return Err(Condition::FeatureNotImplemented.into()),
    }
    let is_backward = before.is_some();
    let mut found: Vec<Found> = Vec::new();
    for _ in 0..ROUNDS {
        if found.len() >= limit {
            break;
        }
        let mut listed = page(cx, domain, wish, after.as_ref(), before.as_ref()).await?;
        let is_last = listed.len() < PAGE;
        if is_backward {
            before = listed.first().map(|room| room.room.clone()).or(before);
            listed.reverse();
        } else {
            after = listed.last().map(|room| room.room.clone()).or(after);
        }
        let fitting = listed.into_iter().filter_map(|room| fitting(room, wish, rooms));
        found.extend(fitting.take(limit - found.len()));
        if is_last {
            break;
        }
    }
    if is_backward {
        found.reverse();
    }
    let count = match wish.is_narrow() {
        true => None,
        false => Some(cx.server.storage.rooms().count(domain.domain(), true).await?),
    };
    let count = count.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    let index = (wish.set.from == Start::First).then_some(0);
    let set = SetAnswer { page: ends(&found, index), count };
    Ok((found, set))
}

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

fn fitting(room: RoomSummary, wish: &Wish, rooms: &ActiveRooms) -> Option<Found> {
    if !wish.fits(&room) {
        return None;
    }
    let seen = rooms.look(&room.room, Seen::of);
    (occupants(seen) >= wish.least_occupants).then_some((room, seen))
}

pub(super) fn occupants(seen: Option<Seen>) -> usize {
    seen.map_or(0, |seen| seen.occupants)
}

pub(super) fn room_of(id: &str) -> Result<BareJid, StanzaError> {
    BareJid::parse(id).map_err(|_| Condition::ItemNotFound.into())
}

pub(super) fn ends(
    found: &[Found],
    index: Option<usize>,
) -> Option<(String, String, Option<usize>)> {
    let ((first, _), (last, _)) = found.first().zip(found.last())?;
    Some((first.room.to_string(), last.room.to_string(), index))
}

/// A room (XEP-0433 §6.2). What is not known is left out.
fn item((room, seen): &Found) -> Node {
    let mut item = element("item").attr("address", room.room.as_str());
    let texts =
        [("name", &room.name), ("description", &room.description), ("language", &room.language)];
    for (name, text) in texts {
        if !text.is_empty() {
            item = item.child(element(name).text(text));
        }
    }
    let users = occupants(*seen).to_string();
    item = item
        .child(element("nusers").text(&users))
        .child(element("service-type").text(super::search_form::SERVICE));
    let Some(seen) = seen else { return item };
    let is_open = if seen.is_open { "true" } else { "false" };
    let mode = match seen.whois {
        Whois::Anyone => NOT_ANONYMOUS,
        Whois::Moderators => "muc_semianonymous",
    };
    item.child(element("is-open").text(is_open)).child(element("anonymity-mode").text(mode))
}

/// Pages of the store that are read for one answer, at most.
pub(super) const ROUNDS: usize = 20;
/// XEP-0433 §6.2.
const NOT_ANONYMOUS: &str = "{urn:xmpp:channel-search:0:anonymity}none";

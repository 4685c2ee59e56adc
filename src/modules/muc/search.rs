//! XEP-0433: Extended Channel Search, among the public rooms of the service itself.

use super::active::ActiveRooms;
use super::search_form::{Order, Wish};
use super::search_fullest;
use super::search_page::{Found, ROUNDS, ends, fitting, occupants, page, room_of};
use super::settings::PAGE;
use crate::host::{Cx, IqReply};
use crate::jid::BareJid;
use crate::muc::Whois;
use crate::payload::result_set::{SetAnswer, Start};
use crate::stanza::{Condition, StanzaError};
use crate::xml::{ElementRef, Node, element};

/// The namespace of requests and results.
pub(super) const NS: &str = "urn:xmpp:channel-search:0:search";

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

/// XEP-0433 §6.2.
const NOT_ANONYMOUS: &str = "{urn:xmpp:channel-search:0:anonymity}none";

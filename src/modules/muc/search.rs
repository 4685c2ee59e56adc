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
        Order::Address if wish.least_occupants > 0 => {
            occupied_by_address(cx, domain, &wish, rooms).await?
        }
        Order::Address => by_address(cx, domain, &wish, rooms).await?,
        Order::Occupants => search_fullest::page_of(cx, domain, &wish, rooms).await?,
    };
    let items = found.iter().map(item);
    Ok(Some(element("result").ns(NS).children(items).child(set.to_node())))
}

/// The rooms that somebody is in, in the order of their addresses. They are in memory, so the store is not searched.
async fn occupied_by_address(
    cx: &mut Cx<'_>,
    domain: &BareJid,
    wish: &Wish,
    rooms: &ActiveRooms,
) -> Result<(Vec<Found>, SetAnswer), StanzaError> {
    let mut all = search_fullest::occupied(domain, wish, rooms).await;
    cx.keeping.count_deliveries(1 + all.len() / 100);
    all.sort_by(|(one, _), (other, _)| one.room.cmp(&other.room));
    let (limit, count) = (wish.set.limit(PAGE), all.len());
    let place = |room: &BareJid, is_behind: bool| {
        all.partition_point(|(found, _)| found.room < *room || (is_behind && found.room == *room))
    };
    let begin = match &wish.set.from {
        Start::First => 0,
        Start::Index(index) => (*index).min(count),
        Start::After(id) => place(&room_of(id)?, true),
        Start::Before(id) => place(&room_of(id)?, false).saturating_sub(limit),
        Start::Last => count.saturating_sub(limit),
    };
    let end = match &wish.set.from {
        Start::Before(id) => place(&room_of(id)?, false),
        _ => count.min(begin + limit),
    };
    let found = all[begin..end].to_vec();
    let set = SetAnswer { page: ends(&found, Some(begin)), count: Some(count) };
    Ok((found, set))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::host::{Keeping, Origin, Outbox, Registry, ServerState};
    use crate::modules::muc::fixtures::{coven, service};
    use crate::modules::muc::room_service::RoomService;
    use crate::muc::{Actor, Input, Moment, Room};
    use crate::payload::datetime::Timestamp;
    use crate::stanza::Stanza;
    use crate::xml::Frame;

    /// A server, and rooms `x`, `y` and `z` with an occupant, which are in memory alone: what is found there needs no search
    /// of the store, which has a bound.
    async fn rooms() -> (Arc<ServerState>, RoomService) {
        let (server, service) = service();
        for name in ["x", "y", "z"] {
            let jid = BareJid::parse(&format!("{name}@conference.localhost")).unwrap();
            let creator = BareJid::parse("crone1@witches.example").unwrap();
            let (config, limits, at) = (<_>::default(), <_>::default(), Timestamp::from_micros(0));
            let mut there = Room::new(jid.clone(), creator, config, limits, [1; 32], at);
            let enter = format!(
                "<presence from='crone1@witches.example/pda' to='{jid}/crone'>\
                 <x xmlns='http://jabber.org/protocol/muc'/></presence>"
            );
            let frame = Frame::from_bytes(enter).unwrap();
            let Stanza::Presence(enter) = Stanza::read(frame).unwrap() else { unreachable!() };
            let actor = Actor::new(enter.head.from.clone().unwrap(), false);
            let now = Moment { at, token: "t".into() };
            there.apply(&now, &actor, Input::Presence(enter)).unwrap();
            service.rooms.lock(&jid).await.put(there);
        }
        (server, service)
    }

    /// The addresses on the page that this form asks for, with the rest of the answer.
    async fn found(
        (server, service): &(Arc<ServerState>, RoomService),
        fields: &[(&str, &str)],
        set: &str,
    ) -> (Vec<String>, String) {
        let form_type = ("FORM_TYPE", "urn:xmpp:channel-search:0:search-params");
        let fields = [&[form_type], fields].concat();
        let field = |(var, value)| format!("<field var='{var}'><value>{value}</value></field>");
        let fields: String = fields.into_iter().map(field).collect();
        let search = format!(
            "<search xmlns='{NS}'>{set}<x xmlns='jabber:x:data' type='submit'>{fields}</x></search>"
        );
        let search = Frame::from_bytes(search).unwrap();
        let (registry, origin) = (Registry::default(), Origin::Internal);
        let (mut outbox, mut keeping) = (Outbox::default(), Keeping::default());
        let mut cx = Cx {
            server,
            registry: &registry,
            host: server.host("localhost").unwrap(),
            origin: &origin,
            outbox: &mut outbox,
            keeping: &mut keeping,
        };
        let domain = BareJid::parse(coven().domain()).unwrap();
        let told = answer(&mut cx, &domain, &search.root(), &service.rooms).await.unwrap().unwrap();
        let told = Frame::from_bytes(told.to_bytes()).unwrap();
        let items = told.root().children().filter(|child| child.name() == "item");
        let items = items.map(|item| item.attr("address").unwrap().into_owned()).collect();
        let set = told.root().children().find(|child| child.name() == "set").unwrap();
        let set = set.children().map(|child| format!("{}={}", child.name(), child.text()));
        (items, set.collect::<Vec<_>>().join(" "))
    }

    #[tokio::test]
    async fn rooms_that_somebody_is_in_are_found_however_many_others_there_are() {
        let order = "{urn:xmpp:channel-search:0:order}address";
        let fields = [("all", "true"), ("min_users", "1"), ("key", order)];
        let there = rooms().await;
        let rsm = |inner: &str| {
            format!("<set xmlns='http://jabber.org/protocol/rsm'><max>2</max>{inner}</set>")
        };
        for (set, items) in [
            ("", &["x", "y"][..]),
            ("<after>y@conference.localhost</after>", &["z"]),
            ("<before/>", &["y", "z"]),
            ("<before>z@conference.localhost</before>", &["x", "y"]),
            ("<before>y@conference.localhost</before>", &["x"]),
            ("<index>1</index>", &["y", "z"]),
            ("<after>z@conference.localhost</after>", &[]),
        ] {
            let (found, told) = found(&there, &fields, &rsm(set)).await;
            let items: Vec<_> =
                items.iter().map(|name| format!("{name}@conference.localhost")).collect();
            assert_eq!(found, items, "{set}");
            assert!(told.ends_with("count=3"), "{set} {told}");
        }
    }
}

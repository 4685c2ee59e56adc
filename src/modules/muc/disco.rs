//! Which rooms a service has (XEP-0045 §6.3), page by page (XEP-0059).

use std::collections::BTreeMap;

use super::settings::PAGE;
use super::{search, unique};
use crate::host::Cx;
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::payload::disco::{Item, ItemPage};
use crate::payload::photo;
use crate::payload::result_set::{self, SetAnswer, SetRequest, Start};
use crate::stanza::{Condition, StanzaError};
use crate::storage::{RoomAffiliation, RoomQuery, RoomSummary};

/// What the service can do, besides what all services can (XEP-0045 §6.2, XEP-0486 §3.1).
pub(super) const FEATURES: &[&str] =
    &[ns::MUC, ns::MUC_STABLE_ID, photo::CARD_NS, result_set::NS, search::NS, unique::NS];

/// A page of the rooms of a domain: the public ones, and the hidden ones to which whoever asks belongs. An
/// administrator sees all.
///
/// A hidden room to which the user belongs has no name here: its name is in the store of the room only.
///
/// # Errors
/// `item-not-found` for a page that begins at what is no room, `feature-not-implemented` for one that begins at
/// a position (XEP-0059 §2.6).
pub(super) async fn rooms(
    cx: &Cx<'_>,
    domain: &BareJid,
    from: &Jid,
    is_admin: bool,
    wanted: Option<&SetRequest>,
) -> Result<ItemPage, StanzaError> {
    let whole = SetRequest::default();
    let set = wanted.unwrap_or(&whole);
    let limit = set.limit(PAGE);
    let ends = Ends::of(set, domain)?;
    let store = cx.server.storage.rooms();
    let count = store.count(domain.domain(), !is_admin).await?;
    let count = Some(usize::try_from(count).unwrap_or(usize::MAX));
    if limit == 0 {
        return Ok(ItemPage { items: Vec::new(), set: Some(SetAnswer { page: None, count }) });
    }
    let query = RoomQuery {
        domain: domain.domain(),
        public_only: !is_admin,
        text: None,
        after: ends.after.as_ref(),
        before: ends.before.as_ref(),
        limit,
    };
    let listed = store.list(query).await?;
    let own = if is_admin { Vec::new() } else { own_rooms(cx, domain, from).await? };
    let (items, is_cut) = merged(&listed, own, &ends, limit);
    let is_whole = wanted.is_none() && !is_cut;
    let ends = items.first().zip(items.last());
    let index = (set.from == Start::First).then_some(0);
    let page = ends.map(|(one, last)| (one.jid.to_string(), last.jid.to_string(), index));
    let set = (!is_whole).then_some(SetAnswer { page, count });
    Ok(ItemPage { items, set })
}

/// Between which addresses the page is.
struct Ends {
    after: Option<BareJid>,
    before: Option<BareJid>,
}

impl Ends {
    fn of(set: &SetRequest, domain: &BareJid) -> Result<Self, StanzaError> {
        let room = |id: &str| BareJid::parse(id).map_err(|_| Condition::ItemNotFound);
        let (after, before) = match &set.from {
            Start::First => (None, None),
            Start::After(id) => (Some(room(id)?), None),
            Start::Before(id) => (None, Some(room(id)?)),
            // An address without a local part stands for the end of the list.
            Start::Last => (None, Some(domain.clone())),
            Start::Index(_) => return Err(Condition::FeatureNotImplemented.into()),
        };
        Ok(Self { after, before })
    }
}

/// The rooms of this domain to which a user belongs, public or not.
async fn own_rooms(cx: &Cx<'_>, domain: &BareJid, from: &Jid) -> Result<Vec<BareJid>, StanzaError> {
    let known = cx.server.storage.rooms().rooms_of(&from.to_bare(), None, MOST_OWN).await?;
    let is_own = |(room, member): &(BareJid, crate::storage::RoomMember)| {
        room.domain() == domain.domain() && member.affiliation != RoomAffiliation::Outcast
    };
    Ok(known.into_iter().filter(is_own).map(|(room, _)| room).collect())
}

/// Both in the order of their addresses, and whether there are more: a full page of listed rooms ends where the
/// last of them is.
fn merged(
    listed: &[RoomSummary],
    own: Vec<BareJid>,
    ends: &Ends,
    limit: usize,
) -> (Vec<Item>, bool) {
    let is_backward = ends.before.is_some();
    let is_full = listed.len() >= limit;
    let (first, last) = (listed.first(), listed.last());
    let text = |room: &BareJid| room.as_str().to_owned();
    let low = match is_backward {
        true if is_full => first.map(|room| text(&room.room)),
        _ => ends.after.as_ref().map(text),
    };
    let high = match is_backward {
        false if is_full => last.map(|room| text(&room.room)),
        // The domain alone is the end of the list.
        _ => ends.before.as_ref().filter(|before| before.local().is_some()).map(text),
    };
    let is_between = |room: &BareJid| {
        low.as_deref().is_none_or(|low| room.as_str() > low)
            && high.as_deref().is_none_or(|high| room.as_str() < high)
    };
    let mut found: BTreeMap<&str, Item> = BTreeMap::new();
    for room in own.iter().filter(|room| is_between(room)) {
        found.insert(room.as_str(), Item::of(room.clone().into_jid()));
    }
    for room in listed {
        let name = Some(room.name.as_str()).filter(|name| !name.is_empty());
        let item = Item { name: name.map(Into::into), ..Item::of(room.room.clone().into_jid()) };
        found.insert(room.room.as_str(), item);
    }
    let is_cut = is_full || found.len() > limit;
    let surplus = found.len().saturating_sub(limit);
    let skipped = if is_backward { surplus } else { 0 };
    (found.into_values().skip(skipped).take(limit).collect(), is_cut)
}

/// Rooms of one user that are looked at.
const MOST_OWN: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::datetime::Timestamp;

    fn jid(local: &str) -> BareJid {
        BareJid::from_parts(Some(local), "conference.example").unwrap()
    }

    fn summary(local: &str) -> RoomSummary {
        RoomSummary {
            room: jid(local),
            name: format!("The {local}"),
            description: String::new(),
            language: String::new(),
            is_public: true,
            is_persistent: true,
            created: Timestamp::from_micros(0),
            creator: BareJid::parse("romeo@a.example").unwrap(),
        }
    }

    fn locals(found: &(Vec<Item>, bool)) -> Vec<&str> {
        found.0.iter().filter_map(|item| item.jid.local()).collect()
    }

    #[test]
    fn own_rooms_stand_between_the_others_and_no_page_is_too_long() {
        let listed = ["b", "d", "f"].map(summary);
        let own = || ["a", "d", "e", "g"].map(jid).to_vec();
        let first = Ends { after: None, before: None };
        let all = merged(&listed, own(), &first, 10);
        assert_eq!(locals(&all), ["a", "b", "d", "e", "f", "g"]);
        assert!(!all.1);
        assert_eq!(all.0[2].name.as_deref(), Some("The d"));
        let page = merged(&listed, own(), &first, 3);
        assert_eq!((locals(&page), page.1), (vec!["a", "b", "d"], true));
        let after = Ends { after: Some(jid("d")), before: None };
        let page = merged(&listed[2..], own(), &after, 3);
        assert_eq!((locals(&page), page.1), (vec!["e", "f", "g"], false));
        let before = Ends { after: None, before: Some(jid("f")) };
        let page = merged(&listed[..2], own(), &before, 2);
        assert_eq!((locals(&page), page.1), (vec!["d", "e"], true));
        let end = Ends { after: None, before: Some(BareJid::parse("conference.example").unwrap()) };
        let page = merged(&listed[1..], own(), &end, 2);
        assert_eq!((locals(&page), page.1), (vec!["f", "g"], true));
    }

    #[test]
    fn a_page_begins_at_a_room() {
        let domain = BareJid::parse("conference.example").unwrap();
        let of = |from| Ends::of(&SetRequest { max: None, from }, &domain);
        assert!(of(Start::After("a@conference.example".to_owned())).is_ok());
        assert!(of(Start::Last).is_ok_and(|ends| ends.before == Some(domain.clone())));
        for (from, condition) in [
            (Start::After("@".to_owned()), Condition::ItemNotFound),
            (Start::Index(7), Condition::FeatureNotImplemented),
        ] {
            assert!(of(from).is_err_and(|error| error.condition == condition));
        }
    }
}

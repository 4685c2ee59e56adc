//! Which rooms a service has (XEP-0045 §6.3), page by page (XEP-0059).

use super::settings::PAGE;
use super::{search, unique};
use crate::host::Cx;
use crate::jid::BareJid;
use crate::ns;
use crate::payload::disco::{Item, ItemPage};
use crate::payload::photo;
use crate::payload::result_set::{self, SetAnswer, SetRequest, Start};
use crate::stanza::{Condition, StanzaError};
use crate::storage::{RoomQuery, RoomSummary};

/// What the service can do, besides what all services can (XEP-0045 §6.2, XEP-0421 §4, XEP-0486 §3.1).
pub(super) const FEATURES: &[&str] = &[
    ns::MUC,
    ns::MUC_STABLE_ID,
    ns::OCCUPANT_ID,
    photo::CARD_NS,
    result_set::NS,
    search::NS,
    unique::NS,
];

/// A page of the rooms of a domain: the public ones. Nobody finds a hidden room (XEP-0045 §4.2), but administrators of
/// the service, who see all.
///
/// # Errors
/// `item-not-found` for a page that begins at what is no room, `feature-not-implemented` for one that begins at
/// a position (XEP-0059 §2.6).
pub(super) async fn rooms(
    cx: &Cx<'_>,
    domain: &BareJid,
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
    let items: Vec<Item> = listed.iter().map(item).collect();
    let is_whole = wanted.is_none() && items.len() < limit;
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

fn item(room: &RoomSummary) -> Item {
    let name = Some(room.name.as_str()).filter(|name| !name.is_empty());
    Item { name: name.map(Into::into), ..Item::of(room.room.clone().into_jid()) }
}

#[cfg(test)]
mod tests {
    use super::*;

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

//! A page of the items of a node of XEP-0060 in memory.

use bytes::Bytes;

use crate::storage::{ItemPage, ItemQuery, PubSubItem, Which};

/// The items that are wanted. `None` if the one is not there after or before which they are wanted.
pub(super) fn page(all: &[PubSubItem], query: ItemQuery<'_>) -> Option<ItemPage> {
    let is_there = |item: &&PubSubItem| query.since.is_none_or(|since| item.published >= since);
    let all: Vec<&PubSubItem> = all.iter().filter(is_there).collect();
    let place = |id: &str| all.iter().position(|item| item.id == id);
    let mut bytes = 0;
    let fits = |item: &&&PubSubItem| {
        let is_first = bytes == 0;
        bytes += item.payload.len().max(1);
        is_first || !query.payloads || bytes <= query.max_bytes
    };
    let count = all.len() as u64;
    let (index, items): (usize, Vec<&PubSubItem>) = match query.which {
        Which::Ids(ids) => {
            let found: Vec<_> = ids.iter().filter_map(|id| Some(all[place(id)?])).collect();
            (0, found.iter().take(query.max).take_while(fits).copied().collect())
        }
        Which::Before(id) => {
            let end = match id {
                Some(id) => place(id)?,
                None => all.len(),
            };
            let newest = all[..end].iter().rev().take(query.max).take_while(fits);
            let mut items: Vec<_> = newest.copied().collect();
            items.reverse();
            (end - items.len(), items)
        }
        Which::After(_) | Which::From(_) => {
            let begin = match query.which {
                Which::After(Some(id)) => place(id)? + 1,
                Which::From(index) => usize::try_from(index).unwrap_or(usize::MAX).min(all.len()),
                _ => 0,
            };
            (begin, all[begin..].iter().take(query.max).take_while(fits).copied().collect())
        }
    };
    let index = index as u64;
    let mut items: Vec<PubSubItem> = items.into_iter().cloned().collect();
    if !query.payloads {
        items.iter_mut().for_each(|item| item.payload = Bytes::new());
    }
    Some(ItemPage { items, index, count })
}

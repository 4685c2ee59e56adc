//! Reads a page of the items of a node of XEP-0060.

use crate::storage::sql::{Connection, pubsub_item};
use crate::storage::{ItemPage, ItemQuery, PubSubItem, Result, Which};

/// The items that are wanted. `None` if the one is not there after or before which they are wanted.
pub(super) async fn page(
    on: &mut Connection,
    node: i64,
    query: ItemQuery<'_>,
) -> Result<Option<ItemPage>> {
    let since = query.since.map_or(i64::MIN, |since| since.as_micros());
    let count = pubsub_item::count_below(&mut *on, node, i64::MAX, since).await?;
    let max_bytes = query.payloads.then_some(query.max_bytes);
    let mut place = None;
    if let Which::After(Some(id)) | Which::Before(Some(id)) = query.which {
        let found = pubsub_item::find(&mut *on, node, id).await?;
        match found.filter(|item| item.published >= since) {
            Some(item) => place = Some(item.position),
            None => return Ok(None),
        }
    }
    let (index, items) = match query.which {
        Which::Ids(ids) => {
            let (mut items, mut bytes) = (Vec::new(), 0);
            for id in ids {
                let item = pubsub_item::get(&mut *on, node, id, since, query.payloads).await?;
                bytes += item.as_ref().map_or(0, |item| item.payload.len());
                items.extend(item);
                if items.len() >= query.max || bytes > query.max_bytes {
                    break;
                }
            }
            (0, within(items, max_bytes.unwrap_or(usize::MAX)))
        }
        Which::Before(_) => {
            let below = place.unwrap_or(i64::MAX);
            let range = (0, below);
            let mut items =
                between(on, node, range, true, (0, query.max), since, max_bytes).await?;
            items.reverse();
            let end = pubsub_item::count_below(&mut *on, node, below, since).await?;
            (end - items.len() as u64, items)
        }
        Which::After(_) | Which::From(_) => {
            let above = place.unwrap_or(0);
            let offset = match query.which {
                Which::From(index) => index.min(count),
                _ => 0,
            };
            let part = (offset.cast_signed(), query.max);
            let range = (above, i64::MAX);
            let items = between(on, node, range, false, part, since, max_bytes).await?;
            let before = pubsub_item::count_below(&mut *on, node, above + 1, since).await?;
            (before + offset, items)
        }
    };
    Ok(Some(ItemPage { items, index, count }))
}

/// Items between two positions, as many as have not more bytes together; one in any case.
async fn between(
    on: &mut Connection,
    node: i64,
    range: (i64, i64),
    newest_first: bool,
    part: (i64, usize),
    since: i64,
    max_bytes: Option<usize>,
) -> Result<Vec<PubSubItem>> {
    let items = pubsub_item::between(on, node, range, newest_first, part, since, max_bytes).await?;
    Ok(within(items, max_bytes.unwrap_or(usize::MAX)))
}

/// The first items that have not more bytes together; one in any case.
fn within(mut items: Vec<PubSubItem>, max_bytes: usize) -> Vec<PubSubItem> {
    let mut bytes = 0;
    let mut fits = |item: &PubSubItem| {
        let is_first = bytes == 0;
        bytes += item.payload.len().max(1);
        is_first || bytes <= max_bytes
    };
    let count = items.iter().take_while(|item| fits(item)).count();
    items.truncate(count.max(1));
    items
}

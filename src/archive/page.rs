//! The answers of an archive (XEP-0313 §4.2, §4.3, §5): the messages, the end of a page, and the metadata.

use crate::ns::MAM as NS;
use crate::payload::forward::write_forwarded;
use crate::payload::result_set::SetAnswer;
use crate::stanza::Content;
use crate::storage::{End, Page, Stored, WireIds};
use crate::xml::{Node, element, escape_attr};

/// The messages of a page in the order in which they are sent: the oldest first, or the newest first.
pub fn in_order(page: &Page, flip: bool) -> impl Iterator<Item = &Stored> {
    let (forwards, backwards) = if flip { (0, page.rows.len()) } else { (page.rows.len(), 0) };
    page.rows[..forwards].iter().chain(page.rows[..backwards].iter().rev())
}

/// The `<result/>` with one message (XEP-0313 §4.2). It is written without a tree, because there are many.
pub fn result(row: &Stored, query_id: Option<&str>, ids: &WireIds) -> Content {
    let repeated = query_id.map_or(0, str::len);
    let mut out = Vec::with_capacity(row.xml.len() + repeated + ENVELOPE);
    write_result(&mut out, row, query_id, ids);
    Content::made(out.into())
}

/// Appends the `<result/>`.
pub fn write_result(out: &mut Vec<u8>, row: &Stored, query_id: Option<&str>, ids: &WireIds) {
    for part in ["<result xmlns='", NS, "' id='", &ids.write(row.id)] {
        out.extend_from_slice(part.as_bytes());
    }
    if let Some(query_id) = query_id {
        out.extend_from_slice(b"' queryid='");
        escape_attr(out, query_id);
    }
    out.extend_from_slice(b"'>");
    write_forwarded(out, &row.xml, Some(row.at));
    out.extend_from_slice(b"</result>");
}

/// About how many bytes are added around a message.
const ENVELOPE: usize = 256;

/// The `<fin/>` element, which describes the page (XEP-0313 §4.3). First and last are the same for flipped
/// pages.
pub fn fin(page: &Page, ids: &WireIds) -> Node {
    let index = page.count.and_then(|count| usize::try_from(count.before).ok());
    let ends = page.rows.first().zip(page.rows.last());
    let set = SetAnswer {
        page: ends.map(|(first, last)| (ids.write(first.id), ids.write(last.id), index)),
        count: page.count.and_then(|count| usize::try_from(count.total).ok()),
    };
    element("fin")
        .ns(NS)
        .maybe_attr("complete", page.complete.then_some("true"))
        .child(set.to_node())
}

/// The `<metadata/>` element: the first and the last message of an archive, or nothing (XEP-0313 §5).
pub fn metadata(ends: Option<(End, End)>, ids: &WireIds) -> Node {
    let metadata = element("metadata").ns(NS);
    let end = |name, (id, at): End| {
        element(name).attr("id", ids.write(id)).attr("timestamp", at.to_string())
    };
    match ends {
        None => metadata,
        Some((start, last)) => metadata.child(end("start", start)).child(end("end", last)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::Jid;
    use crate::payload::datetime::Timestamp;
    use crate::stanza::{Head, Message, MessageKind, Stanza};
    use crate::storage::{Count, MessageId, Way};

    fn row(number: i64) -> Stored {
        Stored {
            id: MessageId::new(number).unwrap(),
            at: Timestamp::from_micros(1_795_161_600_123_000 + number),
            with: Jid::parse("romeo@montague.lit").unwrap(),
            way: Way::Received,
            xml: format!("<message id='{number}'><body>hi</body></message>").into(),
        }
    }

    fn text(node: &Node) -> String {
        node.to_xml()
    }

    fn written(content: &Content) -> String {
        let (head, kind) = (Head::default(), MessageKind::Normal);
        let out = Stanza::Message(Message { head, kind, content: content.clone() }).to_xml();
        let inside = out.strip_prefix("<message>").and_then(|o| o.strip_suffix("</message>"));
        inside.unwrap().to_owned()
    }

    #[test]
    fn a_message_is_forwarded_with_its_id_and_time() {
        let ids = WireIds::new(&[3; 32]);
        let id = ids.write(row(1).id);
        let expected = format!(
            "<result xmlns='urn:xmpp:mam:2' id='{id}' queryid='f27'>\
             <forwarded xmlns='urn:xmpp:forward:0'>\
             <delay xmlns='urn:xmpp:delay' stamp='2026-11-20T08:00:00.123Z'/>\
             <message xmlns='jabber:client' id='1'><body>hi</body></message></forwarded></result>"
        );
        assert_eq!(written(&result(&row(1), Some("f27"), &ids)), expected);
        assert!(!written(&result(&row(1), None, &ids)).contains("queryid"));
        assert!(written(&result(&row(1), Some(""), &ids)).contains(" queryid=''>"));
        assert!(written(&result(&row(1), Some("<'"), &ids)).contains(" queryid='&lt;&apos;'>"));
    }

    #[test]
    fn a_flipped_page_is_the_same_page() {
        let ids = WireIds::new(&[3; 32]);
        let rows = vec![row(1), row(2), row(3)];
        let page = Page { rows, complete: true, count: Some(Count { total: 9, before: 4 }) };
        let order = |flip| in_order(&page, flip).map(|r| r.id.get()).collect::<Vec<_>>();
        assert_eq!(order(false), [1, 2, 3]);
        assert_eq!(order(true), [3, 2, 1]);
        let (first, last) = (ids.write(row(1).id), ids.write(row(3).id));
        let expected = format!(
            "<fin xmlns='urn:xmpp:mam:2' complete='true'>\
             <set xmlns='http://jabber.org/protocol/rsm'><first index='4'>{first}</first>\
             <last>{last}</last><count>9</count></set></fin>"
        );
        assert_eq!(text(&fin(&page, &ids)), expected);
    }

    #[test]
    fn an_empty_page_has_a_set_without_ends() {
        let ids = WireIds::new(&[3; 32]);
        let fin = fin(&Page::default(), &ids);
        let expected =
            "<fin xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'/></fin>";
        assert_eq!(text(&fin), expected);
        assert_eq!(text(&metadata(None, &ids)), "<metadata xmlns='urn:xmpp:mam:2'/>");
        let end = (row(1).id, row(1).at);
        let both = text(&metadata(Some((end, end)), &ids));
        let start =
            format!("<start id='{}' timestamp='2026-11-20T08:00:00.123Z'/>", ids.write(row(1).id));
        assert!(both.contains(&start) && both.contains("<end id='"), "{both}");
    }
}

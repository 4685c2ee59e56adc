//! XEP-0377: a report of spam or abuse comes with the block of an address.
//!
//! The address is blocked whatever the report looks like (XEP-0377 §6): a report without a reason is ignored, and
//! what is too much of one is cut off.

use crate::host::Cx;
use crate::host::reports::{self, Report};
use crate::host::room_readers::{Readable, ReadableRooms};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::payload::datetime::Timestamp;
use crate::payload::stanza_id;
use crate::storage::{MessageId, Query};
use crate::xml::ElementRef;

/// The namespace is also the feature (XEP-0377 §3).
pub(super) use crate::ns::REPORTING as NS;
/// The namespace of older clients: the reason is an element.
const NS_0: &str = "urn:xmpp:reporting:0";

/// What the reasons of XEP-0377 §4 begin with.
const REASONS: &str = "urn:xmpp:reporting:";

/// A report as it came.
pub(super) struct Draft {
    about: Jid,
    reason: String,
    text: String,
    may_go_to_origin: bool,
    may_go_to_others: bool,
    /// The ids of messages in the user's archive.
    ids: Vec<String>,
    /// The ids of messages in the archive of the reported address: of the room to which it belongs. If that is no room, they
    /// are looked for in the user's archive.
    room_ids: Vec<String>,
}

impl Draft {
    /// The address that is reported.
    pub(super) fn about(&self) -> &Jid {
        &self.about
    }

    /// The report in the `<item/>` of a block, if there is a valid one. Only the first counts.
    pub(super) fn read(user: &BareJid, about: &Jid, item: &ElementRef<'_>) -> Option<Self> {
        let report = item
            .children()
            .find(|child| child.name() == "report" && matches!(child.ns(), NS | NS_0))?;
        let reason = match report.ns() {
            NS => report.attr("reason")?.into_owned(),
            old => {
                let known = |name: &&&str| report.has_child(old, name);
                format!("{REASONS}{}", ["abuse", "spam"].iter().find(known)?)
            }
        };
        if reason.is_empty() || reason.len() > MAX_REASON {
            return None;
        }
        let texts = report.children().filter(|child| child.is(report.ns(), "text"));
        let text = texts.map(|child| child.text().trim().to_owned()).collect::<Vec<_>>().join("\n");
        let ids_by = |by: &Jid| {
            let is_it = |child: &ElementRef<'_>| {
                child.is(ns::STANZA_ID, "stanza-id") && stanza_id::is_by(child, by)
            };
            let ids = report.children().filter(is_it).filter_map(|child| child.attr("id"));
            ids.take(MAX_MESSAGES).map(std::borrow::Cow::into_owned).collect::<Vec<_>>()
        };
        let room = about.to_bare().into_jid();
        Some(Self {
            about: about.clone(),
            reason,
            text: text.chars().take(MAX_TEXT).collect(),
            may_go_to_origin: report.has_child(NS, "report-origin"),
            may_go_to_others: report.has_child(NS, "third-party"),
            ids: ids_by(user),
            room_ids: if room == **user { Vec::new() } else { ids_by(&room) },
        })
    }
}

/// Puts reports into the queue of the operator, and tells the accounts of `admin.reports`. The addresses are
/// blocked already: a failure is logged.
pub(super) async fn keep(cx: &mut Cx<'_>, user: &BareJid, drafts: Vec<Draft>) {
    for draft in drafts {
        let messages = messages(cx, user, &draft).await;
        let Draft { about, reason, text, may_go_to_origin, may_go_to_others, .. } = draft;
        let by = user.clone().into();
        let report =
            Report { by, about, reason, text, may_go_to_origin, may_go_to_others, messages };
        if let Err(error) = reports::file(cx, &report).await {
            tracing::error!(jid = %user, %error, "a report is not stored");
        }
    }
}

/// The reported messages: those of the reported address in the archive of the user, and in that of its room, as far as the
/// user may read it and as they are small.
async fn messages(cx: &Cx<'_>, user: &BareJid, draft: &Draft) -> Vec<String> {
    let mut found = in_archive(cx, user, draft, &draft.ids, None).await;
    if !draft.room_ids.is_empty() {
        let room = draft.about.to_bare();
        let rooms = cx.server.find_shared::<ReadableRooms>();
        let readable = match rooms.and_then(ReadableRooms::readers) {
            Some(readers) => readers.readable(cx.server, user, &room).await,
            None => Ok(None),
        };
        match readable {
            Ok(Some(Readable { since })) => {
                found.extend(in_archive(cx, &room, draft, &draft.room_ids, since).await);
            }
            // Some clients name the reported address where the user's own is meant, as the examples of XEP-0377 do.
            Ok(None) => {
                let is_new = |id: &&String| !draft.ids.contains(id);
                let ids: Vec<String> = draft.room_ids.iter().filter(is_new).cloned().collect();
                found.extend(in_archive(cx, user, draft, &ids, None).await);
            }
            Err(error) => {
                tracing::error!(jid = %user, %error, "cannot read whether a room can be read");
            }
        }
    }
    let mut room = MAX_BYTES;
    found.retain(|xml| {
        let fits = xml.len() <= room;
        room -= if fits { xml.len() } else { 0 };
        fits
    });
    found.truncate(MAX_MESSAGES);
    found
}

async fn in_archive(
    cx: &Cx<'_>,
    archive: &BareJid,
    draft: &Draft,
    ids: &[String],
    start: Option<Timestamp>,
) -> Vec<String> {
    let ids: Vec<MessageId> = ids.iter().filter_map(|id| cx.server.message_ids.read(id)).collect();
    if ids.is_empty() {
        return Vec::new();
    }
    let (with, ids) = (Some(draft.about.clone()), Some(ids));
    let query = Query { with, ids, start, max: MAX_MESSAGES, ..Query::default() };
    match cx.server.storage.archive().page(archive, &query).await {
        Ok(page) => {
            let rows = page.unwrap_or_default().rows.into_iter();
            rows.map(|row| String::from_utf8_lossy(&row.xml).into_owned()).collect()
        }
        Err(error) => {
            tracing::error!(jid = %archive, %error, "cannot read reported messages");
            Vec::new()
        }
    }
}

/// Bytes of a reason.
const MAX_REASON: usize = 256;
/// Characters of what the user says.
const MAX_TEXT: usize = 2000;
/// Messages of a report.
const MAX_MESSAGES: usize = 10;
/// Bytes of its messages.
const MAX_BYTES: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::{Draft, MAX_MESSAGES, MAX_TEXT};
    use crate::jid::{BareJid, Jid};
    use crate::xml::Frame;

    fn read(inner: &str) -> Option<Draft> {
        let frame = Frame::from_bytes(format!("<item jid='a@b'>{inner}</item>")).unwrap();
        let user = BareJid::parse("juliet@a.example").unwrap();
        Draft::read(&user, &Jid::parse("a@b").unwrap(), &frame.root())
    }

    #[test]
    fn a_report_has_a_reason_and_bounds() {
        let new = |attributes: &str, inner: &str| {
            read(&format!("<report xmlns='urn:xmpp:reporting:1' {attributes}>{inner}</report>"))
        };
        let spam = "reason='urn:xmpp:reporting:spam'";
        assert_eq!(new(spam, "").unwrap().reason, "urn:xmpp:reporting:spam");
        assert_eq!(new("reason='urn:other'", "").unwrap().reason, "urn:other");
        let long = format!("reason='{}'", "r".repeat(300));
        for bad in ["", "reason=''", long.as_str()] {
            assert!(new(bad, "").is_none(), "{bad}");
        }
        assert!(read("").is_none() && read("<report xmlns='urn:x' reason='a'/>").is_none());
        let old = |inner| read(&format!("<report xmlns='urn:xmpp:reporting:0'>{inner}</report>"));
        assert_eq!(old("<abuse/>").unwrap().reason, "urn:xmpp:reporting:abuse");
        assert_eq!(old("<spam/><text>x</text>").unwrap().text, "x");
        assert!(old("").is_none());
        let draft =
            new(spam, "<text> a </text><text xml:lang='de'>b</text><third-party/>").unwrap();
        assert_eq!((draft.text.as_str(), draft.may_go_to_others), ("a\nb", true));
        assert!(!draft.may_go_to_origin);
        let draft = new(spam, &format!("<text>{}</text>", "ä".repeat(5000))).unwrap();
        assert_eq!(draft.text.chars().count(), MAX_TEXT);
        let id = "<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@a.example' id='1'/>";
        let other = "<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@a.example' id='1'/>";
        let draft = new(spam, &(other.to_owned() + &id.repeat(50))).unwrap();
        assert_eq!(draft.ids.len(), MAX_MESSAGES);
        assert!(new(spam, other).unwrap().ids.is_empty());
    }
}

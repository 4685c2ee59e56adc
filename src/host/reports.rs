//! Reports of spam and abuse (XEP-0377), in a queue for the operator: one for each host.
//!
//! They are documents of the host's own address, so the removal of an account leaves the reports of others about it.

mod forward;
mod origin;
mod report;

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Cx, ServerState};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::stanza::{Content, Head, Message, MessageKind, Stanza};
use crate::storage::{self, Storage};
use crate::xml::element;

pub use report::Report;

/// A report in the queue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Queued {
    /// Its name in the queue.
    pub id: String,
    /// When it came.
    pub at: Timestamp,
    /// What it says.
    pub report: Report,
}

/// The reports of a host, oldest first.
///
/// # Errors
/// If the store fails.
pub async fn all(storage: &dyn Storage, host: &BareJid) -> storage::Result<Vec<Queued>> {
    let kept = storage.documents().all(host, KIND).await?;
    Ok(kept.into_iter().filter_map(|(id, xml)| read(id, xml)).collect())
}

/// Puts a report into the queue of its host, tells the accounts of `admin.reports`, and forwards it to
/// `admin.forward_reports`, and with `admin.report_to_origin` to the server of the reported address. If there is no room, it is dropped: a host keeps 500 reports, and 20 of one user.
///
/// # Errors
/// If the store fails.
pub async fn file(cx: &mut Cx<'_>, report: &Report) -> storage::Result<()> {
    if !add(cx.server, &cx.host.jid.to_bare(), report).await? {
        tracing::info!(jid = %report.by, "a report is dropped: too many wait");
        return Ok(());
    }
    let config = cx.server.config.load();
    for admin in &config.admin.reports {
        let Report { by, about, reason, text, .. } = report;
        let body = format!("{by} reports {about} ({reason}): {text}");
        let head = Head::between(cx.host.jid.clone(), admin.clone());
        let content = Content::from(element("body").text(&body));
        cx.outbox.send(Stanza::Message(Message { head, kind: MessageKind::Normal, content }));
    }
    if let Some(to) = &config.admin.forward_reports {
        let is_ours = cx.server.ours(to.domain()).is_some();
        if let Some(message) = forward::message(&cx.host.jid, to, is_ours, report) {
            // The user does not wait for it.
            cx.outbox.send_behind(Stanza::Message(message));
        }
    }
    if config.admin.report_to_origin {
        origin::send(cx, report);
    }
    Ok(())
}

async fn add(server: &ServerState, host: &BareJid, report: &Report) -> storage::Result<bool> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let kept = all(&*server.storage, host).await?;
    let of_user = kept.iter().filter(|kept| kept.report.by == report.by).count();
    if kept.len() >= MOST || of_user >= MOST_OF_USER {
        return Ok(false);
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed) % 1000;
    let id = format!("{:016}-{number:03}", server.clock.now().as_micros());
    let xml = report.to_node().to_xml();
    server.storage.documents().put(host, KIND, &id, &xml).await?;
    Ok(true)
}

/// Removes a report. `false` if there is none of this name.
///
/// # Errors
/// If the store fails.
pub async fn remove(storage: &dyn Storage, host: &BareJid, id: &str) -> storage::Result<bool> {
    storage.documents().remove(host, KIND, id).await
}

fn read(id: String, xml: String) -> Option<Queued> {
    let at = id.split('-').next().and_then(|at| at.parse().ok()).map(Timestamp::from_micros);
    let report = Report::read(xml);
    let (Some(at), Some(report)) = (at, report) else {
        tracing::error!(id, "a stored report is damaged");
        return None;
    };
    Some(Queued { id, at, report })
}

/// The reason of XEP-0377 §4 for unwanted messages.
pub const SPAM: &str = "urn:xmpp:reporting:spam";
/// The kind of the documents.
const KIND: &str = "report";
/// Reports of a host.
const MOST: usize = 500;
/// Reports of one user among them.
const MOST_OF_USER: usize = 20;

#[cfg(test)]
mod tests {
    use super::{Report, read};
    use crate::jid::Jid;

    #[test]
    fn a_stored_report_is_read_again() {
        let report = Report {
            by: Jid::parse("juliet@a.example").unwrap(),
            about: Jid::parse("b.example").unwrap(),
            reason: "urn:xmpp:reporting:spam".to_owned(),
            text: "a < b".to_owned(),
            may_go_to_origin: true,
            may_go_to_others: false,
            messages: vec!["<message><body>x</body></message>".to_owned()],
        };
        let xml = report.to_node().to_xml();
        let queued = read("0000000000000007-001".to_owned(), xml.clone()).unwrap();
        assert_eq!((queued.at.as_micros(), queued.report), (7, report));
        assert_eq!(read("x".to_owned(), xml), None);
        assert_eq!(read("7-1".to_owned(), "<report/>".to_owned()), None);
    }
}

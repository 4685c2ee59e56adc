//! Reports of spam and abuse (XEP-0377), in a queue for the operator: one for each host.
//!
//! They are documents of the host's own address, so the removal of an account leaves the reports of others about it.

mod forward;

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Cx, ServerState};
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::stanza::{Content, Head, Message, MessageKind, Stanza};
use crate::storage::{self, Storage};
use crate::xml::{ElementRef, Frame, Node, element};

/// A report.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// Who reports.
    pub by: Jid,
    /// Who is reported.
    pub about: Jid,
    /// The reason: a URN of XEP-0377 §4, or another one. At most 256 bytes.
    pub reason: String,
    /// What the user says about it.
    pub text: String,
    /// The user allows that it is forwarded to the domain of the reported address (XEP-0377 §5).
    pub may_go_to_origin: bool,
    /// The user allows that it is forwarded to others (XEP-0377 §5).
    pub may_go_to_others: bool,
    /// Messages of the reported address, from the archive of the user: whole stanzas.
    pub messages: Vec<String>,
}

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
/// `admin.forward_reports`. If there is no room, it is dropped: a host keeps 500 reports, and 20 of one user.
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

impl Report {
    fn to_node(&self) -> Node {
        let flag = |name, is_set: bool| is_set.then(|| element(name));
        element("report")
            .ns(NS)
            .attr("by", self.by.as_str())
            .attr("about", self.about.as_str())
            .attr("reason", &self.reason)
            .child(element("text").text(&self.text))
            .children(flag("report-origin", self.may_go_to_origin))
            .children(flag("third-party", self.may_go_to_others))
            .children(self.messages.iter().map(|xml| element("message").text(xml)))
    }
}

fn read(id: String, xml: String) -> Option<Queued> {
    let at = id.split('-').next().and_then(|at| at.parse().ok()).map(Timestamp::from_micros);
    let report = Frame::from_bytes(xml).ok().and_then(|frame| report(&frame.root()));
    let (Some(at), Some(report)) = (at, report) else {
        tracing::error!(id, "a stored report is damaged");
        return None;
    };
    Some(Queued { id, at, report })
}

fn report(root: &ElementRef<'_>) -> Option<Report> {
    let jid = |name| root.attr(name).and_then(|jid| Jid::parse(&jid).ok());
    let messages = root.children().filter(|child| child.is(NS, "message"));
    Some(Report {
        by: jid("by")?,
        about: jid("about")?,
        reason: root.attr("reason")?.into_owned(),
        text: root.child(NS, "text")?.text().into_owned(),
        may_go_to_origin: root.has_child(NS, "report-origin"),
        may_go_to_others: root.has_child(NS, "third-party"),
        messages: messages.map(|child| child.text().into_owned()).collect(),
    })
}

/// Of what is stored, not of what clients send.
const NS: &str = "urn:waxwing:report";
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

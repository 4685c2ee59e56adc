//! A report, and how it is stored.

use crate::jid::Jid;
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

impl Report {
    /// As it is stored.
    pub(super) fn to_node(&self) -> Node {
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

    /// Reads what is stored. `None` if it is damaged.
    pub(super) fn read(xml: String) -> Option<Self> {
        let frame = Frame::from_bytes(xml).ok()?;
        read(&frame.root())
    }
}

fn read(root: &ElementRef<'_>) -> Option<Report> {
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

/// The namespace of stored reports. Clients send another one.
const NS: &str = "urn:waxwing:report";

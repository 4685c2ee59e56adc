//! A report as it is forwarded: with a text for people, and with the elements of XEP-0377 for programs.

use super::report::Report;
use crate::jid::Jid;
use crate::ns;
use crate::payload::forward::write_forwarded;
use crate::stanza::{Content, Head, Message, MessageKind, Stanza};
use crate::xml::{Frame, element};

/// The message from a host to the address to which it forwards reports. `is_ours`: the address is of this server.
/// Others get only what the user allows them, and do not learn who reports (XEP-0377 §5). `None`: they get nothing.
pub(super) fn message(host: &Jid, to: &Jid, is_ours: bool, report: &Report) -> Option<Message> {
    (is_ours || report.may_go_to_others).then(|| written(host, to, is_ours, report))
}

/// The message from a host to the server of the reported address. The user has allowed that.
pub(super) fn to_origin(host: &Jid, to: &Jid, report: &Report) -> Message {
    written(host, to, false, report)
}

fn written(host: &Jid, to: &Jid, is_ours: bool, report: &Report) -> Message {
    let Report { by, about, reason, text, .. } = report;
    let body = match is_ours {
        true => format!("{by} reports {about} ({reason}): {text}"),
        false => format!("A user of {host} reports {about} ({reason}): {text}"),
    };
    let flag = |name, is_set: bool| is_set.then(|| element(name));
    let payload = element("report")
        .ns(ns::REPORTING)
        .attr("reason", reason)
        .child(element("jid").ns(NS_JID).text(about.as_str()))
        .children((!text.is_empty()).then(|| element("text").text(text)))
        .children(flag("report-origin", report.may_go_to_origin))
        .children(flag("third-party", report.may_go_to_others));
    let mut content = Content::from(element("body").text(&body));
    content.add(&payload);
    for stanza in &report.messages {
        if let Some(forwarded) = forwarded(stanza, is_ours) {
            content.add_written(forwarded.into());
        }
    }
    let head = Head::between(host.clone(), to.clone());
    Message { head, kind: MessageKind::Normal, content }
}

/// A reported message (XEP-0297). Without its recipient, and the archive that it comes from, nobody knows who reports.
fn forwarded(xml: &str, with_recipient: bool) -> Option<Vec<u8>> {
    let frame = Frame::from_bytes(xml.to_owned()).ok()?;
    let Stanza::Message(mut message) = Stanza::read(frame).ok()? else { return None };
    if !with_recipient {
        message.head.to = None;
        message.content.remove(|child| child.is(ns::STANZA_ID, "stanza-id"));
    }
    let mut forwarded = Vec::new();
    write_forwarded(&mut forwarded, &Stanza::Message(message).to_bytes(), None);
    Some(forwarded)
}

/// The reported address, as a child of the report.
const NS_JID: &str = "urn:xmpp:jid:0";

#[cfg(test)]
mod tests {
    use super::super::{Report, SPAM};
    use super::message;
    use crate::jid::Jid;
    use crate::stanza::Stanza;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    fn report(may_go_to_others: bool) -> Report {
        let spam = "<message from='tybalt@b.example/street' to='juliet@a.example' type='chat'>\
            <body>Cheap rapiers</body>\
            <stanza-id xmlns='urn:xmpp:sid:0' by='juliet@a.example' id='1'/></message>";
        Report {
            by: jid("juliet@a.example"),
            about: jid("tybalt@b.example"),
            reason: SPAM.to_owned(),
            text: "a < b".to_owned(),
            may_go_to_origin: false,
            may_go_to_others,
            messages: vec![spam.to_owned(), "<presence/>".to_owned(), "<message".to_owned()],
        }
    }

    fn forwarded(is_ours: bool, report: &Report) -> Option<String> {
        let message = message(&jid("a.example"), &jid("abuse@c.example"), is_ours, report)?;
        Some(Stanza::Message(message).to_xml())
    }

    #[test]
    fn the_operator_gets_all_of_a_report() {
        for may_go_to_others in [false, true] {
            let xml = forwarded(true, &report(may_go_to_others)).unwrap();
            let body = "<body>juliet@a.example reports tybalt@b.example (urn:xmpp:reporting:spam): a &lt; b</body>";
            assert!(xml.contains(body), "{xml}");
            assert!(xml.contains("<jid xmlns='urn:xmpp:jid:0'>tybalt@b.example</jid>"), "{xml}");
            assert!(
                xml.contains("<text>a &lt; b</text>") && xml.contains("Cheap rapiers"),
                "{xml}"
            );
            assert!(xml.contains("to='juliet@a.example'"), "{xml}");
            assert_eq!(xml.matches("<forwarded").count(), 1, "{xml}");
            assert_eq!(xml.contains("<third-party/>"), may_go_to_others, "{xml}");
        }
    }

    #[test]
    fn others_get_what_the_user_allows_and_do_not_learn_who_reports() {
        assert_eq!(forwarded(false, &report(false)), None);
        let xml = forwarded(false, &report(true)).unwrap();
        assert!(xml.contains("<body>A user of a.example reports tybalt@b.example"), "{xml}");
        assert!(xml.contains("<third-party/>") && xml.contains("Cheap rapiers"), "{xml}");
        assert!(!xml.contains("juliet"), "{xml}");
    }
}

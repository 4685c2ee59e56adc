//! A message of an archive as JSON.

use serde_json::{Value, json};

use crate::ns;
use crate::stanza::{MessageKind, Stanza, is_encrypted};
use crate::storage::{Stored, Way, WireIds};
use crate::xml::Frame;

/// The message, as its owner sees it. What cannot be read of it is left out. `is_room`: it is in the archive of a room,
/// where all messages come from occupants; who they are is not told.
pub(super) fn to_json(row: &Stored, ids: &WireIds, is_room: bool) -> Value {
    let mut message = json!({ "stanza_id": ids.write(row.id), "at": row.at.to_string() });
    if !is_room {
        let direction = match row.way {
            Way::Received => "received",
            Way::Sent => "sent",
        };
        message["direction"] = direction.into();
        message["with"] = row.with.as_str().into();
    }
    let Some(stanza) = read(row) else { return message };
    let head = &stanza.head;
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            message[name] = value.into();
        }
    };
    put("id", head.id.as_deref());
    put("from", head.from.as_ref().map(|jid| jid.as_str()));
    put("to", head.to.as_ref().map(|jid| jid.as_str()));
    put("type", Some(kind(stanza.kind)));
    let content = &stanza.content;
    for name in ["body", "subject", "thread"] {
        let text = content.received_child(ns::CLIENT, name).map(|child| child.text().into_owned());
        put(name, text.as_deref());
    }
    if let Some(reply) = content.received_child(ns::REPLY, "reply") {
        put("reply_to", reply.attr("id").as_deref());
    }
    let is_encrypted = content.received_children().any(|child| is_encrypted(&child));
    message["encrypted"] = is_encrypted.into();
    message
}

fn read(row: &Stored) -> Option<crate::stanza::Message> {
    let frame = Frame::from_bytes(row.xml.clone()).ok()?;
    match Stanza::read(frame).ok()? {
        Stanza::Message(message) => Some(message),
        Stanza::Iq(_) | Stanza::Presence(_) => None,
    }
}

/// The word of a type.
fn kind(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Chat => "chat",
        MessageKind::Error => "error",
        MessageKind::Groupchat => "groupchat",
        MessageKind::Headline => "headline",
        MessageKind::Normal => "normal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::Jid;
    use crate::payload::datetime::Timestamp;
    use crate::storage::MessageId;

    fn json_of(xml: &'static str) -> Value {
        let row = Stored {
            id: MessageId::new(7).unwrap(),
            at: Timestamp::from_micros(1_795_161_600_123_000),
            with: Jid::parse("romeo@montague.lit").unwrap(),
            way: Way::Received,
            xml: xml.into(),
        };
        let mut json = to_json(&row, &WireIds::new(&[3; 32]), false);
        assert_eq!(json["stanza_id"].take().as_str().unwrap().len(), 16);
        json
    }

    #[test]
    fn a_message_is_what_a_program_needs_of_it() {
        let all = json_of(
            "<message id='a' from='romeo@montague.lit/x' to='juliet@capulet.lit' type='chat'>\
             <body>a &lt; b</body><thread>t</thread><reply xmlns='urn:xmpp:reply:0' id='r'/></message>",
        );
        let expected = json!({
            "stanza_id": null, "at": "2026-11-20T08:00:00.123Z", "direction": "received",
            "with": "romeo@montague.lit", "id": "a", "from": "romeo@montague.lit/x",
            "to": "juliet@capulet.lit", "type": "chat", "body": "a < b", "thread": "t",
            "reply_to": "r", "encrypted": false,
        });
        assert_eq!(all, expected);
        let encrypted = json_of(
            "<message from='a@b'><encrypted xmlns='eu.siacs.conversations.axolotl'/></message>",
        );
        assert_eq!((&encrypted["encrypted"], &encrypted["type"]), (&json!(true), &json!("normal")));
        assert_eq!(json_of("<message")["with"], "romeo@montague.lit", "it is damaged");
    }
}

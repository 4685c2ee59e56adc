//! The answer that tells a sender why its stanza failed (RFC 6120 §8.3).

use super::{
    Content, Iq, IqKind, Message, MessageKind, Presence, PresenceKind, Stanza, StanzaError,
};
use crate::ns;
use crate::xml::element;

impl StanzaError {
    /// The answer that tells the sender of `stanza`; `None` for what must not be answered: errors,
    /// and results of an iq (RFC 6120 §8.3.1, §8.2.3). The id of an iq that has none is empty. A client
    /// that enters a room knows the error by the element it has sent (XEP-0045 §7.2).
    #[must_use]
    pub fn answer(&self, stanza: &Stanza) -> Option<Stanza> {
        if stanza.is_error() {
            return None;
        }
        let mut head = stanza.head().answer();
        let content = match &self.refused {
            Some(refused) => {
                let mut content = Content::from((**refused).clone());
                content.add(&self.to_node());
                content
            }
            None => Content::from(self.to_node()),
        };
        Some(match stanza {
            Stanza::Iq(iq) if !iq.is_request() => return None,
            Stanza::Iq(_) => {
                head.id.get_or_insert_default();
                Stanza::Iq(Iq { head, kind: IqKind::Error, content })
            }
            Stanza::Message(_) => {
                Stanza::Message(Message { head, kind: MessageKind::Error, content })
            }
            Stanza::Presence(presence) => {
                let mut content = content;
                if presence.enters_room() {
                    content.add(&element("x").ns(ns::MUC));
                }
                Stanza::Presence(Presence { head, kind: PresenceKind::Error, content })
            }
        })
    }
}

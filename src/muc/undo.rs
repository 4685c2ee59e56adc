//! A groupchat message could not be stored, so nobody gets it: its changes of the room are undone.

use super::subject::{self, Subject};
use super::{Actor, Input, Room};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;

/// What a groupchat message changes in a room, as it was before.
#[derive(Clone, Debug)]
pub struct Before {
    user: BareJid,
    /// When the user last wrote to all (XEP-0500).
    spoke: Option<Timestamp>,
    /// `None`: the message does not change it.
    subject: Option<Subject>,
}

impl Room {
    /// What is to be taken back if this message cannot be published. `None` if it is none, or its sender is not in the
    /// room. To be asked before [`Room::apply`].
    #[must_use]
    pub fn before(&self, actor: &Actor, input: &Input<'_>) -> Option<Before> {
        let Input::Message(message) = input else { return None };
        self.occupants.of_session(&actor.jid)?;
        let subject = subject::is_change(message).then(|| self.subject.clone());
        let spoke = self.spoke.get(&actor.user).copied();
        Some(Before { user: actor.user.clone(), spoke, subject })
    }

    /// Undoes the changes of a message that was not published. The other effects of [`Room::apply`] were not carried out,
    /// either.
    pub fn take_back(&mut self, before: Before) {
        let Before { user, spoke, subject } = before;
        match spoke {
            Some(spoke) => self.spoke.insert(user, spoke),
            None => self.spoke.remove(&user),
        };
        if let Some(subject) = subject {
            self.subject = subject;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::Jid;
    use crate::muc::RoomConfig;
    use crate::muc::tests::Coven;
    use crate::stanza::Stanza;
    use crate::xml::Frame;

    /// A message of the hag, and what is to be taken back of it.
    fn before(coven: &Coven, xml: &str) -> Option<Before> {
        let frame = Frame::from_bytes(xml.as_bytes().to_vec()).unwrap();
        let Ok(Stanza::Message(message)) = Stanza::read(frame) else { panic!("{xml}") };
        let hag = Actor::new(Jid::parse("hag66@witches/pda").unwrap(), false);
        coven.room.before(&hag, &Input::Message(message))
    }

    #[test]
    fn a_message_that_nobody_gets_changes_nothing() {
        let config = RoomConfig { slow_mode: 3600, change_subject: true, ..RoomConfig::default() };
        let mut coven = Coven::with(config);
        for said in ["<subject>Toads</subject>", "<body>Hail!</body>"] {
            let xml = format!("<message type='groupchat' to='coven@chat.example'>{said}</message>");
            let before = before(&coven, &xml).unwrap();
            coven.receives("hag66", &xml).unwrap();
            coven.room.take_back(before);
            assert_eq!(coven.room.subject_text(), None);
        }
        // It counts neither as a subject nor as something that was said: the occupant need not wait.
        let said = "<message type='groupchat' to='coven@chat.example'><body>Hail!</body></message>";
        coven.receives("hag66", said).unwrap();
        assert_eq!(
            coven.receives("hag66", said).unwrap_err().condition.as_str(),
            "policy-violation"
        );
    }
}

//! Occupant identifiers (XEP-0421): they identify an occupant within this room, whatever the nickname, but do not tell
//! who the user is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use smol_str::SmolStr;

use crate::jid::BareJid;
use crate::xml::{Node, element};

pub(super) use crate::ns::OCCUPANT_ID as NS;

/// The identifier of a user in a room. It can be computed only with the secret. It differs from room to room, so that
/// nobody recognizes a user elsewhere (XEP-0421 §4).
pub(super) fn of(secret: &[u8; 32], room: &BareJid, user: &BareJid) -> SmolStr {
    let mut mac: Hmac<Sha256> = Mac::new_from_slice(secret).expect("a key of any length is taken");
    for part in ["occupant-id", "\0", room.as_str(), "\0", user.as_str()] {
        mac.update(part.as_bytes());
    }
    SmolStr::new(URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..24]))
}

/// The element.
pub(super) fn node(id: &str) -> Node {
    element("occupant-id").ns(NS).attr("id", id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_depends_on_the_room_the_user_and_the_secret() {
        let jid = |text: &str| BareJid::parse(text).unwrap();
        let (coven, heath) = (jid("coven@chat.example"), jid("heath@chat.example"));
        let (hag, crone) = (jid("hag66@example"), jid("crone1@example"));
        let id = of(&[1; 32], &coven, &hag);
        assert_eq!(id, of(&[1; 32], &coven, &hag));
        assert_eq!(id.len(), 32);
        for other in
            [of(&[2; 32], &coven, &hag), of(&[1; 32], &heath, &hag), of(&[1; 32], &coven, &crone)]
        {
            assert_ne!(id, other);
        }
    }
}

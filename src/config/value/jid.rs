//! Addresses of XMPP.

use super::{Kind, Refusal, Value, quote, refuse, wrong_type};
use crate::jid::Jid;

/// An address of XMPP: an account, a domain, a room.
pub(in crate::config) struct Address;

impl Kind<Option<Jid>> for Address {
    fn describe(&self) -> String {
        "an address of XMPP".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Option<Jid>, Vec<Refusal>> {
        let help = "write for example \"reports@example.org\"";
        let Some(text) = value.get_ref().as_str() else {
            return wrong_type(value, "an address of XMPP", help);
        };
        match Jid::parse(text) {
            Ok(jid) => Ok(Some(jid)),
            Err(_) => {
                let message = format!("is not an address of XMPP: {}", quote(text));
                refuse(value, message, help.into())
            }
        }
    }

    fn write(&self, value: &Option<Jid>) -> Option<String> {
        value.as_ref().map(|jid| quote(jid.as_str()))
    }

    fn example(&self) -> Option<&'static str> {
        Some("\"reports@example.org\"")
    }
}

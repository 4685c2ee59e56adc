//! Values about web pages: their origins, and the address to which they connect.

use super::list::{array, each};
use super::{Kind, Refusal, Value, quote, refuse, wrong_type};
use crate::config::origin::origin;

/// Origins of web pages (RFC 6454 §6.2), as browsers send them.
pub(in crate::config) struct Origins;

impl Kind<Vec<String>> for Origins {
    fn describe(&self) -> String {
        "a list of origins, for example `[\"https://chat.example.org\"]`".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Vec<String>, Vec<Refusal>> {
        each(value, |item| {
            let help = "write for example \"https://chat.example.org\"";
            let Some(text) = item.get_ref().as_str() else {
                return wrong_type(item, "a list of origins", help);
            };
            let refused = || {
                refuse(
                    item,
                    format!("has {}, which is not an origin", quote(text)),
                    help.to_owned(),
                )
            };
            origin(text).map_or_else(refused, Ok)
        })
    }

    fn write(&self, value: &Vec<String>) -> Option<String> {
        Some(array(value))
    }
}

/// The address of a WebSocket. It is optional.
pub(in crate::config) struct WebSocket;

impl Kind<Option<String>> for WebSocket {
    fn describe(&self) -> String {
        "an address that begins with `wss://`".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Option<String>, Vec<Refusal>> {
        let help = "write for example \"wss://example.org/xmpp-websocket\"";
        let Some(text) = value.get_ref().as_str() else {
            return wrong_type(value, "an address of a WebSocket", help);
        };
        let rest = text.strip_prefix("wss://").or_else(|| text.strip_prefix("ws://"));
        let is_plain = text.chars().all(|c| c.is_ascii_graphic() && !"<>\"{}|\\^`'#".contains(c));
        match rest.map(|rest| rest.split('/').next().unwrap_or("")) {
            Some(host) if is_host(host) && is_plain => Ok(Some(text.to_owned())),
            _ => refuse(value, format!("is not a WebSocket address: {}", quote(text)), help.into()),
        }
    }

    fn write(&self, value: &Option<String>) -> Option<String> {
        value.as_deref().map(quote)
    }

    fn example(&self) -> Option<&'static str> {
        Some("\"wss://example.org/xmpp-websocket\"")
    }
}

fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '[' | ']'))
}

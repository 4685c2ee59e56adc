//! Values about web pages: their origins, and the addresses to which they connect.

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

/// An address at which web clients connect. It is optional.
pub(in crate::config) enum WebAddress {
    /// Of requests of BOSH (XEP-0124).
    Bosh,
    /// Of a WebSocket (RFC 7395).
    WebSocket,
}

impl WebAddress {
    /// The scheme; the same without TLS, for tests; what it is; a good one.
    fn words(&self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Bosh => ("https://", "http://", "BOSH", "\"https://example.org/http-bind\""),
            Self::WebSocket => {
                ("wss://", "ws://", "WebSocket", "\"wss://example.org/xmpp-websocket\"")
            }
        }
    }
}

impl Kind<Option<String>> for WebAddress {
    fn describe(&self) -> String {
        format!("an address that begins with `{}`", self.words().0)
    }

    fn read(&self, value: &Value<'_>) -> Result<Option<String>, Vec<Refusal>> {
        let (scheme, plain, what, example) = self.words();
        let help = format!("write for example {example}");
        let Some(text) = value.get_ref().as_str() else {
            return wrong_type(value, &format!("an address of a {what}"), &help);
        };
        let rest = text.strip_prefix(scheme).or_else(|| text.strip_prefix(plain));
        let is_plain = text.chars().all(|c| c.is_ascii_graphic() && !"<>\"{}|\\^`'#".contains(c));
        match rest.map(|rest| rest.split('/').next().unwrap_or("")) {
            Some(host) if is_host(host) && is_plain => Ok(Some(text.to_owned())),
            _ => refuse(value, format!("is not a {what} address: {}", quote(text)), help),
        }
    }

    fn write(&self, value: &Option<String>) -> Option<String> {
        value.as_deref().map(quote)
    }

    fn example(&self) -> Option<&'static str> {
        Some(self.words().3)
    }
}

/// The address of an HTTPS service. It is optional.
pub(in crate::config) enum HttpsAddress {
    /// Of any.
    WithPath,
    /// Of one whose pages have their own paths: a path before them would not be in their links.
    Root,
}

impl Kind<Option<String>> for HttpsAddress {
    fn describe(&self) -> String {
        "an address that begins with `https://`".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Option<String>, Vec<Refusal>> {
        let help = "write for example \"https://files.example.org\"";
        let Some(text) = value.get_ref().as_str() else {
            return wrong_type(value, "an address of an HTTPS service", help);
        };
        let is_plain = text.chars().all(|c| c.is_ascii_graphic() && !"<>\"{}|\\^`'#?".contains(c));
        match text.strip_prefix("https://").map(|rest| rest.split('/').next().unwrap_or("")) {
            Some(host) if is_host(host) && is_plain => match (self, text.splitn(4, '/').nth(3)) {
                (Self::Root, Some(path)) if !path.is_empty() => refuse(
                    value,
                    format!("has a path: {}", quote(text)),
                    format!("write \"https://{host}\": the links of the pages begin with /"),
                ),
                _ => Ok(Some(text.to_owned())),
            },
            _ => refuse(value, format!("is not an HTTPS address: {}", quote(text)), help.into()),
        }
    }

    fn write(&self, value: &Option<String>) -> Option<String> {
        value.as_deref().map(quote)
    }

    fn example(&self) -> Option<&'static str> {
        Some("\"https://files.example.org\"")
    }
}

fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '[' | ']'))
}

//! Forms: their fields, and proof that one was sent from a page of ours.
//!
//! Each form has a token, which is signed for the form and for a cookie of the browser, which no other site can read or
//! set. So no other site can send a form in the name of a user (CSRF). The key follows from the secret of the server:
//! all its programs know it, and nothing is stored.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use maud::{Markup, html};
use sha2::Sha256;

use crate::payload::datetime::Timestamp;
use crate::upload::percent_decoded;

/// The fields of a form that was sent.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`. `None` if it is something else, or a field comes twice.
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return None;
        }
        Self::parse(str::from_utf8(body).ok()?)
    }

    /// Reads a form, or the query of an address.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut fields: Vec<(String, String)> = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let text = |text: &str| percent_decoded(&text.replace('+', " "));
            let (name, value) = (text(name)?, text(value)?);
            if fields.len() >= MOST_FIELDS || fields.iter().any(|(known, _)| *known == name) {
                return None;
            }
            fields.push((name, value));
        }
        Some(Self(fields))
    }

    /// The value of a field; empty if it is not there.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

/// The key with which forms are signed.
#[derive(Clone)]
pub(super) struct FormKey([u8; 32]);

impl FormKey {
    /// The key that follows from the secret of the server.
    pub(super) fn of_secret(secret: &[u8; 32]) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect(ANY_LENGTH);
        mac.update(b"waxwing: forms of web pages");
        Self(mac.finalize().into_bytes().into())
    }

    /// The token of a form for the browser with this cookie. Each form that is shown has another one ([`once`](super::once)).
    pub(super) fn token(&self, form: &str, cookie: &str, now: Timestamp) -> String {
        let made = now.as_micros();
        let mac = self.mac(&[form, cookie, &made.to_string()]);
        format!("{made}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    /// Whether this is the token of the form, and not too old.
    pub(super) fn is_token(&self, token: &str, form: &str, cookie: &str, now: Timestamp) -> bool {
        let Some((made, mac)) = token.split_once('.') else { return false };
        let Ok(at) = made.parse::<i64>() else { return false };
        let age = now.as_micros().saturating_sub(at) / SECOND;
        // A clock may go back a little.
        (-60..=LIFETIME).contains(&age) && self.fits(&[form, cookie, made], mac)
    }

    /// Signs a text that a later page shows.
    pub(super) fn sign(&self, what: &str, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(&[what, text]).finalize().into_bytes())
    }

    /// Whether a text was signed for this.
    pub(super) fn is_signed(&self, what: &str, text: &str, signature: &str) -> bool {
        self.fits(&[what, text], signature)
    }

    fn fits(&self, texts: &[&str], signature: &str) -> bool {
        let signature = URL_SAFE_NO_PAD.decode(signature);
        signature.is_ok_and(|signature| self.mac(texts).verify_slice(&signature).is_ok())
    }

    fn mac(&self, texts: &[&str]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect(ANY_LENGTH);
        for text in texts {
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text.as_bytes());
        }
        mac
    }
}

/// The field with the token of a form.
pub(super) fn hidden(token: &str) -> Markup {
    html! { input type="hidden" name=(TOKEN) value=(token); }
}

/// A field for a password.
pub(super) fn password(name: &str, label: &str, hint: Option<&str>, autocomplete: &str) -> Markup {
    html! {
        label {
            (label)
            @if let Some(hint) = hint { small { (hint) } }
            input type="password" name=(name) autocomplete=(autocomplete) required maxlength="1024";
        }
    }
}

/// The name of the field with the token.
pub(super) const TOKEN: &str = "token";
const ANY_LENGTH: &str = "HMAC takes keys of any length";
const MOST_FIELDS: usize = 32;
/// Microseconds.
const SECOND: i64 = 1_000_000;
/// Seconds for which the token of a form is good.
const LIFETIME: i64 = 2 * 3600;

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use axum::http::header::CONTENT_TYPE;

    use super::{Fields, FormKey, LIFETIME, SECOND};
    use crate::payload::datetime::Timestamp;

    #[test]
    fn a_token_is_for_one_form_one_browser_and_a_time() {
        let key = FormKey::of_secret(&[7; 32]);
        let at = |seconds: i64| Timestamp::from_micros(seconds * SECOND);
        let token = key.token("register", "cookie", at(1000));
        let is = |form, cookie, now| key.is_token(&token, form, cookie, at(now));
        assert!(is("register", "cookie", 1000) && is("register", "cookie", 1000 + LIFETIME));
        assert!(!is("register", "cookie", 1001 + LIFETIME) && !is("register", "cookie", 900));
        assert_ne!(
            token,
            key.token("register", "cookie", Timestamp::from_micros(1000 * SECOND + 1))
        );
        assert!(!is("login", "cookie", 1000) && !is("register", "other", 1000));
        let other = FormKey::of_secret(&[8; 32]);
        assert!(!other.is_token(&token, "register", "cookie", at(1000)));
        for wrong in [
            "",
            ".",
            "1000000000",
            "1000000000.",
            "x.y",
            &format!("9{token}"),
            &format!("{token}A"),
        ] {
            assert!(!key.is_token(wrong, "register", "cookie", at(1000)), "{wrong}");
        }
        let signed = key.sign("registered", "juliet@localhost");
        assert!(key.is_signed("registered", "juliet@localhost", &signed));
        assert!(!key.is_signed("registered", "romeo@localhost", &signed));
        assert!(!key.is_signed("login", "juliet@localhost", &signed));
    }

    #[test]
    fn fields_are_read_and_each_comes_once() {
        let read = |kind: &str, body: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
            Fields::read(&headers, body)
        };
        let form = "application/x-www-form-urlencoded";
        let fields = read(form, b"name=j%C3%BCl+%2B&empty=&bare&&x=1%3D2").unwrap();
        assert_eq!((fields.get("name"), fields.get("x")), ("j\u{fc}l +", "1=2"));
        assert_eq!((fields.get("empty"), fields.get("bare"), fields.get("none")), ("", "", ""));
        assert!(read("Application/X-WWW-Form-urlencoded; charset=UTF-8", b"").is_some());
        let bad: [(&str, &[u8]); 6] = [
            ("text/plain", b"name=a"),
            (form, b"name=a&name=b"),
            (form, b"name=%zz"),
            (form, b"name=%"),
            (form, b"name=%FF"),
            (form, b"name=\xff"),
        ];
        for (kind, body) in bad {
            assert!(read(kind, body).is_none(), "{kind} {body:?}");
        }
        let many: String = (0..40).map(|n| format!("{n}=x&")).collect();
        assert!(read(form, many.as_bytes()).is_none());
        assert!(Fields::read(&HeaderMap::new(), b"name=a").is_none());
    }
}

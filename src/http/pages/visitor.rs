//! Who asks for a page: the browser, its address and its cookies.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{COOKIE, HOST, SET_COOKIE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use super::layout;
use super::shared::Pages;
use crate::http::Peer;
use crate::random::random_id;

/// A browser.
pub(super) struct Visitor {
    /// Where it is.
    pub(super) address: IpAddr,
    /// The headers of its request.
    pub(super) headers: HeaderMap,
    /// The cookie to which its forms are bound.
    pub(super) cookie: String,
    /// Whether it has no such cookie yet.
    is_new: bool,
    is_secure: bool,
}

impl FromRequestParts<Arc<Pages>> for Visitor {
    type Rejection = Response;

    /// Passwords do not go over the network in the clear: only browsers with TLS, or on the same machine, are served.
    async fn from_request_parts(
        parts: &mut Parts,
        pages: &Arc<Pages>,
    ) -> Result<Self, Self::Rejection> {
        let peer = parts
            .extensions
            .get::<Arc<Peer>>()
            .ok_or_else(|| layout::failed(&"a request has no peer"))?;
        let config = pages.server.config.load();
        let is_secure = peer.tls().is_some();
        if !is_secure && !peer.address().ip().is_loopback() {
            let text = "This page is shown over HTTPS only: its address begins with https://.";
            return Err(layout::sorry(StatusCode::FORBIDDEN, "Not encrypted", text));
        }
        // Browsers tell where a request comes from (Fetch Metadata).
        let site = parts.headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        let is_foreign = site.is_some_and(|site| !matches!(site, b"same-origin" | b"none"));
        if is_foreign && !parts.method.is_safe() {
            let text = "This form was sent from another website. Nothing was done.";
            return Err(layout::sorry(StatusCode::FORBIDDEN, "Not from here", text));
        }
        let headers = parts.headers.clone();
        let known = cookie(&headers, &name(FORM, is_secure)).filter(|value| value.len() == 22);
        let is_new = known.is_none();
        let cookie = known.map_or_else(|| random_id().to_string(), str::to_owned);
        let address = peer.client(&config, &headers);
        Ok(Self { address, headers, cookie, is_new, is_secure })
    }
}

impl Visitor {
    /// The host that the browser has asked for, without the port; empty if it does not tell.
    pub(super) fn host(&self) -> &str {
        let host = self.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
        match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        }
    }

    /// What the browser says of itself.
    pub(super) fn agent(&self) -> &str {
        self.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("")
    }

    /// The cookie of the session in which the user has logged in.
    pub(super) fn session(&self) -> Option<&str> {
        cookie(&self.headers, &name(SESSION, self.is_secure))
    }

    /// The answer, with the cookie for forms if the browser has none yet.
    ///
    /// The browser also sends it with a page that is opened by a link on another site (`SameSite=Lax`). It would get a new
    /// one there otherwise, and the forms that are open in other tabs would be worth nothing. The cookie alone allows
    /// nothing: a form needs its token.
    pub(super) fn with_cookie(&self, answer: Response) -> Response {
        match self.is_new {
            true => self.put_cookie(answer, FORM, &self.cookie, "Lax"),
            false => answer,
        }
    }

    /// Sets the cookie of a session, which ends with the browser, and which only we get, from our own pages. An empty one
    /// is removed.
    pub(super) fn set_session(&self, answer: Response, value: &str) -> Response {
        self.put_cookie(answer, SESSION, value, "Strict")
    }

    fn put_cookie(
        &self,
        mut answer: Response,
        which: &str,
        value: &str,
        same_site: &str,
    ) -> Response {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let age = if value.is_empty() { "; Max-Age=0" } else { "" };
        let name = name(which, self.is_secure);
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}{secure}{age}");
        if let Ok(text) = HeaderValue::from_str(&text) {
            answer.headers_mut().append(SET_COOKIE, text);
        }
        answer
    }
}

/// With TLS, no other host of the domain can set the cookie (RFC 6265bis §4.1.3.2).
fn name(which: &str, is_secure: bool) -> String {
    match is_secure {
        true => format!("__Host-{which}"),
        false => which.to_owned(),
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs =
        lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

const FORM: &str = "waxwing-form";
const SESSION: &str = "waxwing-session";

//! XEP-0215: External Service Discovery. Tells users the STUN and TURN servers of the configuration, with
//! credentials.
//!
//! The name in credentials that are made from a shared secret is a pseudonym: the TURN server sees that two
//! calls are of one user, so that it can bound what one user relays, but not of whom. The pseudonyms change
//! when the server starts.

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::Sha256;
use smol_str::SmolStr;

use crate::config::{ExternalServicesConfig, ServiceUri};
use crate::host::{
    Access, AddressKind, Cx, IqHandler, IqReply, Manifest, Module, Registry, SharedState, Status,
    Xep,
};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::random::random_id;
use crate::stanza::{Condition, Iq, IqKind, StanzaError};
use crate::xml::{ElementRef, Node, element};

const NS: &str = "urn:xmpp:extdisco:2";

/// Tells users the servers for their calls.
pub struct ExternalServices;

impl Module for ExternalServices {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "external_services",
            summary: "Tells users the STUN and TURN servers for their calls",
            // Without pushes (§3.2): clients ask when a call begins.
            xeps: &[Xep { number: 215, version: "1.0.0", status: Status::Complete }],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.disco_feature(AddressKind::Host, NS).shared(Pseudonyms(random_id()));
        for name in ["services", "credentials"] {
            on.iq(AddressKind::Host, IqKind::Get, (NS, name), Access::HostUsers, &Self);
        }
    }
}

#[async_trait]
impl IqHandler for ExternalServices {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let user = request.head.from.as_ref().ok_or(Condition::BadRequest)?.to_bare();
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        // An anonymous user (XEP-0175) would have the relays for the price of a login.
        if !cx.has_account(&user).await? {
            return Err(Condition::Forbidden.text("only registered users may do this"));
        }
        let config = cx.server.config.load();
        let offer = Offer::to(cx, &config.external_services, &user);
        match payload.name() {
            "services" => Ok(Some(services(&offer, &payload))),
            _ => credentials(&offer, &payload).map(Some),
        }
    }
}

/// All services, those with credentials first, or those of the type that is asked for (XEP-0215 §3.1, §3.2).
fn services(offer: &Offer<'_>, asked: &ElementRef<'_>) -> Node {
    let kind = asked.attr("type");
    let is_asked = |uri: &&ServiceUri| kind.as_deref().is_none_or(|kind| kind == uri.kind);
    let answer = element("services").ns(NS).maybe_attr("type", kind.as_deref());
    let mut found: Vec<_> = offer.uris.iter().filter(is_asked).collect();
    // COMPAT: Smack's tests for servers (2025) ask for the credentials of the first one, whatever it is.
    found.sort_by_key(|uri| !uri.is_relay());
    answer.children(found.into_iter().map(|uri| offer.service(uri)))
}

/// Credentials for each service that is named and has some (XEP-0215 §3.3).
fn credentials(offer: &Offer<'_>, asked: &ElementRef<'_>) -> Result<Node, StanzaError> {
    let mut wanted = Vec::new();
    for child in asked.children().filter(|child| child.ns() == NS && child.name() == "service") {
        let (Some(host), Some(kind)) = (child.attr("host"), child.attr("type")) else {
            return Err(Condition::BadRequest.text("a service is named by its host and its type"));
        };
        let port = child.attr("port").map(|port| port.trim().parse::<u16>()).transpose();
        let port = port.map_err(|_| Condition::BadRequest.text("the port is not a number"))?;
        wanted.push((host.into_owned(), kind.into_owned(), port));
    }
    if wanted.is_empty() {
        return Err(Condition::BadRequest.text("no service is named"));
    }
    let is_wanted = |uri: &&ServiceUri| {
        wanted.iter().any(|(host, kind, port)| {
            uri.host.eq_ignore_ascii_case(host)
                && uri.kind == kind
                && port.is_none_or(|port| port == uri.port)
        })
    };
    let found = offer.uris.iter().filter(|uri| uri.is_relay()).filter(is_wanted);
    let mut found = found.map(|uri| offer.service(uri)).peekable();
    if found.peek().is_none() {
        return Err(Condition::ItemNotFound.text("there are no credentials for this service"));
    }
    Ok(found.fold(element("credentials").ns(NS), Node::child))
}

/// What one user is told.
struct Offer<'a> {
    uris: &'a [ServiceUri],
    credentials: Option<Credentials>,
}

impl<'a> Offer<'a> {
    fn to(cx: &Cx<'_>, config: &'a ExternalServicesConfig, user: &BareJid) -> Self {
        let now = cx.server.clock.now();
        let credentials = match (config.shared_secret(), config.fixed_credentials()) {
            (Some(secret), _) => {
                let lifetime = i64::try_from(config.lifetime.as_secs()).unwrap_or(i64::MAX);
                let expires = (now.as_micros() / 1_000_000).saturating_add(lifetime);
                let name = cx.server.shared::<Pseudonyms>().of(user);
                Some(Credentials::until(expires, &name, secret.text()))
            }
            (None, Some((username, password))) => Some(Credentials {
                username: username.to_owned(),
                password: password.text().to_owned(),
                expires: None,
            }),
            (None, None) => None,
        };
        Self { uris: &config.uris, credentials }
    }

    fn service(&self, uri: &ServiceUri) -> Node {
        let service = element("service")
            .attr("type", uri.kind)
            .attr("host", uri.host.as_str())
            .attr("port", uri.port.to_string())
            .attr("transport", uri.transport);
        match &self.credentials {
            Some(credentials) if uri.is_relay() => service
                .attr("restricted", "1")
                .attr("username", credentials.username.as_str())
                .attr("password", credentials.password.as_str())
                .maybe_attr("expires", credentials.expires.map(|at| at.to_string())),
            _ => service,
        }
    }
}

/// A name and a password for TURN servers.
struct Credentials {
    username: String,
    password: String,
    expires: Option<Timestamp>,
}

impl Credentials {
    /// Those of draft-uberti-behave-turn-rest-00 §2.2: the name begins with the second, counted from 1970,
    /// in which it expires; the password is its HMAC-SHA-1 with the shared secret.
    fn until(expires: i64, name: &str, secret: &str) -> Self {
        let username = format!("{expires}:{name}");
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect(ANY_LENGTH);
        mac.update(username.as_bytes());
        let password = STANDARD.encode(mac.finalize().into_bytes());
        let expires = Some(Timestamp::from_micros(expires.saturating_mul(1_000_000)));
        Self { username, password, expires }
    }
}

/// Makes the names of users at TURN servers, with a key that nobody else has.
struct Pseudonyms(SmolStr);

impl SharedState for Pseudonyms {}

impl Pseudonyms {
    fn of(&self, user: &BareJid) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect(ANY_LENGTH);
        mac.update(user.as_str().as_bytes());
        URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..12])
    }
}

const ANY_LENGTH: &str = "HMAC takes keys of any length";

#[cfg(test)]
mod tests {
    use super::{Credentials, Pseudonyms};
    use crate::jid::BareJid;

    /// Computed with OpenSSL: `printf %s NAME | openssl dgst -sha1 -hmac SECRET -binary | base64`.
    #[test]
    fn credentials_are_those_that_coturn_expects() {
        for (expires, name, secret, username, password) in [
            (1_433_895_918, "romeo", "south", "1433895918:romeo", "74oS7kmGIHEhisKJcoY4+vL3HaI="),
            (
                1_782_993_600,
                "Zm9vYmFy_-",
                "a secret, with ü",
                "1782993600:Zm9vYmFy_-",
                "RHzUt6k8g1SLJV7rMKrQO46cIGo=",
            ),
        ] {
            let made = Credentials::until(expires, name, secret);
            assert_eq!((made.username.as_str(), made.password.as_str()), (username, password));
        }
        let expires = Credentials::until(1_782_993_600, "", "").expires;
        assert_eq!(expires.map(|at| at.to_string()).as_deref(), Some("2026-07-02T12:00:00.000Z"));
    }

    #[test]
    fn a_pseudonym_is_of_one_user_and_of_one_key() {
        let jid = |text| BareJid::parse(text).unwrap();
        let (one, other) = (Pseudonyms("one".into()), Pseudonyms("other".into()));
        let romeo = one.of(&jid("romeo@montague.lit"));
        assert_eq!(romeo, one.of(&jid("romeo@montague.lit")));
        assert_ne!(romeo, one.of(&jid("romeo@capulet.lit")));
        assert_ne!(romeo, other.of(&jid("romeo@montague.lit")));
        assert_eq!(romeo.len(), 16);
    }
}

//! Who may send what: the one place that checks that the `from` of a stanza belongs to its origin.

use crate::host::{Origin, OurDomain, ServerState};
use crate::jid::{FullJid, Jid};
use crate::stanza::{Head, Stanza, StreamCondition};

/// Checks that the origin owns the `from` of its stanza.
///
/// - A client: `from` becomes the full address of its session, whatever it was (RFC 6120 §8.1.2.1). What
///   the client wrote is checked before, by [`check_claim`].
/// - Another server: `from` is at the domain for which the server has authenticated, which is not ours
///   (RFC 6120 §8.1.2.2), and `to` is at a domain of ours: this server is no relay.
/// - A component: `from` is at the domain for which it has authenticated, which is not a host (XEP-0114
///   §3).
/// - A service: `from` is at its own domain.
/// - This server: `from` is at a host.
///
/// # Errors
/// `improper-addressing` if an address is missing, `invalid-from` if the origin does not own `from`,
/// `host-unknown` if a server sends to a domain that is not ours. Each ends the stream of the origin, if
/// it has one (RFC 6120 §4.9.3).
pub fn accept(
    server: &ServerState,
    origin: &Origin<'_>,
    stanza: &mut Stanza,
) -> Result<(), StreamCondition> {
    if let Origin::Client(session) = origin {
        stanza.head_mut().from = Some(session.handle().jid().clone().into_jid());
        return Ok(());
    }
    let head = stanza.head();
    let (Some(from), Some(to)) = (&head.from, &head.to) else {
        return Err(StreamCondition::ImproperAddressing);
    };
    let from = from.domain();
    let is_owner = match origin {
        Origin::Client(_) => true,
        Origin::Component(domain) => from == domain && server.host(domain).is_none(),
        Origin::Internal => server.host(from).is_some(),
        Origin::Server(domain) => from == domain && server.ours(domain).is_none(),
        Origin::Service(domain) => from == domain,
    };
    if !is_owner {
        return Err(StreamCondition::InvalidFrom);
    }
    if matches!(origin, Origin::Server(_)) && server.ours(to.domain()).is_none() {
        return Err(StreamCondition::HostUnknown);
    }
    Ok(())
}

/// Checks what a client has written as `from`: nothing, or its own address, full or bare (RFC 6120
/// §8.1.2.1).
///
/// # Errors
/// `invalid-from` if it is another address, or no address.
pub fn check_claim(from: Option<&str>, client: &FullJid) -> Result<(), StreamCondition> {
    let Some(from) = from.filter(|from| *from != client.as_str()) else { return Ok(()) };
    match Jid::parse(from) {
        Ok(from) if from == **client || from.as_str() == client.bare_str() => Ok(()),
        _ => Err(StreamCondition::InvalidFrom),
    }
}

/// The origin of a stanza that this server has made itself, as its `from` says: a service, or the server.
/// `None` if `from` is not ours.
///
/// An error may be from anywhere: it is made in the name of the address that could not be reached
/// (RFC 6120 §8.3.1).
pub(super) fn own_origin(server: &ServerState, stanza: &Stanza) -> Option<Origin<'static>> {
    let from = stanza.head().from.as_ref()?;
    match server.ours(from.domain()) {
        Some(OurDomain::Host(_)) => Some(Origin::Internal),
        Some(OurDomain::Service(at)) => Some(Origin::Service(at.domain.clone())),
        None => stanza.is_error().then_some(Origin::Internal),
    }
}

/// A stanza without `to` is for the sender's own account (RFC 6120 §10.3).
pub(super) fn own_account(head: &mut Head) {
    if head.to.is_none() {
        head.to = head.from.as_ref().map(|from| from.to_bare().into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{accept, check_claim, own_origin};
    use crate::host::{Origin, Parts, ServerState, SharedStates};
    use crate::jid::FullJid;
    use crate::session::{MailboxLimits, Session, SessionFacts};
    use crate::stanza::{Stanza, StreamCondition};
    use crate::xml::Frame;

    /// The hosts `a.example` and `b.example`, each with rooms.
    fn server() -> ServerState {
        let parts = Parts::for_tests(&["a.example", "b.example"]);
        ServerState::new(parts, &["rooms"], SharedStates::default()).unwrap()
    }

    fn stanza(from: &str, to: &str) -> Stanza {
        let attr = |name, value: &str| match value {
            "" => String::new(),
            value => format!(" {name}='{value}'"),
        };
        let xml = format!("<message{}{}/>", attr("from", from), attr("to", to));
        Stanza::read(Frame::from_bytes(xml).unwrap()).unwrap()
    }

    #[test]
    fn an_origin_sends_in_its_own_name_only() {
        use StreamCondition::{HostUnknown, ImproperAddressing, InvalidFrom};
        let server = server();
        let remote = || Origin::Server("c.example".into());
        let component = || Origin::Component("irc.a.example".into());
        let service = || Origin::Service("rooms.a.example".into());
        for (origin, from, to, expected) in [
            (remote(), "juliet@c.example/balcony", "romeo@a.example", Ok(())),
            (remote(), "c.example", "rooms.b.example", Ok(())),
            (remote(), "juliet@d.example", "romeo@a.example", Err(InvalidFrom)),
            (remote(), "juliet@sub.c.example", "romeo@a.example", Err(InvalidFrom)),
            (remote(), "juliet@a.example", "romeo@a.example", Err(InvalidFrom)),
            (remote(), "juliet@c.example", "romeo@d.example", Err(HostUnknown)),
            (remote(), "", "romeo@a.example", Err(ImproperAddressing)),
            (remote(), "juliet@c.example", "", Err(ImproperAddressing)),
            // No server is authenticated for a domain of ours, be it by a mistake of ours.
            (Origin::Server("b.example".into()), "b.example", "a.example", Err(InvalidFrom)),
            (
                Origin::Server("rooms.b.example".into()),
                "rooms.b.example",
                "a.example",
                Err(InvalidFrom),
            ),
            (component(), "channel@irc.a.example", "romeo@a.example", Ok(())),
            (component(), "channel@irc.a.example", "juliet@c.example", Ok(())),
            (component(), "romeo@a.example", "juliet@c.example", Err(InvalidFrom)),
            (component(), "", "romeo@a.example", Err(ImproperAddressing)),
            (Origin::Component("a.example".into()), "a.example", "b.example", Err(InvalidFrom)),
            (service(), "garden@rooms.a.example/juliet", "romeo@a.example", Ok(())),
            (service(), "garden@rooms.b.example/juliet", "romeo@a.example", Err(InvalidFrom)),
            (service(), "romeo@a.example", "juliet@a.example", Err(InvalidFrom)),
            (Origin::Internal, "a.example", "romeo@a.example", Ok(())),
            (Origin::Internal, "romeo@a.example/orchard", "juliet@c.example", Ok(())),
            (Origin::Internal, "rooms.a.example", "romeo@a.example", Err(InvalidFrom)),
            (Origin::Internal, "juliet@c.example", "romeo@a.example", Err(InvalidFrom)),
        ] {
            let done = accept(&server, &origin, &mut stanza(from, to));
            assert_eq!(done, expected, "{origin:?}: {from} to {to}");
        }
    }

    #[test]
    fn the_from_of_a_client_is_its_session() {
        let server = server();
        let facts = SessionFacts::for_tests();
        let jid = FullJid::parse("romeo@a.example/orchard").unwrap();
        let bounds = MailboxLimits { stanzas: 1, bytes: 1 };
        let session = Session::open(Arc::clone(&server.sessions), jid, facts, bounds, 9);
        let origin = Origin::Client(&session);
        for from in ["", "romeo@a.example", "juliet@b.example/balcony"] {
            let mut stanza = stanza(from, "");
            assert_eq!(accept(&server, &origin, &mut stanza), Ok(()));
            assert_eq!(stanza.head().from.as_ref().unwrap().as_str(), "romeo@a.example/orchard");
        }
    }

    #[test]
    fn a_client_claims_no_address_of_others() {
        let client = FullJid::parse("romeo@a.example/orchard").unwrap();
        let own = [
            None,
            Some("romeo@a.example/orchard"),
            Some("Romeo@a.example"),
            Some("romeo@a.example"),
        ];
        for from in own {
            assert_eq!(check_claim(from, &client), Ok(()), "{from:?}");
        }
        let others = ["", "@", "a.example", "romeo@a.example/other", "juliet@a.example/orchard"];
        for from in others {
            let done = check_claim(Some(from), &client);
            assert_eq!(done, Err(StreamCondition::InvalidFrom), "{from}");
        }
    }

    #[test]
    fn the_origin_of_what_we_send_follows_from_its_address() {
        let server = server();
        let of = |from: &str| own_origin(&server, &stanza(from, "romeo@a.example"));
        assert!(matches!(of("a.example"), Some(Origin::Internal)));
        assert!(matches!(of("juliet@b.example/balcony"), Some(Origin::Internal)));
        let service = of("garden@rooms.b.example/juliet");
        assert!(matches!(service, Some(Origin::Service(domain)) if domain == "rooms.b.example"));
        assert!(of("c.example").is_none() && of("").is_none());
        let mut error = stanza("juliet@c.example", "rooms.a.example");
        if let Stanza::Message(message) = &mut error {
            message.kind = crate::stanza::MessageKind::Error;
        }
        assert!(matches!(own_origin(&server, &error), Some(Origin::Internal)));
    }
}

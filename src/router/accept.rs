//! Stanzas come in, from clients and from peers that speak for a domain. Here is the one place that
//! checks that the `from` of a stanza belongs to its origin.

use std::pin::pin;

use tracing::Instrument as _;

use super::route::{Router, carry, drain};
use super::{bounce, iq, message, presence, privileged};
use crate::host::{Cx, Keeping, Origin, Outbox, ServerState, components, stanza_log};
use crate::jid::{FullJid, Jid};
use crate::session::Session;
use crate::stanza::{Condition, Stanza, StanzaError, StreamCondition};
use crate::storage::{Handled, MessageId, Receipts};

/// A stanza of a client that was carried to the end.
#[derive(Debug)]
pub struct Processed {
    /// As it was sent, with `from` stamped. It is needed for the error, if a receipt says that the stanza
    /// was not stored.
    pub stanza: Stanza,
    /// These resolve when everything that was stored of it is on the disk. Only then the stanza counts as
    /// handled (XEP-0198 §4).
    pub receipts: Receipts,
    /// The number of stanzas that its client has sent was stored with it.
    pub is_counted: bool,
    /// It is a message, and has this number in the archive of its sender.
    pub archived: Option<MessageId>,
    /// The cost, in steps of the budget `work`.
    pub steps: u32,
}

impl Router {
    /// Carries a stanza of a client to the end: when this returns, the stanza has been delivered, given to
    /// the store, or answered with an error. `origin` is the client, and `from` becomes its address.
    /// `handled` is stored together with a message.
    pub async fn from_client(
        &self,
        session: &Session,
        origin: &Origin<'_>,
        mut stanza: Stanza,
        handled: Option<Handled>,
    ) -> Processed {
        let Self { server, registry } = self;
        let jid = session.handle().jid();
        let is_accepted = accept(server, origin, &mut stanza).is_ok();
        let Some(host) = server.host(jid.domain()).filter(|_| is_accepted) else {
            let error = Condition::NotAllowed.text("the domain of the client is not served");
            return refuse(server, session, origin, stanza, &error);
        };
        let copy = stanza.clone(); // for an error; this costs a few reference counts
        let mut keeping = Keeping::of(&stanza, handled);
        let mut outbox = Outbox::default();
        let mut cx =
            Cx { server, registry, host, origin, outbox: &mut outbox, keeping: &mut keeping };
        let user = jid.to_bare();
        let span = stanza_log::span(&copy, Some(origin));
        let done = {
            let pipeline = pin!(async {
                match stanza {
                    Stanza::Iq(iq) => iq::leaves(&mut cx, iq).await,
                    Stanza::Message(message) => message::leaves(&mut cx, &user, message).await,
                    Stanza::Presence(presence) => {
                        presence::leaves(&mut cx, session, presence).await
                    }
                }
            });
            pipeline.instrument(span.clone()).await
        };
        span.in_scope(|| bounce::end(&mut cx, &copy, done));
        drain(self, &mut outbox, &mut keeping, Some(session)).await;
        let is_counted = handled.is_some() && keeping.handled.is_none();
        let Keeping { receipts, archived, steps, .. } = keeping;
        Processed { stanza: copy, receipts, is_counted, archived, steps }
    }

    /// Carries a stanza of another server or of a component to the end: when this returns, the stanza has been
    /// delivered, given to the store, or answered with an error. It is stored when the receipts resolve
    /// ([`settle`](super::settle)). The next stanza need not wait for that: one write to the disk is for many.
    ///
    /// # Errors
    /// As [`accept`]: the stanza goes nowhere, and the stream ends.
    pub async fn from_domain(
        &self,
        origin: &Origin<'_>,
        mut stanza: Stanza,
    ) -> Result<Receipts, StreamCondition> {
        accept(&self.server, origin, &mut stanza).inspect_err(|&condition| {
            stanza_log::note_refused_stanza(&stanza, origin, condition);
        })?;
        if let Origin::Component(domain) = origin {
            match Box::pin(privileged::take(self, (domain, origin), stanza)).await {
                Some(left) => stanza = left,
                None => return Ok(Receipts::new()),
            }
        }
        let (mut outbox, mut keeping) = (Outbox::default(), Keeping::default());
        carry(self, origin, &mut outbox, &mut keeping, stanza).await;
        drain(self, &mut outbox, &mut keeping, None).await;
        Ok(keeping.receipts)
    }
}

/// Answers a stanza of a client that cannot be routed, because it has this fault. The answer comes from the
/// address to which the stanza was sent, or from the host if that is no address (RFC 6120 §8.3.3.8).
pub fn refuse(
    server: &ServerState,
    session: &Session,
    origin: &Origin<'_>,
    mut stanza: Stanza,
    error: &StanzaError,
) -> Processed {
    let client = session.handle();
    let head = stanza.head_mut();
    head.from = Some(client.jid().clone().into_jid());
    let span = stanza_log::span(&stanza, Some(origin));
    if error.condition == Condition::JidMalformed {
        let host = server.host(client.jid().domain());
        stanza.head_mut().to = host.map(|host| host.jid.clone());
    }
    span.in_scope(|| bounce::refused(server, client, &stanza, error));
    Processed { stanza, receipts: Receipts::new(), is_counted: false, archived: None, steps: 1 }
}

/// Checks that the origin owns the `from` of its stanza.
///
/// - A client: `from` becomes the full address of its session, whatever it was (RFC 6120 §8.1.2.1). What
///   the client wrote is checked before, by [`check_claim`].
/// - Another server: `from` is at the domain for which the server has authenticated, which is not ours
///   (RFC 6120 §8.1.2.2), and `to` is at a domain of ours: this server is no relay.
/// - A component: `from` is at the domain for which it has authenticated, or at one below it that is the
///   component's, too (`subdomains`), and not ours (XEP-0114 §3). The configuration may have changed since it
///   has connected.
/// - A component that acts for a user or a host: `from` is that address (XEP-0356 §5, §6).
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
    check_from(server, origin, stanza)?;
    let to = stanza.head().to.as_ref().ok_or(StreamCondition::ImproperAddressing)?;
    let is_here = || server.ours(to.domain()).is_some() || components::has(server, to);
    if matches!(origin, Origin::Server(_)) && !is_here() {
        return Err(StreamCondition::HostUnknown);
    }
    Ok(())
}

/// Checks that the origin owns the `from` of a stanza, which may have faults. The `from` of a client is not checked:
/// see [`check_claim`].
///
/// # Errors
/// `improper-addressing` if there is no `from`, `invalid-from` if the origin does not own it.
pub fn check_from(
    server: &ServerState,
    origin: &Origin<'_>,
    stanza: &Stanza,
) -> Result<(), StreamCondition> {
    let sender = stanza.head().from.as_ref().ok_or(StreamCondition::ImproperAddressing)?;
    let from = sender.domain();
    let is_owner = match origin {
        Origin::Account { user, .. } => sender.as_str() == user.as_str(),
        Origin::Client(_) => true,
        Origin::Component(domain) => {
            components::owns(server, domain, from) && server.ours(from).is_none()
        }
        Origin::Internal => server.host(from).is_some(),
        Origin::Server(domain) => {
            from == domain && server.ours(domain).is_none() && !components::is_one(server, domain)
        }
        Origin::Service(domain) => from == domain,
    };
    if is_owner { Ok(()) } else { Err(StreamCondition::InvalidFrom) }
}

/// Checks what a client has written as `from`: nothing, or an address of its account, which [`accept`] then overrides (RFC
/// 6120 §8.1.2.1). The resource may be another one: Converse.js writes that of its new page after it has resumed the
/// session of its old page.
///
/// # Errors
/// `invalid-from` if it is an address of somebody else, or no address (RFC 6120 §4.9.3.9).
pub fn check_claim(from: Option<&str>, client: &FullJid) -> Result<(), StreamCondition> {
    let Some(from) = from.filter(|from| *from != client.as_str()) else { return Ok(()) };
    match Jid::parse(from) {
        Ok(from) if from.bare_str() == client.bare_str() => Ok(()),
        _ => Err(StreamCondition::InvalidFrom),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{accept, check_claim};
    use crate::config::Config;
    use crate::host::Origin;
    use crate::jid::FullJid;
    use crate::router::fixtures::{message, server};
    use crate::session::{MailboxLimits, Session, SessionFacts};
    use crate::stanza::StreamCondition;

    #[test]
    fn an_origin_sends_in_its_own_name_only() {
        use StreamCondition::{HostUnknown, ImproperAddressing, InvalidFrom};
        let server = server();
        server.config.store(Arc::new(config()));
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
            // Even if we authenticated a server for our own domain by mistake, it is refused.
            (Origin::Server("b.example".into()), "b.example", "a.example", Err(InvalidFrom)),
            (
                Origin::Server("rooms.b.example".into()),
                "rooms.b.example",
                "a.example",
                Err(InvalidFrom),
            ),
            (component(), "channel@irc.a.example", "romeo@a.example", Ok(())),
            (component(), "channel@irc.a.example", "juliet@c.example", Ok(())),
            (component(), "channel@oftc.irc.a.example", "romeo@a.example", Ok(())),
            // It is another component's.
            (component(), "channel@libera.irc.a.example", "romeo@a.example", Err(InvalidFrom)),
            (component(), "irc.b.example", "romeo@a.example", Err(InvalidFrom)),
            // It was removed from the configuration.
            (
                Origin::Component("irc.b.example".into()),
                "irc.b.example",
                "romeo@a.example",
                Err(InvalidFrom),
            ),
            // `from` decides nothing about who it is.
            (
                Origin::Component("oftc.irc.a.example".into()),
                "channel@oftc.irc.a.example",
                "romeo@a.example",
                Err(InvalidFrom),
            ),
            (component(), "romeo@a.example", "juliet@c.example", Err(InvalidFrom)),
            (component(), "", "romeo@a.example", Err(ImproperAddressing)),
            (Origin::Component("a.example".into()), "a.example", "b.example", Err(InvalidFrom)),
            (
                Origin::Component("rooms.a.example".into()),
                "rooms.a.example",
                "romeo@a.example",
                Err(InvalidFrom),
            ),
            (service(), "garden@rooms.a.example/juliet", "romeo@a.example", Ok(())),
            (service(), "garden@rooms.b.example/juliet", "romeo@a.example", Err(InvalidFrom)),
            (service(), "romeo@a.example", "juliet@a.example", Err(InvalidFrom)),
            (Origin::Internal, "a.example", "romeo@a.example", Ok(())),
            (Origin::Internal, "romeo@a.example/orchard", "juliet@c.example", Ok(())),
            (Origin::Internal, "rooms.a.example", "romeo@a.example", Err(InvalidFrom)),
            (Origin::Internal, "juliet@c.example", "romeo@a.example", Err(InvalidFrom)),
        ] {
            let done = accept(&server, &origin, &mut message(from, to));
            assert_eq!(done, expected, "{origin:?}: {from} to {to}");
        }
    }

    /// With components, two of which have domains of ours, as no configuration file can say.
    fn config() -> Config {
        let domains = ["irc.a.example", "libera.irc.a.example", "a.example", "rooms.a.example"];
        let sections = domains.map(|domain| {
            format!("[[component]]\ndomain = '{domain}'\nsecret = 'a'\nsubdomains = true\n")
        });
        Config::parse(&sections.concat(), "the test").unwrap()
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
            let mut stanza = message(from, "");
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
            Some("romeo@a.example/other"),
        ];
        for from in own {
            assert_eq!(check_claim(from, &client), Ok(()), "{from:?}");
        }
        let others = ["", "@", "a.example", "juliet@a.example", "juliet@a.example/orchard"];
        for from in others {
            let done = check_claim(Some(from), &client);
            assert_eq!(done, Err(StreamCondition::InvalidFrom), "{from}");
        }
    }
}

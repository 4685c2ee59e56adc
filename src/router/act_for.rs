//! A component acts for a user or for a host (XEP-0356 §5, §6): its stanza is carried to the end as if that one had
//! sent it.

use tracing::Instrument as _;

use super::outcome::Outcome;
use super::route::{Router, carry, drain, settle};
use super::{bounce, iq, message};
use crate::host::{Cx, Halt, Host, Keeping, Origin, Outbox, stanza_log};
use crate::jid::BareJid;
use crate::stanza::Stanza;

/// Carries a message of the host to the end. It is not the server that writes: it has no rights of the server.
pub(super) async fn host(router: &Router, domain: &str, host: &Host, stanza: Stanza) {
    let origin = Origin::Account { user: host.jid.to_bare(), component: domain.into() };
    let (mut outbox, mut keeping) = (Outbox::default(), Keeping::default());
    carry(router, &origin, &mut outbox, &mut keeping, stanza).await;
    drain(router, &mut outbox, &mut keeping, None).await;
    settle(keeping.receipts).await;
}

/// Carries a stanza to the end as if the user had sent it.
pub(super) async fn user(
    router: &Router,
    domain: &str,
    host: &Host,
    user: &BareJid,
    stanza: Stanza,
) {
    let Router { server, registry } = router;
    let origin = &Origin::Account { user: user.clone(), component: domain.into() };
    let copy = stanza.clone();
    let (mut outbox, mut keeping) = (Outbox::default(), Keeping::of(&stanza, None));
    let mut cx = Cx { server, registry, host, origin, outbox: &mut outbox, keeping: &mut keeping };
    let span = stanza_log::span(&copy, Some(origin));
    let done = Box::pin(leaves(&mut cx, user, stanza)).instrument(span.clone()).await;
    span.in_scope(|| bounce::end(&mut cx, &copy, done));
    drain(router, &mut outbox, &mut keeping, None).await;
    settle(keeping.receipts).await;
}

async fn leaves(cx: &mut Cx<'_>, user: &BareJid, stanza: Stanza) -> Result<Outcome, Halt> {
    match stanza {
        Stanza::Iq(iq) => iq::leaves(cx, iq).await,
        Stanza::Message(message) => message::leaves(cx, user, message).await,
        Stanza::Presence(_) => Err(Halt::Drop("no component sends presence for users")),
    }
}

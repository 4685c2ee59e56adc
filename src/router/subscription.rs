//! What happens to the stanzas that manage subscriptions (RFC 6121 §3). What they change in a roster
//! is told by `roster/subscription.rs`, in tables; here stands who hears of it, in which order.

use std::sync::Arc;

use super::outcome::Outcome;
use super::send_presence::{self, send};
use crate::host::{Cx, Destination, Halt};
use crate::jid::{BareJid, Jid};
use crate::modules::roster::{self, Changed};
use crate::roster::subscription::Way;
use crate::session::SessionRef;
use crate::stanza::{Condition, Presence, PresenceKind, Stanza};

/// Our user manages a subscription (RFC 6121 §3.1.2, §3.1.5, §3.2.2, §3.3.2, §3.4.2).
///
/// DEPARTS: RFC 6121 §3.2.2 – who is denied never saw the user: he is not told which of her sessions
/// go, and her own clients, who see no difference, get no push.
pub async fn leaves(
    cx: &mut Cx<'_>,
    session: &SessionRef,
    mut presence: Presence,
    to: &Jid,
) -> Result<Outcome, Halt> {
    let (user, contact) = (session.jid().to_bare(), to.to_bare());
    // Everybody sees himself (RFC 6121 §4.2.2): there is nothing to manage.
    if user == contact {
        return Err(Halt::Drop("a subscription to the user's own presence"));
    }
    // Between accounts, not between sessions (RFC 6121 §3.1.2).
    presence.head.from = Some(user.clone().into());
    presence.head.to = Some(contact.clone().into());
    // A request that goes nowhere would wait for ever (RFC 6121 §3.1.2).
    let reachable = reachable(cx, to);
    if presence.kind == PresenceKind::Subscribe {
        reachable?;
    }
    let changed = roster::subscription(cx, &user, &contact, Way::Outbound, &presence).await?;
    roster::push_changed(cx, &user, &changed);
    // Who may not see the user any more sees her go while he still may (RFC 6121 §3.2.2).
    if changed.closed {
        roster::gone(cx, &user, &contact.clone().into());
    }
    if changed.pass {
        reachable?;
        cx.outbox.send(Stanza::Presence(presence));
    }
    if changed.opened {
        shown(cx, &user, &contact);
    }
    Ok(Outcome::Done)
}

/// Whether anybody is there who could read what is sent to this address. Of an account of ours
/// nothing is told.
fn reachable(cx: &Cx<'_>, to: &Jid) -> Result<(), Condition> {
    match cx.hosts.destination(to) {
        Destination::Remote => Err(Condition::RemoteServerNotFound),
        // RFC 6121 §8.4
        Destination::Host(_) | Destination::Service(_) => Err(Condition::ServiceUnavailable),
        Destination::Account(..) | Destination::Session(..) => Ok(()),
    }
}

/// A contact manages a subscription (RFC 6121 §3.1.3, §3.1.6, §3.2.3, §3.3.3, §3.4.2).
pub async fn arrives(
    cx: &mut Cx<'_>,
    user: &BareJid,
    mut presence: Presence,
) -> Result<Outcome, Halt> {
    // Silence to one who asks an account that does not exist: RFC 6121 §3.1.2 would have an error,
    // §8.5.1 forbids it.
    if !cx.has_account(user).await? {
        return Err(Halt::Drop("no such account"));
    }
    let Some(contact) = presence.head.from.as_ref().map(|from| from.to_bare()) else {
        return Err(Halt::Drop("no sender"));
    };
    presence.head.from = Some(contact.clone().into());
    presence.head.to = Some(user.clone().into());
    let changed = match roster::subscription(cx, user, &contact, Way::Inbound, &presence).await {
        Ok(changed) => changed,
        // An error would tell a stranger that there is such an account, and one with many requests.
        Err(error) if error.condition == Condition::ResourceConstraint => {
            return Err(Halt::Drop("too many contacts or requests"));
        }
        Err(error) => return Err(error.into()),
    };
    if changed.pass {
        deliver(cx, user, presence);
    }
    roster::push_changed(cx, user, &changed);
    answer(cx, user, &contact, &changed);
    Ok(Outcome::Done)
}

/// A request is for those who are there to answer it, the rest for those who have the roster, too
/// (RFC 6121 §3.1.3, §3.1.6, §3.2.3, §3.3.3).
///
/// DEPARTS: RFC 6121 §3.1.6 – also those who are there without having asked for the roster hear the
/// rest: a program without a roster would wait for its answer for ever.
fn deliver(cx: &Cx<'_>, user: &BareJid, presence: Presence) {
    let is_request = presence.kind == PresenceKind::Subscribe;
    let stanza = Arc::new(Stanza::Presence(presence));
    for session in cx.hosts.sessions.of(user) {
        let wants = session.available().is_some() || session.flags().interested && !is_request;
        if wants {
            send_presence::deliver(&session, Arc::clone(&stanza));
        }
    }
}

/// What the contact hears in return: an approval on the user's behalf (RFC 6121 §3.1.3, §3.4.2), and
/// who is there, or is not any more.
///
/// DEPARTS: RFC 6121 §A.3.2 – who unsubscribes should be answered `unsubscribed`. He knows already;
/// and one who has meanwhile asked anew would take it for the answer to that.
fn answer(cx: &mut Cx<'_>, user: &BareJid, contact: &BareJid, changed: &Changed) {
    if changed.approve {
        let yes = Presence::bare(PresenceKind::Subscribed, user.clone(), contact.clone());
        cx.outbox.send(Stanza::Presence(yes));
    }
    // Who asks again has forgotten what he saw.
    if changed.opened || changed.approve {
        shown(cx, user, contact);
    }
    if changed.closed {
        roster::gone(cx, user, &contact.clone().into());
    }
}

/// A contact who may see the user from now on sees who is there (RFC 6121 §3.1.5).
fn shown(cx: &mut Cx<'_>, user: &BareJid, contact: &BareJid) {
    for session in cx.hosts.sessions.of(user) {
        if let Some(presence) = session.available() {
            send(cx, &presence, contact.clone().into());
        }
    }
}

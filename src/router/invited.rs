//! Whether a request for a subscription comes with an invitation (XEP-0379).

use crate::host::{Cx, Halt, contact_list, invitations};
use crate::jid::BareJid;
use crate::limit::Guesser;
use crate::ns;
use crate::stanza::{Presence, PresenceKind};

/// Whether a request has the token of an invitation of the user, which is used up by it (XEP-0379 §3.5). A token that
/// is unknown is as good as none (XEP-0379 §4.1): the user's client may have made it.
pub(super) async fn is_invited(
    cx: &Cx<'_>,
    user: &BareJid,
    contact: &BareJid,
    presence: &Presence,
) -> Result<bool, Halt> {
    if presence.kind != PresenceKind::Subscribe {
        return Ok(false);
    }
    let preauth = presence.content.received_children().find(|child| child.is(ns::PARS, "preauth"));
    let Some(token) = preauth.and_then(|preauth| preauth.attr("token")) else { return Ok(false) };
    // A contact that already sees the user does not use up the invitation.
    let known = contact_list::find(cx.server, user, &contact.clone().into()).await?;
    if known.is_some_and(|known| known.subscription.is_from()) {
        return Ok(false);
    }
    let guesser = guesser(cx, contact);
    let unknown = &cx.server.budgets.unknown_invitations;
    if !unknown.may_try(guesser.clone()) {
        return Ok(false);
    }
    let is_invited = invitations::accept_contact(cx.server, user, &token).await?;
    if !is_invited {
        unknown.note(guesser);
    }
    Ok(is_invited)
}

/// Whose guess a token is: that of an account here, or of another server with all its users.
fn guesser(cx: &Cx<'_>, contact: &BareJid) -> Guesser {
    let is_here = cx.server.host(contact.domain()).is_some();
    Guesser::contact(if is_here { contact.as_str() } else { contact.domain() })
}

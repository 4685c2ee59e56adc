//! XEP-0355: Namespace Delegation. A request is answered by a component: it is wrapped and sent there, and what comes
//! back is unwrapped and sent to the sender, who notices nothing.

use super::outcome::Outcome;
use crate::config::ComponentConfig;
use crate::host::components::Components;
use crate::host::delegations::{self, BARE_INFO, BARE_ITEMS, PATIENCE};
use crate::host::{CountsFor, Cx, Halt};
use crate::jid::{BareJid, Jid};
use crate::modules::blocking;
use crate::ns;
use crate::stanza::{Condition, Iq, IqKind, Stanza, StanzaError};

/// Hands a request to an account of ours (`user`) or to a host over to the component that answers it, if one does.
pub(super) async fn take(
    cx: &mut Cx<'_>,
    user: Option<&BareJid>,
    iq: &Iq,
) -> Result<Option<Outcome>, Halt> {
    let config = cx.server.config.load_full();
    let found = delegations::of_request(cx.server, &config, &cx.host.domain, (cx.origin, iq));
    let Some(component) = found else { return Ok(None) };
    if let Some(user) = user.filter(|user| !cx.origin.is_of(user)) {
        blocking::refuse_incoming(cx, user, &iq.head).await?;
    }
    hand_over(cx, iq, component).map(Some)
}

/// Hands a request for the items of an account over, if a component answers it (§7.2.5). `is_unknown`: the server does
/// not know the node that is asked for.
pub(super) async fn take_discovery(
    cx: &mut Cx<'_>,
    user: &BareJid,
    iq: &Iq,
    is_unknown: bool,
) -> Result<Option<Outcome>, Halt> {
    let Some(payload) = iq.payload() else { return Ok(None) };
    let has_node = payload.attr("node").is_some_and(|node| !node.is_empty());
    let special = match payload.ns() {
        ns::DISCO_INFO if has_node && is_unknown => BARE_INFO,
        ns::DISCO_ITEMS if has_node == is_unknown => BARE_ITEMS,
        _ => return Ok(None),
    };
    let config = cx.server.config.load_full();
    let component = delegations::manager(cx.server, &config, &cx.host.domain, (special, &|_| true));
    let component = component.filter(|component| !delegations::is_own(component, cx.origin));
    let Some(component) = component else { return Ok(None) };
    if !cx.origin.is_of(user) {
        blocking::refuse_incoming(cx, user, &iq.head).await?;
    }
    hand_over(cx, iq, component).map(Some)
}

/// Sends a request to a component. A task waits for the answer.
fn hand_over(cx: &mut Cx<'_>, iq: &Iq, component: &ComponentConfig) -> Result<Outcome, Halt> {
    let away = || Halt::bounce(Condition::ServiceUnavailable, "the component is not connected");
    let to = Jid::domain_only(&component.domain).map_err(|_| away())?;
    let table = cx.server.shared::<Components>();
    let link = table.link(&component.domain, (Some(&cx.host.jid), Some(&to))).ok_or_else(away)?;
    let by = iq.head.from.clone();
    let payload = delegations::wrap(iq);
    let counts = by.as_ref().map_or(CountsFor::Asked, CountsFor::Asking);
    let begun = cx.server.request_for(counts, cx.host.jid.clone(), to, IqKind::Set, payload);
    let (request, answer) =
        begun.map_err(|_| Condition::ResourceConstraint.text("too many requests wait"))?;
    let Some(route) = cx.server.route() else { return Err(away()) };
    let asked = iq.clone();
    let work = async move {
        // Whatever is wrong, the sender is told that nobody answers (§4.3).
        // So it is when the component is gone, too.
        let answered = link.ended.run_until_cancelled(answer.within(PATIENCE)).await;
        let answer =
            answered.and_then(Result::ok).and_then(|carrier| delegations::unwrap(&asked, &carrier));
        let answer = answer.map(Stanza::Iq).or_else(|| {
            StanzaError::from(Condition::ServiceUnavailable).answer(&Stanza::Iq(asked))
        });
        if let Some(answer) = answer {
            route.route(answer).await;
        }
    };
    let tasks = &cx.server.tasks;
    drop(tasks.spawn("delegated-iq", tasks.stopping().run_until_cancelled_owned(work)));
    cx.outbox.send(request);
    Ok(Outcome::HandedOver)
}

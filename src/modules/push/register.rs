//! A client enables and disables notifications for a device (XEP-0357 §5, §6).

use async_trait::async_trait;

use super::publisher::{Publisher, Target};
use super::{Push, registrations};
use crate::auth;
use crate::host::{Cx, Destination, Invalidation, IqHandler, IqReply, Origin};
use crate::jid::{BareJid, Jid};
use crate::ns::PUBLISH_OPTIONS;
use crate::payload::data_form::{self, Submitted};
use crate::payload::datetime::Timestamp;
use crate::stanza::{Condition, Iq, StanzaError};
use crate::storage::{PushDevice, PushRegistration};
use crate::xml::{ElementRef, Frame};

#[async_trait]
impl IqHandler for Push {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let user = cx.origin.user().ok_or(Condition::NotAllowed)?;
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        let service = service(&payload)?;
        match payload.name() {
            "enable" => enable(cx, &user, service, &payload).await?,
            _ => disable(cx, &user, &service, &payload).await?,
        }
        Ok(None)
    }
}

/// XEP-0357 §5. A registration with the same service and node is replaced.
async fn enable(
    cx: &Cx<'_>,
    user: &BareJid,
    service: Jid,
    payload: &ElementRef<'_>,
) -> Result<(), StanzaError> {
    // A host is no push service, and nobody wakes the own device. Any other address may be one, and answers itself.
    let is_host = matches!(cx.server.destination(&service), Destination::Host(_));
    if is_host || service.bare_str() == user.as_str() {
        return Err(Condition::BadRequest.text("this address is not a push service"));
    }
    let node = payload.attr("node").map(|node| node.into_owned()).unwrap_or_default();
    if node.len() > MAX_NODE {
        return Err(Condition::NotAcceptable.text("the node is too long"));
    }
    let options = options(payload)?;
    cx.must_have_account(user).await?;
    let mut new = PushRegistration {
        service,
        node,
        options,
        device: asking(cx.origin),
        registered: cx.server.clock.now(),
    };
    let old = registrations::of(cx.server, user).await?;
    let old = old.all.iter().find(|old| (&old.service, &old.node) == (&new.service, &new.node));
    // Something may be refused at this moment, and must not end the registration that is made now.
    let is_in_use = cx.server.shared::<Publisher>().renewed(&Target::of(user, &new));
    if let Some(old) = old {
        if is_fresh(old, &new) && !is_in_use {
            return Ok(());
        }
        // What is renewed at the same moment is newer, too.
        let later = Timestamp::from_micros(old.registered.as_micros().saturating_add(1));
        new.registered = new.registered.max(later);
    }
    let max = cx.server.config.load().limits.push_registrations;
    let done = cx.server.storage.push().register(user, &new, max).await;
    done.inspect_err(|error| cx.server.count_refusal(error))?;
    cx.server.invalidate(&Invalidation::Push(user.clone()));
    Ok(())
}

/// The device that asks. A component that acts for the user is one of its own: it is never connected as a client.
fn asking(origin: &Origin<'_>) -> PushDevice {
    match origin.session() {
        Some(session) => {
            device(session.facts().installation.as_deref(), session.jid().resource_part())
        }
        None => PushDevice::Installation(origin.component().unwrap_or_default().to_owned()),
    }
}

/// The device of a session. A certificate alone is no device: several clients may have the same one.
fn device(installation: Option<&str>, resource: &str) -> PushDevice {
    let is_one = |id: &&str| auth::certificate_of(id).is_none_or(|(shared, _)| shared != *id);
    match installation.filter(is_one) {
        Some(id) => PushDevice::Installation(id.to_owned()),
        None => PushDevice::Resource(resource.to_owned()),
    }
}

/// Clients register at each login. What would change nothing but the time is written once a day.
fn is_fresh(old: &PushRegistration, new: &PushRegistration) -> bool {
    let same = PushRegistration { registered: old.registered, ..new.clone() } == *old;
    same && new.registered.as_micros().abs_diff(old.registered.as_micros()) < A_DAY
}

/// XEP-0357 §6. It is no error if there is no such registration.
async fn disable(
    cx: &Cx<'_>,
    user: &BareJid,
    service: &Jid,
    payload: &ElementRef<'_>,
) -> Result<(), StanzaError> {
    let node = payload.attr("node");
    if cx.server.storage.push().remove(user, service, node.as_deref()).await? > 0 {
        cx.server.invalidate(&Invalidation::Push(user.clone()));
    }
    Ok(())
}

/// The address of the push service.
fn service(payload: &ElementRef<'_>) -> Result<Jid, StanzaError> {
    let jid = payload.attr("jid").filter(|jid| !jid.is_empty());
    let jid = jid.ok_or(Condition::BadRequest.text("the address of the service is missing"))?;
    Jid::parse(&jid).map_err(|_| Condition::JidMalformed.into())
}

/// The form that goes with each notification, as the client has written it. Only the service knows its
/// fields.
fn options(payload: &ElementRef<'_>) -> Result<Option<String>, StanzaError> {
    let mut forms = payload.children().filter(|child| child.is(data_form::NS, "x"));
    let Some(form) = forms.next() else { return Ok(None) };
    if forms.next().is_some() {
        return Err(Condition::BadRequest.text("there is more than one form"));
    }
    let read = Submitted::read(&form).map_err(|_| Condition::BadRequest.text("a bad form"))?;
    if read.form_type().is_some_and(|kind| kind != PUBLISH_OPTIONS) {
        return Err(Condition::BadRequest.text("not a form of publish-options"));
    }
    let frame = Frame::from_tree(&form.to_tree()).map_err(|_| Condition::BadRequest)?;
    if frame.bytes().len() > MAX_OPTIONS {
        return Err(Condition::NotAcceptable.text("the form is too large"));
    }
    Ok(Some(String::from_utf8_lossy(frame.bytes()).into_owned()))
}

/// Bytes of the name of a node. Tokens of push services have some hundred.
const MAX_NODE: usize = 1023;
/// Bytes of a form.
const MAX_OPTIONS: usize = 4096;
/// Microseconds.
const A_DAY: u64 = 24 * 60 * 60 * 1_000_000;

#[cfg(test)]
mod tests {
    use super::device;
    use crate::auth::certificate_client;
    use crate::storage::PushDevice;

    #[test]
    fn clients_with_one_certificate_are_several_devices() {
        let agent = "d4565fa7-4d72-4749-b3d3-740edbf87770";
        let named = certificate_client("ab12", Some(agent));
        for (id, expected) in [
            (Some(agent.to_owned()), PushDevice::Installation(agent.to_owned())),
            (Some(named.clone()), PushDevice::Installation(named)),
            (Some(certificate_client("ab12", None)), PushDevice::Resource("phone".to_owned())),
            (None, PushDevice::Resource("phone".to_owned())),
        ] {
            assert_eq!(device(id.as_deref(), "phone"), expected, "{id:?}");
        }
    }
}

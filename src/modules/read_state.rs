//! XEP-0490: Message Displayed Synchronization. How far a user has read each chat is an item of a node, which the
//! user's devices publish and are told of. This is the server's help (XEP-0490 §3.5): a client that tells the
//! contact so, too, puts both into one message, and the server takes out and publishes what is for the user's
//! own devices.

use bytes::Bytes;

use crate::host::{AccountNodes, Cx, Manifest, Module, Registry, Status, Xep};
use crate::jid::BareJid;
use crate::ns;
use crate::payload::node_config::NodeConfig;
use crate::session::SessionRef;
use crate::stanza::Message;
use crate::xml::{ElementRef, Frame};

/// Publishes for users what they have read.
pub struct ReadState;

impl Module for ReadState {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "read_state",
            summary: "Tells a user's devices what was read on another one",
            xeps: &[Xep { number: 490, version: "1.0.1", status: Status::Complete }],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.disco_feature_of_registered("urn:xmpp:mds:server-assist:0");
    }
}

/// Takes all markers for the user's own devices out of a message that a client sends (XEP-0490 §4.2), before anything is
/// stored or copied: the recipient must not see them. The first one is published, under the address to which the message
/// goes, as the client has written it (XEP-0490 §4.1). If that fails, the message goes on all the same.
pub async fn take_out(cx: &mut Cx<'_>, user: &BareJid, message: &mut Message) {
    let Some(displayed) = message.content.received_child(ns::READ_STATE, DISPLAYED) else { return };
    let payload = written(&displayed);
    message.content.remove(|child| child.is(ns::READ_STATE, DISPLAYED));
    let verbatim = message.content.received_attribute("to").filter(|to| to.len() <= MAX_ID);
    let prepared = message.head.to.as_ref().map(|to| to.as_str().into());
    let (Some(payload), Some(to)) = (payload, verbatim.or(prepared)) else { return };
    if cx.origin.session().is_none_or(SessionRef::is_anonymous) {
        return;
    }
    let nodes = AccountNodes::of(user);
    let item = nodes.item(cx.server, &to, payload);
    let config = NodeConfig::of_account(ns::READ_STATE);
    if let Err(error) = nodes.publish(cx, ns::READ_STATE, vec![item], &config, NAME).await {
        tracing::warn!(jid = %user, %error, "cannot publish what was read");
    }
}

/// The element as it is published. `None` if it has not exactly one id of a message (XEP-0490 §3.1).
fn written(displayed: &ElementRef<'_>) -> Option<Bytes> {
    let ids = displayed.children().filter(|child| child.is(ns::STANZA_ID, "stanza-id"));
    let is_one = ids.count() == 1 && displayed.children().count() == 1;
    let frame = is_one.then(|| Frame::from_tree(&displayed.to_tree()).ok())??;
    Some(frame.bytes().clone())
}

const DISPLAYED: &str = "displayed";
/// Bytes of the identifier of an item, at most. No prepared address is longer.
const MAX_ID: usize = 3071;
/// The name under which changes are told.
const NAME: &str = "read_state";

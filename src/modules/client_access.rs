//! XEP-0494: Client Access Management. Users see which clients have access to their account, and take it away.
//!
//! A client that has proven the password can log in again: it loses its session and its tokens, and the answer is
//! the error that says so (XEP-0494 §3.2). A certificate by which a client has logged in is refused from then on.

mod devices;
mod notice;
mod wish;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use crate::host::command::SessionRow;
use crate::host::{
    Access, AddressKind, Client, Cx, IqHandler, IqReply, Manifest, Module, Registry, ServerState,
    Status, Xep, clients_of, log_out_client,
};
use crate::jid::BareJid;
use crate::ns;
use crate::payload::datetime::Timestamp;
use crate::stanza::{Condition, Iq, IqKind, StanzaError};
use crate::xml::{Node, element};

pub use notice::Notices;

const NS: &str = "urn:xmpp:cam:0";

/// Shows users which clients have access to their account.
pub struct ClientAccess;

impl Module for ClientAccess {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "client_access",
            summary: "Shows users which clients have access to their account, and takes it away",
            xeps: &[Xep { number: 494, version: "0.1.0", status: Status::Complete }],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.disco_feature_of_registered(NS);
        on.account_command(&devices::Devices).account_command(&wish::Wish);
        let access = Access::OwnerElseForbidden;
        on.iq(AddressKind::Account, IqKind::Get, (NS, "list"), access, &Self);
        on.iq(AddressKind::Account, IqKind::Set, (NS, "revoke"), access, &Self);
    }

    fn start(&self, server: &Arc<ServerState>) {
        drop(server.tasks.spawn("device-expiry", forget_unseen(Arc::clone(server))));
    }
}

#[async_trait]
impl IqHandler for ClientAccess {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let user = request.head.to.as_ref().ok_or(Condition::BadRequest)?.to_bare();
        cx.must_have_account(&user).await?;
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        let sessions: Vec<_> = cx.server.sessions.of(&user).iter().map(SessionRow::of).collect();
        let now = cx.server.clock.now();
        let clients = clients_of(&*cx.server.storage, &user, now, &sessions).await?;
        if request.kind == IqKind::Get {
            let shown = clients.iter().map(shown);
            return Ok(Some(element("clients").ns(NS).children(shown)));
        }
        let id = payload.attr("id").ok_or(Condition::BadRequest)?;
        let client = clients.iter().find(|client| client.id == *id);
        revoke(cx, &user, client.ok_or(Condition::ItemNotFound)?).await
    }
}

/// XEP-0494 §3.2.
async fn revoke(cx: &Cx<'_>, user: &BareJid, client: &Client) -> IqReply {
    log_out_client(cx.server, user, client, cx.origin.session()).await?;
    match client.knows_password {
        true => Err(StanzaError {
            detail: Some(element("password-reset-required").ns(NS)),
            ..Condition::ServiceUnavailable.text("the client knows the password: change it")
        }),
        false => Ok(None),
    }
}

/// XEP-0494 §3.1.
fn shown(client: &Client) -> Node {
    let time = |name, at: Timestamp| element(name).text(&at.to_string());
    let password = client.knows_password.then(|| element("password"));
    let token = client.has_token.then(|| element("fast"));
    let text = |name, text: &Option<String>| text.as_ref().map(|text| element(name).text(text));
    // XEP-0494 has no word for it; this is the one of RFC 6120 §6.3.3.
    let certificate = client.has_certificate();
    let certificate = certificate.then(|| element("mechanism").ns(ns::SASL).text(EXTERNAL));
    let agent = element("user-agent")
        .children(text("software", &client.software))
        .children(text("device", &client.device));
    element("client")
        .attr("connected", if client.sessions.is_empty() { "false" } else { "true" })
        .attr("id", &client.id)
        .attr("type", "session")
        .child(time("first-seen", client.first_seen))
        .child(time("last-seen", client.last_seen))
        .child(element("auth").children(password).children(token).children(certificate))
        // There are no clients that may do less than others.
        .child(element("permission").attr("status", "unrestricted"))
        .child(agent)
}

/// Forgets clients that were not seen for as long as the configuration says, a minute after the start and then every
/// hour, in small steps.
async fn forget_unseen(server: Arc<ServerState>) {
    let stopping = server.tasks.stopping();
    let mut pause = SOON;
    loop {
        if timeout(pause, stopping.cancelled()).await.is_ok() {
            return;
        }
        pause = HOUR;
        let age = server.config.load().auth.devices_age;
        if age.is_zero() {
            continue;
        }
        let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        let before = server.clock.now().as_micros().saturating_sub(age);
        match server.storage.devices().forget_unseen(Timestamp::from_micros(before), STEP).await {
            Ok(forgotten) if forgotten == STEP as u64 => pause = SECOND,
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "cannot forget clients"),
        }
    }
}

/// The mechanism by which a client logs in with a certificate.
const EXTERNAL: &str = "EXTERNAL";
/// Clients that are forgotten at once.
const STEP: usize = 500;
const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

//! The clients that have access to an account (XEP-0494): those that have logged in, those with a token, and those
//! that are connected. Both the user and the administrator see them and can take their access away.

use std::collections::BTreeMap;

use super::command::SessionRow;
use crate::auth;
use crate::jid::{BareJid, FullJid};
use crate::payload::datetime::Timestamp;
use crate::session::{SessionRef, SessionTable};
use crate::storage::{
    BY_RESOURCE, Device, PushDevice, PushRegistration, Result, Storage, lasting_resource,
};

/// A client that has access to an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Client {
    /// What it is called here: `client/` and the id of its installation (XEP-0388 §2.3, and
    /// [`auth::certificate_client`]); `session/` and the resource, for a client that has told no id; `other`, for clients
    /// that have told no resource either.
    pub id: String,
    /// Its sessions.
    pub sessions: Vec<FullJid>,
    /// The first login.
    pub first_seen: Timestamp,
    /// The last login.
    pub last_seen: Timestamp,
    /// Whether it has proven the password that the account has now.
    pub knows_password: bool,
    /// Whether it has a valid token (XEP-0484).
    pub has_token: bool,
    /// The name of the software.
    pub software: Option<String>,
    /// The name of the machine.
    pub device: Option<String>,
}

/// The clients of an account, the one that was seen last first. `sessions`: those of the account.
///
/// # Errors
/// If the store fails.
pub async fn clients_of(
    storage: &dyn Storage,
    user: &BareJid,
    now: Timestamp,
    sessions: &[SessionRow],
) -> Result<Vec<Client>> {
    let devices = storage.devices().of(user).await?;
    let tokens = auth::clients_with_tokens(storage, user, now).await?;
    Ok(listed(devices, tokens, now, sessions))
}

/// Takes away the access of a client, as far as that can be done: its tokens and its certificate are invalid from now
/// on, and no push wakes it; the caller tells [`Invalidation::Push`](super::Invalidation::Push). A client that knows the
/// password can log in again, so it is not forgotten unless `forget`. `running`: the
/// sessions of the running server, if it runs. The caller closes those of the client afterwards ([`Client::has`]); a
/// session that it binds later, by a login that has already begun, closes on its own.
///
/// # Errors
/// If the store fails.
pub async fn revoke_client(
    storage: &dyn Storage,
    running: Option<&SessionTable>,
    user: &BareJid,
    client: &Client,
    forget: bool,
    now: Timestamp,
) -> Result<()> {
    let by_resource = client.id.strip_prefix(UNNAMED).map(|one| format!("{BY_RESOURCE}{one}"));
    let id = match (client.id.strip_prefix(NAMED), &by_resource) {
        (Some(id), _) => id,
        (None, Some(id)) => id.as_str(),
        (None, None) if client.id == OTHER => "",
        (None, None) => return Ok(()),
    };
    let revocations = running.map(|sessions| &**sessions.revocations());
    let forget = forget || !client.knows_password;
    auth::revoke_client(storage, revocations, user, id, forget, now).await?;
    for one in storage.push().registrations(user).await?.iter().filter(|one| client.is_of(one)) {
        storage.push().remove(user, &one.service, Some(&one.node)).await?;
    }
    Ok(())
}

fn listed(
    devices: Vec<Device>,
    tokens: Vec<(String, Timestamp)>,
    now: Timestamp,
    sessions: &[SessionRow],
) -> Vec<Client> {
    let mut clients = BTreeMap::new();
    let mut unnamed = None;
    for device in devices {
        match device.id.is_empty() {
            true => unnamed = Some(device),
            false => drop(clients.insert(device.id.clone(), known(device))),
        }
    }
    for (id, since) in tokens {
        let seen = |id: &String| Client::seen(format!("{NAMED}{id}"), since);
        let client = clients.entry(id).or_insert_with_key(seen);
        client.has_token = true;
    }
    let mut anonymous = Vec::new();
    for session in sessions {
        let seconds = i64::try_from(session.seconds).unwrap_or(i64::MAX).saturating_mul(SECOND);
        let since = Timestamp::from_micros(now.as_micros().saturating_sub(seconds));
        match &session.installation {
            Some(id) => {
                let seen = |id: &String| Client::seen(format!("{NAMED}{id}"), since);
                let client = clients.entry(id.to_string()).or_insert_with_key(seen);
                client.sessions.push(session.jid.clone());
            }
            None => {
                let resource = session.jid.resource().unwrap_or_default();
                let lasting = lasting_resource(resource);
                if let Some(client) = clients.get_mut(&format!("{BY_RESOURCE}{lasting}")) {
                    client.sessions.push(session.jid.clone());
                    client.software = Some(session.client.clone());
                    continue;
                }
                anonymous.push(Client {
                    sessions: vec![session.jid.clone()],
                    knows_password: unnamed.as_ref().is_none_or(|device| device.knows_password),
                    software: Some(session.client.clone()),
                    ..Client::seen(format!("{UNNAMED}{resource}"), since)
                });
            }
        }
    }
    // One of them may be connected, but nothing tells which of them.
    let other = unnamed.map(|device| Client { id: OTHER.to_owned(), ..known(device) });
    let mut all: Vec<_> = clients.into_values().chain(anonymous).chain(other).collect();
    all.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then_with(|| a.id.cmp(&b.id)));
    all
}

fn known(device: Device) -> Client {
    let resource = device.id.strip_prefix(BY_RESOURCE);
    Client {
        id: match resource {
            Some(resource) => format!("{UNNAMED}{resource}"),
            None => format!("{NAMED}{}", device.id),
        },
        sessions: Vec::new(),
        first_seen: device.first_seen,
        last_seen: device.last_seen,
        knows_password: device.knows_password,
        has_token: false,
        software: device.software,
        device: device.device,
    }
}

impl Client {
    /// Whether it has logged in by a certificate (XEP-0178 §2).
    #[must_use]
    pub fn has_certificate(&self) -> bool {
        self.id.strip_prefix(NAMED).is_some_and(|id| auth::certificate_of(id).is_some())
    }

    /// Whether this is a session of the client, or of another one with the same certificate.
    #[must_use]
    pub fn has(&self, session: &SessionRef) -> bool {
        let installation = session.facts().installation;
        match (self.id.strip_prefix(NAMED), self.id.strip_prefix(UNNAMED)) {
            (Some(id), _) => {
                let revoked = auth::certificate_of(id).map_or(id, |(shared, _)| shared);
                auth::is_same_client(revoked, installation.as_deref())
            }
            (None, Some(resource)) => {
                let own = session.jid().resource_part();
                installation.is_none() && (own == resource || lasting_resource(own) == resource)
            }
            (None, None) => false,
        }
    }

    /// Whether the client has made this push registration.
    fn is_of(&self, one: &PushRegistration) -> bool {
        match &one.device {
            PushDevice::Installation(id) => self.id.strip_prefix(NAMED) == Some(id),
            PushDevice::Resource(resource) => {
                let of = self.id.strip_prefix(UNNAMED);
                of.is_some_and(|of| of == resource || of == lasting_resource(resource))
            }
        }
    }

    /// A client of which only this is known: it was there at this time.
    fn seen(id: String, at: Timestamp) -> Self {
        Self {
            id,
            sessions: Vec::new(),
            first_seen: at,
            last_seen: at,
            knows_password: false,
            has_token: false,
            software: None,
            device: None,
        }
    }
}

/// The prefix before the id of an installation.
const NAMED: &str = "client/";
/// The prefix before the resource of a client that has told no id.
const UNNAMED: &str = "session/";
/// All clients that have told neither an id nor a resource.
const OTHER: &str = "other";
/// In microseconds.
const SECOND: i64 = 1_000_000;

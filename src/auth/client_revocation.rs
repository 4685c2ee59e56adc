//! Takes away from a client what it logs in with (XEP-0494 §3.2): its tokens and its certificate. A password stays.

use super::external::{REVOKED, certificate_of};
use super::revocations::{Revocations, is_same_client};
use super::token_clients::revoke_tokens;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{Result, Storage};

/// Makes the tokens of a client invalid, and its certificate, if it logs in by one. `client`: the id of its
/// installation. `forget`: whether it is removed from the clients that are known. `running`: the logins of the running
/// server; those of the client that are running get neither a session nor a token.
///
/// The caller closes the sessions of the client, afterwards.
///
/// # Errors
/// If the storage fails.
pub async fn revoke_client(
    storage: &dyn Storage,
    running: Option<&Revocations>,
    user: &BareJid,
    client: &str,
    forget: bool,
    now: Timestamp,
) -> Result<()> {
    let certificate = certificate_of(client);
    let revoked = certificate.map_or(client, |(id, _)| id);
    let _turn = match running {
        Some(running) => {
            let turn = running.turn(user).await;
            running.record(user, Some(revoked));
            Some(turn)
        }
        None => None,
    };
    let Some((_, fingerprint)) = certificate else {
        revoke_tokens(storage, user, client).await?;
        if forget {
            storage.devices().forget_device(user, client).await?;
        }
        return Ok(());
    };
    let record = format!("<revoked at='{now}'/>");
    storage.documents().put(user, REVOKED, fingerprint, &record).await?;
    let known = storage.devices().of(user).await?;
    for device in known.iter().filter(|device| is_same_client(revoked, Some(&device.id))) {
        storage.devices().forget_device(user, &device.id).await?;
    }
    Ok(())
}

//! Which clients have a valid token, and how it is revoked: users and administrators manage the access to an account
//! with it (XEP-0494).

use super::token::{Issued, KIND, LIFETIME, Slots, fingerprint};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{Result, Storage};

/// The ids of the installations that have a valid token, each with the time at which the newest was issued.
///
/// # Errors
/// If the storage fails.
pub async fn clients_with_tokens(
    storage: &dyn Storage,
    user: &BareJid,
    now: Timestamp,
) -> Result<Vec<(String, Timestamp)>> {
    let all = storage.documents().all(user, KIND).await?;
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let Some(keys) = storage.accounts().cheapest_keys(user).await? else { return Ok(Vec::new()) };
    let password = fingerprint(&keys.stored_key);
    let oldest = now.as_micros().saturating_sub(LIFETIME);
    let newest = |json: &str| {
        let slots = serde_json::from_str::<Slots>(json).ok().filter(|slots| !slots.revoked)?;
        let tokens = slots.new.into_iter().chain(slots.current);
        // Of older tokens it is not known from which password they follow. They may be valid, so they are shown.
        let may_be_of_password =
            |token: &Issued| token.password.is_empty() || token.password == password;
        let valid = tokens.filter(|token| may_be_of_password(token) && token.issued > oldest);
        valid.map(|token| token.issued).max()
    };
    let clients = all
        .iter()
        .filter_map(|(id, json)| Some((id.clone(), Timestamp::from_micros(newest(json)?))));
    Ok(clients.collect())
}

/// Takes the tokens of a client away. They stay in the store, so that the client learns what has happened to the one
/// that it has (XEP-0484 §4.2), until it gets another, or they give way to those of other clients. The caller has the
/// account's turn.
///
/// # Errors
/// If the storage fails.
pub(super) async fn revoke_tokens(
    storage: &dyn Storage,
    user: &BareJid,
    installation: &str,
) -> Result<()> {
    let documents = storage.documents();
    let Some(json) = documents.get(user, KIND, installation).await? else { return Ok(()) };
    let Ok(slots) = serde_json::from_str::<Slots>(&json) else {
        return documents.remove(user, KIND, installation).await.map(drop);
    };
    let revoked = Slots { revoked: true, ..slots };
    documents.put(user, KIND, installation, &revoked.to_json()).await
}

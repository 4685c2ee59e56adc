//! Tokens of clients for logins in one round trip (XEP-0484), checked by the mechanisms HT-SHA-256
//! (draft-schmaus-kitten-sasl-ht).
//!
//! No token is stored. It follows from a key that is in a file beside the database, from the keys of the
//! account's password, and from a random number, which is stored. So neither the database nor a copy of it
//! contains tokens, and a changed password ends all of them.
//!
//! Each client has at most two tokens (XEP-0484 §5.1): the one that it uses, and a newer one that may not have arrived.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::hash::{hash, hmac};
use super::{MechanismName, PasswordKey, SaslError, Verifier};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::random::random_id;
use crate::storage::{self, ScramHash, StorageError};

/// The document kind of a client's tokens; its key is the id of the installation.
pub(super) const KIND: &str = "token";

/// The tokens of one client, as they are stored.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Slots {
    pub(super) current: Option<Issued>,
    pub(super) new: Option<Issued>,
    /// Access was taken away from the client: a right proof is told so, and gives no access.
    #[serde(default)]
    pub(super) revoked: bool,
}

impl Slots {
    /// From a document. Tokens in a document that cannot be read are no longer valid.
    fn read(document: Option<String>) -> Self {
        document.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default()
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers are JSON")
    }
}

/// A token that was issued.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Issued {
    /// The random number from which it follows.
    nonce: String,
    /// The mechanism for which it is valid.
    mechanism: String,
    /// In microseconds since 1970.
    pub(super) issued: i64,
    /// Of the password from which it follows: see [`fingerprint`].
    #[serde(default)]
    pub(super) password: String,
}

/// A token as the client gets it.
#[derive(Debug)]
pub struct NewToken {
    /// The secret.
    pub token: String,
    /// When it expires.
    pub expires: Timestamp,
}

/// A login by token that has succeeded.
pub(super) struct Used {
    /// The proof that the server knows the token, too.
    pub(super) answer: Vec<u8>,
    /// The client is to get a new token.
    pub(super) is_old: bool,
    /// The password from which the token follows.
    pub(super) password: PasswordKey,
}

/// What a client says of its token (XEP-0484 §3.4, §3.6).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenLogin {
    /// The installation to which the token was issued.
    pub installation: String,
    /// The token is to be invalid from now on.
    pub invalidate: bool,
}

impl Verifier {
    /// Checks a proof, which is bound to the connection by `binding`. The answer for an account or a client
    /// that does not exist takes the same time.
    pub(super) async fn check_token(
        &self,
        user: &BareJid,
        login: &TokenLogin,
        mechanism: MechanismName,
        binding: &[u8],
        proof: &[u8],
    ) -> Result<Used, SaslError> {
        let _turn = self.revocations.turn(user).await;
        let ((keys, is_known), document) =
            self.cheapest_keys_and_document(user, KIND, &login.installation).await?;
        let mut slots = Slots::read(document);
        let password =
            is_known.then_some(PasswordKey { hash: keys.hash, stored_key: keys.stored_key });
        let key = password.as_ref().map_or(&[][..], |password| &password.stored_key);
        let made_up = Issued::default();
        let mut proven = None;
        // Two tokens are always tried, so that nobody learns whether there are any.
        for (is_new, slot) in [(true, &slots.new), (false, &slots.current)] {
            let issued = slot.as_ref().unwrap_or(&made_up);
            let token = self.token(user, &login.installation, issued, key);
            let is_right = proof.ct_eq(&prove(&token, INITIATOR, binding)).into();
            if is_right && slot.is_some() && issued.mechanism == mechanism.as_str() {
                proven = Some((is_new, issued.clone(), token));
            }
        }
        // An account that does not exist has no tokens, whatever is stored in its name.
        let Some(password) = password else { return Err(SaslError::NotAuthorized) };
        let Some((is_new, issued, token)) = proven else {
            // The client's tokens were made for an earlier password: no proof is valid (XEP-0484 §4.2).
            let now = fingerprint(&password.stored_key);
            let mut of_client = slots.new.iter().chain(&slots.current).peekable();
            let had_some = of_client.peek().is_some();
            // Older versions did not store of which password a token is.
            let is_old = |slot: &Issued| !slot.password.is_empty() && slot.password != now;
            let is_stale = had_some && of_client.all(is_old);
            return Err(if is_stale {
                SaslError::CredentialsExpired
            } else {
                SaslError::NotAuthorized
            });
        };
        let age = self.clock.now().as_micros().saturating_sub(issued.issued);
        // "No longer trusted" (XEP-0484 §4.2).
        if age >= LIFETIME || slots.revoked {
            return Err(SaslError::CredentialsExpired);
        }
        // A used token ends those that expire earlier (XEP-0484 §3.5).
        if is_new {
            slots.current = slots.new.take();
        }
        // The client logs out: a newer token that it may have received ends, too. What is left tells a client that
        // comes with it nevertheless that it has ended (XEP-0484 §4.2).
        if login.invalidate {
            slots.revoked = true;
        }
        if is_new || login.invalidate {
            self.keep(user, &login.installation, &slots).await.map_err(|e| failed(user, &e))?;
        }
        let answer = prove(&token, RESPONDER, binding);
        Ok(Used { answer, is_old: age >= ROTATION && !login.invalidate, password })
    }

    /// Issues a token for a client that has logged in with this password. An earlier one that was not used is
    /// invalid then (XEP-0484 §3.5); one that was issued in the last minute is issued again. `mechanism`: the one with
    /// which it can be used. `since`: the revocations when the login began. `None` if the account has another password
    /// by now, or is gone, or access was taken away from the client.
    ///
    /// # Errors
    /// If the storage fails.
    pub async fn issue_token(
        &self,
        user: &BareJid,
        installation: &str,
        mechanism: MechanismName,
        proven: &PasswordKey,
        since: u64,
    ) -> Result<Option<NewToken>, SaslError> {
        let _turn = self.revocations.turn(user).await;
        if self.revocations.is_revoked(user, Some(installation), since) {
            return Ok(None);
        }
        let Some(password) = self.password_of(user).await? else { return Ok(None) };
        // Read later than the other: if this one is unchanged, a token of a password that has changed in between
        // follows from the old one, and is not valid.
        let (now, is_known) = self.keys(user, proven.hash).await?;
        if !is_known || now.stored_key != proven.stored_key {
            return Ok(None);
        }
        self.issue(user, installation, mechanism, &password)
            .await
            .map(Some)
            .map_err(|error| failed(user, &error))
    }

    async fn issue(
        &self,
        user: &BareJid,
        installation: &str,
        mechanism: MechanismName,
        password: &PasswordKey,
    ) -> storage::Result<NewToken> {
        let mut slots = self.slots(user, installation).await?;
        // What was taken away does not come back beside the new token.
        if slots.revoked {
            slots = Slots::default();
        }
        let now = self.clock.now().as_micros();
        let fingerprint = fingerprint(&password.stored_key);
        // A client with two connections gets the same token on both, whichever answer it reads last.
        let same = slots.new.as_ref().filter(|new| {
            new.mechanism == mechanism.as_str()
                && new.password == fingerprint
                && now.saturating_sub(new.issued) < SAME
        });
        if let Some(same) = same {
            let token = self.token(user, installation, same, &password.stored_key);
            return Ok(NewToken { token, expires: Timestamp::from_micros(same.issued + LIFETIME) });
        }
        self.make_room(user, installation).await?;
        let issued = Issued {
            nonce: random_id().to_string(),
            mechanism: mechanism.as_str().to_owned(),
            issued: now,
            password: fingerprint,
        };
        let token = self.token(user, installation, &issued, &password.stored_key);
        slots.new = Some(issued);
        self.keep(user, installation, &slots).await?;
        Ok(NewToken { token, expires: Timestamp::from_micros(now + LIFETIME) })
    }

    /// The token that follows from what is stored.
    fn token(&self, user: &BareJid, client: &str, issued: &Issued, key: &[u8]) -> String {
        let Issued { nonce, mechanism, issued, .. } = issued;
        let mut text =
            format!("token\0{user}\0{client}\0{mechanism}\0{issued}\0{nonce}\0").into_bytes();
        text.extend_from_slice(key);
        URL_SAFE_NO_PAD.encode(hmac(ScramHash::Sha256, &self.token_key, &text))
    }

    /// A key of the account's password. It changes with the password, and not when keys for other hash functions
    /// are added that are costlier. `None` if there is no such account, which takes the same time.
    async fn password_of(&self, user: &BareJid) -> Result<Option<PasswordKey>, SaslError> {
        let (keys, is_known) = self.cheapest_keys(user).await?;
        Ok(is_known.then_some(PasswordKey { hash: keys.hash, stored_key: keys.stored_key }))
    }

    async fn slots(&self, user: &BareJid, installation: &str) -> storage::Result<Slots> {
        self.storage.documents().get(user, KIND, installation).await.map(Slots::read)
    }

    async fn keep(&self, user: &BareJid, installation: &str, slots: &Slots) -> storage::Result<()> {
        let documents = self.storage.documents();
        if slots.current.is_none() && slots.new.is_none() {
            return documents.remove(user, KIND, installation).await.map(drop);
        }
        documents.put(user, KIND, installation, &slots.to_json()).await
    }

    /// Removes the tokens that were not renewed for longest, so that an account has tokens for a bounded number of clients.
    async fn make_room(&self, user: &BareJid, installation: &str) -> storage::Result<()> {
        let documents = self.storage.documents();
        let all = documents.all(user, KIND).await?;
        if all.len() < CLIENTS || all.iter().any(|(key, _)| key == installation) {
            return Ok(());
        }
        let newest = |json: &str| {
            let slots: Slots = serde_json::from_str(json).unwrap_or_default();
            let all = slots.new.iter().chain(&slots.current).filter(|_| !slots.revoked);
            all.map(|token| token.issued).max().unwrap_or(0)
        };
        let mut ages: Vec<_> = all.iter().map(|(key, json)| (newest(json), key)).collect();
        ages.sort_unstable();
        for (_, key) in &ages[..=all.len() - CLIENTS] {
            documents.remove(user, KIND, key).await?;
        }
        Ok(())
    }
}

fn failed(user: &BareJid, error: &StorageError) -> SaslError {
    tracing::error!(jid = %user, %error, "storage failed");
    SaslError::TemporaryAuthFailure
}

/// By which it is known whether a token belongs to the password that the account has now. It tells nothing that is
/// not in the database already.
pub(super) fn fingerprint(stored_key: &[u8]) -> String {
    let hash = hash(ScramHash::Sha256, &[b"fingerprint\0", stored_key].concat());
    URL_SAFE_NO_PAD.encode(&hash[..FINGERPRINT])
}

fn prove(token: &str, who: &[u8], binding: &[u8]) -> Vec<u8> {
    hmac(ScramHash::Sha256, token.as_bytes(), &[who, binding].concat())
}

const INITIATOR: &[u8] = b"Initiator";
const RESPONDER: &[u8] = b"Responder";
const DAY: i64 = 24 * 60 * 60 * 1_000_000;
/// How long a token is valid, in microseconds.
pub(super) const LIFETIME: i64 = 30 * DAY;
/// A client that asks again so soon gets the same token, unless it has used that.
const SAME: i64 = 60 * 1_000_000;
/// A client that uses an older token gets a new one.
const ROTATION: i64 = 7 * DAY;
/// Bytes of a fingerprint: enough that no two passwords of an account have the same.
const FINGERPRINT: usize = 12;
/// An account has tokens for so many clients.
const CLIENTS: usize = 64;

//! A SASL exchange, from the first message of the client to its end.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::plain::Plain;
use super::scram::{ClientFirst, Scram};
use super::{
    MechanismName, Offer, PasswordKey, SaslError, TokenLogin, UserAgent, Verifier, anonymous,
    external, password,
};
use crate::jid::BareJid;
use crate::storage::ScramHash;

/// A SASL exchange, from the first message to its end.
pub struct Exchange {
    verifier: Arc<Verifier>,
    domain: String,
    offer: Offer,
    mechanism: MechanismName,
    /// What the client says of its token, if it has one.
    token: Option<TokenLogin>,
    agent: UserAgent,
    /// The account that the client has named before (XEP-0388 §2.3). A login to another one is refused at once.
    claimed: Option<BareJid>,
    has_old_token: bool,
    /// The password with which the client has logged in.
    proven: Option<PasswordKey>,
    user: Option<String>,
    /// The revocations when it began.
    since: u64,
    state: State,
}

/// The answer to a message of the client.
#[derive(Debug, Eq, PartialEq)]
pub enum Step {
    /// `<challenge/>` with this payload. The client must answer.
    Challenge(Vec<u8>),
    /// `<success/>`.
    Success {
        /// The user's address, as it was verified.
        user: BareJid,
        /// The user has no account.
        anonymous: bool,
        /// The payload of `<success/>`, if there is one.
        data: Option<Vec<u8>>,
    },
}

enum State {
    /// No message has been received.
    Start,
    /// The empty challenge was sent.
    Asked,
    /// SCRAM waits for the proof of this user.
    Proof(Box<Scram>, BareJid),
    /// The exchange has succeeded or failed.
    Over,
}

impl Exchange {
    /// Begins an exchange for an account of `domain`, which must be a served domain.
    ///
    /// # Errors
    /// `invalid-mechanism` for a mechanism that is not offered, `encryption-required` without TLS.
    pub fn begin(
        verifier: &Arc<Verifier>,
        domain: &str,
        offer: &Offer,
        mechanism: &str,
        token: Option<TokenLogin>,
    ) -> Result<Self, SaslError> {
        if !offer.is_encrypted() {
            return Err(SaslError::EncryptionRequired);
        }
        let mechanism: MechanismName = mechanism.parse()?;
        let is_by_token =
            token.is_some() && offer.token_mechanisms().any(|offered| offered == mechanism);
        if !is_by_token && !offer.mechanisms().contains(&mechanism) {
            return Err(SaslError::InvalidMechanism);
        }
        Ok(Self {
            verifier: Arc::clone(verifier),
            domain: domain.to_owned(),
            offer: offer.clone(),
            mechanism,
            token,
            agent: UserAgent::default(),
            claimed: None,
            has_old_token: false,
            proven: None,
            user: None,
            since: verifier.revocations.count(),
            state: State::Start,
        })
    }

    /// The same for a client that says this of itself; by a certificate, it is known by that. `claimed`: its only account.
    #[must_use]
    pub fn by(mut self, mut agent: UserAgent, claimed: Option<BareJid>) -> Self {
        if self.mechanism == MechanismName::External
            && let Some(fingerprint) = self.offer.fingerprint()
        {
            let id = external::certificate_client(fingerprint, agent.id.as_deref());
            agent.id = Some(id.into());
        }
        (self.agent, self.claimed) = (agent, claimed);
        self
    }

    /// The id of the client's installation, if it has one.
    #[must_use]
    pub fn installation(&self) -> Option<&Arc<str>> {
        self.agent.id.as_ref()
    }

    /// Processes one decoded message of the client. `None` means that `<auth/>` had no text. The answer is
    /// then an empty challenge, except for ANONYMOUS, which needs no message (RFC 6120 §6.4.2,
    /// XEP-0175 §3).
    ///
    /// It waits for the storage, and with PLAIN also for a derivation. The exchange is over after success,
    /// after an error, and if the future is dropped.
    ///
    /// # Errors
    /// The condition that is sent to the client. `malformed-request` for any message after the end.
    pub async fn step(&mut self, message: Option<&[u8]>) -> Result<Step, SaslError> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let message = match (&state, message) {
            (State::Start, None) if self.mechanism == MechanismName::Anonymous => b"",
            (State::Start, None) => {
                self.state = State::Asked;
                return Ok(Step::Challenge(Vec::new()));
            }
            (_, Some(message)) if message.len() <= MESSAGE_MAX => message,
            _ => return Err(SaslError::MalformedRequest),
        };
        match (state, self.mechanism) {
            (State::Start | State::Asked, MechanismName::Anonymous) => self.anonymous(message),
            (State::Start | State::Asked, MechanismName::External) => self.external(message).await,
            (State::Start | State::Asked, MechanismName::Plain) => self.plain(message).await,
            (State::Start | State::Asked, MechanismName::Scram(hash)) => {
                self.scram(message, hash, false).await
            }
            (State::Start | State::Asked, MechanismName::ScramPlus(hash)) => {
                self.scram(message, hash, true).await
            }
            (State::Start | State::Asked, MechanismName::Token(_)) => self.token(message).await,
            (State::Proof(scram, user), _) => {
                let data = scram.finish(message)?;
                self.succeed(user, Some(data)).await
            }
            (State::Over, _) => Err(SaslError::MalformedRequest),
        }
    }

    /// The mechanism.
    #[must_use]
    pub fn mechanism(&self) -> MechanismName {
        self.mechanism
    }

    /// The account that the client tries to log in to, as soon as it is known, for the log and for limits:
    /// its address if the name can be one, else the name as received (neither prepared nor escaped).
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The client has logged in with a token, and is to get a newer one (XEP-0484 §3.5).
    #[must_use]
    pub fn has_old_token(&self) -> bool {
        self.has_old_token
    }

    /// With which password the client has logged in, for [`Verifier::issue_token`].
    #[must_use]
    pub fn proven(&self) -> Option<PasswordKey> {
        self.proven.clone()
    }

    fn anonymous(&mut self, message: &[u8]) -> Result<Step, SaslError> {
        anonymous::check_trace(message)?;
        let user = anonymous::new_address(&self.domain)?;
        self.user = Some(user.as_str().to_owned());
        Ok(Step::Success { user, anonymous: true, data: None })
    }

    async fn external(&mut self, message: &[u8]) -> Result<Step, SaslError> {
        let authzid = std::str::from_utf8(message).map_err(|_| SaslError::MalformedRequest)?;
        let named = self.offer.addresses().iter().filter(|user| user.domain() == self.domain);
        let mut users = Vec::new();
        for user in named {
            if self.verifier.has_account(user).await? {
                users.push(user.clone());
            }
        }
        self.user = self.offer.addresses().first().map(|user| user.as_str().to_owned());
        let user = external::choose(users, authzid, self.claimed.as_ref())?;
        self.user = Some(user.as_str().to_owned());
        let fingerprint = self.offer.fingerprint().ok_or(SaslError::InvalidMechanism)?;
        if self.verifier.is_certificate_revoked(&user, fingerprint).await? {
            return Err(SaslError::NotAuthorized);
        }
        self.succeed(user, None).await
    }

    async fn plain(&mut self, message: &[u8]) -> Result<Step, SaslError> {
        let plain = Plain::parse(message)?;
        let user = self.identify(plain.user, plain.authzid)?;
        // No account has a password that cannot be prepared. The answer does not tell whether there is one.
        let password = password::prepare(plain.password).map_err(|_| SaslError::NotAuthorized)?;
        let proven = self.verifier.check_password(&user, password).await?;
        self.proven = Some(proven.ok_or(SaslError::NotAuthorized)?);
        self.succeed(user, None).await
    }

    async fn scram(
        &mut self,
        message: &[u8],
        hash: ScramHash,
        plus: bool,
    ) -> Result<Step, SaslError> {
        let first = ClientFirst::parse(message)?;
        let user = self.identify(&first.user, first.authzid.as_deref())?;
        let bound_to = first.bound_to(plus, &self.offer)?;
        let keys = self.verifier.keys(&user, hash).await?;
        self.proven = Some(PasswordKey { hash, stored_key: keys.0.stored_key.clone() });
        let (scram, answer) = Scram::begin(&first, bound_to, keys, &nonce()?, Some(&self.offer));
        self.state = State::Proof(Box::new(scram), user);
        Ok(Step::Challenge(answer))
    }

    /// The name of the account, a zero byte, and the proof.
    async fn token(&mut self, message: &[u8]) -> Result<Step, SaslError> {
        let login = self.token.take().ok_or(SaslError::MalformedRequest)?;
        let mut parts = message.splitn(2, |byte| *byte == 0);
        let name = parts.next().and_then(|name| std::str::from_utf8(name).ok());
        let (Some(name), Some(proof)) = (name, parts.next()) else {
            return Err(SaslError::MalformedRequest);
        };
        let user = self.identify(name, None)?;
        let binding =
            self.offer.token_binding(self.mechanism).ok_or(SaslError::InvalidMechanism)?;
        let used = self.verifier.check_token(&user, &login, self.mechanism, binding, proof).await?;
        self.has_old_token = used.is_old;
        self.proven = Some(used.password);
        self.succeed(user, Some(used.answer)).await
    }

    /// The account that is meant, for all mechanisms. Nobody can act for another account: an authorization
    /// identity is the address of the account, or missing (RFC 6120 §6.3.8).
    fn identify(&mut self, name: &str, authzid: Option<&str>) -> Result<BareJid, SaslError> {
        let Ok(user) = BareJid::from_parts(Some(name), &self.domain) else {
            self.user = Some(name.to_owned());
            return Err(SaslError::NotAuthorized);
        };
        self.user = Some(user.as_str().to_owned());
        let is_own = authzid.is_none_or(|id| BareJid::parse(id).ok().as_ref() == Some(&user));
        let is_claimed = self.claimed.as_ref().is_none_or(|claimed| *claimed == user);
        if is_own && is_claimed { Ok(user) } else { Err(SaslError::InvalidAuthzid) }
    }

    async fn succeed(&self, user: BareJid, data: Option<Vec<u8>>) -> Result<Step, SaslError> {
        // Without an id, it is noted when it has a session, by its resource (`DeviceLogin::unnamed`).
        if let Some(client) = self.agent.clone().login(self.mechanism.is_by_password()) {
            self.verifier.note_login(&user, Some(client), self.since).await;
        }
        Ok(Step::Success { user, anonymous: false, data })
    }
}

/// Shows no secrets: neither keys nor messages.
impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("mechanism", &self.mechanism)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// The server's half of a nonce.
fn nonce() -> Result<String, SaslError> {
    let mut bytes = [0; NONCE_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the system gives no random numbers");
        SaslError::TemporaryAuthFailure
    })?;
    Ok(STANDARD.encode(bytes))
}

/// The largest number of bytes of a decoded message. Names and passwords have at most 1023.
const MESSAGE_MAX: usize = 4096;
/// Random bytes in a nonce: a number that needs no padding in base64.
const NONCE_BYTES: usize = 24;

//! Logging in: the steps of a SASL exchange, and the price of wrong guesses.

use tokio::time::{Instant, sleep};

use super::driver::Driver;
use crate::auth::{Exchange, MechanismName, SaslError, Step, TokenLogin, Upgrade};
use crate::c2s::negotiation::Negotiation;
use crate::limit::TooMany;
use crate::log;
use crate::storage::ScramHash;

impl Driver<'_> {
    /// Begins an exchange, with the first message if there is one.
    pub(super) async fn begin(
        &mut self,
        machine: &Negotiation,
        mechanism: &str,
        initial: Option<&[u8]>,
        token: Option<TokenLogin>,
    ) -> Result<Step, SaslError> {
        self.login_due = Some(Instant::now() + self.config.limits.authentication);
        self.revocations = self.c2s.server().sessions.revocations().count();
        let offer = machine.offer().ok_or(SaslError::EncryptionRequired)?;
        let exchange =
            Exchange::begin(&self.c2s.verifier, machine.domain(), offer, mechanism, token)?;
        let exchange = exchange.by(machine.user_agent(), machine.claimed().cloned());
        self.installation = exchange.installation().cloned();
        self.exchange = Some(Box::new(exchange));
        self.step(initial).await
    }

    /// One message of the exchange. If logins from this address or for this account have failed before,
    /// the answer comes late, right or wrong.
    pub(super) async fn step(&mut self, message: Option<&[u8]>) -> Result<Step, SaslError> {
        let exchange = self.exchange.as_mut().ok_or(SaslError::MalformedRequest)?;
        let peer = self.connection.peer;
        let guesses = &self.c2s.server().budgets.guesses;
        let by_address = self.c2s.server().config.load().auth.slow_addresses;
        // Two thirds, so that the answer comes before the deadline.
        let longest = self.config.limits.authentication * 2 / 3;
        if by_address && exchange.user().is_none() && guesses.is_full(peer.ip(), longest) {
            return Err(SaslError::TemporaryAuthFailure);
        }
        let mut step = exchange.step(message).await;
        let has_old_token = exchange.has_old_token().then(|| exchange.mechanism());
        let proven = step.is_ok().then(|| exchange.proven()).flatten();
        let by = exchange.mechanism();
        let mechanism = by.as_str();
        let user = exchange.user().map(str::to_owned);
        let is_guess = match &step {
            Ok(Step::Challenge(_)) => false,
            // Tokens cannot be guessed, so a correct one does not wait for the failures of others.
            Ok(Step::Success { .. }) => by.is_by_password(),
            Err(error) => error.counts_as_failure(),
        };
        let (is_right, mut is_refused) = (step.is_ok(), false);
        if is_guess {
            match guesses.answer(peer.ip(), user.as_deref(), is_right, by_address, longest) {
                Ok(wait) if wait.is_zero() => {}
                Ok(wait) => sleep(wait).await,
                Err(TooMany) => {
                    is_refused = true;
                    step = Err(SaslError::TemporaryAuthFailure);
                }
            }
        }
        match &step {
            Ok(Step::Challenge(_)) => {}
            Ok(Step::Success { user, .. }) => {
                self.c2s.server().metrics.logins.inc([mechanism, "success"]);
                if is_guess {
                    guesses.note_success(peer.ip(), user.as_str());
                }
                self.mechanism = Some(by);
                self.old_token = has_old_token;
                self.proven = proven;
            }
            Err(error) => {
                self.c2s.server().metrics.logins.inc([mechanism, error.condition()]);
                if error.is_about_binding() {
                    tracing::info!(%peer, account = user, mechanism, %error, "login refused: channel binding");
                }
                if error.counts_as_failure() || is_refused && !is_right {
                    log::login_failed(peer, user.as_deref(), mechanism, error.condition());
                }
            }
        }
        step
    }

    /// The upgrades among `wanted` that the account needs (XEP-0480 §2.2). None for a client that has not proven its
    /// password now: a token must not lead to new keys.
    pub(super) async fn needed_upgrades(
        &mut self,
        machine: &Negotiation,
        wanted: &[ScramHash],
    ) -> Vec<Upgrade> {
        let by_password = self.mechanism.is_some_and(MechanismName::is_by_password);
        let (Some(user), Some(proven), true) = (machine.user(), &self.proven, by_password) else {
            return Vec::new();
        };
        // If the storage fails, the log has been told, and the client logs in without an upgrade.
        self.c2s.verifier.needed_upgrades(user, proven, wanted).await.unwrap_or_default()
    }

    /// Adds keys to the account of the client (XEP-0480 §3).
    pub(super) async fn upgrade(
        &mut self,
        machine: &Negotiation,
        upgrade: &Upgrade,
        salted: &[u8],
    ) -> Result<(), SaslError> {
        let user = machine.user().ok_or(SaslError::NotAuthorized)?;
        let proven = self.proven.as_ref().ok_or(SaslError::NotAuthorized)?;
        self.c2s.verifier.upgrade(user, proven, upgrade, salted).await
    }
}

//! Logging in: the steps of a SASL exchange, and the price of wrong guesses.

use tokio::time::{Instant, sleep};

use super::driver::Driver;
use crate::auth::{Exchange, MechanismName, SaslError, Step};
use crate::c2s::negotiation::Negotiation;
use crate::limit::TooMany;
use crate::log;

impl Driver<'_> {
    /// Begins an exchange, with the first message if there is one.
    pub(super) async fn begin(
        &mut self,
        machine: &Negotiation,
        mechanism: &str,
        initial: Option<&[u8]>,
    ) -> Result<Step, SaslError> {
        self.login_due = Some(Instant::now() + self.limits.authentication);
        let offer = machine.offer().ok_or(SaslError::EncryptionRequired)?;
        let exchange = Exchange::begin(&self.c2s.verifier, machine.domain(), offer, mechanism)?;
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
        let longest = self.limits.authentication * 2 / 3;
        if by_address && exchange.user().is_none() && guesses.is_full(peer.ip(), longest) {
            return Err(SaslError::TemporaryAuthFailure);
        }
        let mut step = exchange.step(message).await;
        let is_anonymous = exchange.mechanism() == MechanismName::Anonymous;
        let mechanism = exchange.mechanism().as_str();
        let user = exchange.user().map(str::to_owned);
        let is_guess = match &step {
            Ok(Step::Challenge(_)) => false,
            Ok(Step::Success { .. }) => !is_anonymous,
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
                self.is_anonymous = is_anonymous;
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
}

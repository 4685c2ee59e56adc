//! Who sends a request: the token in it, and what may be done with that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::problem::Problem;
use crate::host::{Scope, ServerState, api_token_hash};
use crate::http::Peer;
use crate::jid::BareJid;
use crate::limit::Client;
use crate::storage::{ApiToken, ApiTokenHash};

/// A request with a valid token.
#[derive(Debug)]
pub(super) struct Access {
    /// The account.
    pub(super) user: BareJid,
    /// What is known of the token.
    pub(super) token: ApiToken,
    pub(super) hash: ApiTokenHash,
    /// Where the program is.
    pub(super) peer: SocketAddr,
    /// How the connection is protected.
    pub(super) tls: &'static str,
    /// The account's part of the budgets of traffic and work.
    pub(super) budget: Client,
}

/// Finds the account of a request, if the token allows what is wanted.
///
/// # Errors
/// What is missing; or that the account is over its budget.
pub(super) async fn access(
    server: &ServerState,
    head: &Parts,
    wanted: Scope,
) -> Result<Access, Problem> {
    let config = server.config.load_full();
    let peer = head.extensions.get::<Arc<Peer>>().ok_or(Problem::Failed)?;
    let tls = peer.tls().ok_or(Problem::NotSecure)?;
    let secret = secret(head).ok_or(Problem::Unauthorized)?;
    let hash = api_token_hash(secret);
    let (user, token) = find(server, hash).await?.ok_or(Problem::InvalidToken)?;
    if !wanted.is_in(&token) {
        return Err(Problem::LacksScope(wanted));
    }
    let peer = SocketAddr::new(peer.client(&config, &head.headers), peer.address().port());
    let access =
        Access { budget: server.budgets.client(&user, peer.ip()), user, token, hash, peer, tls };
    access.spend(1).await?;
    note(server, &access).await;
    Ok(access)
}

/// The token, if it is valid now.
pub(super) async fn find(
    server: &ServerState,
    hash: ApiTokenHash,
) -> Result<Option<(BareJid, ApiToken)>, Problem> {
    let found = server.storage.api_tokens().find_api_token(hash).await;
    let found = found.map_err(|error| Problem::failed(&error))?;
    // The configuration may no longer have the host.
    let is_valid = |(user, token): &(BareJid, ApiToken)| {
        !token.is_over(server.clock.now()) && server.host(user.domain()).is_some()
    };
    Ok(found.filter(is_valid))
}

/// From the header `Authorization` (RFC 6750 §2.1). It is never in an address: those are logged.
fn secret(head: &Parts) -> Option<&str> {
    let mut lines = head.headers.get_all(AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    let (scheme, secret) = line.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| secret.trim())
}

/// Notes the use of a token, but not each.
async fn note(server: &ServerState, access: &Access) {
    let now = server.clock.now();
    let since = |at: i64| now.as_micros().saturating_sub(at);
    let is_fresh = access.token.last_used.is_some_and(|at| since(at.as_micros()) < NOTED);
    if is_fresh {
        return;
    }
    if let Err(error) = server.storage.api_tokens().note_api_token(access.hash, now).await {
        tracing::warn!(%error, "cannot note that a token was used");
    }
}

impl Access {
    /// Counts steps of work. Waits a moment if the account is over its budget.
    ///
    /// # Errors
    /// If that would take longer.
    pub(super) async fn spend(&self, steps: u32) -> Result<(), Problem> {
        let Some(pause) = self.budget.worked(steps) else { return Ok(()) };
        wait(pause.time()).await
    }

    /// The same for bytes that were read.
    pub(super) async fn read(&self, bytes: usize) -> Result<(), Problem> {
        let Some(pause) = self.budget.read(bytes) else { return Ok(()) };
        wait(pause.time()).await
    }
}

async fn wait(time: Option<Duration>) -> Result<(), Problem> {
    match time {
        Some(time) if time <= PATIENCE => {
            tokio::time::sleep(time).await;
            Ok(())
        }
        Some(time) => Err(Problem::TooMany(time)),
        None => Err(Problem::TooMany(LONG)),
    }
}

/// A request waits so long for its budget. One that would have to wait longer is refused.
const PATIENCE: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(60);
/// The use of a token is noted at most once in this time, in microseconds: five minutes.
const NOTED: i64 = 300_000_000;

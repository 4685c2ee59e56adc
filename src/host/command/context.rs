//! What a command works with: the storage, the configuration that is in force, and the caller.

use std::fmt;
use std::sync::Arc;

use super::{CommandError, ServerControl};
use crate::auth::Derivations;
use crate::clock::Clock;
use crate::config::{Config, prepare_domain};
use crate::host::ServerState;
use crate::jid::{BareJid, FullJid, Jid};
use crate::storage::{ScramKeys, Storage};

/// What a command works with. Made anew for each call: the configuration may have been reloaded.
#[derive(Clone)]
pub struct CommandCx {
    /// Everything that is kept.
    pub storage: Arc<dyn Storage>,
    /// The configuration that is in force.
    pub config: Arc<Config>,
    /// Derives keys from passwords, a few at a time.
    pub derivations: Derivations,
    /// The date.
    pub clock: Clock,
    /// The running server; `None` when the command works on the data directory alone.
    pub running: Option<Arc<dyn ServerControl>>,
    /// Who gives the command.
    pub caller: Caller,
    /// The domain of an account that is given by its local part alone.
    pub default_domain: String,
    /// The domain that the caller named: lists show no other. `None`: all domains.
    pub only_domain: Option<String>,
}

/// Who gives a command. Established by the kernel or by authentication, never by the request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Caller {
    /// A client of an administrator (XEP-0050).
    Client(FullJid),
    /// A user of this machine, by the user id.
    Uid(u32),
}

impl Caller {
    /// The user id, if a user of this machine gives the command.
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        match self {
            Self::Client(_) => None,
            Self::Uid(uid) => Some(*uid),
        }
    }

    /// The address, if a client gives the command.
    #[must_use]
    pub fn jid(&self) -> Option<&str> {
        match self {
            Self::Client(jid) => Some(jid.as_str()),
            Self::Uid(_) => None,
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(jid) => jid.fmt(f),
            Self::Uid(uid) => write!(f, "uid {uid}"),
        }
    }
}

impl CommandCx {
    /// For one call in a running server.
    #[must_use]
    pub fn in_server(server: &ServerState, caller: Caller) -> Self {
        let config = server.config.load_full();
        Self {
            storage: Arc::clone(&server.storage),
            derivations: server.derivations.clone(),
            clock: server.clock.clone(),
            running: server.running.get().cloned(),
            caller,
            default_domain: config.default_domain().to_owned(),
            only_domain: None,
            config,
        }
    }

    /// The same for a caller who named a domain: local parts alone mean accounts of this domain, and
    /// lists show no other.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] with the served domains, if it is not one of them.
    pub fn in_domain(mut self, domain: &str) -> Result<Self, CommandError> {
        let prepared = prepare_domain(domain).ok().filter(|domain| self.serves(domain));
        let prepared = prepared.ok_or_else(|| self.not_served(domain))?;
        self.default_domain.clone_from(&prepared);
        self.only_domain = Some(prepared);
        Ok(self)
    }

    /// Reads an account argument: `romeo`, or `romeo@montague.lit`.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] if it is no bare JID with a local part.
    pub fn account(&self, text: &str) -> Result<BareJid, CommandError> {
        let jid = self.jid(text)?;
        if jid.resource().is_some() {
            return Err(CommandError::Invalid(format!("`{text}` is not an account: user@domain")));
        }
        Ok(jid.to_bare())
    }

    /// Reads the address of an account or of one of its sessions: as [`CommandCx::account`], with
    /// or without a resource.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] if it is no JID with a local part.
    pub fn jid(&self, text: &str) -> Result<Jid, CommandError> {
        // A resource may have an `@` in it.
        let (bare, resource) = match text.find('/') {
            Some(slash) => text.split_at(slash),
            None => (text, ""),
        };
        let full = if bare.contains('@') {
            text.to_owned()
        } else {
            format!("{bare}@{}{resource}", self.default_domain)
        };
        let bad = || CommandError::Invalid(format!("`{text}` is not an account: user@domain"));
        let jid = Jid::parse(&full).map_err(|_| bad())?;
        if jid.local().is_none_or(str::is_empty) {
            return Err(bad());
        }
        Ok(jid)
    }

    /// The keys of a new password.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] if it cannot be a password (RFC 4013), with the reason.
    pub async fn keys(&self, password: &str) -> Result<Vec<ScramKeys>, CommandError> {
        Ok(self.derivations.keys(password, self.config.auth.iterations).await?)
    }

    /// Whether this server serves the domain, which must be prepared.
    #[must_use]
    pub fn serves(&self, domain: &str) -> bool {
        self.config.host(domain).is_some()
    }

    /// The error for a domain that this server does not serve.
    #[must_use]
    pub fn not_served(&self, domain: &str) -> CommandError {
        let served: Vec<_> = self.config.hosts.iter().map(|host| host.domain.as_str()).collect();
        CommandError::Invalid(format!(
            "this server does not serve {domain}; it serves {}",
            served.join(", ")
        ))
    }
}

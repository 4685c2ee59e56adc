//! External components that administrators have added by a command (`component add`). They are stored, and hold besides
//! those of the configuration, which counts more.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{ServerState, SharedState};
use crate::config::{ComponentConfig, Config};
use crate::jid::BareJid;
use crate::storage::{self, StorageError};

/// The components that are stored, as the server has read them last.
#[derive(Debug, Default)]
pub struct StoredComponents(Mutex<Stored>);

#[derive(Debug, Default)]
struct Stored {
    all: Vec<ComponentConfig>,
    /// The domains of those that are in use: the configuration does not have them itself.
    in_use: Vec<String>,
}

impl SharedState for StoredComponents {}

impl StoredComponents {
    /// Adds the components that are stored to a configuration as it was read from a file.
    pub fn add_to(&self, config: &mut Config) {
        let mut stored = self.0.lock();
        let is_new =
            |one: &&ComponentConfig| config.components.iter().all(|own| own.domain != one.domain);
        let new: Vec<_> = stored.all.iter().filter(is_new).cloned().collect();
        stored.in_use = new.iter().map(|one| one.domain.clone()).collect();
        config.components.extend(new);
    }

    /// Has these components in place of those before, in the configuration in use.
    fn replace(&self, all: Vec<ComponentConfig>, config: &mut Config) {
        let mut stored = self.0.lock();
        config.components.retain(|own| !stored.in_use.contains(&own.domain));
        stored.all = all;
        drop(stored);
        self.add_to(config);
    }
}

/// Reads the components that are stored, and applies them. Called at the start.
///
/// # Errors
/// If the store fails: nothing has changed.
pub async fn read(server: &ServerState) -> storage::Result<()> {
    let Some(owner) = owner(server) else { return Ok(()) };
    let found = server.storage.documents().all(&owner, KIND).await?;
    let one = |(domain, section): (String, String)| match ComponentConfig::parse(&section) {
        Ok(component) if server.ours(&component.domain).is_none() => Some(component),
        Ok(_) => {
            tracing::error!(%domain, "a component that was added has a domain of this server");
            None
        }
        Err(problem) => {
            tracing::error!(%domain, %problem, "a component that was added cannot be read");
            None
        }
    };
    let new: Vec<_> = found.into_iter().filter_map(one).collect();
    let mut config = Config::clone(&server.config.load());
    server.shared::<StoredComponents>().replace(new, &mut config);
    server.config.store(Arc::new(config));
    Ok(())
}

/// Stores a component, as a section `[[component]]`; or removes it (`None`). Then it is applied. `false` if there was none
/// to remove.
///
/// # Errors
/// If the store fails.
pub async fn set(
    server: &ServerState,
    domain: &str,
    section: Option<&str>,
) -> Result<bool, StorageError> {
    let Some(owner) = owner(server) else { return Ok(false) };
    let documents = server.storage.documents();
    let done = match section {
        Some(section) => documents.put(&owner, KIND, domain, section).await.map(|()| true),
        None => documents.remove(&owner, KIND, domain).await,
    };
    read(server).await?;
    done
}

/// The first host has them: they hold for all.
fn owner(server: &ServerState) -> Option<BareJid> {
    server.hosts().first().map(|host| host.jid.to_bare())
}

const KIND: &str = "component";

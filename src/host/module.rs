//! A feature of ours: its manifest, what it registers, and what it starts.

use std::sync::Arc;

use super::{Manifest, Registry, ServerState};
use crate::config::Config;

/// A feature. Its file in `modules/` contains all of it.
pub trait Module: Send + Sync {
    /// Its name, summary and specifications.
    fn manifest(&self) -> &'static Manifest;
    /// Registers what it answers and announces.
    fn register(&self, on: &mut Registry);
    /// Registers what depends on the configuration at the start of the server.
    fn configure(&self, _config: &Config, _on: &mut Registry) {}
    /// The server starts. A feature that has tasks of its own starts them here, with [`ServerState::tasks`].
    fn start(&self, _server: &Arc<ServerState>) {}
}

impl Registry {
    /// A registry of these features under this configuration.
    #[must_use]
    pub fn of(modules: &[&dyn Module], config: &Config) -> Self {
        let mut this = Self::default();
        for module in modules {
            this.manifests.push(module.manifest());
            module.register(&mut this);
            module.configure(config, &mut this);
        }
        this
    }
}

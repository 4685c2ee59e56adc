//! Tokens for the HTTP API (`src/http/api/`): users make and revoke them by commands (XEP-0050). What waits for new
//! messages there is woken by the archive.

mod create;
mod revoke;

use crate::host::{ArchiveWatchers, Manifest, Module, Registry};

/// Lets users give programs access to their accounts.
pub struct ApiTokens;

impl Module for ApiTokens {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "api_tokens",
            summary: "Lets users give programs access by HTTP (docs/http-api.md)",
            xeps: &[],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.shared(ArchiveWatchers::default());
        on.account_command(&create::Create).account_command(&revoke::Revoke);
    }
}

//! The lists in a download of all data of an account.

use serde_json::json;

use super::documents::EXPORTED;
use super::export::{Export, Next};
use super::overview;
use crate::host::{clients_of, invitations, uploads};
use crate::storage;

impl Export {
    pub(super) async fn roster(&mut self, out: &mut String) -> storage::Result<()> {
        let (_, items) = self.server.storage.roster().load(&self.user).await?;
        for item in items.into_iter().filter(|item| item.listed) {
            let (sees, seen) = (item.subscription.is_to(), item.subscription.is_from());
            let json = json!({
                "address": item.jid.as_str(), "name": item.name, "groups": item.groups,
                "you_see_it": sees, "it_sees_you": seen,
            });
            self.push(out, &json);
        }
        self.reopen(out, "devices", Next::Devices);
        Ok(())
    }

    pub(super) async fn devices(&mut self, out: &mut String) -> storage::Result<()> {
        let sessions = overview::sessions_of(&self.server, &self.user);
        let now = self.server.clock.now();
        for client in clients_of(&*self.server.storage, &self.user, now, &sessions).await? {
            let (first, last) = (client.first_seen.to_string(), client.last_seen.to_string());
            let json = json!({
                "id": client.id, "software": client.software, "device": client.device,
                "first_seen": first, "last_seen": last,
            });
            self.push(out, &json);
        }
        self.reopen(out, "api_tokens", Next::Tokens);
        Ok(())
    }

    /// The tokens of programs (docs/http-api.md), without their secrets, which nobody knows.
    pub(super) async fn tokens(&mut self, out: &mut String) -> storage::Result<()> {
        for token in self.server.storage.api_tokens().api_tokens(&self.user).await? {
            let (made, expires) =
                (token.created.to_string(), token.expires.map(|at| at.to_string()));
            let json = json!({
                "name": token.name, "scopes": token.scopes, "made": made, "expires": expires,
            });
            self.push(out, &json);
        }
        self.reopen(out, "documents", Next::Documents);
        Ok(())
    }

    pub(super) async fn documents(&mut self, out: &mut String) -> storage::Result<()> {
        for kind in EXPORTED {
            let documents = self.server.storage.documents().all(&self.user, kind).await?;
            for (key, xml) in documents {
                self.push(out, &json!({ "kind": kind, "key": key, "xml": xml }));
            }
        }
        self.reopen(out, "nodes", Next::Nodes(None));
        Ok(())
    }

    pub(super) async fn files(&mut self, out: &mut String) -> storage::Result<()> {
        let now = self.server.clock.now();
        let files = self.server.storage.files().uploaded(&self.user, now, FILES).await?;
        for file in files.newest {
            let url = uploads::url(&self.server, &file);
            let expires = file.expires.map(|at| at.to_string());
            let json = json!({
                "name": file.name, "size": file.size, "type": file.media_type, "url": url,
                "uploaded": file.created.to_string(), "expires": expires,
            });
            self.push(out, &json);
        }
        self.reopen(out, "invitations", Next::Invitations);
        Ok(())
    }

    pub(super) async fn invitations(&mut self, out: &mut String) -> storage::Result<()> {
        let now = self.server.clock.now();
        for known in invitations::open_of(&*self.server.storage, &self.user, now).await? {
            let (created, expires) = (known.created.to_string(), known.expires.to_string());
            let json = json!({
                "kind": known.kind.as_str(), "name": known.name, "made": created, "expires": expires,
            });
            self.push(out, &json);
        }
        self.reopen(out, "messages", Next::Messages(None));
        Ok(())
    }
}

/// Files in the list. An account has fewer, unless `files.files` says otherwise.
const FILES: usize = 100_000;

//! Pages for people with a browser: invitations, and making an account. `docs/invitations.md` explains them.
//!
//! They need no script and no other site. What is easy to get wrong: everything that a page shows is
//! escaped (by `maud`), and no form does anything without its token ([`form`]).

mod clients;
mod form;
mod invite;
mod layout;
mod new_password;
mod qr;
mod register;
mod visitor;

use std::sync::Arc;

use axum::middleware::map_response;
use axum::routing::get;
use tokio::sync::OnceCell;

use self::form::FormKey;
use self::layout::Instead;
use crate::host::ServerState;
use crate::router::Router;

/// What the pages work with.
struct Pages {
    server: Arc<ServerState>,
    router: Arc<Router>,
    key: OnceCell<FormKey>,
}

/// The routes.
pub fn routes(router: &Arc<Router>) -> axum::Router {
    let pages = Pages {
        server: Arc::clone(&router.server),
        router: Arc::clone(router),
        key: OnceCell::new(),
    };
    axum::Router::new()
        .route("/pages.css", get(layout::style))
        .route("/invite/{token}", get(invite::show))
        .route("/register", get(register::show_open).post(register::send_open))
        .route("/register/{token}", get(register::show_invited).post(register::send_invited))
        .route("/registered", get(register::done))
        .layer(map_response(layout::secured))
        .with_state(Arc::new(pages))
}

impl Pages {
    /// The key with which forms are signed.
    ///
    /// # Errors
    /// The page for an error of the store.
    async fn key(&self) -> Result<&FormKey, Instead> {
        let read = async {
            let secret = self.server.storage.accounts().secret().await?;
            Ok::<_, crate::storage::StorageError>(FormKey::of_secret(&secret))
        };
        self.key.get_or_try_init(|| read).await.map_err(|error| Box::new(layout::failed(&error)))
    }

    /// The domain of ours that a browser has asked for; else the first one.
    fn domain(&self, asked: &str) -> String {
        let domains = || self.server.hosts().iter().map(|host| host.domain.as_str());
        let is_asked = |domain: &&str| {
            let ascii = idna::domain_to_ascii(domain);
            domain.eq_ignore_ascii_case(asked) || ascii.is_ok_and(|ascii| ascii == asked)
        };
        domains().find(is_asked).or_else(|| domains().next()).unwrap_or_default().to_owned()
    }
}

//! Who has logged in to the browser that asks.

use crate::http::pages::shared::Pages;
use crate::http::pages::visitor::Visitor;
use crate::jid::BareJid;

/// The user who has logged in, if the password is still the same.
pub(super) async fn user(pages: &Pages, visitor: &Visitor) -> Option<BareJid> {
    user_of(pages, visitor.session()?).await
}

/// The user of a session, if the password is still the same.
pub(super) async fn user_of(pages: &Pages, cookie: &str) -> Option<BareJid> {
    let (user, proven) = pages.sessions.find(cookie)?;
    match pages.verifier.is_current(&user, &proven).await {
        Ok(true) => Some(user),
        Ok(false) => {
            pages.sessions.end(cookie);
            None
        }
        Err(error) => {
            tracing::error!(%error, "cannot check who has logged in to the page of an account");
            None
        }
    }
}

/// The path of the page.
pub(super) const HOME: &str = "/account";

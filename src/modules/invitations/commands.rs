//! The commands by which invitations are made (XEP-0401 §4.1, §4.4).

use async_trait::async_trait;

use crate::config::{Config, Inviters};
use crate::host::command::CommandError;
use crate::host::invitations::{self, Issued, NotInvited, Wish, of_user};
use crate::host::{Cx, HostCommand};
use crate::jid::BareJid;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind, Submitted};
use crate::stanza::StanzaError;
use crate::storage::InvitationKind;

/// Invites somebody to become a contact.
pub(super) struct Contact;

/// Invites somebody to make an account.
pub(super) struct Account;

#[async_trait]
impl HostCommand for Contact {
    fn node(&self) -> &'static str {
        "urn:xmpp:invite#invite"
    }

    fn about(&self) -> &'static str {
        "Invite somebody to become a contact"
    }

    async fn is_for(&self, cx: &Cx<'_>, _: &BareJid) -> Result<bool, StanzaError> {
        Ok(cx.server.config.load().invitations.enabled)
    }

    fn form(&self) -> Option<Form> {
        None
    }

    async fn run(&self, cx: &Cx<'_>, user: &BareJid, _: &Submitted) -> Result<Form, CommandError> {
        let wish = of_user(&cx.server.config.load(), cx.is_of_admin().await?);
        create(cx, user, wish).await
    }
}

#[async_trait]
impl HostCommand for Account {
    fn node(&self) -> &'static str {
        "urn:xmpp:invite#create-account"
    }

    fn about(&self) -> &'static str {
        "Invite somebody to make an account"
    }

    async fn is_for(&self, cx: &Cx<'_>, _: &BareJid) -> Result<bool, StanzaError> {
        let (is_enabled, accounts) = {
            let config = cx.server.config.load();
            (config.invitations.enabled, config.invitations.accounts)
        };
        Ok(is_enabled && (accounts == Inviters::Users || cx.is_of_admin().await?))
    }

    fn form(&self) -> Option<Form> {
        let name =
            Field::new(NAME, FieldKind::TextSingle).label("Name of the account, if you choose it");
        let contact = Field::new(SUBSCRIBE, FieldKind::Boolean)
            .label("Become contacts when the account is made")
            .value("1");
        let form = Form::new(FormKind::Form).title(self.about());
        Some(form.field(name).field(contact))
    }

    async fn run(
        &self,
        cx: &Cx<'_>,
        user: &BareJid,
        form: &Submitted,
    ) -> Result<Form, CommandError> {
        let invalid = |text: &str| CommandError::Invalid(text.to_owned());
        let name = form.text(NAME).map_err(|_| invalid("there is more than one name"))?;
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        let name = name.map(|name| BareJid::from_parts(Some(name), user.domain())).transpose();
        let name = name.map_err(|_| invalid("this cannot be a name"))?;
        let also =
            form.boolean(SUBSCRIBE).map_err(|_| invalid("`roster-subscription` is 1 or 0"))?;
        let also = also.unwrap_or(false);
        let kind = InvitationKind::Account;
        create(cx, user, Wish { kind, also, name, uses: 1, lifetime: None }).await
    }
}

async fn create(cx: &Cx<'_>, user: &BareJid, wish: Wish) -> Result<Form, CommandError> {
    let config = cx.server.config.load_full();
    let (storage, now) = (&*cx.server.storage, cx.server.clock.now());
    let by_operator = cx.is_of_admin().await?;
    let issued = invitations::create(storage, &config, now, user, by_operator, wish).await;
    issued.map(|issued| result(&config, &issued)).map_err(|refused| match refused {
        NotInvited::Storage(error) => CommandError::Storage(error),
        NotInvited::Taken(_) => CommandError::Conflict(refused.to_string()),
        NotInvited::Disabled | NotInvited::TooMany => CommandError::Invalid(refused.to_string()),
    })
}

/// XEP-0401 §4.1. Its table of fields (§10.1) calls `expire` by another name than its text and examples.
fn result(config: &Config, issued: &Issued) -> Form {
    let Issued { invitation, token } = issued;
    let field = |name, value: &str| Field::new(name, FieldKind::TextSingle).value(value);
    let form = Form::new(FormKind::Result).form_type(RESULT);
    let form = form.field(field("uri", &invitations::uri(invitation, token)));
    let form = match invitations::landing_url(config, invitation, token) {
        Some(url) => form.field(field("landing-url", &url)),
        None => form,
    };
    form.field(field("expire", &invitation.expires.to_string()))
}

const NAME: &str = "username";
const SUBSCRIBE: &str = "roster-subscription";
const RESULT: &str = "urn:xmpp:invite#invitation";

//! The command by which users see which clients have access to their account, and log some out, with any client that
//! has commands.

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::host::command::{CommandError, Outcome, SessionRow};
use crate::host::{AccountCommand, Client, Cx, clients_of, log_out_client};
use crate::jid::BareJid;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind, Submitted};

/// The command.
pub(super) struct Devices;

#[async_trait]
impl AccountCommand for Devices {
    fn node(&self) -> &'static str {
        "devices"
    }

    fn about(&self) -> &'static str {
        "See which clients have access to your account, and log some out"
    }

    async fn form(&self, cx: &mut Cx<'_>, user: &BareJid) -> Result<Option<Form>, CommandError> {
        let field = Field::new(LOG_OUT, FieldKind::ListMulti).label("Log out these clients");
        let clients = clients(cx, user).await?;
        let field = clients.iter().fold(field, |field, one| field.option(&one.id, &label(one)));
        let form = Form::new(FormKind::Form).title(self.about()).instructions(INSTRUCTIONS);
        Ok(Some(form.field(field)))
    }

    async fn run(
        &self,
        cx: &mut Cx<'_>,
        user: &BareJid,
        form: &Submitted,
    ) -> Result<Outcome, CommandError> {
        let clients = clients(cx, user).await?;
        let mut chosen: Vec<&Client> = Vec::new();
        for id in form.values(LOG_OUT).unwrap_or_default() {
            let client = clients.iter().find(|client| client.id == *id);
            let no_such = || CommandError::NotFound(format!("you have no client `{id}`"));
            chosen.push(client.ok_or_else(no_such)?);
        }
        if chosen.is_empty() {
            return Ok(list(&clients));
        }
        for client in &chosen {
            log_out_client(cx.server, user, client, cx.origin.session()).await?;
        }
        let names = chosen.iter().map(|client| name(client)).collect::<Vec<_>>().join(", ");
        let text = match chosen.iter().any(|client| client.knows_password) {
            true => {
                format!("Logged out: {names}. Who knows the password can log in again: change it.")
            }
            false => format!("Logged out: {names}."),
        };
        Ok(Outcome::Done { text, json: Value::Null })
    }
}

fn list(clients: &[Client]) -> Outcome {
    let rows = clients.iter().map(|client| {
        vec![
            json!(client.id),
            json!(client.software),
            json!(client.device),
            json!(!client.sessions.is_empty()),
            json!(client.first_seen.to_string()),
            json!(client.last_seen.to_string()),
            json!(client.knows_password),
        ]
    });
    let columns =
        ["id", "software", "machine", "connected", "first_seen", "last_seen", "knows_password"];
    Outcome::Table { columns: columns.map(Into::into).to_vec(), rows: rows.collect() }
}

async fn clients(cx: &Cx<'_>, user: &BareJid) -> Result<Vec<Client>, CommandError> {
    let sessions: Vec<_> = cx.server.sessions.of(user).iter().map(SessionRow::of).collect();
    Ok(clients_of(&*cx.server.storage, user, cx.server.clock.now(), &sessions).await?)
}

/// What the client says of itself, for people; it may be invented.
fn name(client: &Client) -> String {
    match (&client.software, &client.device) {
        (Some(software), Some(device)) => format!("{software} on {device}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => client.id.clone(),
    }
}

fn label(client: &Client) -> String {
    let name = name(client);
    match client.sessions.is_empty() {
        true => format!("{name}, last seen {}", client.last_seen),
        false => format!("{name}, connected"),
    }
}

const INSTRUCTIONS: &str = "Choose clients to log out, or none to see all that is known of them.";
const LOG_OUT: &str = "log-out";

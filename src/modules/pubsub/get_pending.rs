//! The command by which owners ask for the subscriptions that wait for them (XEP-0060 §8.7): at the service, and at
//! their own accounts. First they choose a node, then each request is sent as the form that approves it (§8.6).

use async_trait::async_trait;
use serde_json::Value;

use super::approval;
use super::features::GET_PENDING as NODE;
use super::place::Place;
use crate::host::command::{CommandError, Outcome};
use crate::host::{AccountCommand, Asked, Cx, IqReply};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::payload::data_form::{self, Field, FieldKind, Form, FormKind, Submitted};
use crate::payload::disco::{Identity, Info, Item};
use crate::pubsub::error::Problem;
use crate::random::random_id;
use crate::stanza::{Condition, IqKind, StanzaError};
use crate::storage::Affiliation;
use crate::xml::{ElementRef, element};

/// The command of an account.
pub(super) struct OfAccount;

#[async_trait]
impl AccountCommand for OfAccount {
    fn node(&self) -> &'static str {
        NODE
    }

    fn about(&self) -> &'static str {
        ABOUT
    }

    async fn form(&self, cx: &mut Cx<'_>, user: &BareJid) -> Result<Option<Form>, CommandError> {
        let nodes = waiting(cx, &Place::of(user.clone()), user).await;
        let form = form(&nodes.map_err(|_| failed())?);
        Ok(Some(form))
    }

    async fn run(
        &self,
        cx: &mut Cx<'_>,
        user: &BareJid,
        form: &Submitted,
    ) -> Result<Outcome, CommandError> {
        let name = form.text(approval::NODE).ok().flatten();
        let name =
            name.ok_or_else(|| CommandError::Invalid(format!("`{}` is missing", approval::NODE)))?;
        let to = match cx.origin.session() {
            Some(session) => session.jid().clone().into_jid(),
            None => user.clone().into_jid(),
        };
        match send(cx, &Place::of(user.clone()), &to, name).await {
            Ok(count) => {
                let text = format!("{count} requests for subscriptions are sent to you.");
                Ok(Outcome::Done { text, json: Value::Null })
            }
            Err(error) if error.condition == Condition::ItemNotFound => {
                Err(CommandError::NotFound(format!("there is no node `{name}`")))
            }
            Err(_) => Err(failed()),
        }
    }
}

fn failed() -> CommandError {
    CommandError::Failed("the nodes cannot be read".to_owned())
}

/// Answers a step of the command at the service. It has no state: the second step names the node.
pub(super) async fn at_service(
    cx: &mut Cx<'_>,
    place: &Place,
    from: &Jid,
    kind: IqKind,
    command: &ElementRef<'_>,
) -> IqReply {
    if kind != IqKind::Set || command.attr("node").as_deref() != Some(NODE) {
        return Err(Condition::ItemNotFound.into());
    }
    let session = command.attr("sessionid").filter(|id| !id.is_empty());
    let session = session.map_or_else(|| random_id().to_string(), std::borrow::Cow::into_owned);
    let answer = |status: &str| {
        let answer = element("command").ns(ns::COMMANDS).attr("node", NODE);
        answer.attr("sessionid", &session).attr("status", status)
    };
    match command.attr("action").as_deref() {
        None | Some("" | "complete" | "execute" | "next") => {}
        Some("cancel") => return Ok(Some(answer("canceled"))),
        Some(_) => return Err(Problem::Malformed.into()),
    }
    let Some(x) = command.child(data_form::NS, "x") else {
        let form = form(&waiting(cx, place, &from.to_bare()).await?);
        let complete = element("complete");
        let actions = element("actions").attr("execute", "complete").child(complete);
        return Ok(Some(answer("executing").child(actions).child(form.to_node())));
    };
    let submitted = Submitted::read_as(&x, &[FormKind::Cancel, FormKind::Submit]);
    let submitted = submitted.map_err(|_| Problem::Malformed)?;
    let name = submitted.text(approval::NODE).ok().flatten().ok_or(Problem::Malformed)?;
    send(cx, place, from, name).await?;
    Ok(Some(answer("completed")))
}

/// What the service tells of its commands.
pub(super) fn info(asked: Asked<'_>) -> Option<Info> {
    let automation = |kind, name: &'static str, feature| {
        let identity = Identity { category: "automation", kind, name: Some(name.into()) };
        Info {
            identities: vec![identity],
            features: vec![ns::COMMANDS, feature],
            forms: Vec::new(),
        }
    };
    match asked.node? {
        ns::COMMANDS => Some(automation("command-list", "Commands", ns::DISCO_ITEMS)),
        NODE => Some(automation("command-node", ABOUT, data_form::NS)),
        _ => None,
    }
}

/// The commands of the service.
pub(super) fn items(asked: Asked<'_>) -> Option<Vec<Item>> {
    let item =
        || Item { node: Some(NODE.into()), name: Some(ABOUT.into()), ..Item::of(asked.to.clone()) };
    match asked.node? {
        ns::COMMANDS => Some(vec![item()]),
        NODE => Some(Vec::new()),
        _ => None,
    }
}

/// The nodes of an owner at which subscriptions wait for approval.
async fn waiting(cx: &Cx<'_>, place: &Place, owner: &BareJid) -> Result<Vec<String>, StanzaError> {
    Ok(cx.server.storage.pubsub().pending_nodes(&place.owner, owner, MAX_NODES).await?)
}

fn form(nodes: &[String]) -> Form {
    let field = Field::new(approval::NODE, FieldKind::ListSingle).label("Node").required(true);
    let field = nodes.iter().fold(field, |field, node| field.option(node, node));
    Form::new(FormKind::Form).form_type(approval::AUTHORIZATION).title(ABOUT).field(field)
}

/// Sends the forms that approve what waits at a node, behind the answer. Answers how many.
async fn send(cx: &mut Cx<'_>, place: &Place, to: &Jid, name: &str) -> Result<usize, StanzaError> {
    let store = cx.server.storage.pubsub();
    let waiting = store.pending(&place.owner, name, MAX_FORMS).await?.ok_or(Problem::NotFound)?;
    let is_owner = place.is_account() && place.is_of(to) || {
        let own = store.affiliations_of(&place.owner, &to.to_bare()).await?;
        own.iter().any(|(node, is)| node == name && *is == Affiliation::Owner)
    };
    if !is_owner {
        return Err(Problem::Forbidden.into());
    }
    for subscription in &waiting {
        approval::ask_one(cx, place, to, name, subscription);
    }
    Ok(waiting.len())
}

const ABOUT: &str = "Show the subscriptions that wait for your approval";
/// Nodes that are listed, at most.
const MAX_NODES: usize = 1000;
/// Forms that are sent at once, at most.
const MAX_FORMS: usize = 100;

//! Commands that users give to their own accounts, at the bare address of the account. The features register
//! them ([`AccountCommand`]); nobody but the user finds them.

use async_trait::async_trait;

use super::automation::{LIST, automation};
use super::execution::Execution;
use super::outcome::shown;
use crate::host::{AccountCommand, Asked, Cx, Discovery, IqHandler, IqReply};
use crate::ns;
use crate::payload::data_form;
use crate::payload::data_form::Submitted;
use crate::payload::disco::{Info, Item};
use crate::stanza::{Condition, Iq, StanzaError};

/// The commands of accounts.
pub(super) struct OfAccount;

#[async_trait]
impl IqHandler for OfAccount {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        let node = payload.attr("node").ok_or(Condition::BadRequest)?;
        let command = find(cx, &node).ok_or(Condition::ItemNotFound)?;
        let user = request.head.to.as_ref().map(|to| to.to_bare()).ok_or(Condition::BadRequest)?;
        cx.must_have_account(&user).await?;
        let client = cx.origin.owned().ok_or(Condition::Forbidden)?;
        let execution = match Execution::read(client, command.node(), &payload)? {
            Ok(execution) => execution,
            Err(canceled) => return Ok(Some(canceled)),
        };
        let done = match execution.wants_form() {
            true => match command.form(cx, &user).await {
                Ok(Some(form)) => return Ok(Some(execution.ask(&form))),
                Ok(None) => command.run(cx, &user, &Submitted::default()).await,
                Err(error) => Err(error),
            },
            false => command.run(cx, &user, &execution.form()?).await,
        };
        Ok(Some(execution.complete(shown(command.node(), command.about(), done))))
    }
}

#[async_trait]
impl Discovery for OfAccount {
    async fn info(&self, cx: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Info>, StanzaError> {
        if !is_for_user(cx, asked) {
            return Ok(None);
        }
        Ok(match asked.node {
            None => Some(Info { features: vec![ns::COMMANDS], ..Info::default() }),
            Some(ns::COMMANDS) => {
                Some(automation("command-list", LIST, &[ns::DISCO_INFO, ns::DISCO_ITEMS]))
            }
            Some(node) => find(cx, node).map(|command| {
                automation("command-node", command.about(), &[ns::DISCO_INFO, data_form::NS])
            }),
        })
    }

    async fn items(&self, cx: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Vec<Item>>, StanzaError> {
        if !is_for_user(cx, asked) {
            return Ok(None);
        }
        let item = |command: &&dyn AccountCommand| Item {
            node: Some(command.node().into()),
            name: Some(command.about().into()),
            ..Item::of(asked.to.clone())
        };
        Ok(match asked.node {
            Some(ns::COMMANDS) => Some(cx.registry.account_commands().iter().map(item).collect()),
            // A command has no items (XEP-0030 §4.1).
            Some(node) => find(cx, node).map(|_| Vec::new()),
            None => None,
        })
    }
}

/// Whether users with an account ask about their own one.
fn is_for_user(cx: &Cx<'_>, asked: Asked<'_>) -> bool {
    let is_registered = cx.origin.session().is_some_and(|session| !session.is_anonymous());
    is_registered && asked.to.is_bare() && asked.to.as_str() == asked.from.bare_str()
}

fn find(cx: &Cx<'_>, node: &str) -> Option<&'static dyn AccountCommand> {
    cx.registry.account_commands().iter().copied().find(|command| command.node() == node)
}

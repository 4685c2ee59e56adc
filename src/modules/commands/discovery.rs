//! Where the commands are found (XEP-0050 §2.2): the node of their list, and a node for each of them.
//! Each client finds the commands that it may give; all others find an empty list.

use async_trait::async_trait;

use super::Commands;
use super::automation::{LIST, automation};
use super::of_host;
use crate::host::command::{is_node_of, node_of};
use crate::host::{Asked, Cx, Discovery};
use crate::ns;
use crate::payload::data_form;
use crate::payload::disco::{Info, Item};
use crate::stanza::{Condition, StanzaError};

#[async_trait]
impl Discovery for Commands {
    async fn info(&self, cx: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Info>, StanzaError> {
        match asked.node {
            None if has_commands(cx).await? => {
                Ok(Some(Info { features: vec![ns::COMMANDS], ..Info::default() }))
            }
            None => Ok(None),
            Some(ns::COMMANDS) if has_commands(cx).await? => {
                Ok(Some(automation("command-list", LIST, &[ns::DISCO_INFO, ns::DISCO_ITEMS])))
            }
            Some(ns::COMMANDS) => Err(Condition::ItemNotFound.into()),
            Some(node) => {
                let Some(about) = about(cx, node).await? else { return Ok(None) };
                let features = [ns::DISCO_INFO, data_form::NS];
                Ok(Some(automation("command-node", about, &features)))
            }
        }
    }

    async fn items(&self, cx: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Vec<Item>>, StanzaError> {
        let item = |node: &str, name: &str| Item {
            node: Some(node.into()),
            name: Some(name.into()),
            ..Item::of(cx.host.jid.clone())
        };
        match asked.node {
            None if has_commands(cx).await? => Ok(Some(vec![item(ns::COMMANDS, LIST)])),
            None => Ok(None),
            Some(ns::COMMANDS) if has_commands(cx).await? => {
                let is_admin = cx.is_of_admin().await?;
                let of_users = of_host::all(cx).await?;
                let of_users = of_users.iter().map(|command| item(command.node(), command.about()));
                let of_admins = cx.registry.commands().iter();
                let of_admins = of_admins.filter(|_| is_admin);
                let of_admins = of_admins.map(|command| item(&node_of(command), command.about));
                Ok(Some(of_users.chain(of_admins).collect()))
            }
            Some(ns::COMMANDS) => Ok(Some(Vec::new())),
            // A command has no items (XEP-0030 §4.1).
            Some(node) => Ok(about(cx, node).await?.map(|_| Vec::new())),
        }
    }
}

/// Whether there are commands that the sender may run.
///
/// # Errors
/// If the store fails.
async fn has_commands(cx: &Cx<'_>) -> Result<bool, StanzaError> {
    Ok(is_for_admins(cx).await? || !of_host::all(cx).await?.is_empty())
}

async fn is_for_admins(cx: &Cx<'_>) -> Result<bool, StanzaError> {
    Ok(!cx.registry.commands().is_empty() && cx.is_of_admin().await?)
}

/// What the command with this node does.
///
/// # Errors
/// `forbidden` if there is one and the sender may not run it.
async fn about(cx: &Cx<'_>, node: &str) -> Result<Option<&'static str>, StanzaError> {
    if let Some(command) = of_host::find(cx, node).await? {
        return Ok(Some(command.about()));
    }
    let command = cx.registry.commands().iter().find(|command| is_node_of(command, node));
    match command {
        Some(_) if !is_for_admins(cx).await? => Err(Condition::Forbidden.into()),
        command => Ok(command.map(|command| command.about)),
    }
}

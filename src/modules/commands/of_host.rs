//! Commands that users give to their host. The features register them ([`HostCommand`]).

use super::execution::Execution;
use super::outcome::shown;
use crate::host::{Cx, HostCommand, IqReply};
use crate::jid::BareJid;
use crate::stanza::{Condition, StanzaError};
use crate::xml::ElementRef;

/// The user who gives a command, if it is one with an account at this host.
fn user(cx: &Cx<'_>) -> Option<BareJid> {
    let session = cx.origin.session().filter(|session| !session.is_anonymous())?;
    let user = session.jid().to_bare();
    (user.domain() == cx.host.domain.as_str()).then_some(user)
}

/// The command with this node, if the sender may give it.
pub(super) async fn find(
    cx: &Cx<'_>,
    node: &str,
) -> Result<Option<&'static dyn HostCommand>, StanzaError> {
    let mut commands = cx.registry.host_commands().iter();
    let (Some(command), Some(user)) = (commands.find(|c| c.node() == node), user(cx)) else {
        return Ok(None);
    };
    Ok(command.is_for(cx, &user).await?.then_some(*command))
}

/// The commands that the sender may give.
pub(super) async fn all(cx: &Cx<'_>) -> Result<Vec<&'static dyn HostCommand>, StanzaError> {
    let Some(user) = user(cx) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for command in cx.registry.host_commands() {
        if command.is_for(cx, &user).await? {
            found.push(*command);
        }
    }
    Ok(found)
}

/// Runs a command.
pub(super) async fn run(
    cx: &Cx<'_>,
    command: &'static dyn HostCommand,
    payload: &ElementRef<'_>,
) -> IqReply {
    let client = cx.origin.owned().ok_or(Condition::Forbidden)?;
    let user = client.handle().jid().to_bare();
    cx.must_have_account(&user).await?;
    let execution = match Execution::read(client, command.node(), payload)? {
        Ok(execution) => execution,
        Err(canceled) => return Ok(Some(canceled)),
    };
    if let Some(form) = command.form().filter(|_| execution.wants_form()) {
        return Ok(Some(execution.ask(&form)));
    }
    let result = match command.run(cx, &user, &execution.form()?).await {
        Ok(form) => vec![form.to_node()],
        Err(error) => shown(command.node(), command.about(), Err(error)),
    };
    Ok(Some(execution.complete(result)))
}

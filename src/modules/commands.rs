//! XEP-0050: Ad-Hoc Commands. The administrator's commands, for the accounts that `admin.accounts`
//! names, over the same definitions as the command line; and commands of features for all users.
//!
//! Each command has one form; the commands that XEP-0133 has are found under its nodes, with its
//! fields ([`standard`]). A client that knows a form need not ask for it. One that asks gets a session
//! (XEP-0050 §3), which is bound to it and ends with the command ([`stages`]).

mod account;
mod automation;
mod discovery;
mod execution;
mod of_host;
mod outcome;
mod stages;
mod standard;

use async_trait::async_trait;
use serde_json::{Map, Value};

use self::execution::Execution;
use self::outcome::{CONFIRM, bad, run, shown};
use crate::host::command::{Argument, ArgumentKind, Arguments, Command, is_node_of, node_of};
use crate::host::{
    Access, AddressKind, Cx, IqHandler, IqReply, Manifest, Module, Registry, Status, Xep,
};
use crate::ns;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind, Submitted};
use crate::stanza::{Condition, Iq, IqKind, StanzaError};

/// Lets administrators give their commands by chat client.
pub struct Commands;

impl Module for Commands {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "commands",
            summary: "Lets administrators give their commands by chat client, and users theirs",
            xeps: &[
                Xep { number: 4, version: "2.13.2", status: Status::Complete },
                Xep { number: 50, version: "1.3.0", status: Status::Complete },
                // The commands that the command line has, too.
                Xep { number: 133, version: "1.3.1", status: Status::Partial },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.iq(AddressKind::Host, IqKind::Set, (ns::COMMANDS, "command"), Access::Public, &Self);
        on.discovery(AddressKind::Host, &Self);
        let commands = &account::OfAccount;
        on.iq(
            AddressKind::Account,
            IqKind::Set,
            (ns::COMMANDS, "command"),
            Access::Owner,
            commands,
        );
        on.discovery(AddressKind::Account, commands);
    }
}

#[async_trait]
impl IqHandler for Commands {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        let node = payload.attr("node");
        if let Some(node) = &node
            && let Some(command) = of_host::find(cx, node).await?
        {
            return of_host::run(cx, command, &payload).await;
        }
        // An administrator of one host is one of all.
        if !cx.is_of_admin().await? {
            return Err(Condition::Forbidden.into());
        }
        let node = node.ok_or(Condition::BadRequest)?;
        let mut commands = cx.registry.commands().iter();
        let command = *commands.find(|c| is_node_of(c, &node)).ok_or(Condition::ItemNotFound)?;
        let standard = standard::of(command).filter(|_| node == node_of(command));
        let client = cx.origin.owned().ok_or(Condition::Forbidden)?;
        let execution = match Execution::read(client, &node, &payload)? {
            Ok(execution) => execution,
            Err(canceled) => return Ok(Some(canceled)),
        };
        if execution.wants_form() && !command.arguments.is_empty() {
            let form = standard.map_or_else(|| form(command), |standard| standard.form(command));
            return Ok(Some(execution.ask(&form)));
        }
        let form = execution.form()?;
        let shown = match standard {
            Some(standard) => standard.run(cx, command, &form).await?,
            None => {
                let arguments = read(&form, command.arguments)?;
                let confirmed = execution.has_form() && is_confirmed(&form)?;
                let done = run(cx, command, &arguments, confirmed).await;
                shown(&node_of(command), command.about, done)
            }
        };
        Ok(Some(execution.complete(shown)))
    }
}

/// What is to be filled in.
fn form(command: &Command) -> Form {
    let empty = Form::new(FormKind::Form).title(command.about);
    let filled = command.arguments.iter().fold(empty, |form, argument| {
        let kind = match argument.kind {
            ArgumentKind::Flag => FieldKind::Boolean,
            ArgumentKind::Choice(_) => FieldKind::ListSingle,
            ArgumentKind::FullJid | ArgumentKind::Jid => FieldKind::JidSingle,
            ArgumentKind::Lines => FieldKind::TextMulti,
            ArgumentKind::Password => FieldKind::TextPrivate,
            // An account may be a name alone, which is no address.
            ArgumentKind::Account
            | ArgumentKind::Number
            | ArgumentKind::Private
            | ArgumentKind::Text => FieldKind::TextSingle,
        };
        let field = Field::new(argument.name, kind).label(argument.help);
        let words = match argument.kind {
            ArgumentKind::Choice(words) => words,
            _ => &[],
        };
        let field = words.iter().fold(field, |field, word| field.option(word, word));
        form.field(field.required(argument.required))
    });
    match command.is_destructive() {
        true => filled.field(
            Field::new(CONFIRM, FieldKind::Boolean)
                .label("Do it: what is removed cannot be restored"),
        ),
        false => filled,
    }
}

/// Whether the form confirms a destructive command. A form without the field does not: ours has it. The
/// forms of XEP-0133 have none, and need none.
fn is_confirmed(form: &Submitted) -> Result<bool, StanzaError> {
    Ok(form.boolean(CONFIRM).map_err(|_| bad("bad-payload"))?.unwrap_or(false))
}

/// What was filled in. What was left empty was not given.
fn read(form: &Submitted, known: &[Argument]) -> Result<Arguments, StanzaError> {
    let mut arguments = Map::new();
    for argument in known {
        let values = form.values(argument.name).unwrap_or_default();
        if values.len() > 1 && argument.kind != ArgumentKind::Lines {
            return Err(bad("bad-payload")); // XEP-0004 §3.2
        }
        let text = values.join("\n");
        if text.is_empty() {
            if argument.required {
                return Err(bad("bad-payload"));
            }
            continue;
        }
        let value = match argument.kind {
            ArgumentKind::Flag => {
                let flag = form.boolean(argument.name).map_err(|_| bad("bad-payload"))?;
                Value::Bool(flag.unwrap_or_default())
            }
            ArgumentKind::Number => {
                text.trim().parse::<u64>().map(Value::from).map_err(|_| bad("bad-payload"))?
            }
            _ => Value::String(text),
        };
        arguments.insert(argument.name.to_owned(), value);
    }
    Ok(Arguments(arguments))
}

//! XEP-0050: Ad-Hoc Commands. The administrator's commands, for the accounts that `admin.accounts`
//! names, over the same definitions as the command line.
//!
//! Each command has one form; the commands that XEP-0133 has are found under its nodes, with its
//! fields ([`standard`]). A client that knows a form need not ask for it. One that asks gets a session
//! (XEP-0050 §3), which is bound to it and ends with the command ([`stages`]).

mod discovery;
mod outcome;
mod stages;
mod standard;

use async_trait::async_trait;
use serde_json::{Map, Value};

use self::outcome::{CONFIRM, bad, run, shown};
use crate::host::command::{Argument, ArgumentKind, Arguments, Command, is_node_of, node_of};
use crate::host::{
    Access, AddressKind, Cx, IqHandler, IqReply, Manifest, Module, Registry, Status, Xep,
};
use crate::ns;
use crate::payload::data_form::{self, Field, FieldKind, Form, FormKind, Submitted};
use crate::random::random_id;
use crate::stanza::{Condition, Iq, IqKind, StanzaError};
use crate::xml::{ElementRef, element};

/// Lets administrators give their commands by chat client.
pub struct Commands;

impl Module for Commands {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "commands",
            summary: "Lets administrators give their commands by chat client",
            xeps: &[
                Xep { number: 4, version: "2.13.2", status: Status::Complete },
                Xep { number: 50, version: "1.3.0", status: Status::Complete },
                // The commands that the command line has, too.
                Xep { number: 133, version: "1.3.1", status: Status::Partial },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.iq(AddressKind::Host, IqKind::Set, (ns::COMMANDS, "command"), Access::Admins, &Self);
        on.discovery(AddressKind::Host, &Self);
    }
}

#[async_trait]
impl IqHandler for Commands {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        let node = payload.attr("node").ok_or(Condition::BadRequest)?;
        let mut commands = cx.registry.commands().iter();
        let command = *commands.find(|c| is_node_of(**c, &node)).ok_or(Condition::ItemNotFound)?;
        let standard = standard::of(command).filter(|_| node == node_of(command));
        let client = cx.origin.owned().ok_or(Condition::Forbidden)?;
        let begun = payload.attr("sessionid");
        let session = match &begun {
            Some(id) => {
                stages::check(client, id, &node)?;
                id.clone().into_owned()
            }
            None => random_id().to_string(),
        };
        // DEPARTS: XEP-0050 §3.7 – who asks for another language gets English, not `bad-locale`:
        // clients name that of their user whether they can do without or not.
        let answer = |status| {
            element("command")
                .ns(ns::COMMANDS)
                .attr("xml:lang", "en")
                .attr("node", &node)
                .attr("sessionid", &session)
                .attr("status", status)
        };
        match payload.attr("action").as_deref() {
            Some("cancel") if begun.is_none() => return Err(bad("bad-sessionid")),
            Some("cancel") => {
                stages::end(client, &session);
                return Ok(Some(answer("canceled")));
            }
            None | Some("" | "complete" | "execute" | "next") => {}
            Some("prev") => return Err(bad("bad-action")),
            Some(_) => return Err(bad("malformed-action")),
        }
        let submitted = payload.child(data_form::NS, "x");
        if submitted.is_none() && begun.is_none() && !command.arguments().is_empty() {
            stages::begin(client, &session, &node);
            let complete = element("complete");
            let actions = element("actions").attr("execute", "complete").child(complete);
            let form = standard.map_or_else(|| form(command), |standard| standard.form(command));
            return Ok(Some(answer("executing").child(actions).child(form.to_node())));
        }
        let form = read_form(submitted.as_ref())?;
        let shown = match standard {
            Some(standard) => standard.run(cx, command, &form).await?,
            None => {
                let arguments = read(&form, command.arguments())?;
                let confirmed = submitted.is_some() && is_confirmed(&form)?;
                let done = run(cx, command, &arguments, confirmed).await;
                shown(command, done)
            }
        };
        stages::end(client, &session);
        Ok(Some(answer("completed").children(shown)))
    }
}

/// What is to be filled in.
fn form(command: &dyn Command) -> Form {
    let empty = Form::new(FormKind::Form).title(command.about());
    let filled = command.arguments().iter().fold(empty, |form, argument| {
        let kind = match argument.kind {
            ArgumentKind::Flag => FieldKind::Boolean,
            ArgumentKind::Choice(_) => FieldKind::ListSingle,
            ArgumentKind::FullJid | ArgumentKind::Jid => FieldKind::JidSingle,
            ArgumentKind::Lines => FieldKind::TextMulti,
            ArgumentKind::Password => FieldKind::TextPrivate,
            // An account may be a name alone, which is no address.
            ArgumentKind::Account | ArgumentKind::Number | ArgumentKind::Text => {
                FieldKind::TextSingle
            }
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

/// The form that was sent; an empty one, if there is none.
fn read_form(x: Option<&ElementRef<'_>>) -> Result<Submitted, StanzaError> {
    let Some(x) = x else { return Ok(Submitted::default()) };
    // A form that is given up counts as one that is sent (XEP-0050 §3.5.1).
    let form = Submitted::read_as(x, &[FormKind::Cancel, FormKind::Submit]);
    form.map_err(|_| bad("bad-payload"))
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

//! Commands that a room takes (XEP-0050): those about hats (XEP-0317).
//!
//! Each command has one form, and the form that comes back says all. So the room remembers no sessions of commands:
//! it sends an id, as it must, and takes any.

use super::extra::Hat;
use super::{Actor, Affiliation, Effects, Moment, Room};
use crate::jid::BareJid;
use crate::ns;
use crate::payload::data_form::{self, Field, FieldKind, Form, FormKind, Submitted};
use crate::stanza::{Condition, Iq, IqKind, StanzaError};
use crate::xml::{ElementRef, Node, element};

/// A command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Command {
    /// Gives somebody a hat.
    Assign,
    /// Makes or changes a hat.
    Create,
    /// Removes a hat.
    Destroy,
    /// The hats that there are.
    List,
    /// Lists who has which hat.
    ListAssigned,
    /// Takes a hat from somebody.
    Unassign,
}

impl Command {
    /// All of them.
    pub(super) const ALL: [Self; 6] =
        [Self::Assign, Self::Create, Self::Destroy, Self::List, Self::ListAssigned, Self::Unassign];

    /// Its node.
    pub(super) fn node(self) -> &'static str {
        match self {
            Self::Assign => "urn:xmpp:hats:commands:assign",
            Self::Create => "urn:xmpp:hats:commands:create",
            Self::Destroy => "urn:xmpp:hats:commands:destroy",
            Self::List => "urn:xmpp:hats:commands:list",
            Self::ListAssigned => "urn:xmpp:hats:commands:list-assigned",
            Self::Unassign => "urn:xmpp:hats:commands:unassign",
        }
    }

    /// Its name, for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Assign => "Give a hat",
            Self::Create => "Create or change a hat",
            Self::Destroy => "Destroy a hat",
            Self::List => "List the hats",
            Self::ListAssigned => "List who wears which hat",
            Self::Unassign => "Take a hat away",
        }
    }
}

impl Room {
    /// A command, if this is one. `None`: another file answers.
    ///
    /// # Errors
    /// `forbidden` for users without the right, `item-not-found` if there is no such command, `bad-request` with the
    /// conditions of XEP-0050 §4.4.
    pub(super) fn command_request(
        &mut self,
        now: &Moment,
        actor: &Actor,
        iq: &Iq,
        fx: &mut Effects,
    ) -> Option<Result<(), StanzaError>> {
        let payload = iq.payload().filter(|payload| payload.is(ns::COMMANDS, "command"))?;
        if iq.kind != IqKind::Set {
            return Some(Err(Condition::BadRequest.into()));
        }
        Some(self.command(now, actor, &payload, fx).map(|answer| fx.answer = Some(answer)))
    }

    /// The commands that somebody may give, for service discovery.
    pub(super) fn commands_for(&self, actor: &Actor) -> Vec<Command> {
        Command::ALL.into_iter().filter(|command| self.may_give(*command, actor)).collect()
    }

    /// Admins and owners give all commands. Occupants and members see which hats there are.
    fn may_give(&self, command: Command, actor: &Actor) -> bool {
        let affiliation = self.affiliation_of(actor);
        let is_in = self.occupants.of_session(&actor.jid).is_some();
        affiliation.is_admin()
            || (command == Command::List
                && affiliation != Affiliation::Outcast
                && (is_in || affiliation.is_member()))
    }

    fn command(
        &mut self,
        now: &Moment,
        actor: &Actor,
        payload: &ElementRef<'_>,
        fx: &mut Effects,
    ) -> Result<Node, StanzaError> {
        let node = payload.attr("node").ok_or(Condition::BadRequest)?;
        let command = Command::ALL.into_iter().find(|command| command.node() == node);
        let command = command.ok_or_else(|| Condition::ItemNotFound.text("no such command"))?;
        if !self.may_give(command, actor) {
            return Err(Condition::Forbidden.text("only admins give this command"));
        }
        let begun = payload.attr("sessionid");
        let session = begun.as_deref().unwrap_or(&now.token);
        let answer = |status| {
            element("command")
                .ns(ns::COMMANDS)
                .attr("xml:lang", "en")
                .attr("node", command.node())
                .attr("sessionid", session)
                .attr("status", status)
        };
        match payload.attr("action").as_deref() {
            Some("cancel") if begun.is_none() => return Err(bad("bad-sessionid")),
            Some("cancel") => return Ok(answer("canceled")),
            None | Some("" | "complete" | "execute" | "next") => {}
            Some("prev") => return Err(bad("bad-action")),
            Some(_) => return Err(bad("malformed-action")),
        }
        let x = payload.child(data_form::NS, "x");
        let Some(x) = x else {
            return match self.form_of(command) {
                None => Ok(answer("completed").child(self.table_of(command))),
                Some(_) if begun.is_some() => Err(bad("bad-payload")),
                Some(form) => {
                    let actions = element("actions").attr("execute", "complete");
                    let actions = actions.child(element("complete"));
                    Ok(answer("executing").child(actions).child(form.to_node()))
                }
            };
        };
        if self.form_of(command).is_none() {
            return Ok(answer("completed").child(self.table_of(command)));
        }
        let form = Submitted::read(&x).map_err(|_| bad("bad-payload"))?;
        self.run(command, &form, fx)?;
        Ok(answer("completed"))
    }

    /// Does what a form says. All but its kind is checked here.
    fn run(
        &mut self,
        command: Command,
        form: &Submitted,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let text = |var| form.text(var).map_err(|_| bad("bad-payload"));
        let needed = |var| text(var)?.ok_or_else(|| bad("bad-payload"));
        let uri = needed(URI)?;
        let user = || -> Result<BareJid, StanzaError> {
            let jid = form.jid(JID).map_err(|_| bad("bad-payload"))?;
            Ok(jid.ok_or_else(|| bad("bad-payload"))?.to_bare())
        };
        match command {
            Command::Assign => self.assign_hat(&user()?, uri, fx),
            Command::Create => self.put_hat(Hat::checked(uri, needed(TITLE)?, text(HUE)?)?, fx),
            Command::Destroy => self.destroy_hat(uri, fx),
            Command::Unassign => self.unassign_hat(&user()?, uri, fx),
            Command::List | Command::ListAssigned => Ok(()),
        }
    }

    /// What is to be filled in. `None` for a command that needs nothing.
    fn form_of(&self, command: Command) -> Option<Form> {
        let form = |about| Form::new(FormKind::Form).title(command.name()).instructions(about);
        let address = || Field::new(JID, FieldKind::JidSingle).label("User Address").required(true);
        let hats = || {
            let choose = Field::new(URI, FieldKind::ListSingle).label("The hat").required(true);
            let hats = self.extra.hats.iter();
            hats.fold(choose, |choose, hat| choose.option(&hat.uri, &hat.title))
        };
        let line = |var, label| Field::new(var, FieldKind::TextSingle).label(label);
        Some(match command {
            Command::List | Command::ListAssigned => return None,
            Command::Create => form("A hat with the same URI is changed.")
                .form_type(FORM)
                .field(line(TITLE, "Hat Title").required(true))
                .field(line(URI, "Hat URI").required(true))
                .field(line(HUE, "Hat Hue")),
            Command::Destroy => {
                form("Nobody will wear this hat any more.").form_type(FORM).field(hats())
            }
            Command::Assign | Command::Unassign => {
                form("Whose hat is it?").form_type(FORM).field(address()).field(hats())
            }
        })
    }

    /// The hats that there are, or who wears which.
    fn table_of(&self, command: Command) -> Node {
        let hue = |hat: &Hat| hat.hue.clone().unwrap_or_default();
        if command == Command::List {
            let rows = self.extra.hats.iter();
            let rows = rows.map(|hat| vec![hat.title.clone(), hat.uri.clone(), hue(hat)]);
            return data_form::table("Hats", &[TITLE, URI, HUE], rows);
        }
        let rows = self.extra.wearers.iter().filter_map(|(user, uri)| {
            let hat = self.extra.hats.iter().find(|hat| hat.uri == *uri)?;
            Some(vec![user.clone(), uri.clone(), hat.title.clone(), hue(hat)])
        });
        data_form::table("Hats that are worn", &[JID, URI, TITLE, HUE], rows)
    }
}

/// `bad-request` with a condition of XEP-0050 §4.4.
fn bad(condition: &'static str) -> StanzaError {
    let mut error = StanzaError::from(Condition::BadRequest);
    error.detail = Some(element(condition).ns(ns::COMMANDS));
    error
}

/// The kind of form (XEP-0317 §3.8).
const FORM: &str = "urn:xmpp:hats:commands";
const HUE: &str = "hats#hue";
const JID: &str = "hats#jid";
const TITLE: &str = "hats#title";
const URI: &str = "hats#uri";

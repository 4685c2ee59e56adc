//! One step of an ad-hoc command (XEP-0050 §3): the session that it belongs to, its action, and the form that
//! came with it.

use super::outcome::bad;
use super::stages;
use crate::ns;
use crate::payload::data_form::{self, Form, FormKind, Submitted};
use crate::random::random_id;
use crate::session::Session;
use crate::stanza::StanzaError;
use crate::xml::{ElementRef, Node, element};

/// A step of a command.
pub(super) struct Execution<'a> {
    client: &'a Session,
    node: &'a str,
    session: String,
    /// The client was sent the form before.
    is_begun: bool,
    submitted: Option<ElementRef<'a>>,
}

impl<'a> Execution<'a> {
    /// Reads a step of the command at this node. `Err` in the result: the client has given the command up, and
    /// this is the answer.
    ///
    /// # Errors
    /// Those of XEP-0050 §4.4.
    pub(super) fn read(
        client: &'a Session,
        node: &'a str,
        payload: &ElementRef<'a>,
    ) -> Result<Result<Self, Node>, StanzaError> {
        let begun = payload.attr("sessionid");
        let session = match &begun {
            Some(id) => {
                stages::check(client, id, node)?;
                id.clone().into_owned()
            }
            None => random_id().to_string(),
        };
        let submitted = payload.child(data_form::NS, "x");
        let this = Self { client, node, session, is_begun: begun.is_some(), submitted };
        match payload.attr("action").as_deref() {
            Some("cancel") if !this.is_begun => Err(bad("bad-sessionid")),
            Some("cancel") => {
                stages::end(client, &this.session);
                Ok(Err(this.answer("canceled")))
            }
            None | Some("" | "complete" | "execute" | "next") => Ok(Ok(this)),
            Some("prev") => Err(bad("bad-action")),
            Some(_) => Err(bad("malformed-action")),
        }
    }

    /// Whether the client sends its first request, and nothing with it: it wants the form.
    pub(super) fn wants_form(&self) -> bool {
        !self.is_begun && self.submitted.is_none()
    }

    /// Whether a form came.
    pub(super) fn has_form(&self) -> bool {
        self.submitted.is_some()
    }

    /// The form that came; an empty one, if there is none.
    ///
    /// # Errors
    /// `bad-payload`
    pub(super) fn form(&self) -> Result<Submitted, StanzaError> {
        let Some(x) = &self.submitted else { return Ok(Submitted::default()) };
        // A form that is given up counts as one that is sent (XEP-0050 §3.5.1).
        let form = Submitted::read_as(x, &[FormKind::Cancel, FormKind::Submit]);
        form.map_err(|_| bad("bad-payload"))
    }

    /// The answer with a form, which the client fills in.
    pub(super) fn ask(&self, form: &Form) -> Node {
        stages::begin(self.client, &self.session, self.node);
        let complete = element("complete");
        let actions = element("actions").attr("execute", "complete").child(complete);
        self.answer("executing").child(actions).child(form.to_node())
    }

    /// The last answer: what came of the command.
    pub(super) fn complete(&self, shown: Vec<Node>) -> Node {
        stages::end(self.client, &self.session);
        self.answer("completed").children(shown)
    }

    /// DEPARTS: XEP-0050 §3.7 – a client that asks for another language gets English, not `bad-locale`: clients
    /// name the language of their user whether they can do without or not.
    fn answer(&self, status: &str) -> Node {
        element("command")
            .ns(ns::COMMANDS)
            .attr("xml:lang", "en")
            .attr("node", self.node)
            .attr("sessionid", &self.session)
            .attr("status", status)
    }
}

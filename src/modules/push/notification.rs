//! What the push service is told (XEP-0357 §7).
//!
//! The content of messages goes through third parties then, so it is left out, unless the account wants it
//! (`content.rs`). What is said is that something has come, and that it is urgent. XEP-0357 has no word for that. Services of apps for iOS
//! look whether `last-message-body` is there, those of Tigase read `<priority/>`: so there is a fixed text,
//! and the element.

use tokio::time::Instant;

use super::content::Last;
use crate::archive::importance::Importance;
use crate::ns::{PUBSUB, PUSH as NS};
use crate::payload::data_form::{Field, FieldKind, Form, FormKind};
use crate::storage::PushRegistration;
use crate::xml::{Node, element};

/// What has come for a device since it was woken last.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    /// Messages and calls.
    messages: u32,
    /// Requests for subscriptions.
    requests: u32,
    /// One of them is a call.
    call: bool,
    /// When the first of them came.
    pub(super) since: Instant,
    /// What the account wants to be told of the last message.
    last: Option<Last>,
}

impl Summary {
    /// One thing has come now.
    pub(super) fn of(what: Importance) -> Self {
        let is_request = what == Importance::Subscription;
        Self {
            messages: u32::from(!is_request),
            requests: u32::from(is_request),
            call: what == Importance::Call,
            since: Instant::now(),
            last: None,
        }
    }

    /// Tells this of the last message.
    pub(super) fn with(self, last: Option<Last>) -> Self {
        Self { last, ..self }
    }

    /// Adds what has come later.
    pub(super) fn add(&mut self, later: Self) {
        self.messages = self.messages.saturating_add(later.messages);
        self.requests = self.requests.saturating_add(later.requests);
        self.call |= later.call;
        self.last = later.last.or(self.last.take());
    }

    /// The same with what came earlier and was tried already.
    pub(super) fn after(self, mut earlier: Self) -> Self {
        let since = self.since;
        earlier.add(self);
        Self { since, ..earlier }
    }

    /// Somebody calls: it does not wait.
    pub(super) fn has_call(&self) -> bool {
        self.call
    }

    /// The request to the push service: an item to its node (XEP-0060 §7.1).
    pub(super) fn publish(&self, to: &PushRegistration) -> Node {
        let count = |form: Form, var: &str, number: u32| match number {
            0 => form,
            number => form.field(Field::new(var, FieldKind::TextSingle).value(&number.to_string())),
        };
        let form = Form::new(FormKind::Submit).form_type(SUMMARY);
        let form = count(form, "message-count", self.messages);
        let form = count(form, "pending-subscription-count", self.requests);
        let is_urgent = self.messages > 0;
        let form = match &self.last {
            Some(last) => form.field(
                Field::new("last-message-sender", FieldKind::JidSingle).value(last.sender.as_str()),
            ),
            None => form,
        };
        let text = self.last.as_ref().and_then(|last| last.body.as_deref()).unwrap_or(FIXED_TEXT);
        let body = Field::new("last-message-body", FieldKind::TextSingle).value(text);
        let form = if is_urgent { form.field(body) } else { form };
        let priority =
            element("priority").ns(PRIORITY).text(if is_urgent { "high" } else { "low" });
        let notification = element("notification").ns(NS).child(form.to_node()).child(priority);
        let node = Some(&to.node).filter(|node| !node.is_empty());
        let publish =
            element("publish").maybe_attr("node", node).child(element("item").child(notification));
        let pubsub = element("pubsub").ns(PUBSUB).child(publish);
        match &to.options {
            Some(form) => pubsub.child(element("publish-options").raw(form)),
            None => pubsub,
        }
    }
}

/// The kind of the form with the summary.
const SUMMARY: &str = "urn:xmpp:push:summary";
/// How urgent a notification is, as services of Tigase read it.
const PRIORITY: &str = "tigase:push:priority:0";
/// Stands for the text of a message.
const FIXED_TEXT: &str = "New message";

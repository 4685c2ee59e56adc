//! The notification for a push service (XEP-0357 §7).
//!
//! It goes through third parties, so the content of messages is left out unless the account wants it (`content.rs`).
//! It says that something has come, and that it is urgent. XEP-0357 defines nothing for urgency. Push services of iOS
//! apps check whether there is a `last-message-body`, and those of Tigase read `<priority/>`. So the notification has a
//! fixed text, and that element.

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
    /// The content of the last message, as far as the account wants it in notifications.
    last: Option<Last>,
}

impl Summary {
    /// The summary of one event, which has come now.
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

    /// Adds this content of the last message.
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

    /// Adds what came earlier, and was tried already.
    pub(super) fn after(self, mut earlier: Self) -> Self {
        let since = self.since;
        earlier.add(self);
        Self { since, ..earlier }
    }

    /// Whether there is a call, which does not wait.
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
/// The fixed text in the place of a message's.
const FIXED_TEXT: &str = "New message";

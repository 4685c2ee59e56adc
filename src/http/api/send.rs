//! Sends a message: `POST /api/v1/messages`.
//!
//! The program has no session. For one message a session is made that nobody finds, so that the message takes the way of
//! every message of a client (`router/message.rs`), and an error comes back to it.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::access::Access;
use super::json_answer::json_answer;
use super::problem::Problem;
use super::recent::{Begin, Recent, Sending, Sent};
use crate::host::{Destination, Origin};
use crate::jid::Jid;
use crate::ns;
use crate::random::random_id;
use crate::router::{self, Router};
use crate::session::{MailboxLimits, Session, SessionFacts};
use crate::stanza::{Condition, Stanza};
use crate::xml::{Frame, Node, element};

/// What is to be sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    to: String,
    body: String,
    #[serde(default, rename = "type")]
    kind: Kind,
    /// The id of the message. The same twice is sent once.
    id: Option<String>,
    subject: Option<String>,
    thread: Option<String>,
    reply_to: Option<ReplyTo>,
}

/// Which message is answered (XEP-0461 §3).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyTo {
    /// Its id: the one that its sender gave.
    id: String,
    /// Its sender.
    from: String,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Chat,
    /// To a room.
    Groupchat,
    Headline,
    Normal,
}

/// Answers the request.
pub(super) async fn answer(
    router: &Arc<Router>,
    recent: &Recent,
    access: Access,
    head: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    let is_json = |value: &str| {
        let essence = value.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("application/json")
    };
    let media_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !media_type.is_some_and(is_json) {
        return Err(Problem::UnsupportedMediaType);
    }
    let most = router.server.config.load().limits.stanza;
    let read = tokio::time::timeout(BODY_TIME, to_bytes(body, most)).await;
    let bytes = read.map_err(|_| Problem::TooSlow)?.map_err(|_| Problem::TooLarge)?;
    access.read(bytes.len()).await?;
    let wanted: Wanted = serde_json::from_slice(&bytes)
        .map_err(|error| Problem::BadRequest(format!("The JSON is not a message: {error}.")))?;
    let id = wanted.id.clone().unwrap_or_else(|| random_id().into());
    let stanza = stanza(&wanted, &id)?;
    if stanza.size() > most {
        return Err(Problem::TooLarge);
    }
    // A room takes a message to all. Other services answer a session, and there is none.
    let is_to_room = matches!(wanted.kind, Kind::Groupchat);
    let to = stanza.head().to.as_ref();
    let is_service =
        to.is_some_and(|to| matches!(router.server.destination(to), Destination::Service(_)));
    if is_service != is_to_room {
        return Err(Problem::NotDelivered(Condition::NotAcceptable.as_str().to_owned()));
    }
    let content = Sha256::digest(&bytes).into();
    let sending = match recent.begin(&access.user, &id, content)? {
        Begin::Sent(sent) => return Ok(json_answer(StatusCode::OK, &sent_json(&id, to, &sent))),
        Begin::Send(sending) => sending,
    };
    // In a task of its own: the request may be dropped, and what has begun must not be.
    let of_task = Arc::clone(router);
    let task = async move { Box::pin(send(&of_task, &access, stanza, id, sending)).await };
    let sent = router
        .server
        .tasks
        .spawn("api-send", task)
        .await
        .map_err(|error| Problem::failed(&error))?;
    Ok(json_answer(StatusCode::CREATED, &sent?))
}

/// The message, without its sender.
fn stanza(wanted: &Wanted, id: &str) -> Result<Stanza, Problem> {
    let bad = |text: &str| Problem::BadRequest(text.to_owned());
    let to = Jid::parse(&wanted.to).map_err(|_| bad("`to` is no address."))?;
    if wanted.body.is_empty() {
        return Err(bad("`body` is empty."));
    }
    if id.is_empty() || id.len() > ID_BYTES {
        return Err(bad("`id` has 1 to 128 bytes."));
    }
    let reply = wanted.reply_to.as_ref().map(|reply| reply.id.as_str());
    let more = [wanted.subject.as_deref(), wanted.thread.as_deref(), reply];
    let mut texts = [id, &wanted.body].into_iter().chain(more.into_iter().flatten());
    if texts.any(|text| text.contains(is_no_character)) {
        return Err(bad("A text has characters that no message can have."));
    }
    let kind = match wanted.kind {
        Kind::Chat => "chat",
        Kind::Groupchat => "groupchat",
        Kind::Headline => "headline",
        Kind::Normal => "normal",
    };
    let text = |name, text: &Option<String>| text.as_ref().map(|text| element(name).text(text));
    let mut message = element("message")
        .attr("id", id)
        .attr("to", to.as_str())
        .attr("type", kind)
        .children(text("subject", &wanted.subject))
        .child(element("body").text(&wanted.body))
        .children(text("thread", &wanted.thread))
        .child(element("origin-id").ns(ns::STANZA_ID).attr("id", id));
    if let Some(reply) = &wanted.reply_to {
        let from = Jid::parse(&reply.from).map_err(|_| bad("`reply_to.from` is no address."))?;
        message = message.child(reply_node(&reply.id, &from));
    }
    let frame = Frame::from_bytes(message.to_bytes()).map_err(|_| bad("This is no message."))?;
    Stanza::read(frame).map_err(|_| bad("This is no message."))
}

/// Whether XML does not have this character (XML 1.0 §2.2).
fn is_no_character(c: char) -> bool {
    let is_space = matches!(c, '\t' | '\n' | '\r');
    c < ' ' && !is_space || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// XEP-0461 §3.
fn reply_node(id: &str, from: &Jid) -> Node {
    element("reply").ns(ns::REPLY).attr("to", from.as_str()).attr("id", id)
}

/// Sends it, and waits until it is on the disk.
async fn send(
    router: &Router,
    access: &Access,
    stanza: Stanza,
    id: String,
    sending: Sending,
) -> Result<Value, Problem> {
    let server = &*router.server;
    let session = session(router, access)?;
    server.metrics.stanzas_in.of(stanza.name()).inc();
    let to = stanza.head().to.clone();
    let begun = Instant::now();
    let origin = Origin::Client(&session);
    let processed = Box::pin(router.from_client(&session, &origin, stanza, None)).await;
    let (steps, archived) = (processed.steps, processed.archived);
    let has_receipts = !processed.receipts.is_empty();
    for receipt in processed.receipts {
        if let Err(error) = receipt.await {
            router::not_kept(server, session.handle(), &processed.stanza, error);
        }
    }
    if has_receipts {
        server.metrics.handled(begun.elapsed());
    }
    let refused = error_in(&session, &id);
    drop(session.close());
    // What it has cost counts for what comes next.
    let _pause = access.budget.worked(steps);
    if let Some(condition) = refused {
        return Err(Problem::NotDelivered(condition));
    }
    let sent = Sent { stanza_id: archived.map(|id| server.message_ids.write(id)) };
    let answer = sent_json(&id, to.as_ref(), &sent);
    sending.sent(sent);
    Ok(answer)
}

fn sent_json(id: &str, to: Option<&Jid>, sent: &Sent) -> Value {
    json!({ "id": id, "to": to.map(Jid::as_str), "stanza_id": sent.stanza_id })
}

/// A session for one message. It is in no table: nobody sends to it.
fn session(router: &Router, access: &Access) -> Result<Session, Problem> {
    let resource = format!("api-{}", access.token.id);
    let jid = access.user.with_resource(&resource).map_err(|error| Problem::failed(&error))?;
    let facts = SessionFacts {
        peer: access.peer,
        tls: access.tls,
        since: Instant::now(),
        anonymous: false,
        resumable: false,
        installation: None,
        newest: None,
        newest_seen: None,
        restored: None,
    };
    let limits = &router.server.config.load().limits;
    let bounds = MailboxLimits { stanzas: limits.inbox_stanzas, bytes: limits.inbox_bytes };
    Ok(Session::unlisted(jid, facts, bounds))
}

/// The condition of the error that answers the message, if one does.
fn error_in(session: &Session, id: &str) -> Option<String> {
    let (stanzas, _) = session.mailbox().take();
    stanzas.iter().find_map(|delivery| {
        let is_answer = delivery.stanza.head().id.as_deref() == Some(id);
        if !is_answer || !delivery.stanza.is_error() {
            return None;
        }
        // It is made by us, and read as a client would read it.
        let frame = Frame::from_bytes(delivery.stanza.to_bytes()).ok()?;
        let error = frame.root().child(ns::CLIENT, "error")?;
        let condition = error.children().find(|child| child.ns() == ns::STANZA_ERRORS);
        Some(condition.map_or_else(
            || Condition::UndefinedCondition.as_str().to_owned(),
            |child| child.name().to_owned(),
        ))
    })
}

const ID_BYTES: usize = 128;
/// How long the body of a request may take.
const BODY_TIME: std::time::Duration = std::time::Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn xml(json: &str) -> Result<String, String> {
        let wanted: Wanted = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let id = wanted.id.clone().unwrap_or_else(|| "made".to_owned());
        let stanza = stanza(&wanted, &id).map_err(|problem| format!("{problem:?}"))?;
        Ok(stanza.to_xml())
    }

    #[test]
    fn a_message_is_made_of_what_is_valid() {
        let all = xml(
            r#"{"to": "Juliet@localhost", "body": "a <b> \"c\"", "id": "7", "type": "normal",
                "subject": "s", "thread": "t", "reply_to": {"id": "r'", "from": "juliet@localhost/x"}}"#,
        );
        let frame = Frame::from_bytes(all.unwrap()).unwrap();
        let root = frame.root();
        let attribute = |name: &str| root.attr(name).unwrap().into_owned();
        assert_eq!(["to", "id", "type"].map(attribute), ["juliet@localhost", "7", "normal"]);
        for (name, text) in [("subject", "s"), ("body", "a <b> \"c\""), ("thread", "t")] {
            assert_eq!(root.child(ns::CLIENT, name).unwrap().text(), text);
        }
        let origin = root.child(ns::STANZA_ID, "origin-id").unwrap();
        assert_eq!(origin.attr("id").unwrap(), "7");
        let reply = root.child(ns::REPLY, "reply").unwrap();
        assert_eq!(
            ["to", "id"].map(|name| reply.attr(name).unwrap().into_owned()),
            ["juliet@localhost/x", "r'"]
        );
        let long = format!(r#"{{"to": "a@b", "body": "x", "id": "{}"}}"#, "x".repeat(129));
        for bad in [
            "{}",
            "[]",
            r#"{"to": "a@b"}"#,
            r#"{"to": "a@b", "body": ""}"#,
            r#"{"to": "@", "body": "x"}"#,
            r#"{"to": 7, "body": "x"}"#,
            r#"{"to": "a@b", "body": "x", "colour": 1}"#,
            r#"{"to": "a@b", "body": "x", "type": "error"}"#,
            r#"{"to": "a@b", "body": "x", "id": ""}"#,
            r#"{"to": "a@b", "body": "\u0000"}"#,
            r#"{"to": "a@b", "body": "x", "id": "\u0001"}"#,
            r#"{"to": "a@b", "body": "x", "reply_to": {"id": "a", "from": "@"}}"#,
            r#"{"to": "a@b", "body": "x", "reply_to": {"id": "a"}}"#,
            &long,
        ] {
            assert!(xml(bad).is_err(), "{bad}");
        }
    }
}

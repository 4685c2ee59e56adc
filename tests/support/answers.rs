//! Asks, gathers what is an answer, and checks it (RFC 6120 §8.2.3, §8.3.2).

use waxwing::stanza::Condition;

use super::client::{Came, Client, named};
use super::element::{CLIENT, Element, Piece};

/// What is due for a stanza.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Due {
    /// One answer, whatever it says.
    Answer,
    /// One error with this condition.
    Error(Condition),
    /// Nothing: it was an answer itself.
    Nothing,
}

/// Says something and gives all that is an answer to it.
pub(crate) async fn ask(
    client: &mut Client,
    id: &str,
    stanza: &str,
) -> Result<Vec<Element>, String> {
    ask_with(client, id, stanza, &format!("{id}-fence")).await
}

/// What it says, whoever says it.
pub(crate) fn without_address(answer: &Element) -> Element {
    let mut answer = answer.clone();
    answer.attributes.retain(|(_, name, _)| !["from", "id"].contains(&name.as_str()));
    answer
}

/// As [`ask`], with a name for the ping that ends it.
pub(super) async fn ask_with(
    client: &mut Client,
    id: &str,
    stanza: &str,
    fence: &str,
) -> Result<Vec<Element>, String> {
    client.send(stanza.as_bytes()).await?;
    let came = hear(client, fence).await?;
    let (answers, others): (Vec<_>, Vec<_>) =
        came.into_iter().partition(|element| element.attribute("id") == Some(id));
    // What an account is told of changes to itself.
    let is_push = |element: &Element| {
        let is_ours = [None, Some("romeo@localhost")].contains(&element.attribute("from"));
        is_ours && (element.attribute("type") == Some("set") || element.is(CLIENT, "message"))
    };
    match others.iter().find(|element| !is_push(element)) {
        Some(other) => Err(format!("nobody asked for {other}")),
        None => Ok(answers),
    }
}

/// All that comes before the answer to a ping.
pub(super) async fn hear(client: &mut Client, id: &str) -> Result<Vec<Element>, String> {
    let ping =
        format!("<iq type='get' id='{id}' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
    client.send(ping.as_bytes()).await?;
    let mut came = Vec::new();
    loop {
        match client.next().await? {
            Came::Piece(Piece::Child(element)) if element.attribute("id") == Some(id) => {
                return Ok(came);
            }
            Came::Piece(Piece::Child(element)) => came.push(element),
            Came::Piece(Piece::Header(_)) => {}
            other => return Err(format!("waiting for a pong, got {}", named(&other))),
        }
    }
}

pub(super) fn check(answers: &[Element], due: Due) -> Result<(), String> {
    let answer = match (answers, due) {
        ([], Due::Nothing) => return Ok(()),
        ([answer], Due::Answer | Due::Error(_)) => answer,
        _ => return Err(format!("{due:?} was due, there are {} answers", answers.len())),
    };
    match (answer.attribute("type"), due) {
        (Some("result"), Due::Answer) if answer.elements().count() <= 1 => Ok(()),
        (Some("error"), _) => {
            let condition = condition(answer).ok_or(format!("no good error: {answer}"))?;
            let is_ours = condition == Condition::InternalServerError;
            let is_due = due == Due::Answer && !is_ours || due == Due::Error(condition);
            if is_due { Ok(()) } else { Err(format!("{due:?} was due, there is {answer}")) }
        }
        _ => Err(format!("{due:?} was due, there is {answer}")),
    }
}

/// RFC 6120 §8.3.2: exactly one condition, and a type.
pub(super) fn condition(answer: &Element) -> Option<Condition> {
    let error = answer.child(CLIENT, "error")?;
    let of = "urn:ietf:params:xml:ns:xmpp-stanzas";
    let mut named = error.elements().filter(|child| child.ns == of && child.name != "text");
    let (Some(one), None) = (named.next(), named.next()) else { return None };
    error.attribute("type")?;
    Condition::ALL.iter().copied().find(|condition| condition.as_str() == one.name)
}

//! The command by which users see what waits of strangers, and accept or refuse it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;

use crate::host::command::{CommandError, Outcome};
use crate::host::reports::{self, Report};
use crate::host::strangers::{self, Approach, Waiting};
use crate::host::{AccountCommand, Cx};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind, Submitted};
use crate::xml::Frame;

/// The command.
pub(super) struct Requests;

#[async_trait]
impl AccountCommand for Requests {
    fn node(&self) -> &'static str {
        "stranger-requests"
    }

    fn about(&self) -> &'static str {
        "See who wants to reach you, and accept or refuse them"
    }

    async fn form(&self, cx: &mut Cx<'_>, user: &BareJid) -> Result<Option<Form>, CommandError> {
        let senders = senders(strangers::all(&*cx.server.storage, user).await?);
        if senders.is_empty() {
            return Ok(None);
        }
        let from = Field::new(FROM, FieldKind::ListMulti).label("Who").required(true);
        let from = senders
            .iter()
            .fold(from, |field, (jid, waiting)| field.option(jid.as_str(), &label(jid, waiting)));
        let action = Field::new(ACTION, FieldKind::ListSingle)
            .label("What to do")
            .required(true)
            .value(ACCEPT)
            .option(ACCEPT, "Accept: what waits is delivered, and more of them is let through")
            .option(REFUSE, "Refuse: what waits is deleted")
            .option(REPORT, "Report as spam to the operator of the server, and refuse");
        let form = Form::new(FormKind::Form).title(self.about());
        Ok(Some(form.field(from).field(action)))
    }

    async fn run(
        &self,
        cx: &mut Cx<'_>,
        user: &BareJid,
        form: &Submitted,
    ) -> Result<Outcome, CommandError> {
        // So what is delivered in this moment is neither refused nor reported, and nobody is reported twice.
        let _lock = strangers::lock(cx.server, user).await;
        let senders = senders(strangers::all(&*cx.server.storage, user).await?);
        if senders.is_empty() {
            return Ok(done("Nobody waits.".to_owned()));
        }
        let action = form.text(ACTION).ok().flatten().unwrap_or_default();
        let what = match action {
            ACCEPT => "Accepted",
            REFUSE => "Refused",
            REPORT => "Reported",
            _ => return Err(invalid(format!("`{ACTION}` is one of {ACCEPT}, {REFUSE}, {REPORT}"))),
        };
        let named = form.values(FROM).unwrap_or_default();
        if named.is_empty() {
            return Err(invalid(format!("`{FROM}` names nobody")));
        }
        let mut meant: BTreeMap<Jid, &[Waiting]> = BTreeMap::new();
        for name in named {
            let found = Jid::parse(name).ok().and_then(|jid| senders.get_key_value(&jid));
            let (jid, waiting) =
                found.ok_or_else(|| invalid(format!("nothing of {name} waits")))?;
            meant.insert(jid.clone(), waiting);
        }
        for (jid, waiting) in &meant {
            if action == REPORT {
                reports::file(cx, &report(user, jid, waiting)).await?;
            }
            if action == ACCEPT {
                strangers::remember(cx.server, user, &jid.to_bare()).await?;
                cx.outbox.release(user.clone(), jid.clone());
            } else {
                for waiting in *waiting {
                    strangers::remove(cx.server, user, &waiting.key).await?;
                }
            }
        }
        let names: Vec<_> = meant.keys().map(Jid::as_str).collect();
        Ok(done(format!("{what} {}.", names.join(", "))))
    }
}

/// A report of a sender, with what waits of it, as far as that is small.
fn report(user: &BareJid, jid: &Jid, waiting: &[Waiting]) -> Report {
    let mut room = MAX_REPORTED;
    let fits = |waiting: &&Waiting| {
        let fits = waiting.xml.len() <= room;
        room -= if fits { waiting.xml.len() } else { 0 };
        fits
    };
    Report {
        by: user.clone().into(),
        about: jid.clone(),
        reason: reports::SPAM.to_owned(),
        text: String::new(),
        may_go_to_origin: false,
        may_go_to_others: false,
        messages: waiting.iter().filter(fits).map(|waiting| waiting.xml.clone()).collect(),
    }
}

fn done(text: String) -> Outcome {
    Outcome::Done { text, json: Value::Null }
}

fn invalid(text: String) -> CommandError {
    CommandError::Invalid(text)
}

fn senders(waiting: Vec<Waiting>) -> BTreeMap<Jid, Vec<Waiting>> {
    let mut senders: BTreeMap<Jid, Vec<Waiting>> = BTreeMap::new();
    for waiting in waiting {
        senders.entry(waiting.place.from.clone()).or_default().push(waiting);
    }
    senders
}

/// Who it is, how much of what waits, and the beginning of the first text.
fn label(jid: &Jid, waiting: &[Waiting]) -> String {
    let count = |approach| waiting.iter().filter(|w| w.place.approach == approach).count();
    let kinds = Approach::ALL.into_iter().map(|approach| (approach, count(approach)));
    let kinds = kinds.filter(|(_, count)| *count > 0);
    let kinds: Vec<_> =
        kinds.map(|(approach, count)| format!("{}: {count}", approach.word())).collect();
    let mut label = format!("{jid} ({})", kinds.join(", "));
    if let Some(text) = waiting.iter().find_map(text) {
        let beginning: String = text.chars().take(PREVIEW).collect();
        label += &format!(" {}", beginning.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    label
}

fn text(waiting: &Waiting) -> Option<String> {
    let frame = Frame::from_bytes(waiting.xml.clone()).ok()?;
    let body = frame.root().child(ns::CLIENT, "body")?;
    Some(body.text().into_owned()).filter(|text| !text.is_empty())
}

const FROM: &str = "from";
const ACTION: &str = "action";
const ACCEPT: &str = "accept";
const REFUSE: &str = "refuse";
const REPORT: &str = "report";
/// Bytes of stanzas in a report.
const MAX_REPORTED: usize = 8 << 10;
/// Characters of a text that are shown.
const PREVIEW: usize = 80;

//! XEP-0133: Service Administration. The commands that it has, with its fields, over ours. They are for
//! accounts of the domain that was addressed.

use serde_json::{Map, Value};

use super::outcome::{MAX_ROWS, bad, run, shown};
use crate::host::Cx;
use crate::host::command::{ADMIN, Arguments, Command, CommandError, Outcome, node_of};
use crate::jid::Jid;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind, Submitted};
use crate::stanza::{Condition, StanzaError};
use crate::xml::{Node, element};

/// A command of XEP-0133.
#[derive(Debug)]
pub(super) struct Standard {
    /// The path of ours.
    path: [&'static str; 2],
    fields: &'static [FieldOf],
    /// The field for the addresses that are found, and the column in which we have them.
    list: Option<(&'static str, &'static str)>,
}

/// A field, and the argument of our command that it stands for.
#[derive(Debug)]
struct FieldOf {
    var: &'static str,
    argument: &'static str,
    kind: FieldKind,
    required: bool,
    label: &'static str,
}

const fn field(
    var: &'static str,
    argument: &'static str,
    kind: FieldKind,
    required: bool,
    label: &'static str,
) -> FieldOf {
    FieldOf { var, argument, kind, required, label }
}

/// The command of XEP-0133 that ours is.
pub(super) fn of(command: &Command) -> Option<&'static Standard> {
    ALL.iter().find(|standard| standard.path == command.path)
}

impl Standard {
    /// What is to be filled in.
    pub(super) fn form(&self, command: &Command) -> Form {
        let empty = Form::new(FormKind::Form).title(command.about).form_type(ADMIN);
        self.fields.iter().fold(empty, |form, of| {
            let mut field = Field::new(of.var, of.kind).label(of.label).required(of.required);
            if of.var == MAX_ITEMS {
                for most in ["25", "50", "100", "200", "500", NONE] {
                    field = field.option(most, most);
                }
            }
            form.field(field)
        })
    }

    /// Does it, for each of the accounts. If it could be done for some of them only, the answer says so.
    ///
    /// # Errors
    /// `bad-payload` for a form that cannot be; `not-allowed` for an account of another domain; else
    /// those of XEP-0133 §8.
    pub(super) async fn run(
        &self,
        cx: &Cx<'_>,
        command: &'static Command,
        form: &Submitted,
    ) -> Result<Vec<Node>, StanzaError> {
        let calls = self.read(cx, command, form)?;
        let mut notes = Vec::new();
        let (mut done, mut first) = (0, None);
        for arguments in &calls {
            // Its form has no field for a confirmation: it is meant.
            match run(cx, command, arguments, true).await {
                Ok(outcome) => {
                    done += 1;
                    let list = self.list.and_then(|list| found(cx, list, &outcome, form));
                    notes.extend(shown(&node_of(command), command.about, Ok(outcome)));
                    // The table is last.
                    if let Some(list) = list
                        && let Some(table) = notes.pop()
                    {
                        notes.push(table.children(list));
                    }
                }
                Err(error) => {
                    let text = error.to_string();
                    first.get_or_insert(error);
                    notes.push(element("note").attr("type", "warn").text(&text));
                }
            }
        }
        match first {
            Some(error) if done == 0 => Err(refusal(error)),
            _ => Ok(notes),
        }
    }

    /// The arguments of each call: one for each account.
    fn read(
        &self,
        cx: &Cx<'_>,
        command: &Command,
        form: &Submitted,
    ) -> Result<Vec<Arguments>, StanzaError> {
        if form.form_type().is_some_and(|kind| kind != ADMIN) {
            return Err(bad("bad-payload"));
        }
        let mut shared = Map::new();
        let mut accounts: Option<(&str, Vec<String>)> = None;
        for of in self.fields {
            let values = form.values(of.var).unwrap_or_default().iter().map(|value| value.trim());
            let values: Vec<&str> = values.filter(|value| !value.is_empty()).collect();
            let is_too_many = values.len() > 1 && of.kind != FieldKind::JidMulti;
            if is_too_many || of.required && values.is_empty() {
                return Err(bad("bad-payload"));
            }
            match (of.kind, values.first()) {
                (_, None) => {}
                (FieldKind::JidSingle | FieldKind::JidMulti, _) => {
                    let mut jids =
                        values.iter().map(|jid| account(cx, jid)).collect::<Result<Vec<_>, _>>()?;
                    jids.sort_unstable();
                    jids.dedup();
                    accounts = Some((of.argument, jids));
                }
                (_, Some(&NONE)) if of.var == MAX_ITEMS => {}
                (_, Some(most)) if of.var == MAX_ITEMS => {
                    let most: u64 = most.parse().map_err(|_| bad("bad-payload"))?;
                    if !of.argument.is_empty() {
                        shared.insert(of.argument.to_owned(), most.into());
                    }
                }
                // As it was written: a password may begin with a space.
                (_, Some(_)) => {
                    let text = form.text(of.var).map_err(|_| bad("bad-payload"))?;
                    if of.argument.is_empty() {
                        if text != form.text(PASSWORD).map_err(|_| bad("bad-payload"))? {
                            return Err(bad("bad-payload")); // it was not typed twice
                        }
                    } else {
                        shared.insert(of.argument.to_owned(), text.into());
                    }
                }
            }
        }
        if self.list.is_some() && command.arguments.iter().any(|known| known.name == HOST) {
            shared.insert(HOST.to_owned(), cx.host.domain.as_str().into());
        }
        Ok(match accounts {
            None => vec![Arguments(shared)],
            Some((name, jids)) => {
                let call = |jid: String| {
                    let mut arguments = shared.clone();
                    arguments.insert(name.to_owned(), Value::String(jid));
                    Arguments(arguments)
                };
                jids.into_iter().map(call).collect()
            }
        })
    }
}

/// An address of an account of the domain that was addressed, or of one of its sessions.
fn account(cx: &Cx<'_>, text: &str) -> Result<String, StanzaError> {
    let jid = Jid::parse(text).map_err(|_| bad("bad-payload"))?;
    if jid.local().is_none() || jid.domain() != cx.host.domain {
        return Err(
            Condition::NotAllowed.text("this is no account of the domain that was addressed")
        );
    }
    Ok(jid.as_str().to_owned())
}

/// The addresses in a table, as a field of XEP-0133 with the type of the form.
fn found(
    cx: &Cx<'_>,
    (var, column): (&str, &str),
    outcome: &Outcome,
    form: &Submitted,
) -> Option<[Node; 2]> {
    let Outcome::Table { columns, rows } = outcome else { return None };
    let at = columns.iter().position(|name| name == column)?;
    let jids = rows.iter().filter_map(|row| Jid::parse(row.get(at)?.as_str()?).ok());
    let mut jids: Vec<_> = jids.filter(|jid| jid.domain() == cx.host.domain).collect();
    jids.iter_mut().for_each(|jid| *jid = jid.to_bare().into());
    jids.sort_unstable();
    jids.dedup();
    let most = form.text(MAX_ITEMS).ok().flatten().and_then(|most| most.trim().parse().ok());
    jids.truncate(most.unwrap_or(usize::MAX).min(MAX_ROWS));
    let field =
        |var: &str, kind: FieldKind| element("field").attr("var", var).attr("type", kind.as_str());
    let values = jids.iter().map(|jid| element("value").text(jid.as_str()));
    let kind = field("FORM_TYPE", FieldKind::Hidden).child(element("value").text(ADMIN));
    Some([kind, field(var, FieldKind::JidMulti).children(values)])
}

/// XEP-0133 §8: what could not be done is an error of the request.
fn refusal(error: CommandError) -> StanzaError {
    match error {
        CommandError::Conflict(_) => Condition::Conflict.into(),
        CommandError::Invalid(_) => Condition::NotAcceptable.into(),
        CommandError::NotFound(_) => Condition::ItemNotFound.into(),
        CommandError::NotRunning => Condition::ServiceUnavailable.into(),
        CommandError::Storage(error) => error.into(),
        CommandError::Unconfirmed(_) => Condition::NotAllowed.into(),
        error @ CommandError::Failed(_) => {
            tracing::error!(%error, "a command of an administrator failed");
            Condition::InternalServerError.into()
        }
    }
}

const ALL: &[Standard] = &[
    Standard {
        path: ["user", "add"],
        fields: &[
            field(
                "accountjid",
                "account",
                FieldKind::JidSingle,
                true,
                "The address of the account",
            ),
            field(PASSWORD, "password", FieldKind::TextPrivate, true, "The password"),
            field("password-verify", "", FieldKind::TextPrivate, false, "The password again"),
        ],
        list: None,
    },
    Standard {
        path: ["user", "del"],
        fields: &[field(
            "accountjids",
            "account",
            FieldKind::JidMulti,
            true,
            "The accounts to remove",
        )],
        list: None,
    },
    Standard {
        path: ["user", "passwd"],
        fields: &[
            field(
                "accountjid",
                "account",
                FieldKind::JidSingle,
                true,
                "The address of the account",
            ),
            field(PASSWORD, "password", FieldKind::TextPrivate, true, "The new password"),
        ],
        list: None,
    },
    Standard {
        path: ["user", "list"],
        fields: &[field(MAX_ITEMS, "limit", FieldKind::ListSingle, false, "So many at most")],
        list: Some(("registereduserjids", "account")),
    },
    Standard {
        path: ["session", "list"],
        fields: &[field(MAX_ITEMS, "", FieldKind::ListSingle, false, "So many at most")],
        list: Some(("onlineuserjids", "jid")),
    },
    Standard {
        path: ["session", "close"],
        fields: &[field(
            "accountjids",
            "jid",
            FieldKind::JidMulti,
            true,
            "The accounts, or full addresses, whose sessions end",
        )],
        list: None,
    },
];

const MAX_ITEMS: &str = "max_items";
const NONE: &str = "none";
const PASSWORD: &str = "password";
/// The argument that restricts a list to a domain.
const HOST: &str = "host";

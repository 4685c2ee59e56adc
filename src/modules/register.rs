//! XEP-0077: In-Band Registration. Users change their passwords and remove their accounts. Strangers
//! create accounts, if the configuration allows it.
//!
//! An error never contains the request, because a password is in it (XEP-0077 §3.3).

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use crate::auth::{PasswordError, check_password};
use crate::host::{
    Access, AddressKind, Cx, Invalidation, IqHandler, IqReply, Manifest, Module, Registry,
    ServerState, Status, Xep, remove_account,
};
use crate::jid::BareJid;
use crate::ns;
use crate::payload::data_form::{self, Field, FieldKind, Form, FormKind, Submitted};
use crate::session::{CloseReason, SessionRef};
use crate::stanza::{Condition, Iq, IqKind, Stanza, StanzaError};
use crate::storage::{Created, NewAccount, ScramKeys};
use crate::xml::{ElementRef, Node, element};

/// Lets users manage their accounts, and strangers create them.
pub struct Register;

impl Module for Register {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "register",
            summary: "Lets users change passwords and remove accounts, and strangers make them",
            xeps: &[Xep { number: 77, version: "2.4", status: Status::Complete }],
        }
    }

    fn register(&self, on: &mut Registry) {
        for address in [AddressKind::Account, AddressKind::Host] {
            for kind in [IqKind::Get, IqKind::Set] {
                on.iq(address, kind, (ns::REGISTER, "query"), Access::Owner, &Self);
            }
        }
        on.disco_feature(AddressKind::Host, ns::REGISTER);
    }
}

#[async_trait]
impl IqHandler for Register {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let Some(session) = cx.origin.session().cloned() else {
            return Err(Condition::Forbidden.into());
        };
        let user = session.jid().to_bare();
        let to = request.head.to.as_ref().ok_or(Condition::BadRequest)?;
        if to.domain() != user.domain() || (to.local().is_some() && *to != *user) {
            return Err(Condition::Forbidden.into());
        }
        cx.must_have_account(&user).await?;
        let query = request.payload().ok_or(Condition::BadRequest)?;
        if request.kind == IqKind::Get {
            return Ok(Some(on_file(&user)));
        }
        if query.has_child(ns::REGISTER, "remove") {
            return remove(cx, &session, &user, &query).await;
        }
        change_password(cx, &session, &user, &query).await
    }
}

/// A request on a stream that is encrypted and not yet authenticated (XEP-0077 §3.1.1): for the fields of
/// a registration, or for a new account. Answers with the stanza, without addresses: a stranger has none.
pub async fn of_stranger(server: &ServerState, domain: &str, peer: IpAddr, request: &Iq) -> Stanza {
    let is_to_us = request.head.to.as_ref().is_none_or(|to| to.as_str() == domain);
    let answer = match (request.payload(), request.kind) {
        _ if !server.config.load().registration.open => Err(Condition::NotAllowed.into()),
        _ if !is_to_us => Err(Condition::ServiceUnavailable.into()),
        (Some(query), IqKind::Set) => make(server, domain, peer, &query).await,
        (Some(_), IqKind::Get) => Ok(Some(to_fill_in())),
        _ => Err(Condition::BadRequest.into()),
    };
    let request = Stanza::Iq(request.clone());
    let Stanza::Iq(iq) = &request else { unreachable!("it was made of one above") };
    let mut stanza = match answer {
        Ok(payload) => Stanza::Iq(iq.result(payload)),
        Err(error) => error.answer(&request).unwrap_or_else(|| Stanza::Iq(iq.result(None))),
    };
    stanza.head_mut().to = None;
    stanza.head_mut().from = None;
    stanza
}

/// The registration of a user who has an account (XEP-0077 §3.1). The server does not know the password.
fn on_file(user: &BareJid) -> Node {
    element("query")
        .ns(ns::REGISTER)
        .child(element("registered"))
        .child(
            element("instructions").text("You have an account. You can change its password here."),
        )
        .child(element("username").text(user.local().unwrap_or_default()))
        .child(element("password"))
}

/// The fields of a registration (XEP-0077 §3.1), for old clients and as a form (§4).
fn to_fill_in() -> Node {
    let text = "Choose a name and a password.";
    let form = Form::new(FormKind::Form)
        .title("New account")
        .instructions(text)
        .form_type(ns::REGISTER)
        .field(Field::new("username", FieldKind::TextSingle).label("Name").required(true))
        .field(Field::new("password", FieldKind::TextPrivate).label("Password").required(true));
    element("query")
        .ns(ns::REGISTER)
        .child(element("instructions").text(text))
        .child(element("username"))
        .child(element("password"))
        .child(form.to_node())
}

async fn make(server: &ServerState, domain: &str, peer: IpAddr, query: &ElementRef<'_>) -> IqReply {
    if query.has_child(ns::REGISTER, "remove") {
        return Err(Condition::UnexpectedRequest.text("log in first")); // XEP-0077 §3.2
    }
    let (name, password) = filled_in(query, &[ns::REGISTER])?;
    if name.is_empty() || password.is_empty() {
        return Err(Condition::NotAcceptable.text("username and password are required"));
    }
    let config = server.config.load_full();
    let user = BareJid::from_parts(Some(&name), domain).map_err(|_| Condition::NotAcceptable)?;
    let is_this = |name: &String| BareJid::from_parts(Some(name), domain).is_ok_and(|n| n == user);
    // Nobody may register the address of an administrator.
    let is_admin = config.admin.accounts.contains(&user);
    if is_admin || config.registration.reserved.iter().any(is_this) {
        return Err(Condition::NotAcceptable.text("this name is reserved"));
    }
    // Before anything is counted: a mistake is no new account.
    check_password(&password).map_err(not_a_password)?;
    let too_often = || StanzaError::from(Condition::ResourceConstraint);
    let registrations = &server.budgets.registrations;
    if server.storage.accounts().find(&user).await?.is_some() {
        let may_ask = registrations.may_ask(peer);
        return Err(if may_ask { Condition::Conflict.into() } else { too_often() });
    }
    if !registrations.may_make(peer) {
        return Err(too_often());
    }
    let keys = keys(server, &password).await?;
    let account =
        NewAccount { user: user.clone(), keys, created: server.clock.now(), admin: false };
    match server.storage.accounts().create(&[account]).await?.as_slice() {
        [Created::Made] => {
            server.invalidate(&Invalidation::Account(user.clone()));
            tracing::info!(jid = %user, %peer, "account registered");
            Ok(None)
        }
        _ => Err(Condition::Conflict.into()),
    }
}

/// XEP-0077 §3.3. Other sessions, which logged in with the old password, are closed.
async fn change_password(
    cx: &Cx<'_>,
    session: &SessionRef,
    user: &BareJid,
    query: &ElementRef<'_>,
) -> IqReply {
    if !cx.server.config.load().registration.change_password {
        return Err(Condition::NotAllowed.text("only the administrator changes passwords"));
    }
    let (name, password) = filled_in(query, &[ns::REGISTER, FORM_CHANGE])?;
    if name.is_empty() || password.is_empty() {
        return Err(Condition::BadRequest.text("username and password are required"));
    }
    // The name is a local part, or an address (XEP-0077 §3.3, the last example).
    let is_own = |named: Result<BareJid, _>| named.is_ok_and(|named| named == *user);
    if !is_own(BareJid::from_parts(Some(&name), user.domain())) && !is_own(BareJid::parse(&name)) {
        return Err(Condition::NotAllowed.text("you can only change your own password"));
    }
    let keys = keys(cx.server, &password).await?;
    if !cx.server.storage.accounts().set_keys(user, &keys).await? {
        return Err(Condition::UnexpectedRequest.into());
    }
    tracing::info!(jid = %user, "password changed by its owner");
    cx.server.sessions.revoke(user, Some(session), &CloseReason::Revoked);
    Ok(None)
}

/// XEP-0077 §3.2: a user removes the account.
async fn remove(
    cx: &mut Cx<'_>,
    session: &SessionRef,
    user: &BareJid,
    query: &ElementRef<'_>,
) -> IqReply {
    if query.children().count() != 1 {
        return Err(Condition::BadRequest.text("<remove/> must be the only child"));
    }
    if !cx.server.config.load().registration.remove {
        return Err(Condition::NotAllowed.text("only the administrator removes accounts"));
    }
    if remove_account(cx, user).await?.is_none() {
        return Err(Condition::UnexpectedRequest.into());
    }
    tracing::info!(jid = %user, "account removed by its owner");
    // An order to close overtakes what waits to be written, and the client is to read the answer.
    let last = session.clone();
    let end = async move {
        tokio::time::sleep(ANSWER_FIRST).await;
        last.close(CloseReason::AccountRemoved);
    };
    drop(cx.server.tasks.spawn("farewell", end));
    Ok(None)
}

/// The name and the password of a form, if there is one, otherwise of the fields (XEP-0077 §4). `kinds` are
/// the allowed values of `FORM_TYPE` (XEP-0077 §14.4).
fn filled_in(query: &ElementRef<'_>, kinds: &[&str]) -> Result<(String, String), StanzaError> {
    if let Some(x) = query.child(data_form::NS, "x") {
        let form = Submitted::read(&x).map_err(|_| Condition::BadRequest)?;
        if form.form_type().is_some_and(|kind| !kinds.contains(&kind)) {
            return Err(Condition::BadRequest.text("the FORM_TYPE is wrong"));
        }
        let of = |var| form.text(var).map_err(|_| Condition::BadRequest);
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        return Ok((text(of("username")?), text(of("password")?)));
    }
    let of = |name| query.child(ns::REGISTER, name).map(|child| child.text().into_owned());
    Ok((of("username").unwrap_or_default(), of("password").unwrap_or_default()))
}

/// Derives the keys of a new password.
async fn keys(server: &ServerState, password: &str) -> Result<Vec<ScramKeys>, StanzaError> {
    let iterations = server.config.load().auth.iterations;
    let derived = server.derivations.keys(password, iterations).await;
    derived.map_err(|error| {
        if error.is_internal() {
            tracing::error!(%error, "cannot derive keys");
            return Condition::InternalServerError.into();
        }
        not_a_password(error)
    })
}

/// The text says what is wrong with the password; it does not quote it.
fn not_a_password(error: PasswordError) -> StanzaError {
    Condition::NotAcceptable.text(reason(error))
}

fn reason(error: PasswordError) -> &'static str {
    match error {
        PasswordError::Ambiguous(_) => {
            "the password has a character that clients send in different ways"
        }
        PasswordError::Direction => "the password mixes text from right to left with other text",
        PasswordError::Empty => "the password is empty",
        PasswordError::Prohibited(_) => "the password has a character that clients cannot send",
        PasswordError::TooLong => "the password is too long",
        PasswordError::Random(_) | PasswordError::Unfinished => "this password is not allowed",
    }
}

/// Between the answer to the removal of an account and the end of the stream.
const ANSWER_FIRST: Duration = Duration::from_millis(250);
/// The form by which a password is changed (XEP-0077 §14.4.3).
const FORM_CHANGE: &str = "jabber:iq:register:changepassword";

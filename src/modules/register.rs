//! XEP-0077: In-Band Registration. Users change their passwords and remove their accounts;
//! strangers make accounts, if the configuration lets them.
//!
//! An error never has the request in it: there is a password in there (XEP-0077 §3.3).

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use crate::auth::{PasswordError, check_password};
use crate::host::{Cx, Hosts, IqHandler, IqReply, Manifest, Module, Registry, Scope, Status, Xep};
use crate::jid::{BareJid, FullJid};
use crate::ns;
use crate::payload::data_form::{self, Field, FieldKind, Form, FormKind, Submitted};
use crate::roster::contact_removal::farewell;
use crate::session::{CloseReason, SessionRef};
use crate::stanza::{Condition, Iq, IqKind, Stanza, StanzaError};
use crate::storage::{Created, NewAccount, ScramKeys};
use crate::xml::{ElementRef, Node, element};

/// Lets people manage their accounts.
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
        for scope in [Scope::Account, Scope::Host] {
            on.iq(scope, IqKind::Get, (ns::REGISTER, "query"), &Self);
            on.iq(scope, IqKind::Set, (ns::REGISTER, "query"), &Self);
        }
        on.feature(Scope::Host, ns::REGISTER);
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

/// A request of a stranger on a stream that is encrypted and not yet authenticated
/// (XEP-0077 §3.1.1): what is to be filled in, or a new account. Answers with the stanza.
///
/// It has no addresses: a stranger has none.
pub async fn of_stranger(hosts: &Hosts, domain: &str, peer: IpAddr, request: &Iq) -> Stanza {
    let is_to_us = request.head.to.as_ref().is_none_or(|to| to.as_str() == domain);
    let answer = match (request.payload(), request.kind) {
        _ if !hosts.config.load().registration.open => Err(Condition::NotAllowed.into()),
        _ if !is_to_us => Err(Condition::ServiceUnavailable.into()),
        (Some(query), IqKind::Set) => make(hosts, domain, peer, &query).await,
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

/// XEP-0077 §3.1: what somebody sees who has an account. The password is known to nobody here.
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

/// XEP-0077 §3.1: fields for old clients, and the same as a form (§4).
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

async fn make(hosts: &Hosts, domain: &str, peer: IpAddr, query: &ElementRef<'_>) -> IqReply {
    if query.has_child(ns::REGISTER, "remove") {
        return Err(Condition::UnexpectedRequest.text("log in first")); // XEP-0077 §3.2
    }
    let (name, password) = filled_in(query, &[ns::REGISTER])?;
    if name.is_empty() || password.is_empty() {
        return Err(Condition::NotAcceptable.text("username and password are required"));
    }
    let config = hosts.config.load_full();
    let user = BareJid::from_parts(Some(&name), domain).map_err(|_| Condition::NotAcceptable)?;
    let is_this = |name: &String| BareJid::from_parts(Some(name), domain).is_ok_and(|n| n == user);
    // The address of an administrator is not for whoever comes first.
    let is_admin = config.admin.accounts.contains(&user);
    if is_admin || config.registration.reserved.iter().any(is_this) {
        return Err(Condition::NotAcceptable.text("this name is reserved"));
    }
    // A mistake should not count as an account.
    check_password(&password).map_err(not_a_password)?;
    let too_often = || StanzaError::from(Condition::ResourceConstraint);
    let registrations = &hosts.budgets.registrations;
    if hosts.storage.accounts().find(&user).await?.is_some() {
        let may_ask = registrations.may_ask(peer);
        return Err(if may_ask { Condition::Conflict.into() } else { too_often() });
    }
    if !registrations.may_make(peer) {
        return Err(too_often());
    }
    let keys = keys(hosts, &password).await?;
    let account = NewAccount { user: user.clone(), keys, created: hosts.clock.now(), admin: false };
    match hosts.storage.accounts().create(&[account]).await?.as_slice() {
        [Created::Made] => {
            hosts.forget_account(&user);
            tracing::info!(jid = %user, %peer, "account registered");
            Ok(None)
        }
        _ => Err(Condition::Conflict.into()),
    }
}

/// XEP-0077 §3.3. Whoever is logged in elsewhere with the old password is logged out.
async fn change_password(
    cx: &Cx<'_>,
    session: &SessionRef,
    user: &BareJid,
    query: &ElementRef<'_>,
) -> IqReply {
    if !cx.hosts.config.load().registration.change_password {
        return Err(Condition::NotAllowed.text("only the administrator changes passwords"));
    }
    let (name, password) = filled_in(query, &[ns::REGISTER, FORM_CHANGE])?;
    if name.is_empty() || password.is_empty() {
        return Err(Condition::BadRequest.text("username and password are required"));
    }
    // As a name, or as an address (XEP-0077 §3.3, the last example).
    let is_own = |named: Result<BareJid, _>| named.is_ok_and(|named| named == *user);
    if !is_own(BareJid::from_parts(Some(&name), user.domain())) && !is_own(BareJid::parse(&name)) {
        return Err(Condition::NotAllowed.text("you can only change your own password"));
    }
    let keys = keys(cx.hosts, &password).await?;
    if !cx.hosts.storage.accounts().set_keys(user, &keys).await? {
        return Err(Condition::UnexpectedRequest.into());
    }
    tracing::info!(jid = %user, "password changed by its owner");
    for other in cx.hosts.sessions.of(user).iter().filter(|other| *other != session) {
        other.close(CloseReason::Revoked);
    }
    Ok(None)
}

/// XEP-0077 §3.2. The contacts learn of it, and every session ends.
async fn remove(
    cx: &mut Cx<'_>,
    session: &SessionRef,
    user: &BareJid,
    query: &ElementRef<'_>,
) -> IqReply {
    if query.children().count() != 1 {
        return Err(Condition::BadRequest.text("<remove/> must be the only child"));
    }
    if !cx.hosts.config.load().registration.remove {
        return Err(Condition::NotAllowed.text("only the administrator removes accounts"));
    }
    let (_, items) = cx.hosts.storage.roster().load(user).await?;
    if !cx.hosts.storage.accounts().remove(user).await? {
        return Err(Condition::UnexpectedRequest.into());
    }
    cx.hosts.forget_account(user);
    tracing::info!(jid = %user, "account removed by its owner");
    let sessions = cx.hosts.sessions.of(user);
    let available = sessions.iter().filter(|session| session.available().is_some());
    let available: Vec<FullJid> = available.map(|session| session.jid().clone()).collect();
    for presence in items.iter().flat_map(|item| farewell(user, &available, item)) {
        cx.outbox.send(Stanza::Presence(presence));
    }
    for other in sessions.iter().filter(|other| *other != session) {
        other.close(CloseReason::Revoked);
    }
    // An order to close overtakes what waits to be written: this one's answer goes first.
    let last = session.clone();
    let end = async move {
        tokio::time::sleep(FAREWELL).await;
        last.close(CloseReason::Revoked);
    };
    drop(cx.hosts.tasks.spawn("farewell", end));
    Ok(None)
}

/// Name and password: of a form, if there is one, else of the fields (XEP-0077 §4). `kinds` are
/// the forms that it may be (XEP-0077 §14.4).
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

/// Keys of a new password.
async fn keys(hosts: &Hosts, password: &str) -> Result<Vec<ScramKeys>, StanzaError> {
    let iterations = hosts.config.load().auth.iterations;
    let derived = hosts.derivations.keys(password, iterations).await;
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

/// After the answer to the removal of an account, before its stream ends.
const FAREWELL: Duration = Duration::from_millis(250);
/// The form by which a password is changed (XEP-0077 §14.4.3).
const FORM_CHANGE: &str = "jabber:iq:register:changepassword";

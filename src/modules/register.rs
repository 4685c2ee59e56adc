//! XEP-0077: In-Band Registration. Users change their passwords and remove their accounts. Strangers
//! create accounts, if the configuration allows it, or if they are invited (XEP-0445).
//!
//! An error never contains the request, because a password is in it (XEP-0077 §3.3).

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use crate::host::registration::{self, Refusal, make_account, sentence};
use crate::host::{
    Access, AddressKind, Cx, IqHandler, IqReply, Manifest, Module, Registry, ServerState, Status,
    Xep, invitations, remove_account,
};
use crate::jid::BareJid;
use crate::ns;
use crate::payload::data_form::{self, Field, FieldKind, Form, FormKind, Submitted};
use crate::session::CloseReason;
use crate::stanza::{Condition, Iq, IqKind, Stanza, StanzaError};
use crate::storage::Invitation;
use crate::xml::{ElementRef, Node, element};

/// Lets users manage their accounts, and strangers create them.
pub struct Register;

impl Module for Register {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "register",
            summary: "Lets users change passwords and remove accounts, and strangers make them",
            xeps: &[
                Xep { number: 77, version: "2.4", status: Status::Complete },
                Xep { number: 445, version: "0.2.0", status: Status::Complete },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        let query = (ns::REGISTER, "query");
        for kind in [IqKind::Get, IqKind::Set] {
            on.iq(AddressKind::Account, kind, query, Access::Owner, &Self);
            on.iq(AddressKind::Host, kind, query, Access::HostUsers, &Self);
        }
        on.disco_feature(AddressKind::Host, ns::REGISTER);
    }
}

#[async_trait]
impl IqHandler for Register {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let user = cx.origin.user().ok_or(Condition::Forbidden)?;
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
            return remove(cx, &user, &query).await;
        }
        change_password(cx, &user, &query).await
    }
}

/// Somebody without an account, whose stream is encrypted (XEP-0077 §3.1.1).
#[derive(Debug)]
pub struct Stranger<'a> {
    /// The domain that the stream is for.
    pub domain: &'a str,
    /// Where the client is.
    pub peer: IpAddr,
    /// The invitation whose token the client has shown (XEP-0445 §4).
    pub invitation: &'a mut Option<Box<Invitation>>,
}

/// What comes of a request of a stranger.
#[derive(Debug)]
pub struct Answered {
    /// The answer, without addresses: a stranger has none.
    pub answer: Stanza,
    /// An account was made, and is to be a contact of the inviter: inviter and user.
    pub contacts: Option<(BareJid, BareJid)>,
}

/// A request of a stranger: a token (XEP-0445 §4), or one for the fields of a registration or for a new account.
pub async fn of_stranger(
    server: &ServerState,
    mut stranger: Stranger<'_>,
    request: &Iq,
) -> Answered {
    let is_to_us = request.head.to.as_ref().is_none_or(|to| to.as_str() == stranger.domain);
    let mut contacts = None;
    let answer = match request.payload() {
        _ if !is_to_us => Err(Condition::ServiceUnavailable.into()),
        Some(payload) if payload.is(ns::PARS, "preauth") => {
            show_token(server, &mut stranger, request.kind, &payload).await
        }
        _ if !server.config.load().registration.open && stranger.invitation.is_none() => {
            Err(Condition::NotAllowed.text("accounts are made by invitation only"))
        }
        Some(query) if request.kind == IqKind::Set => {
            make(server, &mut stranger, &query).await.map(|made| {
                contacts = made;
                None
            })
        }
        Some(_) => Ok(Some(to_fill_in(stranger.invitation.as_deref()))),
        None => Err(Condition::BadRequest.into()),
    };
    let request = Stanza::Iq(request.clone());
    let Stanza::Iq(iq) = &request else { unreachable!("it was made of one above") };
    let mut answer = match answer {
        Ok(payload) => Stanza::Iq(iq.result(payload)),
        Err(error) => error.answer(&request).unwrap_or_else(|| Stanza::Iq(iq.result(None))),
    };
    // A client that has asked the domain looks for its answer from there (RFC 6120 §8.1.2.1).
    let asked = request.head().to.clone();
    answer.head_mut().to = None;
    answer.head_mut().from = asked.filter(|_| is_to_us);
    Answered { answer, contacts }
}

/// XEP-0445 §4: the token is checked now, and used when the account is made.
async fn show_token(
    server: &ServerState,
    stranger: &mut Stranger<'_>,
    kind: IqKind,
    preauth: &ElementRef<'_>,
) -> IqReply {
    let token = preauth.attr("token").filter(|_| kind == IqKind::Set);
    let token = token.ok_or(Condition::BadRequest)?;
    let unknown = &server.budgets.unknown_invitations;
    if !unknown.may_try(stranger.peer) {
        return Err(Condition::ResourceConstraint.into());
    }
    let found = invitations::find(server, &token).await?;
    if found.is_none() {
        unknown.note(stranger.peer);
    }
    let found = found.filter(|known| known.is_open(server.clock.now()));
    let is_ours =
        |known: &Invitation| known.makes_account() && known.inviter.domain() == stranger.domain;
    match found.filter(is_ours) {
        Some(invitation) => {
            *stranger.invitation = Some(Box::new(invitation));
            Ok(None)
        }
        // Nobody guesses tokens for long.
        None if server.budgets.registrations.may_ask(stranger.peer) => {
            Err(Condition::ItemNotFound.text("the token is invalid or has expired"))
        }
        None => Err(Condition::ResourceConstraint.into()),
    }
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

/// The fields of a registration (XEP-0077 §3.1), for old clients and as a form (§4). With an invitation, the name for
/// which it is.
fn to_fill_in(invitation: Option<&Invitation>) -> Node {
    let name = invitation.and_then(|invitation| invitation.name.as_ref()?.local());
    let text = match name {
        None => "Choose a name and a password.",
        Some(_) => "Choose a password.",
    };
    let field = Field::new("username", FieldKind::TextSingle).label("Name").required(true);
    let field = match name {
        None => field,
        Some(name) => field.value(name),
    };
    let form = Form::new(FormKind::Form)
        .title("New account")
        .instructions(text)
        .form_type(ns::REGISTER)
        .field(field)
        .field(Field::new("password", FieldKind::TextPrivate).label("Password").required(true));
    element("query")
        .ns(ns::REGISTER)
        .child(element("instructions").text(text))
        .child(element("username").text(name.unwrap_or_default()))
        .child(element("password"))
        .child(form.to_node())
}

/// Makes an account. Answers inviter and user, if they are to be contacts.
async fn make(
    server: &ServerState,
    stranger: &mut Stranger<'_>,
    query: &ElementRef<'_>,
) -> Result<Option<(BareJid, BareJid)>, StanzaError> {
    if query.has_child(ns::REGISTER, "remove") {
        return Err(Condition::UnexpectedRequest.text("log in first")); // XEP-0077 §3.2
    }
    let (name, password) = filled_in(query, &[ns::REGISTER])?;
    if name.is_empty() || password.is_empty() {
        return Err(Condition::NotAcceptable.text("username and password are required"));
    }
    let (domain, peer) = (stranger.domain, stranger.peer);
    let invitation = stranger.invitation.as_deref();
    let user = make_account(server, domain, &name, &password, peer, invitation).await;
    let user = user.map_err(refused)?;
    let invitation = stranger.invitation.take();
    let inviter = invitation.filter(|invitation| invitation.makes_contact());
    Ok(inviter.map(|invitation| (invitation.inviter, user)))
}

/// XEP-0077 §3.3. Other sessions, which logged in with the old password, are closed.
async fn change_password(cx: &Cx<'_>, user: &BareJid, query: &ElementRef<'_>) -> IqReply {
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
    let changed =
        registration::change_password(cx.server, user, &password, cx.origin.session()).await;
    let is_there = changed.map_err(refused)?;
    if is_there { Ok(None) } else { Err(Condition::UnexpectedRequest.into()) }
}

/// XEP-0077 §3.2: a user removes the account.
async fn remove(cx: &mut Cx<'_>, user: &BareJid, query: &ElementRef<'_>) -> IqReply {
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
    let Some(last) = cx.origin.session().cloned() else { return Ok(None) };
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

/// The error of XEP-0077 §3.1 and §3.3.
#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn refused(refusal: Refusal) -> StanzaError {
    match refusal {
        Refusal::Failed => Condition::InternalServerError.into(),
        Refusal::Invitation => Condition::NotAllowed.text("the invitation was used already"),
        Refusal::Name => Condition::NotAcceptable.into(),
        Refusal::OtherName => Condition::NotAcceptable.text("the invitation is for another name"),
        Refusal::Password(error) => Condition::NotAcceptable.text(sentence(error)),
        Refusal::Reserved => Condition::NotAcceptable.text("this name is reserved"),
        Refusal::Taken => Condition::Conflict.into(),
        Refusal::TooOften => Condition::ResourceConstraint.into(),
    }
}

/// The time between the answer to the removal of an account and the end of the stream.
const ANSWER_FIRST: Duration = Duration::from_millis(250);
/// The form by which a password is changed (XEP-0077 §14.4.3).
const FORM_CHANGE: &str = "jabber:iq:register:changepassword";

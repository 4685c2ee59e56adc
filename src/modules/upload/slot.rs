//! Slots (XEP-0363 §4), and why none is given (§6).

use super::request::{self, NS, SlotRequest};
use crate::config::Config;
use crate::host::uploads::{bounds, expires, later, quota, signed_url, url};
use crate::host::{Cx, ServerState};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::stanza::{Condition, StanzaError};
use crate::storage::{FILE_QUOTA, FileId, Purpose, StorageError, StoredFile, UPLOAD_DAY};
use crate::upload::Uploads;
use crate::xml::{ElementRef, Node, element};

/// Gives a slot.
///
/// # Errors
/// Those of XEP-0363 §6: `forbidden` for users without an account here, `not-acceptable` for a file that is too
/// large, or of a type that is not allowed, `resource-constraint` when the user has uploaded too much;
/// `bad-request` for a malformed request.
pub(super) async fn give(
    cx: &Cx<'_>,
    user: &BareJid,
    payload: &ElementRef<'_>,
) -> Result<Node, StanzaError> {
    let is_local = cx.server.host(user.domain()).is_some();
    if !is_local || !cx.has_account(user).await? {
        return Err(Condition::Forbidden.text("only registered users of this server may upload"));
    }
    let wanted = request::read(payload)?;
    let now = cx.server.clock.now();
    let config = cx.server.config.load_full();
    check(&config, &wanted, payload.ns(), now)?;
    let slot = StoredFile {
        id: FileId::random(),
        owner: user.clone(),
        name: wanted.name,
        size: wanted.size,
        media_type: wanted.media_type.map(|found| found.with_charset()),
        purpose: wanted.purpose,
        created: now,
        slot_until: later(now, config.files.slot),
        expires: expires(cx.server, wanted.purpose, now, wanted.expire_before),
        content: None,
    };
    let address = url(cx.server, &slot).ok_or(Condition::ServiceUnavailable)?;
    reserve(cx.server, &config, &slot, payload.ns()).await?;
    let uploads = cx.server.shared::<Uploads>();
    let key = uploads.key(&*cx.server.storage).await?;
    let ns = payload.ns();
    Ok(match (ns, config.files.authorization_header) {
        (NS, true) => {
            let token = format!("Bearer {}", key.sign(&slot));
            let header = element("header").attr("name", "Authorization").text(&token);
            let put = element("put").attr("url", &address).child(header);
            element("slot").ns(ns).child(put).child(element("get").attr("url", &address))
        }
        (NS, false) => {
            let put = element("put").attr("url", signed_url(&address, key, &slot));
            element("slot").ns(ns).child(put).child(element("get").attr("url", &address))
        }
        _ => {
            let put = element("put").text(&signed_url(&address, key, &slot));
            element("slot").ns(ns).child(put).child(element("get").text(&address))
        }
    })
}

/// Whether files for this purpose may be uploaded.
pub(super) fn is_offered(config: &Config, purpose: Purpose) -> bool {
    match purpose {
        Purpose::Ephemeral | Purpose::Message => true,
        Purpose::Permanent => config.files.permanent_quota > 0,
        Purpose::Profile => config.files.profile_quota > 0,
    }
}

/// Bytes of the largest file for this purpose.
pub(super) fn max_size(config: &Config, purpose: Purpose) -> u64 {
    let files = &config.files;
    let most = files.max_size.min(if files.per_day > 0 { files.per_day } else { usize::MAX });
    let most = match purpose {
        Purpose::Profile => most.min(files.profile_max_size),
        Purpose::Ephemeral | Purpose::Message | Purpose::Permanent => most,
    };
    most.min(quota(config, purpose)) as u64
}

fn check(
    config: &Config,
    wanted: &SlotRequest,
    ns: &str,
    now: Timestamp,
) -> Result<(), StanzaError> {
    if !is_offered(config, wanted.purpose) {
        return Err(Condition::FeatureNotImplemented.text("files for this purpose are not kept"));
    }
    if wanted.expire_before.is_some_and(|before| before <= now) {
        return Err(Condition::NotAcceptable.text("the file would have expired"));
    }
    let most = max_size(config, wanted.purpose);
    if wanted.size > most {
        let size = element("max-file-size").text(&most.to_string());
        let detail = Some(element("file-too-large").ns(ns).child(size));
        let error = Condition::NotAcceptable.text("the file is too large");
        return Err(StanzaError { detail, ..error });
    }
    let types = &config.files.types;
    let is_allowed = |pattern: &String| {
        wanted.media_type.as_ref().is_some_and(|media_type| media_type.matches(pattern))
    };
    if !types.is_empty() && !types.iter().any(is_allowed) {
        return Err(Condition::NotAcceptable.text("files of this type may not be uploaded"));
    }
    Ok(())
}

/// Takes the slot from what the account may upload.
async fn reserve(
    server: &ServerState,
    config: &Config,
    slot: &StoredFile,
    ns: &str,
) -> Result<(), StanzaError> {
    let mut bounds = bounds(config, slot.purpose);
    if server.budgets.is_exempt(&slot.owner) {
        bounds.per_day = None;
    }
    let files = server.storage.files();
    let Err(error) = files.reserve(slot, bounds).await else { return Ok(()) };
    match error {
        StorageError::Limit(UPLOAD_DAY) => {
            server.budgets.uploaded_bytes.refused();
            let day = files.upload_day(&slot.owner, slot.created).await?;
            let again = bounds.per_day.and_then(|per_day| day.room_at(slot.size, per_day));
            Err(full(ns, "too much was uploaded in the last day", again))
        }
        StorageError::Limit(FILE_QUOTA) => {
            let again = files.next_end(&slot.owner, slot.purpose).await?;
            Err(full(ns, "your files have used up their quota", again))
        }
        error => Err(error.into()),
    }
}

/// XEP-0363 §6: with the time at which the client may try again, if there is one.
fn full(ns: &str, text: &'static str, again: Option<Timestamp>) -> StanzaError {
    let retry = |at: Timestamp| element("retry").ns(ns).attr("stamp", at.to_string());
    StanzaError { detail: again.map(retry), ..Condition::ResourceConstraint.text(text) }
}

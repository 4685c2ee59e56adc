//! XEP-0313 §4, §5: answers queries for messages, for the metadata of an archive, and for the query form.

use std::sync::Arc;

use async_trait::async_trait;

use crate::archive::{page, query};
use crate::host::{Cx, IqHandler, IqReply};
use crate::jid::BareJid;
use crate::session::{ArchivePage, Session};
use crate::stanza::{Condition, Head, Iq, IqKind, Message, MessageKind, Stanza, StanzaError};
use crate::storage::{Count, MessageId, Page, Query};
use crate::xml::ElementRef;

/// Answers requests to archives.
pub(super) struct Archive;

#[async_trait]
impl IqHandler for Archive {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let user = super::owner::owner(cx)?;
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        match (request.kind, payload.name()) {
            (IqKind::Set, _) => {
                // What is found comes in messages, for which XEP-0356 has no form.
                let only_clients = "only clients read an archive";
                let session = cx.origin.owned();
                let session = session.ok_or_else(|| Condition::Forbidden.text(only_clients))?;
                pages(cx, session, &user, &payload).await
            }
            (_, "metadata") => {
                let ends = cx.server.storage.archive().ends(&user).await?;
                Ok(Some(page::metadata(ends, &cx.server.message_ids)))
            }
            _ => {
                query::refuse_node(&payload)?;
                Ok(Some(query::form(cx.server.config.load().archive.search)))
            }
        }
    }
}

/// One page: its messages, and then the answer (XEP-0313 §4.2, §4.3).
async fn pages(
    cx: &Cx<'_>,
    session: &Session,
    user: &BareJid,
    payload: &ElementRef<'_>,
) -> IqReply {
    let ids = &cx.server.message_ids;
    let asked = query::read(payload, ids, cx.server.config.load().archive.search)?;
    let page = cx.server.storage.archive().page(user, &asked.query).await?;
    let mut page = page.ok_or_else(query::not_found)?;
    count_all(&asked.query, &mut page);
    let mut read = read_before(cx, session, user, &asked.query, &page).await?;
    // Half of the mailbox. The other half is for stanzas from others in the meantime.
    let most = cx.server.config.load().limits.inbox_stanzas / 2;
    let head = Head::between(user.clone(), session.handle().jid().clone());
    let mut left = page.rows.len();
    for row in page::in_order(&page, asked.flip) {
        let content = page::result(row, asked.query_id.as_deref(), ids);
        let result = Message { head: head.clone(), kind: MessageKind::Normal, content };
        let result = Arc::new(Stanza::Message(result));
        session.mailbox().wait_for_capacity(most).await;
        if !session.mailbox().has_writer() {
            return Err(interrupted());
        }
        left -= 1;
        let delivered = match read.take_if(|_| left == 0) {
            Some(markers) => session.mailbox().deliver_read(result, markers),
            None => session.handle().deliver(result),
        };
        delivered.map_err(|_| interrupted())?;
    }
    Ok(Some(page::fin(&page, ids)))
}

/// The undelivered markers of messages that the client has read in its archive when it has this page. That is
/// so if it reads up to the newest message, page by page without a gap, before its first presence. These
/// messages are not delivered a second time (XEP-0313 §6.1.1). `None` if there are none.
async fn read_before(
    cx: &Cx<'_>,
    session: &Session,
    user: &BareJid,
    query: &Query,
    page: &Page,
) -> Result<Option<Arc<[MessageId]>>, StanzaError> {
    let Some((first, last)) = page.rows.first().zip(page.rows.last()) else { return Ok(None) };
    if session.handle().available().is_some() || query.leaves_out() {
        return Ok(None);
    }
    let page = ArchivePage {
        first: first.id,
        last: last.id,
        after: query.after.max(query.above),
        before: query.before,
        is_newest: if query.backwards { query.before.is_none() } else { page.complete },
    };
    let Some((first, last)) = session.mailbox().note_archive_page(page) else { return Ok(None) };
    let mut markers = Vec::new();
    let mut after = MessageId::new(first.get() - 1);
    loop {
        let waiting = cx.server.storage.archive().waiting(user, after, WAITING).await?;
        after = waiting.last().map(|waiting| waiting.id);
        // The client cannot have read messages that are not in the archive.
        let read = waiting.iter().filter(|waiting| waiting.archived && waiting.id <= last);
        markers.extend(read.map(|waiting| waiting.id));
        if waiting.len() < WAITING || after > Some(last) {
            break;
        }
    }
    Ok((!markers.is_empty()).then(|| markers.into()))
}

/// Adds the count if the page contains all messages, so that it costs nothing. Otherwise the count is sent only
/// if the client asks (XEP-0313 §4.3.2), because counting reads the whole archive.
fn count_all(query: &Query, page: &mut Page) {
    let is_whole = page.complete && query.after.is_none() && query.before.is_none();
    if page.count.is_none() && is_whole {
        page.count = Some(Count { total: page.rows.len() as u64, before: 0 });
    }
}

/// Messages that are read from the store at once.
const WAITING: usize = 32;

/// The error for an interrupted page. A client that resumes must not take half a page for a whole one.
fn interrupted() -> StanzaError {
    Condition::ResourceConstraint.text("the connection was lost: send the request again")
}

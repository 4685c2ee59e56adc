//! Reads the archive: `GET /api/v1/messages`.

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::{Value, json};

use super::access::Access;
use super::json_answer::json_answer;
use super::message::to_json;
use super::parameters::Parameters;
use super::problem::Problem;
use super::source::Source;
use crate::host::ServerState;
use crate::storage::Query;

/// Answers the request.
pub(super) async fn answer(
    server: &ServerState,
    access: &Access,
    head: &Parts,
) -> Result<Response, Problem> {
    let asked = Parameters::read(&head.uri, &["with", "room", "after", "before", "limit"])?;
    if !server.config.load().archive.enabled {
        return Err(Problem::ArchiveOff);
    }
    let source = Source::of(server, &access.user, &asked).await?;
    let ids = &server.message_ids;
    let (after, before) = (asked.id("after", ids)?, asked.id("before", ids)?);
    // Without a beginning, the newest are wanted.
    let query = Query {
        with: asked.jid("with")?,
        start: source.since,
        above: after,
        below: before,
        backwards: after.is_none(),
        max: asked.number("limit", MOST)?.unwrap_or(USUAL),
        ..Query::default()
    };
    let page = server.storage.archive().page(&source.owner, &query).await;
    let page = page.map_err(|error| Problem::failed(&error))?.unwrap_or_default();
    access.spend(u32::try_from(page.rows.len()).unwrap_or(u32::MAX)).await?;
    let rows: Vec<Value> = page.rows.iter().map(|row| to_json(row, ids, source.is_room)).collect();
    let answer = json!({ "messages": rows, "complete": page.complete });
    Ok(json_answer(StatusCode::OK, &answer))
}

/// Messages of one answer.
const MOST: usize = 200;
const USUAL: usize = 50;

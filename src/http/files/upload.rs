//! Uploads that were interrupted: where to continue, and how to give up (draft-ietf-httpbis-resumable-upload
//! §4.3, §4.5).

use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::headers;
use super::refused::Refused;
use crate::host::ServerState;
use crate::storage::{FileId, StoredFile};
use crate::upload::{Turn, Uploads};

/// Answers HEAD at the address of an upload: how many bytes are there.
pub(super) async fn offset(
    server: &ServerState,
    uploads: &Uploads,
    id: FileId,
) -> Result<Response, Refused> {
    // The client asks because it lost its connection. First let the old request finish.
    let (turn, file) = take_turn(server, uploads, id).await?;
    if file.is_over(server.clock.now()) {
        return Err(Refused::Gone);
    }
    let offset = match file.content {
        Some(_) => file.size,
        None => {
            let uploaded = uploads.contents.uploaded(id).await;
            uploaded.map_err(|error| Refused::failed(&error))?
        }
    };
    drop(turn);
    Ok((StatusCode::NO_CONTENT, state(&file, offset, file.content.is_some())).into_response())
}

/// Answers DELETE there: the upload is given up. A file that was uploaded stays.
pub(super) async fn cancel(
    server: &ServerState,
    uploads: &Uploads,
    id: FileId,
) -> Result<Response, Refused> {
    let (turn, file) = take_turn(server, uploads, id).await?;
    if file.content.is_some() {
        return Err(Refused::Conflict(None));
    }
    // What was not sent does not count for the day.
    let uploaded = uploads.contents.uploaded(id).await.unwrap_or(file.size);
    let unsent = file.size.saturating_sub(uploaded);
    let removed = server.storage.files().give_up(id, unsent).await;
    removed.map_err(|error| Refused::failed(&error))?;
    let discarded = uploads.contents.discard(id).await;
    drop(turn);
    discarded.map_err(|error| Refused::failed(&error))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Stops the task that writes the file, and returns the file's state afterwards: it may be complete, or removed.
pub(super) async fn take_turn(
    server: &ServerState,
    uploads: &Uploads,
    id: FileId,
) -> Result<(Turn, StoredFile), Refused> {
    let turn = uploads.turns.take(id).await.ok_or(Refused::Taken)?;
    let found = server.storage.files().find(id).await.map_err(|error| Refused::failed(&error))?;
    Ok((turn, found.ok_or(Refused::NotFound)?))
}

/// The headers that say how far an upload is.
pub(super) fn state(file: &StoredFile, offset: u64, is_complete: bool) -> HeaderMap {
    let mut head = HeaderMap::new();
    headers::put(&mut head, CACHE_CONTROL, "no-store");
    headers::put(&mut head, headers::UPLOAD_OFFSET, &offset.to_string());
    headers::put(&mut head, headers::UPLOAD_LENGTH, &file.size.to_string());
    headers::put(&mut head, headers::UPLOAD_COMPLETE, if is_complete { "?1" } else { "?0" });
    head
}

//! Uploads: PUT (XEP-0363 §7), and PUT with `Content-Range` (RFC 9110 §14.5) or PATCH
//! (draft-ietf-httpbis-resumable-upload §4.4) of those that continue.
//!
//! A body goes to the disk in pieces. What has come when the connection is lost stays, and can be continued.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::open_slot::OpenSlot;
use super::range::{Part, content_range, number};
use super::refused::Refused;
use super::{headers, upload};
use crate::host::ServerState;
use crate::host::uploads::bounds;
use crate::http::{Deadline, Peer};
use crate::limit::{Action, Held};
use crate::storage::{StorageError, StoredFile};
use crate::upload::{KeepError, MediaType, Uploads, Writing};

/// Answers PUT and PATCH.
pub(super) async fn answer(
    server: &Arc<ServerState>,
    file: &StoredFile,
    request: &Parts,
    body: Body,
) -> Result<Response, Refused> {
    must_be_open(server, file)?;
    let part = part(&request.method, &request.headers, file)?;
    let deadline = request.extensions.get::<Arc<Deadline>>().ok_or(Refused::Failed)?;
    let budget = budget(server, request)?;
    let uploads = server.shared::<Uploads>();
    let working = deadline.working();
    let (turn, file) = upload::take_turn(server, uploads, file.id).await?;
    must_be_open(server, &file)?;
    let uploaded =
        uploads.contents.uploaded(file.id).await.map_err(|error| Refused::of_contents(&error))?;
    let is_next = match request.method {
        Method::PATCH => part.start == uploaded,
        _ => part.start <= uploaded,
    };
    if !is_next {
        return Err(Refused::Conflict(Some(uploaded)));
    }
    note_media_type(server, &request.headers, &file).await?;
    // While it is written, housekeeping must not remove it because the slot has ended.
    let resume = server.config.load().files.resume.max(LEAST_RESUME);
    let resume = if file.size > SMALL { resume } else { WRITTEN };
    let mut slot = OpenSlot::open(server, &file, resume).await?;
    let stopped = turn.stopped();
    let writing = uploads.contents.write(file.id, part.start, turn).await;
    let mut writing = writing.map_err(|error| Refused::of_contents(&error))?;
    drop(working);
    let last = receive(body, part.length, &mut *writing, deadline, &stopped, &mut slot).await?;
    let _working = deadline.working();
    let end = part.start + part.length;
    if end < file.size {
        write(&mut *writing, last).await?;
        return Ok((StatusCode::NO_CONTENT, upload::state(&file, end, false)).into_response());
    }
    // A task of its own: this one ends when the client goes.
    let end = finish(Arc::clone(server), file, writing, last, budget);
    server.tasks.spawn("upload", end).await.map_err(|error| Refused::failed(&error))?
}

/// Completes an upload of which all bytes have come. The last ones are not written yet.
async fn finish(
    server: Arc<ServerState>,
    file: StoredFile,
    mut writing: Box<dyn Writing>,
    last: Bytes,
    _budget: Held,
) -> Result<Response, Refused> {
    write(&mut *writing, last).await?;
    let (hash, turn) = writing.finish().await.map_err(|error| Refused::of_contents(&error))?;
    let uploads = server.shared::<Uploads>();
    let bounds = bounds(&server.config.load(), file.purpose);
    let kept = uploads.keep(&*server.storage, file.id, hash, file.size, bounds).await;
    drop(turn);
    match kept {
        Ok(true) => {
            let mut head = upload::state(&file, file.size, true);
            headers::put(&mut head, axum::http::header::ETAG, &headers::etag(hash));
            Ok((StatusCode::CREATED, head).into_response())
        }
        // It was removed meanwhile. Its bytes are removed with the next contents that nobody has.
        Ok(false) => Err(Refused::NotFound),
        Err(KeepError::Disk(error)) => Err(Refused::of_contents(&error)),
        Err(KeepError::Storage(StorageError::Full(_))) => Err(Refused::Full),
        Err(KeepError::Storage(error)) => Err(Refused::failed(&error)),
    }
}

/// Writes a body of this length, but for its last piece, which is answered. While a piece is written, the next one is read.
async fn receive(
    body: Body,
    length: u64,
    writing: &mut dyn Writing,
    deadline: &Arc<Deadline>,
    stopped: &CancellationToken,
    slot: &mut OpenSlot<'_>,
) -> Result<Bytes, Refused> {
    let mut body = body.into_data_stream();
    let mut left = length;
    let mut piece = next_piece(&mut body, &mut left, deadline, stopped).await;
    loop {
        let Piece { bytes, end } = piece;
        match end {
            Some(End::Whole) => return Ok(bytes),
            Some(End::Broken) => {
                // The client has closed the connection, has sent a wrong length, or continues on another connection.
                write(writing, bytes).await?;
                slot.extend().await?;
                return Err(Refused::Bad("The body is shorter than it should be."));
            }
            Some(End::TooLong) => {
                return Err(Refused::Bad("The body is longer than it should be."));
            }
            None => {}
        }
        let written = async {
            let _working = deadline.working();
            write(writing, bytes).await
        };
        let (written, next) =
            tokio::join!(written, next_piece(&mut body, &mut left, deadline, stopped));
        written?;
        slot.note_progress().await?;
        piece = next;
    }
}

/// A piece of a body.
struct Piece {
    bytes: Bytes,
    /// What comes after it; `None`: another piece.
    end: Option<End>,
}

enum End {
    Broken,
    TooLong,
    Whole,
}

/// Reads a piece of a body, of which so many bytes are left.
async fn next_piece(
    body: &mut BodyDataStream,
    left: &mut u64,
    deadline: &Deadline,
    stopped: &CancellationToken,
) -> Piece {
    let (mut bytes, mut slow) = (BytesMut::new(), 0);
    let end = loop {
        if *left == 0 {
            break Some(End::Whole);
        }
        if bytes.len() >= PIECE {
            break None;
        }
        if bytes.len() >= slow + SLOWEST {
            slow = bytes.len();
            deadline.extend();
        }
        let Some(Some(Ok(chunk))) = stopped.run_until_cancelled(body.next()).await else {
            break Some(End::Broken);
        };
        let Some(rest) = left.checked_sub(chunk.len() as u64) else { break Some(End::TooLong) };
        *left = rest;
        bytes.extend_from_slice(&chunk);
    };
    Piece { bytes: bytes.freeze(), end }
}

async fn write(writing: &mut dyn Writing, piece: Bytes) -> Result<(), Refused> {
    writing.write(piece).await.map_err(|error| Refused::of_contents(&error))
}

/// What the body is of the file: its place and its length.
fn part(method: &Method, headers: &HeaderMap, file: &StoredFile) -> Result<Part, Refused> {
    let length = header(headers, &CONTENT_LENGTH).and_then(number);
    let length = length.ok_or(Refused::LengthRequired)?;
    let told = header(headers, &headers::UPLOAD_LENGTH);
    if told.is_some_and(|told| number(told) != Some(file.size)) {
        return Err(Refused::Bad("The slot is for a file of another size."));
    }
    let is_part = header(headers, &headers::UPLOAD_COMPLETE).is_some_and(|value| value == "?0");
    let range = header(headers, &CONTENT_RANGE);
    let start = match (method, range) {
        (&Method::PATCH, _) => {
            let offset = header(headers, &headers::UPLOAD_OFFSET).and_then(number);
            offset.ok_or(Refused::Bad("Where do these bytes belong? Upload-Offset is missing."))?
        }
        (_, Some(range)) => {
            must_have_type(headers, file)?;
            let wrong = Refused::Bad("Content-Range is not that of a part of the file.");
            let part = content_range(range, file.size).ok_or(wrong)?;
            return if part.length == length { Ok(part) } else { Err(wrong) };
        }
        _ => {
            must_have_type(headers, file)?;
            0
        }
    };
    let end = start.checked_add(length).filter(|end| *end <= file.size);
    let is_whole = end == Some(file.size);
    // All bytes may be there, and the file may not: the disk failed at the end.
    let is_end = *method == Method::PATCH && start == file.size;
    // XEP-0363 §7: the length must be that of the slot.
    if end.is_none() || is_part == is_whole || length == 0 && !is_end {
        return Err(Refused::Bad("The length is not that of the slot."));
    }
    Ok(Part { start, length })
}

/// XEP-0363 §7: the type must be that of the slot, if both are told. Parameters are not compared.
fn must_have_type(headers: &HeaderMap, file: &StoredFile) -> Result<(), Refused> {
    let told = header(headers, &CONTENT_TYPE).map(MediaType::parse);
    let slot = file.media_type.as_deref().and_then(MediaType::parse);
    match (told, slot) {
        (Some(told), Some(slot)) if told.as_ref() != Some(&slot) => Err(Refused::WrongType),
        _ => Ok(()),
    }
}

/// XEP-0363 §7: if the slot has no type, the file has that of the PUT. If only some types are allowed, each slot has one.
async fn note_media_type(
    server: &ServerState,
    headers: &HeaderMap,
    file: &StoredFile,
) -> Result<(), Refused> {
    // PATCH has the type of its own body (draft-ietf-httpbis-resumable-upload).
    let told = header(headers, &CONTENT_TYPE).filter(|_| file.media_type.is_none());
    let told = told.and_then(MediaType::parse).filter(|told| told.as_str() != PARTIAL_UPLOAD);
    let Some(told) = told else { return Ok(()) };
    let told = told.with_charset();
    let noted = server.storage.files().note_media_type(file.id, &told);
    noted.await.map_err(|error| Refused::failed(&error))
}

fn must_be_open(server: &ServerState, file: &StoredFile) -> Result<(), Refused> {
    match file.content {
        Some(_) => Err(Refused::Conflict(None)),
        None if file.is_over(server.clock.now()) => Err(Refused::Gone),
        None => Ok(()),
    }
}

/// Counts an upload as long as it runs.
fn budget(server: &ServerState, request: &Parts) -> Result<Held, Refused> {
    let peer = request.extensions.get::<Arc<Peer>>();
    let address = peer.map(|peer| peer.client(&server.config.load(), &request.headers));
    let uploads = &server.budgets.uploads;
    let held = uploads.holder(None, address);
    match held.try_add(1) {
        Ok(()) => Ok(held),
        Err(scope) => {
            uploads.count(scope, Action::Error);
            Err(Refused::Busy)
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

const PARTIAL_UPLOAD: &str = "application/partial-upload";
/// Bytes that are written at once. Each upload has two such pieces in memory at most.
const PIECE: usize = 256 * 1024;
/// Fewer bytes in a minute are too slow.
const SLOWEST: usize = 64 * 1024;
/// A smaller file is not worth being continued later.
const SMALL: u64 = 64 * 1024;
/// The least time for which an upload may be continued: longer than two pieces take that come as slowly as they may.
const LEAST_RESUME: Duration = Duration::from_secs(600);
/// The longest time for writing such a file: its body must come within two minutes.
const WRITTEN: Duration = Duration::from_secs(300);

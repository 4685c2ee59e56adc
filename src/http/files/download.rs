//! Downloads: GET and HEAD, with ranges and conditions (RFC 9110 §13, §14).

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName,
    IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LOCATION, RANGE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::headers;
use super::range::{Asked, Part, asked};
use super::refused::Refused;
use crate::host::ServerState;
use crate::storage::{ContentHash, StoredFile};
use crate::upload::{Content, Uploads};

/// Answers GET and HEAD.
pub(super) async fn answer(
    server: &ServerState,
    uploads: &Uploads,
    file: &StoredFile,
    request: &Parts,
) -> Result<Response, Refused> {
    let now = server.clock.now();
    // A slot that was not used is no file: nobody learns that there is one.
    let content = file.content.ok_or(Refused::NotFound)?;
    if file.is_over(now) {
        return Err(Refused::Gone);
    }
    let mut head = HeaderMap::new();
    headers::of_file(file, content, now, &mut head);
    if !is_expected(&request.headers, file, content) {
        return Err(Refused::Changed);
    }
    if is_known(&request.headers, file, content) {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    let is_get = request.method == Method::GET;
    let left = file.expires.map_or(Duration::MAX, |expires| {
        let micros = expires.as_micros().saturating_sub(now.as_micros());
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    });
    if is_get && let Some(elsewhere) = elsewhere(uploads, content, left, &head) {
        return Ok(elsewhere);
    }
    let wanted = match header(&request.headers, &RANGE) {
        Some(range) if is_get && is_same(&request.headers, file, content) => {
            asked(range, file.size)
        }
        _ => Asked::All,
    };
    let (status, part) = match wanted {
        Asked::All => (StatusCode::OK, Part { start: 0, length: file.size }),
        Asked::Nothing => return Err(Refused::Range(file.size)),
        Asked::One(part) => (StatusCode::PARTIAL_CONTENT, part),
    };
    if status == StatusCode::PARTIAL_CONTENT {
        let last = part.start + part.length - 1;
        let range = format!("bytes {}-{last}/{}", part.start, file.size);
        headers::put(&mut head, CONTENT_RANGE, &range);
    }
    headers::put(&mut head, CONTENT_LENGTH, &part.length.to_string());
    let open =
        uploads.contents.open(content).await.map_err(|error| Refused::of_contents(&error))?;
    let Some(open) = open else {
        tracing::error!(file = %file.id, %content, "the content of a file is lost");
        return Err(Refused::Failed);
    };
    let body = if is_get { Body::from_stream(pieces(open, part)) } else { Body::empty() };
    Ok((status, head, body).into_response())
}

/// Sends the client to the store that has the content, if it is to fetch it there (RFC 9110 §15.4.3). There nothing runs
/// as a page of ours, since it is another origin; type and disposition are those of here.
///
/// `left`: so long the file is kept (XEP-0363 §5.3).
fn elsewhere(
    uploads: &Uploads,
    content: ContentHash,
    left: Duration,
    head: &HeaderMap,
) -> Option<Response> {
    let value = |name| header(head, name).unwrap_or_default();
    let (media_type, how) = (value(&CONTENT_TYPE), value(&CONTENT_DISPOSITION));
    let address = uploads.contents.address(content, left, media_type, how)?;
    let mut head = HeaderMap::new();
    headers::put(&mut head, LOCATION, &address);
    // The address is valid for some minutes only.
    headers::put(&mut head, CACHE_CONTROL, "no-store");
    Some((StatusCode::FOUND, head).into_response())
}

/// The bytes of a part, one piece in memory at a time.
fn pieces(content: Box<dyn Content>, part: Part) -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((content, part), async |(content, part): (Box<dyn Content>, Part)| {
        if part.length == 0 {
            return Ok(None);
        }
        let length = usize::try_from(part.length).unwrap_or(PIECE).min(PIECE);
        let piece = content.read(part.start, length).await?;
        if piece.is_empty() {
            // The answer ends too early, and the client knows it.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let read = piece.len() as u64;
        let rest = Part { start: part.start + read, length: part.length.saturating_sub(read) };
        Ok(Some((piece, (content, rest))))
    })
}

/// Whether the file is the one that the client means (RFC 9110 §13.1.1, §13.1.4).
fn is_expected(request: &HeaderMap, file: &StoredFile, content: ContentHash) -> bool {
    if request.contains_key(IF_MATCH) {
        return tags(request, &IF_MATCH).any(|tag| tag == "*" || tag == headers::etag(content));
    }
    let since = header(request, &IF_UNMODIFIED_SINCE).and_then(headers::read_date);
    since.is_none_or(|since| seconds(file) <= since.as_micros().div_euclid(SECOND))
}

/// The tags in a header.
fn tags<'a>(request: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = request.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// Whether the client has the file (RFC 9110 §13.1.2, §13.1.3).
fn is_known(request: &HeaderMap, file: &StoredFile, content: ContentHash) -> bool {
    if request.contains_key(IF_NONE_MATCH) {
        let own = headers::etag(content);
        return tags(request, &IF_NONE_MATCH)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == own);
    }
    let since = header(request, &IF_MODIFIED_SINCE).and_then(headers::read_date);
    since.is_some_and(|since| seconds(file) <= since.as_micros().div_euclid(SECOND))
}

/// Whether a part is wanted of the file as it is (RFC 9110 §13.1.5).
fn is_same(request: &HeaderMap, file: &StoredFile, content: ContentHash) -> bool {
    let Some(condition) = header(request, &IF_RANGE) else { return true };
    let date = headers::read_date(condition);
    condition.trim() == headers::etag(content)
        || date.is_some_and(|date| date.as_micros().div_euclid(SECOND) == seconds(file))
}

fn seconds(file: &StoredFile) -> i64 {
    file.created.as_micros().div_euclid(SECOND)
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

const SECOND: i64 = 1_000_000;
/// Bytes of a file in memory, for each download.
const PIECE: usize = 64 * 1024;

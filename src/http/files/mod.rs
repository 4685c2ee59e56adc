//! `/files/`: files of users are uploaded and downloaded (XEP-0363).
//!
//! The address of a file is enough to download it. The address for the upload is the same, with a signature. What is
//! easy to get wrong: what a user uploads must never run in a browser as a page of ours ([`headers`]).

mod download;
pub(super) mod headers;
mod open_slot;
mod range;
mod refused;
mod store;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use self::refused::Refused;
use crate::host::ServerState;
use crate::host::uploads::{PATH, SIGNATURE};
use crate::http::Peer;
use crate::storage::{FileId, StoredFile};
use crate::upload::{Uploads, percent_decoded};

/// The routes.
pub fn routes(server: Arc<ServerState>) -> Router {
    Router::new().route("/files/{*path}", any(answer)).with_state(server)
}

async fn answer(State(server): State<Arc<ServerState>>, request: Request) -> Response {
    let (request, body) = request.into_parts();
    let answer = match request.method {
        Method::OPTIONS => Ok(StatusCode::NO_CONTENT.into_response()),
        Method::GET | Method::HEAD | Method::PUT | Method::PATCH | Method::DELETE => {
            serve(&server, &request, body).await
        }
        _ => Err(Refused::NotAllowed),
    };
    let mut answer = answer.unwrap_or_else(IntoResponse::into_response);
    headers::secure(answer.headers_mut());
    answer
}

async fn serve(
    server: &Arc<ServerState>,
    request: &Parts,
    body: Body,
) -> Result<Response, Refused> {
    let peer = request.extensions.get::<Arc<Peer>>().ok_or(Refused::Failed)?;
    peer.tls().ok_or(Refused::NoTls)?;
    let uploads = server.find_shared::<Uploads>().filter(|_| server.config.load().files.enabled);
    let uploads = uploads.ok_or(Refused::NotFound)?;
    let file = find(server, &request.uri).await?;
    let signature = signature(request).filter(|_| request.method != Method::GET);
    let Some(signature) = signature else {
        return match request.method {
            Method::GET | Method::HEAD => download::answer(server, uploads, &file, request).await,
            _ => Err(Refused::Forbidden),
        };
    };
    let key = uploads.key(&*server.storage).await.map_err(|error| Refused::failed(&error))?;
    if !key.is_of(&file, &signature) {
        // A client may send a token of something else along: HEAD answers as GET would (RFC 9110 §9.3.2).
        return match request.method {
            Method::HEAD if in_address(request).is_none() => {
                download::answer(server, uploads, &file, request).await
            }
            _ => Err(Refused::Forbidden),
        };
    }
    match request.method {
        Method::HEAD => upload::offset(server, uploads, file.id).await,
        Method::DELETE => upload::cancel(server, uploads, file.id).await,
        _ => store::answer(server, &file, request, body).await,
    }
}

/// The file of an address. The whole path must be right: nobody can give a file another name.
async fn find(server: &ServerState, uri: &Uri) -> Result<StoredFile, Refused> {
    let path = uri.path().strip_prefix(PATH).and_then(|path| path.split_once('/'));
    let (id, name) = path.ok_or(Refused::NotFound)?;
    let id = FileId::parse(id).ok_or(Refused::NotFound)?;
    let found = server.storage.files().find(id).await.map_err(|error| Refused::failed(&error))?;
    let is_it = |file: &StoredFile| percent_decoded(name).as_ref() == Some(&file.name);
    found.filter(is_it).ok_or(Refused::NotFound)
}

/// The signature, from the address or from the header `Authorization`.
fn signature(request: &Parts) -> Option<String> {
    let in_header = || {
        let value = request.headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
    };
    in_address(request).or_else(in_header).map(str::to_owned)
}

fn in_address(request: &Parts) -> Option<&str> {
    request.uri.query()?.split('&').find_map(|part| part.strip_prefix(SIGNATURE)?.strip_prefix('='))
}

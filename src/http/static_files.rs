//! Files of the operator (`[static_files]`), for all paths that nothing else answers.
//!
//! What is easy to get wrong: a path that leaves the directory. It may do so by `..` in any encoding, by an encoded
//! slash, or by a symbolic link. So each segment is decoded once and must be a plain name, and where the file really
//! is must be inside of where the directory really is.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use futures_util::stream;

use super::files::headers::put;
use super::{Peer, WITHOUT_TLS};
use crate::config::{Config, StaticFilesConfig};
use crate::host::ServerState;
use crate::upload::percent_decoded;

/// Answers what no other route does.
pub fn routes(server: Arc<ServerState>) -> Router {
    Router::new().fallback(answer).with_state(server)
}

async fn answer(
    State(server): State<Arc<ServerState>>,
    Extension(peer): Extension<Arc<Peer>>,
    request: Request,
) -> Response {
    let config = server.config.load_full();
    let (head, _) = request.into_parts();
    let Some(wanted) = Wanted::of(&config, &head.uri) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // People type their passwords into a page with a chat: nobody on the way may have changed it.
    if peer.tls().is_none() && !peer.address().ip().is_loopback() {
        return (StatusCode::FORBIDDEN, format!("{WITHOUT_TLS}\n")).into_response();
    }
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")]).into_response();
    }
    let is_directory = wanted.is_directory;
    let found = blocking(move || wanted.open()).await;
    let mut answer = match found {
        Ok(Found::File(file)) => of_file(file, &head.headers, &head.method, &config.static_files),
        // A page finds what lies beside it only from an address with a slash at its end.
        Ok(Found::Directory) if !is_directory => to_directory(&head.uri),
        Ok(Found::Directory | Found::Nothing) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::error!(%error, path = head.uri.path(), "cannot serve a file of the operator");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    };
    let headers = answer.headers_mut();
    put(headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(headers, CONTENT_SECURITY_POLICY, &config.static_files.policy);
    put(headers, REFERRER_POLICY, "no-referrer");
    answer
}

/// A file that is wanted.
#[derive(Debug, Eq, PartialEq)]
struct Wanted {
    root: PathBuf,
    /// Below the root; plain names only.
    names: Vec<String>,
    /// The path ends with a slash: the index of a directory is wanted.
    is_directory: bool,
}

/// What is at a path.
enum Found {
    File(Open),
    Directory,
    Nothing,
}

/// An open file.
struct Open {
    file: File,
    about: Metadata,
    media_type: &'static str,
}

impl Wanted {
    /// The file of a path, if it is below a path that is served, and no name in it is forbidden.
    fn of(config: &Config, uri: &Uri) -> Option<Self> {
        let path = uri.path();
        let (rest, root) = config.static_files.paths.iter().find_map(|(at, root)| {
            let rest = path.strip_prefix(at.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then_some((rest, root))
        })?;
        let is_directory = rest.ends_with('/');
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let names: Option<Vec<_>> = match rest {
            "" => Some(Vec::new()),
            rest => rest.split('/').map(name).collect(),
        };
        let mut names = names?;
        if is_directory {
            names.push(config.static_files.index.clone());
        }
        Some(Self { root: root.clone(), names, is_directory })
    }

    fn open(self) -> io::Result<Found> {
        let missing = |error: &io::Error| {
            use ErrorKind::{InvalidFilename, NotADirectory, NotFound, PermissionDenied};
            matches!(error.kind(), InvalidFilename | NotADirectory | NotFound | PermissionDenied)
        };
        let root = self.root.canonicalize()?;
        let path = self.names.iter().fold(root.clone(), |path, name| path.join(name));
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) if missing(&error) => {
                tracing::debug!(path = %path.display(), %error, "not served");
                return Ok(Found::Nothing);
            }
            Err(error) => return Err(error),
        };
        if !real.starts_with(&root) {
            tracing::warn!(path = %path.display(), "not served: a symbolic link leaves the directory");
            return Ok(Found::Nothing);
        }
        // Nothing is opened that is no file: opening a pipe would wait.
        let about = fs::metadata(&real)?;
        if about.is_dir() {
            return Ok(Found::Directory);
        }
        if !about.is_file() {
            return Ok(Found::Nothing);
        }
        let file = File::open(&real)?;
        Ok(Found::File(Open { about: file.metadata()?, file, media_type: media_type(&path) }))
    }
}

/// The name in a segment of a path. `None` for what may not be a name.
fn name(segment: &str) -> Option<String> {
    let name = percent_decoded(segment)?;
    let is_plain = !name.is_empty()
        && !name.starts_with('.')
        && !name.contains(|c: char| c == '/' || c == '\\' || c.is_control());
    is_plain.then_some(name)
}

fn of_file(open: Open, asked: &HeaderMap, method: &Method, config: &StaticFilesConfig) -> Response {
    let Open { file, about, media_type } = open;
    let mut head = HeaderMap::new();
    put(&mut head, CONTENT_TYPE, media_type);
    let tag = etag(&about);
    put(&mut head, ETAG, &tag);
    let age = if media_type.starts_with("text/html") { 0 } else { config.cache.as_secs() };
    let cache = if age == 0 { "no-cache".to_owned() } else { format!("max-age={age}") };
    put(&mut head, CACHE_CONTROL, &cache);
    let known = asked.get_all(IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    let mut known = known.flat_map(|line| line.split(',')).map(str::trim);
    if known.any(|known| known == "*" || known == tag) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    put(&mut head, CONTENT_LENGTH, &about.len().to_string());
    let body = match *method {
        Method::HEAD => Body::empty(),
        _ => Body::from_stream(pieces(file, about.len())),
    };
    (head, body).into_response()
}

/// A tag for a content (RFC 9110 §8.8.3), which is weak: two changes within the resolution of the clock of the file
/// system have the same.
fn etag(about: &Metadata) -> String {
    let changed = about.modified().ok();
    let changed = changed.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    format!("W/\"{:x}-{:x}\"", about.len(), changed.unwrap_or_default().as_nanos())
}

fn to_directory(uri: &Uri) -> Response {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = format!("{}/{query}", uri.path());
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, location)]).into_response()
}

/// The bytes of a file, piece by piece.
fn pieces(file: File, length: u64) -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let length = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let (file, piece) = blocking(move || {
            let mut piece = vec![0; length];
            let count = file.read(&mut piece)?;
            piece.truncate(count);
            Ok((file, piece))
        })
        .await?;
        if piece.is_empty() {
            // The answer ends too early, and the client knows it.
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let left = left.saturating_sub(piece.len() as u64);
        Ok(Some((Bytes::from(piece), (file, left))))
    })
}

/// Runs what waits for the disk where it holds nobody up.
async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(act).await.map_err(io::Error::other)?
}

/// The type of a file, by the ending of its name. What is unknown is no page and no program.
fn media_type(path: &Path) -> &'static str {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let known = TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(ending));
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

/// The media types of files that belong to web pages, by the ends of their names.
const TYPES: &[(&str, &str)] = &[
    ("avif", "image/avif"),
    ("css", "text/css; charset=utf-8"),
    ("gif", "image/gif"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("ogg", "audio/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xml", "text/xml; charset=utf-8"),
];
/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_plain_names_below_what_is_served() {
        let text = "[static_files]\npaths = { '/chat' = '/c', '/chat/old' = '/o', '/' = '/r' }";
        let config = Config::parse(text, "test").unwrap();
        let of = |path: &str| {
            let wanted = Wanted::of(&config, &path.parse().unwrap())?;
            Some(format!("{} {}", wanted.root.display(), wanted.names.join(" ")))
        };
        for (path, file) in [
            ("/chat", "/c "),
            ("/chat/", "/c index.html"),
            ("/chat/a%20b/c.js?d", "/c a b c.js"),
            ("/chat/a/", "/c a index.html"),
            ("/chat/old/x", "/o x"),
            ("/chatter", "/r chatter"),
            ("/", "/r index.html"),
            ("/a..b", "/r a..b"),
            ("/%C3%A9", "/r é"),
        ] {
            assert_eq!(of(path).as_deref(), Some(file), "{path}");
        }
        for path in [
            "/chat/..",
            "/chat/../x",
            "/chat/.",
            "/chat/.git/config",
            "/chat/%2e%2e/x",
            "/chat/%2E%2e/x",
            "/chat/.%2e/x",
            "/chat/..%2fx",
            "/chat/%2e%2e%2fx",
            "/chat/..%5cx",
            "/chat/a%2fb",
            "/chat/a%5Cb",
            "/chat/a//b",
            "/chat//a",
            "//a",
            "/chat/a%00.html",
            "/chat/%0a",
            "/chat/%",
            "/chat/%zz",
            "/chat/%c0%ae%c0%ae/x",
            "/chat/%ff",
            "/.well-known/x",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
        let nothing = Config::parse("", "test").unwrap();
        assert_eq!(Wanted::of(&nothing, &"/".parse().unwrap()), None);
    }

    #[test]
    fn the_ending_of_a_name_says_the_type() {
        for (name, media_type) in [
            ("a.html", "text/html; charset=utf-8"),
            ("a.min.JS", "text/javascript; charset=utf-8"),
            ("a.wasm", "application/wasm"),
            ("a", "application/octet-stream"),
            ("a.exe", "application/octet-stream"),
        ] {
            assert_eq!(super::media_type(Path::new(name)), media_type, "{name}");
        }
    }
}

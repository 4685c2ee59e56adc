//! The admin socket of a running server: a Unix socket with one JSON object per line in each direction.
//!
//! ```text
//! > {"version":1,"command":["user","show"],"arguments":{"account":"romeo"}}
//! < {"version":1,"ok":{"kind":"done","text":"…","json":{…}}}
//! < {"version":1,"error":{"code":"not-found","message":"account romeo@montague.lit does not exist"}}
//! ```
//!
//! `docs/admin-socket.md` describes the protocol. Only root and the user that runs the server get an answer:
//! the mode of the socket excludes others, and the kernel identifies the peer. A connection can make many
//! calls, one after the other.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Answer, Code, Failure, Reply, Request, VERSION, other_version};
use crate::files;
use crate::host::command::{Caller, CommandCx};
use crate::tasks::Tasks;

/// The largest request: `user import` sends some hundred thousand accounts in one.
pub const MAX_REQUEST: usize = 64 << 20;

/// Makes the context of a command, for one call of this caller.
pub type Contexts = Arc<dyn Fn(Caller) -> CommandCx + Send + Sync>;

/// Opens the socket and returns. When `tasks` stops, the socket is closed and its file removed.
///
/// A file that a crashed server left is replaced. A socket on which a server answers is not.
///
/// # Errors
/// `AddrInUse` if a server answers there; `AlreadyExists` if the path is not a socket; `InvalidInput` if the
/// path is too long for a socket; an error of the file system.
pub async fn serve(contexts: Contexts, path: PathBuf, tasks: &Tasks) -> io::Result<()> {
    let listener = bind(&path).await?;
    let identity = identity(&path)?;
    let spawner = tasks.clone();
    tasks.spawn("admin", async move {
        let stopping = spawner.stopping();
        tokio::select! {
            () = accept(&contexts, &listener, &spawner) => {}
            () = stopping.cancelled() => {}
        }
        drop(listener);
        // The file is removed only if it is our own: another server may have started since.
        if self::identity(&path).is_ok_and(|now| now == identity)
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::warn!(%error, "cannot remove the admin socket");
        }
    });
    Ok(())
}

/// Calls a command in the server behind the socket.
///
/// # Errors
/// `NotFound` and `ConnectionRefused` if no server listens; `FileTooLarge` if the request is too long;
/// `UnexpectedEof` if the server ends before it answers.
pub async fn call(path: &Path, request: &Request) -> io::Result<Answer> {
    let mut line = serde_json::to_vec(request)?;
    if line.len() >= MAX_REQUEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "this is too much for one call"));
    }
    line.push(b'\n');
    let stream = UnixStream::connect(path).await?;
    let (reader, mut writer) = stream.into_split();
    // A server that refuses the connection answers without reading, and then the write fails.
    let written = writer.write_all(&line).await;
    let mut answer = Vec::new();
    let mut reader = BufReader::new(reader.take(MAX_ANSWER as u64));
    let read = reader.read_until(b'\n', &mut answer).await;
    if answer.last() != Some(&b'\n') {
        written?;
        read?;
        let text = match answer.len() >= MAX_ANSWER {
            true => "the answer is too long; ask for less of it",
            false => "the server ended before it answered",
        };
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
    }
    Ok(serde_json::from_slice::<Reply>(&answer)?.answer)
}

/// Binds under another name and renames the socket, so that it never has a wider mode under its own name, and
/// the old one is replaced in one step.
async fn bind(path: &Path) -> io::Result<UnixListener> {
    match UnixStream::connect(path).await {
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "a server answers there")),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(too_long()),
        Err(_) => {}
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let text = "there is something else than a socket";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut new = OsString::from(path);
    new.push(".new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&new).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => too_long(),
        _ => error,
    })?;
    fs::set_permissions(&new, Permissions::from_mode(0o600))?;
    files::hand_over_path(Path::new(&new))?;
    fs::rename(&new, path)?;
    Ok(listener)
}

fn too_long() -> io::Error {
    let text = "the path is too long for a socket (about 100 bytes); set `socket` in `[admin]`";
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

async fn accept(contexts: &Contexts, listener: &UnixListener, tasks: &Tasks) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let (contexts, stopping) = (Arc::clone(contexts), tasks.stopping());
                tasks.spawn("admin", async move {
                    let _place = place;
                    if let Err(error) = serve_one(&contexts, stream, &stopping).await {
                        tracing::debug!(%error, "admin socket: connection failed");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "admin socket: cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn serve_one(
    contexts: &Contexts,
    mut stream: UnixStream,
    stopping: &tokio_util::sync::CancellationToken,
) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        tracing::warn!(uid, "admin request refused: not the user who runs the server");
        let message = "only the user who runs the server may do this".to_owned();
        return write(&mut stream, failure(Code::Invalid, message)).await;
    }
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let line = tokio::select! {
            line = timeout(READ, line(&mut reader)) => line,
            () = stopping.cancelled() => return Ok(()),
        };
        let line = match line {
            Ok(Ok(Some(line))) => line,
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                return write(&mut writer, failure(Code::Invalid, error.to_string())).await;
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        };
        // The text of this error may quote the request, which can contain a password.
        let answer = match serde_json::from_slice::<Request>(&line) {
            Ok(request) => {
                drop(line);
                super::run(contexts(Caller::Uid(uid)), &request).await
            }
            Err(error) => {
                let message = unreadable(&line, &error);
                tracing::info!(uid, error = message, "admin request refused");
                failure(Code::Invalid, message)
            }
        };
        write(&mut writer, answer).await?;
    }
}

/// A line without its line feed; `None` at the end of the stream.
async fn line(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.take(MAX_REQUEST as u64 + 1).read_until(b'\n', &mut line).await?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() >= MAX_REQUEST => {
            let text = format!("the request is longer than {MAX_REQUEST} bytes");
            Err(io::Error::new(io::ErrorKind::InvalidData, text))
        }
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Why a line is not a request. A newer program may ask for something that this version does not know.
fn unreadable(line: &[u8], error: &serde_json::Error) -> String {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    match serde_json::from_slice::<Versioned>(line) {
        Ok(Versioned { version }) if version != VERSION => other_version(version),
        _ => format!("invalid request (line {} column {})", error.line(), error.column()),
    }
}

async fn write(writer: &mut (impl AsyncWriteExt + Unpin), answer: Answer) -> io::Result<()> {
    let reply = Reply { version: VERSION, answer };
    let mut line = serde_json::to_vec(&reply)?;
    line.push(b'\n');
    match timeout(WRITE, writer.write_all(&line)).await {
        Ok(written) => written,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn failure(code: Code, message: String) -> Answer {
    Answer::Error(Failure { code, message })
}

/// The largest answer that a caller reads.
const MAX_ANSWER: usize = 256 << 20;

/// The largest number of connections at once; more wait.
const CONNECTIONS: usize = 8;

/// The time in which a whole request must arrive. A silent connection ends after it.
const READ: Duration = Duration::from_secs(30);

/// The time in which the caller must read the whole answer.
const WRITE: Duration = Duration::from_secs(60);

/// The pause after an error of `accept`, mostly because no file descriptors are left.
const PAUSE: Duration = Duration::from_millis(200);

//! Contents in a bucket with the interface of Amazon S3.
//!
//! What is being uploaded is on the local disk, as always: there it can be continued, is counted, and its hash is known
//! when it is whole. Then it goes to the bucket, under its hash, and leaves the disk. A content that is there already
//! is not sent again. If the bucket fails, the upload stays, and can be ended later.
//!
//! The HTTP client keeps connections open for the next request, each in a task of its own, which ends with the connection.

mod client;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::stream;
use tokio::sync::Mutex;

use self::client::{Client, Coming, Sent};
use super::content::{Content, ContentStore, Writing};
use super::directory::Directory;
use super::turns::Turn;
use crate::config::S3Config;
use crate::storage::{ContentHash, FileId};

/// A bucket. Cheap to clone.
#[derive(Clone)]
pub struct Bucket {
    client: Arc<Client>,
    redirect: bool,
    local: Directory,
}

impl Bucket {
    /// The bucket of the configuration; `local` has what is being uploaded. `None` if there is none.
    #[must_use]
    pub fn new(config: &S3Config, local: Directory) -> Option<Self> {
        let (bucket, credentials) = config.access()?;
        let client = Arc::new(Client::new(bucket, credentials, config.timeout));
        Some(Self { client, redirect: config.redirect, local })
    }

    /// Sends what was uploaded, unless it is there.
    async fn put(&self, id: FileId, hash: ContentHash) -> io::Result<()> {
        let (content, size) = self.local.open_upload(id).await?;
        if self.client.size(hash).await? == Some(size) {
            return Ok(());
        }
        let pieces =
            stream::try_unfold((content, 0), async |(content, at): (Box<dyn Content>, u64)| {
                let piece = content.read(at, PIECE).await?;
                let next = at + piece.len() as u64;
                io::Result::Ok((!piece.is_empty()).then_some((piece, (content, next))))
            });
        self.client.put(hash, Sent { size, body: Body::from_stream(pieces) }).await
    }
}

#[async_trait]
impl ContentStore for Bucket {
    async fn uploaded(&self, id: FileId) -> io::Result<u64> {
        self.local.uploaded(id).await
    }

    async fn write(&self, id: FileId, at: u64, turn: Turn) -> io::Result<Box<dyn Writing>> {
        self.local.write(id, at, turn).await
    }

    async fn discard(&self, id: FileId) -> io::Result<()> {
        self.local.discard(id).await
    }

    async fn uploads(&self) -> io::Result<Vec<FileId>> {
        self.local.uploads().await
    }

    async fn discard_all(&self) -> io::Result<()> {
        self.local.discard_all().await
    }

    async fn keep(&self, id: FileId, hash: ContentHash) -> io::Result<()> {
        self.put(id, hash).await?;
        self.local.discard(id).await
    }

    async fn open(&self, hash: ContentHash) -> io::Result<Option<Box<dyn Content>>> {
        if self.client.size(hash).await?.is_none() {
            return Ok(None);
        }
        let client = Arc::clone(&self.client);
        Ok(Some(Box::new(Object { client, hash, open: Mutex::new(None) })))
    }

    async fn remove(&self, hash: ContentHash) -> io::Result<()> {
        self.client.delete(hash).await
    }

    fn address(
        &self,
        hash: ContentHash,
        left: Duration,
        media_type: &str,
        disposition: &str,
    ) -> Option<String> {
        // Addresses are valid for whole seconds: one of the last second is fetched here.
        let is_worth_it = self.redirect && left >= Duration::from_secs(1);
        is_worth_it.then(|| self.client.address(hash, left, media_type, disposition))
    }

    async fn try_out(&self) -> io::Result<()> {
        // There is none with this hash.
        self.client.size(ContentHash::new([0; 32])).await.map(drop)
    }
}

/// An object that is read, mostly from front to end.
struct Object {
    client: Arc<Client>,
    hash: ContentHash,
    /// What comes, and where its next byte is in the object.
    open: Mutex<Option<Open>>,
}

struct Open {
    at: u64,
    coming: Coming,
    /// Read, and not wanted yet.
    rest: Bytes,
}

#[async_trait]
impl Content for Object {
    async fn read(&self, at: u64, length: usize) -> io::Result<Bytes> {
        let mut open = self.open.lock().await;
        // Taken out: if the caller is dropped meanwhile, its position is unknown.
        let mut reading = match open.take().filter(|open| open.at == at) {
            Some(reading) => reading,
            None => match self.client.get(self.hash, at).await? {
                Some(coming) => Open { at, coming, rest: Bytes::new() },
                None => return Ok(Bytes::new()),
            },
        };
        let mut read = BytesMut::new();
        while read.len() < length {
            if reading.rest.is_empty() {
                match reading.coming.next().await? {
                    Some(piece) => reading.rest = piece,
                    None => break,
                }
            }
            let count = reading.rest.len().min(length - read.len());
            read.extend_from_slice(reading.rest.get(..count).unwrap_or_default());
            reading.rest.advance(count);
        }
        reading.at += read.len() as u64;
        *open = Some(reading);
        Ok(read.freeze())
    }
}

const PIECE: usize = 64 * 1024;

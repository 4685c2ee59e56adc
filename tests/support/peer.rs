//! A client of raw bytes, for tests that say which bytes they wait for.

use std::panic::Location;
use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::timeout;

/// A connection of any kind.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A client of raw bytes.
pub(crate) struct Peer {
    pub(crate) reader: ReadHalf<Box<dyn Io>>,
    pub(crate) writer: WriteHalf<Box<dyn Io>>,
    /// What has come, and was not waited for yet.
    pub(crate) heard: Vec<u8>,
    /// How long it waits for the next bytes, at most.
    pub(crate) patience: Duration,
}

impl Peer {
    /// A client that waits ten seconds.
    pub(crate) fn new(io: impl Io + 'static) -> Self {
        let (reader, writer) = tokio::io::split(Box::new(io) as Box<dyn Io>);
        Self { reader, writer, heard: Vec::new(), patience: Duration::from_secs(10) }
    }

    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let said = self.writer.write_all(bytes.as_ref()).await;
        if let Err(error) = said.and(self.writer.flush().await) {
            drop(self.reader.read_to_end(&mut self.heard).await);
            panic!("{error} after {}", String::from_utf8_lossy(&self.heard));
        }
    }

    /// Waits for these bytes, and returns all up to them.
    #[track_caller]
    pub(crate) fn hears(&mut self, wanted: &str) -> impl Future<Output = String> {
        let caller = Location::caller();
        async move {
            let heard = self.read_to(wanted, caller).await;
            heard.unwrap_or_else(|| {
                let heard = String::from_utf8_lossy(&self.heard);
                panic!("{caller}: the connection ends without {wanted} after {heard}")
            })
        }
    }

    /// Waits for these bytes. Returns all up to them; `None` if the connection ends before. `caller`: the line of the
    /// test, for the panic if nothing comes in time.
    pub(crate) async fn read_to(&mut self, wanted: &str, caller: &Location<'_>) -> Option<String> {
        loop {
            if let Some(at) = memmem::find(&self.heard, wanted.as_bytes()) {
                let rest = self.heard.split_off(at + wanted.len());
                let heard = std::mem::replace(&mut self.heard, rest);
                return Some(String::from_utf8(heard).unwrap());
            }
            match timeout(self.patience, self.reader.read_buf(&mut self.heard)).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return None,
                Err(_) => {
                    let heard = String::from_utf8_lossy(&self.heard);
                    panic!("{caller}: no {wanted} in time after {heard}");
                }
            }
        }
    }
}

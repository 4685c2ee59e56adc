//! Both ends of a TLS connection in memory: ours, and rustls' client.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::client::ClientConnection;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as ClientStream;

use super::*;

pub(super) const VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS13, &rustls::version::TLS12];

/// Much more than any of these needs, even on a slow machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Both ends of a connection after the handshake.
pub(super) struct Pair {
    pub(super) client: ClientStream<DuplexStream>,
    pub(super) server: TlsStream<Trickle>,
    pub(super) handshake: Handshake,
}

impl Pair {
    pub(super) async fn new(version: &'static SupportedProtocolVersion) -> Self {
        Self::over(1 << 16, &client(version, &[])).await
    }

    /// Over a connection that holds so many bytes.
    pub(super) async fn over(room: usize, client: &Arc<ClientConfig>) -> Self {
        Self::with(Trickle::pipe(room, usize::MAX), client, &chosen()).await
    }

    pub(super) async fn with(
        (ours, theirs): (Trickle, DuplexStream),
        client: &Arc<ClientConfig>,
        chosen: &Chosen,
    ) -> Self {
        let connector = TlsConnector::from(Arc::clone(client));
        let (accepted, client) = timeout(PATIENCE, async {
            let accepting = accept(ours, |_| chosen.clone());
            tokio::join!(accepting, connector.connect(name(), theirs))
        })
        .await
        .expect("the handshake ends");
        let (server, _, handshake) = accepted.unwrap();
        Self { client: client.unwrap(), server, handshake }
    }

    /// Bytes go both ways at the same time.
    pub(super) async fn exchange(&mut self, sent: &[u8]) {
        let (mut from_client, mut to_client) = tokio::io::split(&mut self.server);
        let (mut from_server, mut to_server) = tokio::io::split(&mut self.client);
        let both = async {
            tokio::join!(
                write(&mut to_client, sent),
                write(&mut to_server, sent),
                read(&mut from_client, sent),
                read(&mut from_server, sent),
            )
        };
        timeout(PATIENCE, both).await.expect("all bytes arrive");
        assert_eq!(self.server.records.buffered(), 0, "an idle connection holds no buffer");
    }
}

/// The server's end of a connection, of which each read and write takes a few bytes.
pub(super) struct Trickle {
    io: DuplexStream,
    step: usize,
}

impl Trickle {
    /// Both ends of a connection that holds so many bytes.
    pub(super) fn pipe(room: usize, step: usize) -> (Self, DuplexStream) {
        let (io, theirs) = duplex(room);
        (Self { io, step }, theirs)
    }
}

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut few = vec![0; self.step.min(into.remaining())];
        let mut few = ReadBuf::new(&mut few);
        let read = Pin::new(&mut self.io).poll_read(cx, &mut few);
        into.put_slice(few.filled());
        read
    }
}

impl AsyncWrite for Trickle {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let few = &bytes[..self.step.min(bytes.len())];
        Pin::new(&mut self.io).poll_write(cx, few)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    to.write_all(bytes).await.unwrap();
    to.flush().await.unwrap();
}

pub(super) async fn read(from: &mut (impl AsyncRead + Unpin), expected: &[u8]) {
    let mut read = vec![0; expected.len()];
    from.read_exact(&mut read).await.unwrap();
    assert!(read == expected);
}

/// Sends what the client has to say.
pub(super) async fn flush(client: &mut ClientConnection, io: &mut DuplexStream) {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    io.write_all(&bytes).await.unwrap();
}

/// Gives the client what has come.
pub(super) async fn hear(client: &mut ClientConnection, io: &mut DuplexStream) {
    let mut bytes = Vec::with_capacity(1 << 16);
    io.read_buf(&mut bytes).await.unwrap();
    let mut bytes = &bytes[..];
    while !bytes.is_empty() {
        client.read_tls(&mut bytes).unwrap();
        client.process_new_packets().unwrap();
    }
}

pub(super) fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i * 31 % 251) as u8).collect()
}

pub(super) fn name() -> ServerName<'static> {
    ServerName::try_from("Capulet.lit").unwrap()
}

pub(super) fn chosen() -> Chosen {
    Place::new(&["capulet.lit"]).load().choose(Purpose::Direct, None, None)
}

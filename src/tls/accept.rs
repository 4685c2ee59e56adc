//! The TLS handshake, as the server.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use rustls::server::{Acceptor, UnbufferedServerConnection};
use rustls::{ProtocolVersion, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::exporter::ExporterSecret;
use super::stream::TlsStream;
use super::{Chosen, Handshake};

/// What a client asks for in its first message.
#[derive(Debug, Default)]
pub struct ClientHello {
    /// The server name (SNI), in lower case.
    pub sni: Option<String>,
    /// The protocols that it speaks (ALPN).
    pub protocols: Vec<Vec<u8>>,
}

/// Makes the handshake with a client. `choose` chooses the certificate and the protocol by what the client asks for. If
/// it asks for what it cannot have, it gets an alert.
///
/// On TLS 1.3 the session ticket is sent with the first bytes that are written.
///
/// # Errors
/// Those of the connection, its end (`UnexpectedEof`), and what the client does wrong (`InvalidData`).
pub async fn accept<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    choose: impl FnOnce(&ClientHello) -> Chosen,
) -> io::Result<(TlsStream<IO>, Chosen, Handshake)> {
    let (hello, asked) = client_hello(&mut io).await?;
    let chosen = choose(&asked);
    let (stream, handshake) = handshake(io, &chosen, hello).await?;
    Ok((stream, chosen, Handshake { sni: asked.sni, ..handshake }))
}

/// The same with the certificate that was chosen before: what the client asks for in its first message does not matter,
/// and is not looked at.
///
/// # Errors
/// As [`accept`].
pub async fn accept_as<IO: AsyncRead + AsyncWrite + Unpin>(
    io: IO,
    chosen: &Chosen,
) -> io::Result<(TlsStream<IO>, Handshake)> {
    handshake(io, chosen, Vec::new()).await
}

/// Makes the handshake. `received`: what was read of it already.
async fn handshake<IO: AsyncRead + AsyncWrite + Unpin>(
    io: IO,
    chosen: &Chosen,
    mut received: Vec<u8>,
) -> io::Result<(TlsStream<IO>, Handshake)> {
    let secret = Arc::new(ExporterSecret::default());
    let mut config = ServerConfig::clone(&chosen.config);
    config.key_log = Arc::clone(&secret) as _;
    let tls = UnbufferedServerConnection::new(Arc::new(config)).map_err(io::Error::other)?;
    let mut stream = TlsStream::new(io, tls);
    // What comes with the end of the handshake is kept for the reader.
    let nothing = &mut ReadBuf::new(&mut []);
    stream.records.decrypt(&mut received, nothing);
    drop(received);
    loop {
        if let Err(error) = stream.records.check() {
            // The alert says what is wrong.
            drop(poll_fn(|cx| stream.poll_send(cx)).await);
            return Err(error);
        }
        if !stream.records.tls().is_handshaking() {
            break;
        }
        if stream.records.is_closed_by_client() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        poll_fn(|cx| stream.poll_send(cx)).await?;
        poll_fn(|cx| stream.poll_decrypt(cx, nothing)).await?;
    }
    let version13 = stream.records.tls().protocol_version() == Some(ProtocolVersion::TLSv1_3);
    if !version13 {
        // The client waits for our Finished.
        poll_fn(|cx| stream.poll_send(cx)).await?;
    }
    let suite = stream.records.tls().negotiated_cipher_suite();
    let exporter = suite.and_then(|suite| secret.channel_binding(suite));
    let version = if version13 { "TLSv1.3" } else { "TLSv1.2" };
    let client = stream.records.tls().peer_certificates().unwrap_or_default();
    let client = client.iter().map(|certificate| certificate.clone().into_owned()).collect();
    Ok((stream, Handshake { version, version13, exporter, sni: None, client }))
}

/// Reads the first message of the client. Returns all that was read, and what the client asks for.
///
/// The message is parsed here to choose the certificate, and again in the handshake.
async fn client_hello(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<(Vec<u8>, ClientHello)> {
    let mut acceptor = Acceptor::default();
    let mut read = Vec::with_capacity(HELLO);
    loop {
        let start = read.len();
        if io.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut sent = &read[start..];
        while !sent.is_empty() {
            if acceptor.read_tls(&mut sent)? == 0 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            match acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let hello = accepted.client_hello();
                    let sni = hello.server_name().map(str::to_ascii_lowercase);
                    let protocols = hello.alpn().into_iter().flatten();
                    let protocols = protocols.map(<[u8]>::to_vec).collect();
                    return Ok((read, ClientHello { sni, protocols }));
                }
                Err((error, mut alert)) => {
                    let mut bytes = Vec::new();
                    alert.write_all(&mut bytes)?;
                    drop(io.write_all(&bytes).await);
                    drop(io.flush().await);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
            }
        }
    }
}

/// Bytes of room for the first message. One with a post-quantum key share has about 1,700.
const HELLO: usize = 2048;

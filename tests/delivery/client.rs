//! A connection of a client, from the first byte to the authenticated stream: STARTTLS, any
//! certificate, SASL PLAIN. What stands on it is in `device.rs`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::element::{CLIENT, Element, Piece, Reader, STREAMS};
use super::ledger::Account;
use super::trust;

/// Why a connection is of no use any more.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The server ended it with this condition.
    Closed(String),
    /// It is gone.
    Lost(String),
    /// The server did what it must not.
    Wrong(String),
}

/// A stream after authentication.
pub(crate) type Wire = Pieces<TlsStream<TcpStream>>;

/// A stream of XML, whole elements of it.
pub(crate) struct Pieces<S> {
    stream: S,
    reader: Reader,
}

/// Connects and authenticates, up to the features of the last stream.
pub(crate) async fn log_in(address: SocketAddr, account: Account) -> Result<Wire, Trouble> {
    within("the login", async {
        let stream = TcpStream::connect(address).await.map_err(|e| lost(&e))?;
        stream.set_nodelay(true).map_err(|e| lost(&e))?;
        let mut plain = Pieces { stream, reader: Reader::new() };
        plain.open().await?;
        plain.send(&format!("<starttls xmlns='{TLS}'/>")).await?;
        plain.expect(TLS, "proceed").await?;
        let name = ServerName::try_from(HOST).expect("it is a name");
        let connector = TlsConnector::from(Arc::new(trust::config(false)));
        let stream = connector.connect(name, plain.stream).await.map_err(|e| lost(&e))?;
        let mut wire = Pieces { stream, reader: Reader::new() };
        wire.open().await?;
        let proof = STANDARD.encode(format!("\0{account}\0{PASSWORD}"));
        wire.send(&format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{proof}</auth>")).await?;
        wire.expect(SASL, "success").await?;
        wire.open().await?;
        Ok(wire)
    })
    .await
}

/// # Errors
/// A server that does not answer at all is wrong: whoever cuts connections ends them, too.
pub(crate) async fn within<T>(
    what: &str,
    work: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    let work = Box::pin(work);
    let late = |_| Err(Trouble::Wrong(format!("{what}: no end after {PATIENCE:?}")));
    timeout(PATIENCE, work).await.unwrap_or_else(late)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pieces<S> {
    /// A new stream, up to the server's features.
    async fn open(&mut self) -> Result<(), Trouble> {
        self.reader = Reader::new();
        self.send(&format!(
            "<?xml version='1.0'?><stream:stream xmlns='{CLIENT}' xmlns:stream='{STREAMS}' \
             to='{HOST}' version='1.0'>"
        ))
        .await?;
        self.expect(STREAMS, "features").await.map(drop)
    }

    pub(crate) async fn send(&mut self, xml: &str) -> Result<(), Trouble> {
        self.stream.write_all(xml.as_bytes()).await.map_err(|e| lost(&e))?;
        self.stream.flush().await.map_err(|e| lost(&e))
    }

    /// The next child of the stream. May be dropped: nothing is lost then.
    pub(crate) async fn next(&mut self) -> Result<Element, Trouble> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            match self.reader.next().map_err(Trouble::Wrong)? {
                Some(Piece::Header(_)) => {}
                Some(Piece::Child(element)) if element.is(STREAMS, "error") => {
                    let condition = element.elements().next().map(|c| c.name.clone());
                    return Err(Trouble::Closed(condition.unwrap_or_default()));
                }
                Some(Piece::Child(element)) => return Ok(element),
                Some(Piece::End) => return Err(Trouble::Lost(CLOSED.to_owned())),
                None => match self.stream.read(&mut buffer).await {
                    Ok(0) => return Err(Trouble::Lost("end of file".to_owned())),
                    Ok(count) => self.reader.feed(&buffer[..count]),
                    Err(error) => return Err(lost(&error)),
                },
            }
        }
    }

    /// The next element, which must be this one.
    pub(crate) async fn expect(&mut self, ns: &str, name: &str) -> Result<Element, Trouble> {
        let element = self.next().await?;
        if element.is(ns, name) {
            return Ok(element);
        }
        Err(Trouble::Wrong(format!("not <{name} xmlns='{ns}'>, but {element}")))
    }
}

fn lost(error: &std::io::Error) -> Trouble {
    Trouble::Lost(error.kind().to_string())
}

/// Lost, but in good order: the server has ended its stream.
pub(crate) const CLOSED: &str = "the stream is closed";
/// The only domain.
pub(crate) const HOST: &str = "localhost";
/// Of all accounts.
pub(crate) const PASSWORD: &str = "secret";
/// For an answer. Long: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";

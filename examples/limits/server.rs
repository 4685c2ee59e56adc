//! The server: TLS, and bytes from one connection to another.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::Child;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Context;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::NoServerSessionStorage;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

type Reader = ReadHalf<TlsStream<TcpStream>>;
type Writer = WriteHalf<TlsStream<TcpStream>>;
/// The connection that waits for its partner.
type Waiting = Rc<RefCell<Option<(Reader, Writer)>>>;

/// Where the server that `child` is listens: the first line that it prints.
pub(crate) fn address_from(child: &mut Child) -> anyhow::Result<SocketAddr> {
    let output = child.stdout.take().context("the server has an output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    Ok(line.trim().parse()?)
}

/// Serves until it is killed.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let acceptor = TlsAcceptor::from(Arc::new(config()?));
    let waiting = Waiting::default();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, waiting) = (acceptor.clone(), Rc::clone(&waiting));
        tokio::task::spawn_local(async move {
            // A connection that fails, or ends, is nothing to this server.
            drop(serve_one(acceptor, stream, waiting).await);
        });
    }
}

/// `?` is answered; `+` joins the connection with the next one that says it.
async fn serve_one(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    waiting: Waiting,
) -> anyhow::Result<()> {
    // Boxed: a connection at rest does not hold the room that the handshake needs.
    let tls = Box::pin(acceptor.accept(stream)).await?;
    let (mut reader, mut writer) = tokio::io::split(tls);
    loop {
        let mut byte = [0];
        reader.read_exact(&mut byte).await?;
        if byte == *b"+" {
            break;
        }
        writer.write_all(&byte).await?;
        writer.flush().await?;
    }
    writer.write_all(b"+").await?;
    writer.flush().await?;
    let partner = waiting.take();
    match partner {
        None => *waiting.borrow_mut() = Some((reader, writer)),
        // The first one sends, the second one receives; the other way is not used.
        Some((from, _kept)) => Box::pin(relay(from, writer)).await?,
    }
    Ok(())
}

async fn relay(mut from: Reader, mut to: Writer) -> anyhow::Result<()> {
    let mut buffer = vec![0; 8192];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count]).await?;
        to.flush().await?;
    }
}

/// As Waxwing sets it: TLS 1.3, one stateless ticket, ECDSA.
fn config() -> anyhow::Result<rustls::ServerConfig> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let mut config =
        rustls::ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.into()], key)?;
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    Ok(config)
}

//! The TLS handshake, as the client: with another server.

use std::io;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::names::{ip_of, sni_name};

/// A connection whose handshake was made, as the client.
pub struct Connected<IO> {
    /// The connection.
    pub stream: TlsStream<IO>,
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The certificate of the server, and those that lead to its authority, as it has sent them. Nobody has judged
    /// them yet.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// Makes the handshake with the server of this domain. The domain is told (SNI, RFC 6066 §3).
///
/// # Errors
/// Those of the connection, and what the server does wrong.
pub async fn connect<IO: AsyncRead + AsyncWrite + Unpin>(
    io: IO,
    config: Arc<ClientConfig>,
    domain: &str,
) -> io::Result<Connected<IO>> {
    let name = match ip_of(domain) {
        Some(ip) => ServerName::from(ip),
        None => {
            let name = sni_name(domain).map_err(io::Error::other)?;
            ServerName::try_from(name).map_err(io::Error::other)?
        }
    };
    let stream = TlsConnector::from(config).connect(name, io).await?;
    let (_, tls) = stream.get_ref();
    let version = match tls.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    };
    let certificates = tls.peer_certificates().unwrap_or_default();
    let certificates = certificates.iter().map(|one| one.clone().into_owned()).collect();
    Ok(Connected { stream, version, certificates })
}

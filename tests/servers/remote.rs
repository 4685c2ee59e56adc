//! A raw peer that plays another server.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::house::Pair;
use super::peer::Peer;
use super::trust;

/// The header of a stream between these domains.
pub(crate) fn header(from: &str, to: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
         xmlns:stream='http://etherx.jabber.org/streams' from='{from}' to='{to}' version='1.0'>"
    )
}

/// Opens a stream to the server at this address, with TLS, and this certificate if there is one. Returns the peer, and
/// what it is offered.
pub(crate) async fn open(
    at: SocketAddr,
    certificate: Option<&Pair>,
    from: &str,
    to: &str,
) -> (Peer, String) {
    let io = TcpStream::connect(at).await.unwrap();
    let mut plain = Peer::new(io);
    plain.say(header(from, to)).await;
    plain.hears("</stream:features>").await;
    plain.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
    plain.hears("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
    let mut peer = secure(plain, certificate, to).await;
    peer.say(header(from, to)).await;
    let offered = peer.hears("</stream:features>").await;
    (peer, offered)
}

/// Makes the TLS handshake as the client.
pub(crate) async fn secure(plain: Peer, certificate: Option<&Pair>, to: &str) -> Peer {
    let Peer { reader, writer, .. } = plain;
    let io = reader.unsplit(writer);
    let mut config = trust::config(false);
    config.alpn_protocols.clear();
    if let Some(certificate) = certificate {
        config.client_auth_cert_resolver =
            Arc::new(SingleCertAndKey::from(CertifiedKey::clone(&certificate.certified_key())));
    }
    let name = ServerName::try_from(to.to_owned()).unwrap();
    Peer::new(TlsConnector::from(Arc::new(config)).connect(name, io).await.unwrap())
}

/// The stream is proven by the certificate.
pub(crate) async fn login(peer: &mut Peer, from: &str, to: &str) {
    peer.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>").await;
    peer.hears("<success").await;
    peer.hears(">").await;
    peer.say(header(from, to)).await;
    peer.hears("</stream:features>").await;
}

/// A peer that listens, as the server of other domains.
pub(crate) struct Listening {
    socket: TcpListener,
    pub(crate) address: SocketAddr,
    tls: TlsAcceptor,
}

impl Listening {
    pub(crate) async fn new(certificate: &Pair) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let resolver = SingleCertAndKey::from(certificate.certified_key());
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        let address = socket.local_addr().unwrap();
        Self { socket, address, tls: TlsAcceptor::from(Arc::new(config)) }
    }

    /// A connection, before anything was said.
    pub(crate) async fn accept(&self) -> Peer {
        Peer::new(self.socket.accept().await.unwrap().0)
    }

    /// A stream under TLS, with these features. Returns the header that came.
    pub(crate) async fn stream(&self, own: &str, id: &str, features: &str) -> (Peer, String) {
        let mut plain = self.accept().await;
        plain.hears("version='1.0'").await;
        plain.hears(">").await;
        plain.say(answer(own, id)).await;
        plain
            .say(
                "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/>\
                  </starttls></stream:features>",
            )
            .await;
        plain.hears("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
        plain.say("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
        let Peer { reader, writer, .. } = plain;
        let mut peer = Peer::new(self.tls.accept(reader.unsplit(writer)).await.unwrap());
        let said = peer.hears("<stream:stream").await + &peer.hears(">").await;
        peer.say(answer(own, id)).await;
        peer.say(format!("<stream:features>{features}</stream:features>")).await;
        (peer, said)
    }
}

fn answer(own: &str, id: &str) -> String {
    header(own, "a.example").replace(" from=", &format!(" id='{id}' from="))
}

/// What a server with dialback alone offers.
pub(crate) const DIALBACK: &str =
    "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";

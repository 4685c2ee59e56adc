//! A raw peer that plays another server.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::peer::Peer;
use super::test_server::Pair;
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
    negotiate(TcpStream::connect(at).await.unwrap(), certificate, from, to).await
}

async fn negotiate(
    io: TcpStream,
    certificate: Option<&Pair>,
    from: &str,
    to: &str,
) -> (Peer, String) {
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

/// As [`open`], on a socket that takes few bytes before somebody reads them.
pub(crate) async fn open_narrow(
    at: SocketAddr,
    certificate: Option<&Pair>,
    from: &str,
    to: &str,
) -> Peer {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    negotiate(socket.connect(at).await.unwrap(), certificate, from, to).await.0
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
        // It takes few bytes before somebody reads them.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let socket = socket.listen(16).unwrap();
        let address = socket.local_addr().unwrap();
        Self { socket, address, tls: certificate.acceptor() }
    }

    /// A connection, before anything was said.
    pub(crate) async fn accept(&self) -> Peer {
        Peer::new(self.socket.accept().await.unwrap().0)
    }

    /// A stream that takes the certificate, with these features after it.
    pub(crate) async fn believing(&self, own: &str, features: &str) -> Peer {
        let before = format!("{EXTERNAL}{BIDI}");
        let (mut peer, _) = self.stream(own, "1", &before).await;
        peer.hears("</auth>").await;
        peer.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
        peer.hears("<stream:stream").await;
        peer.hears(">").await;
        peer.say(answer(own, "2")).await;
        peer.say(format!("<stream:features>{features}</stream:features>")).await;
        peer
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

/// A login by certificate.
const EXTERNAL: &str = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>";
const BIDI: &str = "<bidi xmlns='urn:xmpp:features:bidi'/>";

/// What a server with dialback alone offers.
pub(crate) const DIALBACK: &str =
    "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";

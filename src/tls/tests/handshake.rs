//! Handshakes of the TLS stream: what both sides know after them, and those that fail.

use std::io;

use rustls::client::ClientConnection;
use rustls::crypto::CryptoProvider;
use rustls::{HandshakeKind, KeyLog as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::pair::{PATIENCE, Pair, Trickle, VERSIONS, chosen, flush, hear, name, read};
use super::*;

#[tokio::test]
async fn a_handshake_binds_both_sides_alike() {
    for suite in provider().cipher_suites.clone() {
        let name = suite.suite();
        let version13 = suite.tls13().is_some();
        let provider = CryptoProvider { cipher_suites: vec![suite], ..(*provider()).clone() };
        let mut client = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(if version13 { &VERSIONS[..1] } else { &VERSIONS[1..] })
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Trusting))
            .with_no_client_auth();
        client.alpn_protocols = vec![b"xmpp-client".to_vec()];
        let client = Arc::new(client);
        let chosen = if format!("{name:?}").contains("RSA") {
            let mut place = Place::new(&["capulet.lit"]);
            place.configure(0, &rcgen::PKCS_RSA_SHA256);
            place.load().choose(Purpose::Direct, None, None)
        } else {
            chosen()
        };
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut pair = Pair::with(Trickle::pipe(1 << 16, usize::MAX), &client, &chosen).await;
            // The ticket for the next handshake comes with it.
            pair.exchange(b"hello").await;
            let theirs = pair.client.get_ref().1;
            assert_eq!(theirs.handshake_kind(), Some(kind), "{name:?}");
            assert_eq!(theirs.alpn_protocol(), Some(&b"xmpp-client"[..]));
            let Handshake { version, version13: is13, exporter, sni, .. } = pair.handshake;
            assert_eq!(sni.as_deref(), Some("capulet.lit"));
            assert_eq!(
                (version, is13),
                if version13 { ("TLSv1.3", true) } else { ("TLSv1.2", false) }
            );
            let seen = theirs.peer_certificates().unwrap()[0].as_ref();
            assert_eq!(chosen.end_point, Some(Sha256::digest(seen).to_vec()));
            let exported = theirs
                .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))
                .unwrap();
            assert_eq!(exporter, version13.then_some(exported), "{name:?} {kind:?}");
        }
    }
}

#[tokio::test]
async fn nothing_of_the_handshake_is_kept() {
    let chosen = chosen();
    let before = Arc::strong_count(&chosen.config.cert_resolver);
    for version in VERSIONS {
        let pair =
            Pair::with(Trickle::pipe(1 << 16, usize::MAX), &client(version, &[]), &chosen).await;
        let after = Arc::strong_count(&chosen.config.cert_resolver);
        assert_eq!(after, before, "no copy of the settings, which know the secret of the exporter");
        drop(pair);
    }
}

#[tokio::test]
async fn the_secret_of_the_exporter_is_taken_once_and_is_shown_nowhere() {
    let suite = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let secret = exporter::ExporterSecret::default();
    for label in ["CLIENT_RANDOM", "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"] {
        assert!(!secret.will_log(label));
        secret.log(label, &[1; 32], &[2; 32]);
        assert_eq!(secret.channel_binding(suite), None);
    }
    secret.log("EXPORTER_SECRET", &[1; 32], &[2; 32]);
    assert_eq!(format!("{secret:?}"), "ExporterSecret");
    assert!(secret.channel_binding(suite).is_some());
    assert_eq!(secret.channel_binding(suite), None);
}

#[tokio::test]
async fn what_was_sent_with_the_end_of_the_handshake_is_read() {
    for version in VERSIONS {
        let (ours, mut theirs) = duplex(1 << 16);
        let connecting = async {
            let mut client = ClientConnection::new(client(version, &[]), name()).unwrap();
            while client.is_handshaking() {
                flush(&mut client, &mut theirs).await;
                hear(&mut client, &mut theirs).await;
            }
            io::Write::write_all(&mut client.writer(), b"early bird").unwrap();
            flush(&mut client, &mut theirs).await;
        };
        let (accepted, ()) = tokio::join!(accept(ours, |_| chosen()), connecting);
        let (mut server, ..) = accepted.unwrap();
        read(&mut server, b"early bird").await;
    }
}

#[tokio::test]
async fn garbage_instead_of_a_handshake_is_refused_with_an_alert() {
    // What rustls has no alert for is refused as well.
    let none = &[][..];
    let (decode_error, too_large) =
        (&[21, 3, 3, 0, 2, 2, 50][..], &[22, 3, 1, 0, 4, 1, 2, 0, 0][..]);
    for (garbage, alert) in [
        (&b"GET / HTTP/1.1\r\nHost: capulet.lit\r\n\r\n"[..], decode_error),
        (b"<?xml version='1.0'?><stream:stream to='capulet.lit'>", decode_error),
        (&[22, 3, 1, 255, 255], decode_error),
        (&[22, 3, 1, 0, 4, 1, 0, 0, 0], decode_error),
        (too_large, none),
        // An alert.
        (&[21, 3, 3, 0, 2, 2, 40], none),
    ] {
        for looks in [true, false] {
            let (ours, mut theirs) = duplex(1 << 16);
            theirs.write_all(garbage).await.unwrap();
            let accepted = take(ours, &chosen(), looks).await;
            assert_eq!(accepted.err().unwrap().kind(), io::ErrorKind::InvalidData, "{garbage:?}");
            let mut answer = Vec::new();
            theirs.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, alert, "{garbage:?} {looks}");
        }
    }
}

/// Takes a client: the certificate is chosen after a look at what it asks for, or before.
async fn take(
    io: DuplexStream,
    chosen: &Chosen,
    looks: bool,
) -> io::Result<(TlsStream<DuplexStream>, Handshake)> {
    let taking = async {
        if looks {
            accept(io, |_| chosen.clone()).await.map(|(stream, _, handshake)| (stream, handshake))
        } else {
            accept_as(io, chosen).await
        }
    };
    timeout(PATIENCE, taking).await.expect("no waiting")
}

#[tokio::test]
async fn a_certificate_that_was_chosen_before_is_shown_whatever_the_client_asks_for() {
    for version in VERSIONS {
        let (ours, theirs) = duplex(1 << 16);
        let connector = TlsConnector::from(client(version, &[b"h2"]));
        let mut place = Place::new(&["capulet.lit"]);
        place.configure(0, &rcgen::PKCS_ECDSA_P256_SHA256);
        let chosen = place.load().choose(Purpose::StartTls, Some("capulet.lit"), None);
        let taking = take(ours, &chosen, false);
        let (taken, connected) = tokio::join!(taking, connector.connect(name(), theirs));
        let (_, Handshake { sni, version13, exporter, .. }) = taken.unwrap();
        let connected = connected.unwrap();
        let theirs = connected.get_ref().1;
        assert_eq!(sni, None, "it is not looked at");
        assert_eq!(exporter.is_some(), version13);
        let seen = theirs.peer_certificates().unwrap()[0].as_ref();
        assert_eq!(chosen.end_point, Some(Sha256::digest(seen).to_vec()));
        assert_eq!(theirs.alpn_protocol(), None);
    }
}

#[tokio::test]
async fn a_handshake_that_is_cut_anywhere_fails() {
    let chosen = chosen();
    for version in VERSIONS {
        // What the client sends first, and, when that is answered, second.
        for (flight, looks) in [(0, true), (0, false), (1, true), (1, false)] {
            for cut in 0.. {
                let (ours, theirs) = duplex(1 << 16);
                let accepting = take(ours, &chosen, looks);
                let (accepted, is_whole) =
                    tokio::join!(accepting, cut_off(theirs, version, flight, cut));
                if is_whole {
                    break;
                }
                let kind = accepted.err().expect("no handshake").kind();
                assert_eq!(kind, io::ErrorKind::UnexpectedEof, "after {cut} bytes");
            }
        }
    }
}

/// A client that sends so many bytes of its first or second flight, and goes. Returns whether these were
/// all.
async fn cut_off(
    mut io: DuplexStream,
    version: &'static SupportedProtocolVersion,
    flight: usize,
    cut: usize,
) -> bool {
    let mut client = ClientConnection::new(client(version, &[]), name()).unwrap();
    for _ in 0..flight {
        flush(&mut client, &mut io).await;
        while !client.wants_write() {
            hear(&mut client, &mut io).await;
        }
    }
    let mut sent = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut sent).unwrap();
    }
    io.write_all(&sent[..cut]).await.unwrap();
    cut == sent.len()
}

#[tokio::test]
async fn a_changed_byte_of_the_first_message_never_hangs() {
    let mut client = ClientConnection::new(client(&rustls::version::TLS13, &[]), name()).unwrap();
    let mut hello = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut hello).unwrap();
    }
    let chosen = chosen();
    for at in (0..150).chain((150..hello.len()).step_by(50)) {
        for looks in [true, false] {
            let mut changed = hello.clone();
            changed[at] ^= 0x41;
            let (ours, mut theirs) = duplex(1 << 16);
            theirs.write_all(&changed).await.unwrap();
            theirs.shutdown().await.unwrap();
            let accepted = take(ours, &chosen, looks).await;
            accepted.err().expect("the client has not answered");
        }
    }
}

#[tokio::test]
async fn protocols_that_nobody_speaks_are_refused() {
    let (ours, theirs) = duplex(1 << 16);
    let connector = TlsConnector::from(client(&rustls::version::TLS13, &[b"h2"]));
    let (accepted, connected) =
        tokio::join!(accept(ours, |_| chosen()), connector.connect(name(), theirs));
    assert_eq!(accepted.err().unwrap().kind(), io::ErrorKind::InvalidData);
    let error = connected.err().unwrap().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
}

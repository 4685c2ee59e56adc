//! The TLS stream after the handshake: records in pieces, key updates, ends, faults.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use rustls::client::ClientConnection;
use rustls::crypto::cipher::{AeadKey, Iv, MessageEncrypter, OutboundPlainMessage};
use rustls::{ConnectionTrafficSecrets, ContentType, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use super::pair::{PATIENCE, Pair, Trickle, VERSIONS, bytes, chosen, read, write};
use super::*;

#[tokio::test]
async fn bytes_arrive_in_whatever_pieces_they_come() {
    for version in VERSIONS {
        // Bytes of a read and a write of the server, and of a record of the client.
        for (step, fragment) in
            [(1, None), (1, Some(32)), (7, Some(32)), (5000, None), (1 << 18, None)]
        {
            let mut config = ClientConfig::clone(&client(version, &[]));
            config.max_fragment_size = fragment;
            let pipe = Trickle::pipe(1 << 16, step);
            let mut pair = Pair::with(pipe, &Arc::new(config), &chosen()).await;
            for count in [1, 8191, 16_383, 16_384, 16_385, 200_000] {
                if count < 200_000 || step > 7 {
                    pair.exchange(&bytes(count)).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_reader_with_little_room_gets_all_of_a_record() {
    let mut pair = Pair::new(&rustls::version::TLS13).await;
    let sent = bytes(16_384);
    write(&mut pair.client, &sent).await;
    let mut read = Vec::new();
    while read.len() < sent.len() {
        let mut little = [0; 100];
        let count = pair.server.read(&mut little).await.unwrap();
        read.extend_from_slice(&little[..count]);
    }
    assert!(read == sent);
    // The ticket is sent now.
    pair.server.flush().await.unwrap();
    assert_eq!(pair.server.records.buffered(), 0);
}

#[tokio::test]
async fn keys_are_updated_by_either_side() {
    let mut pair = Pair::new(&rustls::version::TLS13).await;
    for _ in 0..3 {
        // rustls asks the server for new keys, too.
        pair.client.get_mut().1.refresh_traffic_keys().unwrap();
        pair.exchange(&bytes(40_000)).await;
    }
}

#[tokio::test]
async fn the_server_writes_while_a_part_of_a_handshake_message_waits_for_its_rest() {
    let mut config = ClientConfig::clone(&client(&rustls::version::TLS13, &[]));
    config.enable_secret_extraction = true;
    let Pair { client, mut server, .. } = Pair::over(1 << 16, &Arc::new(config)).await;
    let (mut io, tls) = client.into_inner();
    let mut to_server = Encrypter::new(tls);

    // RFC 8446 §4.6.3: a KeyUpdate that asks for no answer, in two records.
    let key_update = [24, 0, 0, 1, 0];
    io.write_all(&to_server.record(ContentType::Handshake, &key_update[..3])).await.unwrap();
    let mut nothing = [0; 10];
    let reading = poll_fn(|cx| {
        let mut into = ReadBuf::new(&mut nothing);
        Poll::Ready(Pin::new(&mut server).poll_read(cx, &mut into).is_pending())
    });
    assert!(reading.await);
    write(&mut server, b"written between").await;
    io.write_all(&to_server.record(ContentType::Handshake, &key_update[3..])).await.unwrap();
    let error = {
        // The client goes on with the old keys, which is a fault now: the update was understood.
        io.write_all(&to_server.record(ContentType::ApplicationData, b"old keys")).await.unwrap();
        server.read(&mut nothing).await.unwrap_err()
    };
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn a_handshake_message_without_end_is_refused() {
    let mut config = ClientConfig::clone(&client(&rustls::version::TLS13, &[]));
    config.enable_secret_extraction = true;
    let Pair { client, mut server, .. } = Pair::over(1 << 20, &Arc::new(config)).await;
    let (mut io, tls) = client.into_inner();
    let mut to_server = Encrypter::new(tls);
    // It says that it has 60,000 bytes. Each record has one of them.
    let mut record = vec![24, 0, 0xEA, 0x60];
    for _ in 0..5_000 {
        io.write_all(&to_server.record(ContentType::Handshake, &record)).await.unwrap();
        record = vec![0];
    }
    let error = server.read(&mut [0; 10]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn each_side_closes_its_direction() {
    for version in VERSIONS {
        let Pair { mut client, mut server, .. } = Pair::new(version).await;
        client.shutdown().await.unwrap();
        assert_eq!(server.read(&mut [0; 10]).await.unwrap(), 0);
        assert_eq!(server.read(&mut [0; 10]).await.unwrap(), 0, "again");
        server.write_all(b"last words").await.unwrap();
        server.shutdown().await.unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.expect("close_notify");
        assert_eq!(heard, b"last words");
        server.shutdown().await.unwrap();
        assert_eq!(server.write(b"more").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}

#[tokio::test]
async fn an_end_without_close_notify_is_an_error() {
    for version in VERSIONS {
        let Pair { mut client, mut server, .. } = Pair::new(version).await;
        write(&mut client, b"so far").await;
        drop(client);
        read(&mut server, b"so far").await;
        let error = server.read(&mut [0; 10]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn a_damaged_record_is_answered_with_an_alert_after_what_came_before_it() {
    for version in VERSIONS {
        let Pair { mut client, mut server, .. } = Pair::new(version).await;
        write(&mut client, b"whole").await;
        let io = client.get_mut().0;
        write(io, &[23, 3, 3, 0, 40]).await;
        write(io, &[7; 40]).await;
        read(&mut server, b"whole").await;
        let error = server.read(&mut [0; 10]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        server.write(b"anything").await.unwrap_err();
        server.shutdown().await.unwrap();
        let error = client.read(&mut [0; 10]).await.unwrap_err();
        assert!(error.to_string().contains("BadRecordMac"), "{error}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_makes_the_writer_wait() {
    let mut pair = Pair::over(1024, &client(&rustls::version::TLS13, &[])).await;
    let sent = bytes(1 << 20);
    let mut taken = 0;
    let stuck = poll_fn(|cx| {
        loop {
            match Pin::new(&mut pair.server).poll_write(cx, &sent[taken..]) {
                Poll::Ready(count) => taken += count.unwrap(),
                Poll::Pending => return Poll::Ready(()),
            }
        }
    });
    stuck.await;
    assert!(taken <= 1 << 17, "{taken} bytes are held for it");
    let (client, server) = (&mut pair.client, &mut pair.server);
    let rest = async {
        tokio::join!(write(server, &sent[taken..]), read(client, &sent));
    };
    timeout(PATIENCE, rest).await.expect("then it goes on");
    assert_eq!(pair.server.records.buffered(), 0);
}

/// Encrypts what no client of rustls would say.
struct Encrypter {
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Encrypter {
    fn new(client: ClientConnection) -> Self {
        let suite = client.negotiated_cipher_suite().and_then(|suite| suite.tls13()).unwrap();
        let secrets = client.dangerous_extract_secrets().unwrap();
        let (sequence, secrets) = secrets.tx;
        let (key, iv): (AeadKey, Iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv }
            | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
            | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key, iv),
            _ => unreachable!("a suite of TLS 1.3"),
        };
        Self { encrypter: suite.aead_alg.encrypter(key, iv), sequence }
    }

    fn record(&mut self, typ: ContentType, payload: &[u8]) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ,
            version: ProtocolVersion::TLSv1_3,
            payload: payload.into(),
        };
        let record = self.encrypter.encrypt(message, self.sequence).unwrap().encode();
        self.sequence += 1;
        record
    }
}

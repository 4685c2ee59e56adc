//! Only our own reverse proxies are served without TLS. The addresses that they name count as those of the clients.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::{OPEN, PATIENCE, TestServer, XMPP, masked, trust, upgrade};

#[tokio::test]
async fn without_tls_only_proxies_are_served() {
    let server = TestServer::closed("proxies = [\"192.0.2.1\"]").await;
    let (_, head) = server.asked(&upgrade("/ws", &[XMPP])).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    server.close().await;
}

#[tokio::test]
async fn a_network_of_proxies_is_all_of_its_machines() {
    let table = [
        ("proxies = [\"127.0.0.0/8\", \"fd00::/8\"]", 101),
        ("proxies = \"0.0.0.0/0\"", 101),
        ("proxies = [\"10.0.0.0/8\", \"fd00::/8\"]", 403),
        ("proxies = [\"127.0.0.2/32\", \"::/0\"]", 403),
    ];
    for (proxies, status) in table {
        let server = TestServer::closed(proxies).await;
        let (_, head) = server.asked(&upgrade("/ws", &[XMPP])).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{proxies}: {head}");
        server.close().await;
    }
}

#[tokio::test]
async fn with_tls_everybody_is_served() {
    let server = TestServer::closed("proxies = []").await;
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    server.server.connect(Box::new(theirs), "https");
    let mut config = trust::config(false);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let mut io = TlsConnector::from(Arc::new(config)).connect(name, ours).await.unwrap();
    assert_eq!(io.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    io.write_all(upgrade("/ws", &[XMPP]).as_bytes()).await.unwrap();
    io.write_all(&masked(0x81, OPEN)).await.unwrap();
    let mut all = Vec::new();
    while !all.ends_with(b"</stream:features>") {
        let count = timeout(PATIENCE, io.read_buf(&mut all)).await.unwrap().unwrap();
        assert!(count > 0, "{}", all.escape_ascii());
    }
    let said = String::from_utf8_lossy(&all);
    // RFC 7395 §3.9; no page can bind a login to TLS.
    assert!(said.contains("<mechanism>SCRAM-SHA-256</mechanism>"), "{said}");
    assert!(!said.contains("-PLUS") && !said.contains("sasl-cb") && !said.contains("starttls"));
    io.write_all(&masked(0x88, b"")).await.unwrap();
    all.clear();
    timeout(PATIENCE, io.read_to_end(&mut all)).await.unwrap().unwrap();
    assert_eq!(all, [0x88, 2, 0x03, 0xe8]);
    server.close().await;
}

#[tokio::test]
async fn connections_behind_a_proxy_are_counted_by_their_own_addresses() {
    let table = [
        // The client says so itself, and the proxy adds where it is.
        ("X-Forwarded-For: 192.0.2.9, 192.0.2.1\r\n", true),
        ("X-Forwarded-For: 192.0.2.1\r\n", false),
        ("X-Forwarded-For: 192.0.2.2\r\n", true),
        ("X-Forwarded-For: 192.0.2.2, 127.0.0.1\r\n", false),
        ("X-Forwarded-For: 192.0.2.3\r\nX-Forwarded-For: 192.0.2.4\r\n", true),
        ("X-Forwarded-For: 192.0.2.4\r\n", false),
    ];
    one_connection_an_address("", &table).await;
    // A client may be in the network of the proxies.
    let table = [
        ("X-Forwarded-For: 10.0.0.7\r\n", true),
        ("X-Forwarded-For: 10.0.0.7, 10.0.0.1\r\n", false),
        ("X-Forwarded-For: 10.0.0.8, 10.0.0.1\r\n", true),
        ("X-Forwarded-For: 10.0.0.9, 192.0.2.1, 10.0.0.1\r\n", true),
        ("X-Forwarded-For: 192.0.2.1\r\n", false),
    ];
    one_connection_an_address("proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n", &table).await;
}

async fn one_connection_an_address(proxies: &str, table: &[(&str, bool)]) {
    let listen = format!("https = []\nhttp = [\"127.0.0.1:0\"]\n{proxies}");
    let server = TestServer::new(&format!("{listen}[limits]\nconnections_per_address = 1\n")).await;
    let (_, address) = server.server.addresses()[0];
    let mut open = Vec::new();
    for (line, is_served) in table {
        let mut io = TcpStream::connect(address).await.unwrap();
        io.write_all(upgrade("/ws", &[XMPP, line]).as_bytes()).await.unwrap();
        io.write_all(&masked(0x81, OPEN)).await.unwrap();
        let mut all = Vec::new();
        while !all.windows(5).any(|part| part == b"<open") {
            match timeout(PATIENCE, io.read_buf(&mut all)).await.unwrap() {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let answered = all.windows(5).any(|part| part == b"<open");
        assert_eq!(answered, *is_served, "{line}");
        open.push(io);
    }
    drop(open);
    server.close().await;
}

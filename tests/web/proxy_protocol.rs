//! Proxies that pass bytes on, and say by the PROXY protocol where their clients are.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{PATIENCE, TestServer, XMPP, head, request, trust, upgrade};

#[tokio::test]
async fn a_proxy_of_bytes_says_where_its_client_is() {
    let listen = "https = []\nhttp = [\"127.0.0.1:0\"]\nproxy_protocol = \"http\"\n";
    let server = TestServer::new(&format!("{listen}[limits]\nconnections_per_address = 1\n")).await;
    let (_, address) = server.server.addresses()[0];
    let v2 = |last: u8| {
        let begin = *b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
        [&begin[..], &[192, 0, 2, last, 127, 0, 0, 1, 9, 9, 9, 9]].concat()
    };
    let v1 = |from: &str| format!("PROXY TCP4 {from} 127.0.0.1 5000 7070\r\n").into_bytes();
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec();
    let table = [
        (v1("192.0.2.1"), "", true),
        (v1("192.0.2.1"), "", false),
        (v2(1), "", false),
        (v2(2), "", true),
        (v2(2), "", false),
        // The client of a proxy of bytes says what it likes: it counts for its own address.
        (v1("192.0.2.3"), "X-Forwarded-For: 192.0.2.9\r\n", true),
        (v1("192.0.2.3"), "X-Forwarded-For: 192.0.2.10\r\n", false),
        // Behind it is a proxy of ours that speaks HTTP.
        (v1("127.0.0.1"), "X-Forwarded-For: 192.0.2.11\r\n", true),
        (v1("127.0.0.1"), "X-Forwarded-For: 192.0.2.12\r\n", true),
        (v1("127.0.0.1"), "X-Forwarded-For: 192.0.2.12\r\n", false),
        (local, "X-Forwarded-For: 192.0.2.13\r\n", true),
        (b"PROXY UNKNOWN\r\n".to_vec(), "X-Forwarded-For: 192.0.2.14\r\n", true),
        (b"".to_vec(), "", false),
        (b"PROXY TCP4 192.0.2.20 127.0.0.1 5000\r\n".to_vec(), "", false),
    ];
    let mut open = Vec::new();
    for (header, line, is_served) in table {
        let mut io = TcpStream::connect(address).await.unwrap();
        let request = [&header[..], upgrade("/ws", &[XMPP, line]).as_bytes()].concat();
        io.write_all(&request).await.unwrap();
        let mut all = Vec::new();
        while !all.ends_with(b"\r\n\r\n") {
            match timeout(PATIENCE, io.read_buf(&mut all)).await.unwrap() {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let answered = all.starts_with(b"HTTP/1.1 101 ");
        assert_eq!(answered, is_served, "{} {line}", header.escape_ascii());
        open.push(io);
    }
    let text = server.server.state().metrics.render();
    let refused = "waxwing_connections_refused_total{reason=\"proxy_header\"} 2";
    assert!(text.contains(refused), "{text}");
    drop(open);
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_proxy_has_little_time_for_its_header_and_others_need_none() {
    let server =
        TestServer::closed("proxy_protocol = [\"http\", \"https\"]\n[limits]\nhandshake = \"5 s\"")
            .await;
    let mut io = server.connect();
    io.write_all(b"PROXY TCP4 192.0.2.1").await.unwrap();
    assert_eq!(head(&mut io).await, "");
    for peer in ["192.0.2.7:9", "[::ffff:192.0.2.7]:9"] {
        let (mut ours, theirs) = tokio::io::duplex(1 << 16);
        server.server.connect_from(Box::new(theirs), peer.parse().unwrap(), "http");
        ours.write_all(request("/.well-known/x", &[]).as_bytes()).await.unwrap();
        assert!(head(&mut ours).await.starts_with("HTTP/1.1 404 "), "{peer}");
    }
    // Before TLS, and where nothing is said of it there is none.
    let (mut ours, theirs) = tokio::io::duplex(1 << 16);
    server.server.connect(Box::new(theirs), "https");
    ours.write_all(b"PROXY UNKNOWN\r\n").await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(trust::config(false))).connect(name, ours).await.unwrap();
    server.close().await;
    let server = TestServer::closed("proxy_protocol = \"c2s\"").await;
    let (_, head) = server.asked("PROXY UNKNOWN\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    server.close().await;
}

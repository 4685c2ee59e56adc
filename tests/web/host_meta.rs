//! Clients find out where to connect (XEP-0156, XEP-0487).

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::{TestServer, request, rest};

#[tokio::test]
async fn clients_find_the_websocket_of_their_domain() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let server = TestServer::new(&format!("http = []\nhttps = [\"127.0.0.1:{free}\"]")).await;
    let ask = async |path: &str, host: &str| {
        let request = request(path, &["Connection: close\r\n"]).replace("localhost", host);
        let mut io = server.connect();
        io.write_all(request.as_bytes()).await.unwrap();
        String::from_utf8(rest(&mut io).await).unwrap()
    };
    for (host, wanted) in [
        ("example.org", "example.org"),
        ("Example.org:7443", "example.org"),
        ("localhost", "localhost"),
        ("elsewhere.example", "localhost"),
    ] {
        let xml = ask("/.well-known/host-meta", host).await;
        let link = format!(
            "<Link rel='urn:xmpp:alt-connections:websocket' href='wss://{wanted}:{free}/ws'/>\
             <Link rel='urn:xmpp:alt-connections:xbosh' href='https://{wanted}:{free}/http-bind'/></XRD>"
        );
        assert!(xml.contains(&link), "{xml}");
        let lower = xml.to_ascii_lowercase();
        assert!(lower.contains("access-control-allow-origin: *\r\n"), "{xml}");
        assert!(lower.contains("content-type: application/xrd+xml\r\n"), "{xml}");
        let json = ask("/.well-known/host-meta.json", host).await;
        let link: serde_json::Value =
            serde_json::from_str(json.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(link["links"][0]["rel"], "urn:xmpp:alt-connections:websocket");
        assert_eq!(link["links"][0]["href"], format!("wss://{wanted}:{free}/ws"));
        assert_eq!(link["links"][1]["rel"], "urn:xmpp:alt-connections:xbosh");
        assert_eq!(link["links"][1]["href"], format!("https://{wanted}:{free}/http-bind"));
    }
    for path in ["host-meta/", "host-meta?x=y", "host-meta.json/", "host-meta.json?x"] {
        let found = ask(&format!("/.well-known/{path}"), "localhost").await;
        assert!(found.contains(&format!("wss://localhost:{free}/ws")), "{path}: {found}");
    }
    server.close().await;
    let server = TestServer::closed("websocket = \"wss://chat.example/xmpp-websocket?a&b\"").await;
    let (mut io, head) =
        server.asked(&request("/.well-known/host-meta", &["Connection: close\r\n"])).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let xml = String::from_utf8(rest(&mut io).await).unwrap();
    assert!(xml.contains("href='wss://chat.example/xmpp-websocket?a&amp;b'"), "{xml}");
    assert!(!xml.contains("xbosh"), "nobody says where: {xml}");
    server.close().await;
    let server = TestServer::closed("bosh = \"https://chat.example/http-bind\"").await;
    let (mut io, _) =
        server.asked(&request("/.well-known/host-meta", &["Connection: close\r\n"])).await;
    let xml = String::from_utf8(rest(&mut io).await).unwrap();
    assert!(xml.contains("xbosh' href='https://chat.example/http-bind'"), "{xml}");
    assert!(!xml.contains("websocket"), "{xml}");
    server.close().await;
}

#[tokio::test]
async fn pages_from_everywhere_may_ask() {
    let server = TestServer::closed("").await;
    let (_, head) = server.asked(&request("/.well-known/host-meta", &[])).await;
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    assert!(head.to_ascii_lowercase().contains("access-control-allow-origin: *\r\n"), "{head}");
    // A browser asks first if a page sends headers of its own (XEP-0156 §4).
    for path in ["host-meta", "host-meta.json"] {
        let asked = request(&format!("/.well-known/{path}"), &[]).replacen("GET ", "OPTIONS ", 1);
        let (_, head) = server.asked(&asked).await;
        assert!(head.starts_with("HTTP/1.1 204 "), "{head}");
        let head = head.to_ascii_lowercase();
        for line in ["origin: *", "methods: get, head, options", "headers: *"] {
            assert!(head.contains(&format!("access-control-allow-{line}\r\n")), "{line}: {head}");
        }
    }
    server.close().await;
}

/// The document for a server with these options.
async fn json_of(options: &str) -> serde_json::Value {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let listen = format!("http = []\nhttps = [\"127.0.0.1:{free}\"]\n{options}");
    let server = TestServer::new(&listen).await;
    let request = request("/.well-known/host-meta.json", &["Connection: close\r\n"]);
    let mut io = server.connect();
    io.write_all(request.as_bytes()).await.unwrap();
    let answer = String::from_utf8(rest(&mut io).await).unwrap();
    server.close().await;
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

const PUBLIC: &str = "public = [\"192.0.2.1\", \"2001:db8::1\"]\n";

#[tokio::test]
async fn clients_are_told_all_ways_to_connect_if_the_operator_wants_it() {
    let found = json_of(&format!("{PUBLIC}bosh = \"https://localhost/http-bind\"")).await;
    assert_eq!(found["xmpp"]["ttl"], 3600);
    let links = found["links"].as_array().unwrap();
    assert_eq!(links.len(), 1, "{found}");
    for link in links {
        assert_eq!(link["sni"], "localhost", "{found}");
        assert_eq!(link["ips"], serde_json::json!(["192.0.2.1", "2001:db8::1"]));
        assert!(link["priority"].is_u64() && link["weight"].is_u64(), "{found}");
    }
}

/// A client that reads that the document is complete looks for no SRV records (XEP-0487 §2).
#[tokio::test]
async fn a_document_that_is_not_complete_does_not_say_so() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for (options, is_complete) in [
        (String::new(), false),
        (format!("{PUBLIC}websocket = \"wss://chat.example/ws\""), false),
        (format!("{PUBLIC}s2s = []\ns2s_tls = []\n[s2s]\nenabled = true"), false),
        (
            format!("{PUBLIC}s2s = []\ns2s_tls = [\"127.0.0.1:{free}\"]\n[s2s]\nenabled = true"),
            true,
        ),
    ] {
        let found = json_of(&options).await;
        assert_eq!(found["xmpp"].is_object(), is_complete, "{options}: {found}");
        let links = found["links"].as_array().unwrap();
        let ours = links.iter().find(|link| link["rel"] == "urn:xmpp:alt-connections:s2s-tls");
        assert_eq!(ours.is_some(), is_complete, "{found}");
        assert!(ours.is_none_or(|link| link["port"] == free), "{found}");
    }
}

//! Web sites that name the certificates of servers by their fingerprints (POSH, RFC 7711).

#![expect(clippy::disallowed_methods, reason = "a web site of a test ends with its runtime")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::remote::{DIALBACK, Listening, open};
use super::test_server::{Authority, Pair, TestServer};

/// What a web site answers to a request for a path, which it is given.
type Answers = dyn Fn(&str) -> String + Send + Sync;

/// A web site over HTTPS.
struct Site {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Site {
    async fn new(
        certificate: &Pair,
        answers: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (acceptor, count) = (certificate.acceptor(), Arc::clone(&asked));
        let answers: Arc<Answers> = Arc::new(answers);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (acceptor, answers) = (acceptor.clone(), Arc::clone(&answers));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(socket).await else { return };
                    let mut read = Vec::new();
                    while !read.ends_with(b"\r\n\r\n") {
                        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let request = String::from_utf8(read).unwrap();
                    let answer = answers(request.split(' ').nth(1).unwrap());
                    // The server may not want to read it all.
                    drop(stream.write_all(answer.as_bytes()).await);
                    drop(stream.shutdown().await);
                });
            }
        });
        Self { address, asked }
    }

    /// The line of the configuration that says where the web sites of these domains are.
    fn hosts(&self, domains: &[&str]) -> String {
        let hosts = domains.iter().map(|domain| format!("'{domain}' = '{}'", self.address));
        format!("posh_hosts = {{ {} }}\n", hosts.collect::<Vec<_>>().join(", "))
    }
}

/// An answer with this document.
fn page(document: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{document}", document.len())
}

/// A document that names this certificate.
fn naming(certificate: &Pair) -> String {
    let key = certificate.certified_key();
    let hash = STANDARD.encode(Sha256::digest(&key.cert[0]));
    format!("{{\"fingerprints\":[{{\"sha-256\":\"{hash}\"}}],\"expires\":600}}")
}

const WELL_KNOWN: &str = "/.well-known/posh/xmpp-server.json";
const MESSAGE: &str = "<message to='x@c.example' type='chat'><body>hi</body></message>";

#[tokio::test]
async fn a_server_is_believed_that_its_web_site_names() {
    let authority = Authority::new();
    let own = Pair::self_signed("host.example");
    let there = Listening::new(&own).await;
    let document = naming(&own);
    let site = Site::new(&authority.certify(&["c.example"]), move |path| {
        assert_eq!(path, WELL_KNOWN);
        page(&document)
    })
    .await;
    let (server, at) =
        TestServer::that_knows_c(&authority, there.address, &site.hosts(&["c.example"])).await;
    let mut romeo = server.online("romeo").await;
    romeo.say(MESSAGE).await;
    there.believing("c.example", "").await.hears("<body>hi</body>").await;
    // The same for a stream that it opens, with a key. What the web site has said still holds.
    let (mut peer, offered) = open(at, Some(&own), "c.example", "a.example").await;
    assert!(!offered.contains("EXTERNAL"), "{offered}");
    peer.say("<db:result from='c.example' to='a.example'>key</db:result>").await;
    let (mut asked, _) = there.stream("c.example", "1", DIALBACK).await;
    let question = asked.hears("</db:verify>").await;
    let id = question.split("id='").nth(1).unwrap().split('\'').next().unwrap();
    let names = "from='c.example' to='a.example'";
    asked.say(format!("<db:verify {names} id='{id}' type='valid'/>")).await;
    assert!((peer.hears("<db:result").await + &peer.hears("/>").await).contains("type='valid'"));
    assert_eq!(site.asked.load(Ordering::SeqCst), 1);
    server.close().await;
}

#[tokio::test]
async fn a_web_site_delegates_to_another() {
    let authority = Authority::new();
    let own = Pair::self_signed("host.example");
    let there = Listening::new(&own).await;
    let document = naming(&own);
    let site =
        Site::new(&authority.certify(&["c.example", "host.example"]), move |path| match path {
            WELL_KNOWN => {
                "HTTP/1.1 302 Found\r\nLocation: /moved.json\r\nContent-Length: 0\r\n\r\n".into()
            }
            "/moved.json" => page("{\"url\":\"https://host.example/c.json\",\"expires\":600}"),
            "/c.json" => page(&document),
            _ => panic!("{path}"),
        })
        .await;
    let hosts = site.hosts(&["c.example", "host.example"]);
    let (server, _) = TestServer::that_knows_c(&authority, there.address, &hosts).await;
    let mut romeo = server.online("romeo").await;
    romeo.say(MESSAGE).await;
    there.believing("c.example", "").await.hears("<body>hi</body>").await;
    assert_eq!(site.asked.load(Ordering::SeqCst), 3);
    server.close().await;
}

#[tokio::test]
async fn a_web_site_that_does_not_name_it_proves_nothing() {
    let authority = Authority::new();
    let own = Pair::self_signed("host.example");
    let (right, other) = (naming(&own), naming(&Pair::self_signed("host.example")));
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(100_000));
    let endless = "{\"url\":\"/again.json\",\"expires\":600}";
    let moved =
        |to: &str| format!("HTTP/1.1 301 Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    let cases = [
        ("another", page(&other)),
        ("no-tls", moved("http://no-tls.example/")),
        ("other-port", moved("https://other-port.example:8443/")),
        ("other-user", moved("https://romeo@other-user.example/")),
        ("an-address", moved("https://127.0.0.1/")),
        ("too-long", page(&long)),
        ("without-length", format!("HTTP/1.1 200 OK\r\n\r\n{long}")),
        ("not-found", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into()),
        ("no-http", "hello".into()),
        ("silent", String::new()),
        ("delegates-on", page(endless)),
        ("moves-on", moved(WELL_KNOWN)),
        ("self-signed", page(&right)),
        ("misnamed", page(&right)),
    ];
    let there = Listening::new(&own).await;
    let (mut sites, mut hosts) = (Vec::new(), Vec::new());
    for (name, answer) in &cases {
        let domain = format!("{name}.example");
        let certificate = match *name {
            "self-signed" => Pair::self_signed(&domain),
            "misnamed" => authority.certify(&["other.example"]),
            _ => authority.certify(&[&domain]),
        };
        let answer = answer.clone();
        let site = Site::new(&certificate, move |_| answer.clone()).await;
        hosts.push(format!("'{domain}' = '{}'", site.address));
        sites.push((domain, site));
    }
    let known: Vec<_> =
        sites.iter().map(|(domain, _)| (domain.as_str(), there.address.to_string())).collect();
    let more = format!("posh_hosts = {{ {} }}\n", hosts.join(", "));
    let (server, at) = TestServer::that_knows(&authority, known, &more).await;
    let mut romeo = server.online("romeo").await;
    for (domain, site) in &sites {
        romeo.say(MESSAGE.replace("c.example", domain)).await;
        let (mut peer, _) = there.stream(domain, "1", DIALBACK).await;
        let error = romeo.hears("<error").await + &romeo.hears("</message>").await;
        assert!(error.contains("of no trusted authority"), "{domain}: {error}");
        peer.hears("</stream:stream>").await;
        let (mut peer, _) = open(at, Some(&own), domain, "a.example").await;
        peer.say(format!("<db:result from='{domain}' to='a.example'>key</db:result>")).await;
        assert!(peer.hears("</db:result>").await.contains("<not-authorized"), "{domain}");
        assert!(site.asked.load(Ordering::SeqCst) > 0, "{domain}");
    }
    server.close().await;
}

#[tokio::test]
async fn no_web_site_is_asked_where_that_is_switched_off_or_not_needed() {
    let authority = Authority::new();
    for (certificate, more) in [
        (Pair::self_signed("c.example"), "posh = false\n"),
        (Pair::self_signed("c.example"), "dialback = 'c.example'\n"),
        (authority.certify(&["c.example"]), ""),
    ] {
        let there = Listening::new(&certificate).await;
        let document = naming(&certificate);
        let site = Site::new(&authority.certify(&["c.example"]), move |_| page(&document)).await;
        let more = site.hosts(&["c.example"]) + more;
        let (server, _) = TestServer::that_knows_c(&authority, there.address, &more).await;
        let mut romeo = server.online("romeo").await;
        romeo.say(MESSAGE).await;
        if more.contains("posh = false") {
            drop(there.stream("c.example", "1", DIALBACK).await);
            let error = romeo.hears("<error").await + &romeo.hears("</message>").await;
            assert!(error.contains("of no trusted authority"), "{error}");
        } else {
            there.believing("c.example", "").await.hears("<body>hi</body>").await;
        }
        assert_eq!(site.asked.load(Ordering::SeqCst), 0, "{more}");
        server.close().await;
    }
}

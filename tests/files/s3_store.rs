//! A store of objects with the interface of S3, in this process. It has its own check of signatures, written after the
//! documentation of AWS (Signature Version 4, "Authenticating requests: using query parameters").

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use waxwing::payload::datetime::Timestamp;

/// What the store has, and what it was asked.
pub(crate) struct Store {
    pub(crate) objects: Mutex<HashMap<String, Vec<u8>>>,
    /// Method and path of each request.
    pub(crate) asked: Mutex<Vec<(String, String)>>,
    pub(crate) fault: Mutex<Fault>,
    /// Each PUT uses up one permit, and waits while there is none.
    pub(crate) puts: Semaphore,
    pub(crate) secret: &'static str,
}

/// How the store behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    None,
    /// Each request is answered so: the status, and the code of the error.
    Status(u16, &'static str),
    /// No request is answered.
    Silent,
    /// The body of an object ends in its middle.
    Cut,
}

/// A request, as far as it is read.
struct Asked {
    method: String,
    /// With its query.
    target: String,
    /// Names in lower case.
    headers: HashMap<String, String>,
}

impl Store {
    /// On a free port.
    pub(crate) async fn start() -> (Arc<Self>, SocketAddr) {
        let store = Arc::new(Self {
            objects: Mutex::default(),
            asked: Mutex::default(),
            fault: Mutex::new(Fault::None),
            puts: Semaphore::new(1000),
            secret: SECRET,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = Arc::clone(&store);
        #[expect(clippy::disallowed_methods, reason = "the store is no task of the server")]
        tokio::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                let serving = Arc::clone(&serving);
                tokio::spawn(async move { while_open(&serving, BufReader::new(io)).await });
            }
        });
        (store, address)
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.asked.lock().iter().filter(|(asked, _)| asked == method).count()
    }
}

/// Answers requests until the connection ends.
async fn while_open(store: &Store, mut io: BufReader<TcpStream>) {
    while let Some(asked) = read_head(&mut io).await {
        let length = asked.headers.get("content-length").map_or(0, |own| own.parse().unwrap());
        let mut body = vec![0; length];
        io.read_exact(&mut body).await.unwrap();
        if answer(store, &mut io, &asked, body).await.is_none() {
            return;
        }
    }
}

async fn read_head(io: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut first = head.split(' ');
    let (method, target) = (first.next().unwrap().to_owned(), first.next().unwrap().to_owned());
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    Some(Asked { method, target, headers: headers.collect() })
}

/// `None`: the connection ends.
async fn answer(
    store: &Store,
    io: &mut BufReader<TcpStream>,
    asked: &Asked,
    body: Vec<u8>,
) -> Option<()> {
    let path = asked.target.split('?').next().unwrap().to_owned();
    store.asked.lock().push((asked.method.clone(), path.clone()));
    let fault = *store.fault.lock();
    if fault == Fault::Silent {
        std::future::pending::<()>().await;
    }
    if asked.method == "PUT" {
        store.puts.acquire().await.unwrap().forget();
    }
    let refused = match fault {
        Fault::Status(status, code) => Some((status, code)),
        _ => refused(store, asked, &body),
    };
    let found = store.objects.lock().get(&path).cloned();
    let (status, more, body) = match (refused, asked.method.as_str(), found) {
        (Some((status, code)), ..) => {
            let text = format!("<Error><Code>{code}</Code><Message>It is so.</Message></Error>");
            (status, String::new(), text.into_bytes())
        }
        (None, "PUT", _) => {
            store.objects.lock().insert(path, body);
            (200, String::new(), Vec::new())
        }
        (None, "DELETE", _) => {
            store.objects.lock().remove(&path);
            (204, String::new(), Vec::new())
        }
        (None, _, None) => (404, String::new(), Vec::new()),
        (None, _, Some(object)) => part(asked, &object),
    };
    let head = format!("HTTP/1.1 {status} X\r\n{more}Content-Length: {}\r\n\r\n", body.len());
    io.write_all(head.as_bytes()).await.ok()?;
    if asked.method == "HEAD" {
        return Some(());
    }
    if fault == Fault::Cut {
        io.write_all(&body[..body.len() / 2]).await.ok()?;
        return None;
    }
    io.write_all(&body).await.ok()
}

fn part(asked: &Asked, object: &[u8]) -> (u16, String, Vec<u8>) {
    let Some(range) = asked.headers.get("range").and_then(|own| own.strip_prefix("bytes=")) else {
        return (200, String::new(), object.to_vec());
    };
    let start: usize = range.trim_end_matches('-').parse().unwrap();
    let (last, size) = (object.len() - 1, object.len());
    (206, format!("Content-Range: bytes {start}-{last}/{size}\r\n"), object[start..].to_vec())
}

/// Why a request is refused.
fn refused(store: &Store, asked: &Asked, body: &[u8]) -> Option<(u16, &'static str)> {
    let (path, query) = asked.target.split_once('?').unwrap();
    let (query, signature) = query.rsplit_once("&X-Amz-Signature=").unwrap();
    let of = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(own, _)| *own == name).map(|(_, value)| value.replace("%2F", "/")).unwrap()
    };
    let at = of("X-Amz-Date");
    let credential = of("X-Amz-Credential");
    let [key, day, region, service, end] =
        credential.split('/').collect::<Vec<_>>().try_into().unwrap();
    if (key, region, service, end) != ("key", "garden", "s3", "aws4_request") || day != &at[..8] {
        return Some((403, "InvalidAccessKeyId"));
    }
    let moment = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &at[..4],
        &at[4..6],
        &at[6..8],
        &at[9..11],
        &at[11..13],
        &at[13..15]
    );
    let moment = Timestamp::parse(&moment).unwrap();
    let age = (waxwing::clock::Clock::system().now().as_micros() - moment.as_micros()) / 1_000_000;
    let valid: i64 = of("X-Amz-Expires").parse().unwrap();
    if !(-60..valid).contains(&age) {
        return Some((403, "RequestTimeTooSkewed"));
    }
    let names = of("X-Amz-SignedHeaders").replace("%3B", ";");
    let headers = names.split(';').map(|name| (name, asked.headers[name].as_str()));
    let headers: Vec<_> = headers.collect();
    // All headers of Amazon must be signed.
    let is_signed = |name: &String| !name.starts_with("x-amz-") || names.contains(name.as_str());
    if !asked.headers.keys().all(is_signed) {
        return Some((403, "AccessDenied"));
    }
    let wanted = signed(&asked.method, path, query, &headers, &at, region, store.secret);
    if wanted != signature {
        return Some((403, "SignatureDoesNotMatch"));
    }
    let checksum = asked.headers.get("x-amz-checksum-sha256");
    if checksum.is_some_and(|own| *own != STANDARD.encode(Sha256::digest(body))) {
        return Some((400, "BadDigest"));
    }
    None
}

/// The signature of a request whose query is sorted and encoded already.
fn signed(
    method: &str,
    path: &str,
    query: &str,
    headers: &[(&str, &str)],
    at: &str,
    region: &str,
    secret: &str,
) -> String {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let request = format!("{method}\n{path}\n{query}\n{lines}\n{names}\nUNSIGNED-PAYLOAD");
    let scope = format!("{}/{region}/s3/aws4_request", &at[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", hex(&Sha256::digest(request)));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [&at[..8], region, "s3", "aws4_request", &text] {
        let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(part);
        key = mac.finalize().into_bytes().to_vec();
    }
    hex(&key)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) const SECRET: &str = "a long secret for a store";

/// The example in the documentation of Amazon S3: so the store of the test knows what it checks.
#[test]
fn the_store_signs_as_its_documentation_says() {
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&\
        X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&\
        X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host";
    let headers = [("host", "examplebucket.s3.amazonaws.com")];
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let found =
        signed("GET", "/test.txt", query, &headers, "20130524T000000Z", "us-east-1", secret);
    assert_eq!(found, "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

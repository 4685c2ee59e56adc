//! Requests to a bucket, and what comes of them.

use std::error::Error;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rusty_s3::actions::{DeleteObject, GetObject, HeadObject, PutObject};
use rusty_s3::{Bucket, Credentials, S3Action};
use tokio::time::timeout;

use crate::storage::ContentHash;
use crate::tls;
use crate::upload::StoreError;

/// A bucket, and how it is reached.
pub(super) struct Client {
    http: Http<HttpsConnector<HttpConnector>, Body>,
    bucket: Bucket,
    credentials: Credentials,
    limit: Duration,
}

/// A body that is sent: how long it is, and itself.
pub(super) struct Sent {
    pub(super) size: u64,
    pub(super) body: Body,
}

/// A body that comes, piece by piece.
pub(super) struct Coming {
    pieces: BoxStream<'static, Result<Bytes, axum::Error>>,
    limit: Duration,
}

impl Client {
    pub(super) fn new(bucket: Bucket, credentials: Credentials, limit: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(limit.min(CONNECT)));
        connector.set_nodelay(true);
        // The next layer makes TLS where it is wanted.
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::web_client())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let http = Http::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MOST_IDLE)
            .build(connector);
        Self { http, bucket, credentials, limit }
    }

    /// How long an object is. `None` if there is none.
    pub(super) async fn size(&self, hash: ContentHash) -> io::Result<Option<u64>> {
        let name = hash.to_string();
        let answer = self.send(HeadObject::new(&self.bucket, self.key(), &name), None).await?;
        match answer.status() {
            StatusCode::OK => {
                let length = answer.headers().get("content-length");
                let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
                let none = || StoreError::Refused("HEAD: no length".to_owned()).into();
                length.map(Some).ok_or_else(none)
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.refused("HEAD", answer).await),
        }
    }

    /// Sends an object. The service compares it with its hash.
    pub(super) async fn put(&self, hash: ContentHash, sent: Sent) -> io::Result<()> {
        let name = hash.to_string();
        let mut put = PutObject::new(&self.bucket, self.key(), &name);
        put.headers_mut().insert("x-amz-checksum-sha256", STANDARD.encode(hash.bytes()));
        let answer = self.send(put, Some(sent)).await?;
        match answer.status() {
            StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(()),
            _ => Err(self.refused("PUT", answer).await),
        }
    }

    /// The bytes of an object from a position on. `None` if the position is behind its end.
    pub(super) async fn get(&self, hash: ContentHash, at: u64) -> io::Result<Option<Coming>> {
        let name = hash.to_string();
        let mut get = GetObject::new(&self.bucket, self.key(), &name);
        if at > 0 {
            get.headers_mut().insert("range", format!("bytes={at}-"));
        }
        let answer = self.send(get, None).await?;
        match answer.status() {
            StatusCode::OK if at == 0 => {}
            StatusCode::PARTIAL_CONTENT if at > 0 => {}
            StatusCode::RANGE_NOT_SATISFIABLE => return Ok(None),
            _ => return Err(self.refused("GET", answer).await),
        }
        Ok(Some(self.coming(answer)))
    }

    pub(super) async fn delete(&self, hash: ContentHash) -> io::Result<()> {
        let name = hash.to_string();
        let answer = self.send(DeleteObject::new(&self.bucket, self.key(), &name), None).await?;
        match answer.status() {
            StatusCode::OK | StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Ok(()),
            _ => Err(self.refused("DELETE", answer).await),
        }
    }

    /// An address at which everybody can fetch an object for some minutes, with these headers.
    pub(super) fn address(
        &self,
        hash: ContentHash,
        left: Duration,
        media_type: &str,
        disposition: &str,
    ) -> String {
        let name = hash.to_string();
        let mut get = GetObject::new(&self.bucket, self.key(), &name);
        get.query_mut().insert("response-content-type", media_type);
        get.query_mut().insert("response-content-disposition", disposition);
        get.sign(VALID.min(left)).into()
    }

    fn key(&self) -> Option<&Credentials> {
        Some(&self.credentials)
    }

    async fn send(
        &self,
        mut action: impl S3Action<'_>,
        sent: Option<Sent>,
    ) -> io::Result<Response<Body>> {
        let headers: HeaderMap = action
            .headers_mut()
            .iter()
            .filter_map(|(name, value)| {
                let name: axum::http::HeaderName = name.parse().ok()?;
                Some((name, value.parse().ok()?))
            })
            .collect();
        let method = method(&action);
        let address = action.sign(VALID);
        let mut request = Request::builder().method(method).uri(address.as_str());
        if let Some(own) = request.headers_mut() {
            own.extend(headers);
        }
        let (body, limit) = match sent {
            Some(Sent { size, body }) => {
                request = request.header("content-length", size);
                (body, self.limit + Duration::from_secs(size / SLOWEST))
            }
            None => (Body::empty(), self.limit),
        };
        let request = request.body(body).map_err(io::Error::other)?;
        match timeout(limit, self.http.request(request)).await {
            Ok(Ok(answer)) => Ok(answer.map(Body::new)),
            Ok(Err(error)) => Err(StoreError::Unreachable(in_words(&error)).into()),
            Err(_) => Err(StoreError::Late.into()),
        }
    }

    fn coming(&self, answer: Response<Body>) -> Coming {
        let pieces = answer.into_body().into_data_stream().boxed();
        Coming { pieces, limit: self.limit }
    }

    /// The error for an unexpected answer.
    async fn refused(&self, method: &str, answer: Response<Body>) -> io::Error {
        let status = answer.status();
        let mut coming = self.coming(answer);
        let mut said = Vec::new();
        while said.len() < MOST_SAID
            && let Ok(Some(piece)) = coming.next().await
        {
            said.extend_from_slice(&piece);
        }
        let said = String::from_utf8_lossy(&said);
        let code = inside(&said, "Code");
        let text = match (&code, inside(&said, "Message")) {
            (Some(code), Some(message)) => {
                format!("{method}: {} {code}: {message}", status.as_u16())
            }
            (Some(code), None) => format!("{method}: {} {code}", status.as_u16()),
            (None, _) => format!("{method}: {status}"),
        };
        let error = match (status.as_u16(), code.as_deref()) {
            (429 | 503, _) | (_, Some("SlowDown")) => StoreError::Busy(text),
            (507, _) | (_, Some("XMinioStorageFull" | "QuotaExceeded")) => StoreError::Full(text),
            _ => StoreError::Refused(text),
        };
        error.into()
    }
}

impl Coming {
    /// The next bytes. `None` at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match timeout(self.limit, self.pieces.next()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(piece))) => Ok(Some(piece)),
            Ok(Some(Err(error))) => Err(StoreError::Unreachable(in_words(&error)).into()),
            Err(_) => Err(StoreError::Late.into()),
        }
    }
}

fn method<'a, A: S3Action<'a>>(_: &A) -> &'static str {
    A::METHOD.to_str()
}

/// An error with its causes.
fn in_words(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The text of an element in an error of the service. It is XML; but what is no XML is an error, too.
fn inside(said: &str, name: &str) -> Option<String> {
    let (_, rest) = said.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.chars().filter(|c| !c.is_control()).take(MOST_LOGGED).collect())
}

/// How long an address is valid: a request begins within this time.
const VALID: Duration = Duration::from_secs(300);
const CONNECT: Duration = Duration::from_secs(10);
/// Connections that wait for the next request: how long, and how many.
const IDLE: Duration = Duration::from_secs(30);
const MOST_IDLE: usize = 8;
/// Bytes in a second.
const SLOWEST: u64 = 64 * 1024;
/// Bytes of an error that are read.
const MOST_SAID: usize = 4096;
/// Letters of it that are logged.
const MOST_LOGGED: usize = 200;

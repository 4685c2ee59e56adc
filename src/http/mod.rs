//! HTTP, for what clients cannot do otherwise: browsers know no TCP. One connection at a time, in
//! whatever task it came with; what answers is a router of its caller.
//!
//! A connection that turns into something else (`websocket`) is handed back with what was read of
//! it already.

pub mod frames;
mod utf8;
pub mod websocket;

use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};

/// Answers the requests of one connection. Gives it back when it ends, or when a request has turned
/// it into something else, with the bytes that were read beyond that request.
///
/// # Errors
/// If the connection is lost, or what comes is no HTTP.
pub async fn serve<S>(io: S, routes: Router) -> hyper::Result<(S, Bytes)>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(io), TowerToHyperService::new(routes));
    let parts = connection.without_shutdown().await?;
    Ok((parts.io.into_inner(), parts.read_buf))
}

/// For the head of a request, from its first byte or from the answer to the one before.
const HEAD: Duration = Duration::from_secs(15);
/// All heads that were read and not yet answered.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 100;

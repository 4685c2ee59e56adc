//! The opening handshake of WebSocket (RFC 6455 §4): an HTTP request turns its connection into a
//! WebSocket. What is said then is in `stream/websocket`.

use axum::http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, request};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// Answers an opening handshake (RFC 6455 §4.2) of a client that speaks this subprotocol. After the answer
/// 101 the connection is a WebSocket. Any other answer says what is wrong.
#[must_use]
pub fn accept(request: &request::Parts, protocol: &'static str) -> Response {
    let headers = &request.headers;
    let is_upgrade = has(headers, &UPGRADE, "websocket") && has(headers, &CONNECTION, "upgrade");
    if !is_upgrade || request.method != Method::GET || request.version != Version::HTTP_11 {
        let head = [(UPGRADE, "websocket"), (CONNECTION, "Upgrade")];
        let text = "This address is for XMPP clients, over WebSocket.\n";
        return (StatusCode::UPGRADE_REQUIRED, head, text).into_response();
    }
    if !has(headers, &SEC_WEBSOCKET_VERSION, "13") {
        let head = [(UPGRADE, "websocket"), (CONNECTION, "Upgrade"), (SEC_WEBSOCKET_VERSION, "13")];
        return (StatusCode::UPGRADE_REQUIRED, head).into_response();
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let is_key = |key: &&[u8]| STANDARD.decode(key).is_ok_and(|key| key.len() == 16);
    let Some(key) = key.filter(is_key) else {
        return (StatusCode::BAD_REQUEST, "There is no Sec-WebSocket-Key.\n").into_response();
    };
    if !has(headers, &SEC_WEBSOCKET_PROTOCOL, protocol) {
        let text = format!("The subprotocol is {protocol}.\n");
        return (StatusCode::BAD_REQUEST, text).into_response();
    }
    let hash = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let head = [
        (UPGRADE, "websocket".to_owned()),
        (CONNECTION, "Upgrade".to_owned()),
        (SEC_WEBSOCKET_ACCEPT, STANDARD.encode(hash)),
        (SEC_WEBSOCKET_PROTOCOL, protocol.to_owned()),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, head).into_response()
}

/// Whether a header, which is a list, contains this word, in any case.
fn has(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
}

/// RFC 6455 §1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

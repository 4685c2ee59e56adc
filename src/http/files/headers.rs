//! Headers of all answers about files.

use axum::http::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName,
    LAST_MODIFIED, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::payload::datetime::Timestamp;
use crate::storage::{ContentHash, StoredFile};
use crate::upload::{MediaType, percent_encoded};

/// Adds the headers that all answers have. Pages from everywhere may upload and download (XEP-0363 §9). No browser runs
/// what comes from here, or shows it in the page of another site (XEP-0363 §10.1).
pub(super) fn secure(headers: &mut HeaderMap) {
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED),
        (ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED),
        (ACCESS_CONTROL_MAX_AGE, "7200"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Adds the headers that describe a file: its type, its name, and how long it may be kept, counted from `now`.
pub(super) fn of_file(
    file: &StoredFile,
    content: ContentHash,
    now: Timestamp,
    headers: &mut HeaderMap,
) {
    let media_type = file.media_type.as_deref().and_then(MediaType::parse);
    let harmless = media_type.as_ref().filter(|found| !found.is_active());
    let served = harmless.map(MediaType::with_charset);
    put(headers, CONTENT_TYPE, served.as_deref().unwrap_or(UNKNOWN));
    let how = match media_type.is_some_and(|found| found.is_shown()) {
        true => "inline",
        false => "attachment",
    };
    // RFC 6266 §4.3, RFC 8187: the name in all letters.
    let name = format!("{how}; filename*=UTF-8''{}", percent_encoded(&file.name));
    put(headers, CONTENT_DISPOSITION, &name);
    put(headers, ETAG, &etag(content));
    put(headers, LAST_MODIFIED, &http_date(file.created));
    put(headers, ACCEPT_RANGES, "bytes");
    let left = file.expires.map(|end| (end.as_micros() - now.as_micros()) / 1_000_000);
    let age = left.unwrap_or(DAY).clamp(0, DAY);
    put(headers, CACHE_CONTROL, &format!("private, max-age={age}, immutable"));
}

/// The tag of a content (RFC 9110 §8.8.3): the same bytes have the same.
pub(super) fn etag(content: ContentHash) -> String {
    format!("\"{content}\"")
}

/// A date in HTTP, to the second (RFC 9110 §5.6.7).
pub(in crate::http) fn http_date(at: Timestamp) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(at.as_micros().div_euclid(1_000_000));
    let text = moment.unwrap_or(OffsetDateTime::UNIX_EPOCH).format(DATE);
    text.unwrap_or_default()
}

/// Reads such a date, also in its two old forms.
pub(super) fn read_date(text: &str) -> Option<Timestamp> {
    let moment = httpdate::parse_http_date(text.trim()).ok()?;
    let since = moment.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_micros(i64::try_from(since.as_micros()).ok()?))
}

/// Adds a header. A value that is none is left out.
pub(in crate::http) fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// How many bytes of an upload are there (draft-ietf-httpbis-resumable-upload §4.1.1).
pub(super) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// How many bytes the whole has (§4.1.3 there).
pub(super) const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
/// Whether all bytes are there (§4.1.2 there): `?1` or `?0`.
pub(super) const UPLOAD_COMPLETE: HeaderName = HeaderName::from_static("upload-complete");

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
/// The methods that files know.
pub(super) const METHODS: &str = "OPTIONS, HEAD, GET, PUT, PATCH, DELETE";
const ALLOWED: &str = "Authorization, Content-Type, Content-Range, Cookie, Expires, If-Modified-Since, \
    If-None-Match, If-Range, Range, Upload-Complete, Upload-Length, Upload-Offset";
const EXPOSED: &str = "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, \
    Last-Modified, Retry-After, Upload-Complete, Upload-Length, Upload-Offset";
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";
const UNKNOWN: &str = "application/octet-stream";
/// In seconds.
const DAY: i64 = 86_400;
const DATE: &[BorrowedFormatItem<'static>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        let at = Timestamp::from_micros(784_111_777_900_000);
        assert_eq!(http_date(at), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(read_date(&http_date(at)).map(Timestamp::as_micros), Some(784_111_777_000_000));
        for old in ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(read_date(old).map(Timestamp::as_micros), Some(784_111_777_000_000));
        }
        for wrong in ["", "yesterday", "784111777"] {
            assert_eq!(read_date(wrong), None, "{wrong}");
        }
    }
}

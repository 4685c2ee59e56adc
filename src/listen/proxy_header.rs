//! The header of the PROXY protocol, versions 1 and 2 (HAProxy, `proxy-protocol.txt`): with it a proxy that
//! passes bytes on says where its client is.
//!
//! What is easy to get wrong: the bytes after the header are the client's. So exactly the header is read, and
//! no byte more, as what follows may be a TLS handshake.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Why there is no header.
#[derive(Debug, Error)]
pub(super) enum HeaderError {
    /// The connection has ended before the header.
    #[error("the connection ended before the end of the header: {0}")]
    Io(#[from] io::Error),
    /// The first bytes are those of something else.
    #[error("the connection does not begin with a PROXY header")]
    Missing,
    /// It is not as the specification says.
    #[error("the PROXY header is invalid: {0}")]
    Invalid(&'static str),
}

/// Reads the header, and nothing after it. Returns where the client is; `None` if the proxy itself is the
/// client (`LOCAL`), or does not know where its client is (`UNKNOWN`, or no address of the internet).
///
/// A header of version 1 has at most 107 bytes, one of version 2 at most [`LONGEST`] after its first 16. The
/// additions to version 2 (TLVs) are read and not looked at.
///
/// # Errors
/// The connection cannot be served: where its client is, is not known.
pub(super) async fn read(
    io: &mut (impl AsyncRead + Unpin),
) -> Result<Option<SocketAddr>, HeaderError> {
    let mut head = [0; 16];
    // The shortest header has as many bytes as `PROXY UNKNOWN` with its end of line.
    let shortest = V1_SHORTEST.len();
    let mut have = 0;
    while have < shortest {
        let count = io.read(&mut head[have..shortest]).await?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        have += count;
        let begins = |with: &[u8]| head[..have].iter().zip(with).all(|(a, b)| a == b);
        if !begins(V1) && !begins(V2) {
            return Err(HeaderError::Missing);
        }
    }
    if head.starts_with(V1) {
        return version_1(io, &head[..shortest]).await;
    }
    head[shortest] = io.read_u8().await?;
    version_2(io, head[12], head[13], u16::from_be_bytes([head[14], head[15]])).await
}

/// Section 2.1: a line.
async fn version_1(
    io: &mut (impl AsyncRead + Unpin),
    begin: &[u8],
) -> Result<Option<SocketAddr>, HeaderError> {
    let mut line = [0; V1_LONGEST];
    line[..begin.len()].copy_from_slice(begin);
    let mut length = begin.len();
    while !line[..length].ends_with(b"\r\n") {
        if length == V1_LONGEST {
            return Err(HeaderError::Invalid("the line is longer than 107 bytes"));
        }
        line[length] = io.read_u8().await?;
        length += 1;
    }
    let line = std::str::from_utf8(&line[V1.len()..length - 2]);
    let line = line.map_err(|_| HeaderError::Invalid("the line is not ASCII"))?;
    let mut words = line.split(' ');
    match words.next() {
        Some("UNKNOWN") => Ok(None),
        Some("TCP4") => addresses::<Ipv4Addr>(&mut words),
        Some("TCP6") => addresses::<Ipv6Addr>(&mut words),
        _ => Err(HeaderError::Invalid("the protocol is none of TCP4, TCP6 and UNKNOWN")),
    }
    .map(|client| client.map(canonical))
}

/// Source and destination: two addresses, two ports.
fn addresses<A: FromStr + Into<IpAddr>>(
    words: &mut std::str::Split<'_, char>,
) -> Result<Option<SocketAddr>, HeaderError> {
    let wrong = || HeaderError::Invalid("the addresses are not those of the protocol");
    let mut address = || words.next()?.parse::<A>().ok();
    let (source, _destination) = (address().ok_or_else(wrong)?, address().ok_or_else(wrong)?);
    let wrong = || HeaderError::Invalid("a port is not a number up to 65535");
    let mut port = || words.next().and_then(port);
    let (source_port, _destination_port) = (port().ok_or_else(wrong)?, port().ok_or_else(wrong)?);
    match words.next() {
        None => Ok(Some(SocketAddr::new(source.into(), source_port))),
        Some(_) => Err(HeaderError::Invalid("there is something after the ports")),
    }
}

/// Without a sign, and without zeros in front of it.
fn port(text: &str) -> Option<u16> {
    let is_plain = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| is_plain)
}

/// Section 2.2: what follows the first 16 bytes. They said the version with the command, the family with the
/// protocol, and the length of what follows.
async fn version_2(
    io: &mut (impl AsyncRead + Unpin),
    version_and_command: u8,
    family: u8,
    length: u16,
) -> Result<Option<SocketAddr>, HeaderError> {
    let is_local = match version_and_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(HeaderError::Invalid("the version is not 2, or the command unknown")),
    };
    let length = usize::from(length);
    if length > LONGEST {
        return Err(HeaderError::Invalid("it is longer than 4 KiB"));
    }
    let mut addresses = [0; 36];
    let known = match family {
        _ if is_local => 0,
        // AF_UNSPEC, and AF_UNIX.
        0x00 | 0x31 | 0x32 => 0,
        0x11 => 12,
        0x21 => 36,
        _ => return Err(HeaderError::Invalid("it is not about a TCP connection")),
    };
    if length < known {
        return Err(HeaderError::Invalid("it is shorter than its addresses"));
    }
    io.read_exact(&mut addresses[..known]).await?;
    let mut rest = length - known;
    let mut skipped = [0; 256];
    while rest > 0 {
        let some = rest.min(skipped.len());
        io.read_exact(&mut skipped[..some]).await?;
        rest -= some;
    }
    let port = |at: usize| u16::from_be_bytes([addresses[at], addresses[at + 1]]);
    let source = match known {
        12 => {
            let [a, b, c, d, ..] = addresses;
            SocketAddr::from((Ipv4Addr::new(a, b, c, d), port(8)))
        }
        36 => {
            let mut octets = [0; 16];
            octets.copy_from_slice(&addresses[..16]);
            canonical(SocketAddr::from((octets, port(32))))
        }
        _ => return Ok(None),
    };
    Ok(Some(source))
}

/// Makes an IPv4 address of one that is written as IPv6 (`::ffff:192.0.2.1`).
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

const V1: &[u8] = b"PROXY ";
const V1_SHORTEST: &[u8] = b"PROXY UNKNOWN\r\n";
/// With the end of the line (section 2.1).
const V1_LONGEST: usize = 107;
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Of version 2, without its first 16 bytes. A receiver must take 536 bytes in all (section 2.2); those with
/// certificates of clients are longer.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the header says, and how many bytes were left of what follows it. The bytes come in pieces.
    fn read_in_pieces(bytes: &[u8], piece: usize) -> (Result<Option<String>, String>, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut ours, mut theirs) = tokio::io::duplex(piece.max(1));
            let write = async {
                use tokio::io::AsyncWriteExt;
                // The reader may stop early.
                drop(ours.write_all(bytes).await);
                drop(ours);
            };
            let read = async {
                let client = read(&mut theirs).await;
                let mut rest = Vec::new();
                theirs.read_to_end(&mut rest).await.unwrap();
                (client, rest.len())
            };
            let ((), (client, rest)) = tokio::join!(write, read);
            let client = client.map(|client| client.map(|client| client.to_string()));
            (client.map_err(|error| error.to_string()), rest)
        })
    }

    fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u16).to_be_bytes();
        [V2, &[command, family], &length, payload].concat()
    }

    const FOUR: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0xde, 0xad, 0x14, 0x66];

    fn six() -> Vec<u8> {
        let address = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets();
        [&address[..], &address, &[0, 80, 0x14, 0x66]].concat()
    }

    #[test]
    fn a_header_says_where_the_client_is() {
        let mapped = "::ffff:192.0.2.1".parse::<Ipv6Addr>().unwrap().octets();
        let mapped = [&mapped[..], &mapped, &[0, 80, 0, 90]].concat();
        let line = |text: &str| format!("PROXY {text}\r\n").into_bytes();
        let longest = format!("UNKNOWN {}", "x".repeat(107 - 16));
        assert_eq!(line(&longest).len(), 107);
        let table = [
            (line("TCP4 192.0.2.1 10.0.0.1 57005 5222"), Some("192.0.2.1:57005")),
            (line("TCP4 255.255.255.255 255.255.255.255 65535 0"), Some("255.255.255.255:65535")),
            (line("TCP6 2001:db8::7 2001:db8::1 80 5222"), Some("[2001:db8::7]:80")),
            (line("TCP6 ::ffff:192.0.2.1 ::1 80 5222"), Some("192.0.2.1:80")),
            (line("UNKNOWN"), None),
            (line("UNKNOWN 192.0.2.1 10.0.0.1 1 2"), None),
            (line(&longest), None),
            (v2(0x21, 0x11, &FOUR), Some("192.0.2.1:57005")),
            (v2(0x21, 0x21, &six()), Some("[2001:db8::7]:80")),
            (v2(0x21, 0x21, &mapped), Some("192.0.2.1:80")),
            // With additions, up to the longest.
            (v2(0x21, 0x11, &[&FOUR[..], &[4, 0, 1, 0]].concat()), Some("192.0.2.1:57005")),
            (v2(0x21, 0x11, &[&FOUR[..], &[4; 536 - 28]].concat()), Some("192.0.2.1:57005")),
            (v2(0x21, 0x11, &[&FOUR[..], &[4; LONGEST - 12]].concat()), Some("192.0.2.1:57005")),
            // The proxy itself, whatever it adds.
            (v2(0x20, 0x00, b""), None),
            (v2(0x20, 0x11, &FOUR), None),
            (v2(0x20, 0xff, b"abc"), None),
            (v2(0x21, 0x00, b"abc"), None),
            (v2(0x21, 0x31, &[0; 216]), None),
        ];
        for (header, client) in table {
            for piece in [1, 7, 1 << 16] {
                let bytes = [&header[..], b"\r\n<?xml"].concat();
                let (said, rest) = read_in_pieces(&bytes, piece);
                let shown = header.escape_ascii();
                assert_eq!(said.as_ref().map(Option::as_deref), Ok(client), "{shown}");
                assert_eq!(rest, b"\r\n<?xml".len(), "{shown}");
            }
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let missing = "the connection does not begin with a PROXY header";
        let invalid = |why: &str| format!("the PROXY header is invalid: {why}");
        let addresses = invalid("the addresses are not those of the protocol");
        let port = invalid("a port is not a number up to 65535");
        let protocol = invalid("the protocol is none of TCP4, TCP6 and UNKNOWN");
        let long = invalid("the line is longer than 107 bytes");
        let version = invalid("the version is not 2, or the command unknown");
        let short = invalid("it is shorter than its addresses");
        let family = invalid("it is not about a TCP connection");
        let line = |text: &str| format!("PROXY {text}\r\n").into_bytes();
        let other_version = [V2, &[0x31, 0x11, 0, 0]].concat();
        let table = [
            (b"<?xml version='1.0'?>".to_vec(), missing),
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), missing),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00".to_vec(), missing),
            (b"proxy TCP4 192.0.2.1 10.0.0.1 1 2\r\n".to_vec(), missing),
            (b"PROXYTCP4 192.0.2.1 10.0.0.1 1 2\r\n".to_vec(), missing),
            (b"\r\n\r\n\0\r\nQUIT\r\x21\x11\x00\x00".to_vec(), missing),
            (line("TCP5 192.0.2.1 10.0.0.1 1 2"), &protocol),
            (line(" TCP4 192.0.2.1 10.0.0.1 1 2"), &protocol),
            (line("tcp4 192.0.2.1 10.0.0.1 1 2"), &protocol),
            (line("UNKNOWNS 192.0.2.1"), &protocol),
            (line("TCP4 192.0.2.1  10.0.0.1 1 2"), &addresses),
            (line("TCP4 2001:db8::7 10.0.0.1 1 2"), &addresses),
            (line("TCP6 192.0.2.1 10.0.0.1 1 2"), &addresses),
            (line("TCP4 192.0.2.256 10.0.0.1 1 2"), &addresses),
            (line("TCP4 192.0.2.1 localhost 1 2"), &addresses),
            (line("TCP4 192.0.2.1"), &addresses),
            (line("TCP4 192.0.2.1 10.0.0.1 1"), &port),
            (line("TCP4 192.0.2.1 10.0.0.1 1 65536"), &port),
            (line("TCP4 192.0.2.1 10.0.0.1 -1 2"), &port),
            (line("TCP4 192.0.2.1 10.0.0.1 +1 2"), &port),
            (line("TCP4 192.0.2.1 10.0.0.1 01 2"), &port),
            (line("TCP4 192.0.2.1 10.0.0.1 1 2 "), &invalid("there is something after the ports")),
            (line("TCP4 192.0.2.1 10.0.0.1 1 \u{662}"), &port),
            (
                b"PROXY TCP4 192.0.2.1\xff 10.0.0.1 1 2\r\n".to_vec(),
                &invalid("the line is not ASCII"),
            ),
            (b"PROXY UNKNOWN ".iter().chain(&[b'x'; 200]).copied().collect(), &long),
            (line(&"\n".repeat(120)), &long),
            (other_version, &version),
            (v2(0x22, 0x11, &FOUR), &version),
            (v2(0x11, 0x11, &FOUR), &version),
            (v2(0x21, 0x11, &FOUR[1..]), &short),
            (v2(0x21, 0x21, &six()[1..]), &short),
            (v2(0x21, 0x12, &FOUR), &family),
            (v2(0x21, 0x41, &FOUR), &family),
            (v2(0x21, 0x11, &[0; LONGEST + 1]), &invalid("it is longer than 4 KiB")),
        ];
        for (bytes, why) in table {
            let (said, _) = read_in_pieces(&bytes, 1 << 16);
            assert_eq!(said.unwrap_err(), why, "{}", bytes.escape_ascii());
        }
        for whole in [line("TCP4 192.0.2.1 10.0.0.1 1 2"), v2(0x21, 0x11, &FOUR)] {
            for end in 0..whole.len() {
                let why = read_in_pieces(&whole[..end], 1 << 16).0.unwrap_err();
                assert!(why.starts_with("the connection ended before"), "{end}: {why}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(
            (version, bytes) in (0..3_usize, prop::collection::vec(any::<u8>(), 0..300)),
        ) {
            let begin: &[u8] = [b"", V1, V2][version];
            drop(read_in_pieces(&[begin, &bytes].concat(), 1 << 16));
        }
    }
}

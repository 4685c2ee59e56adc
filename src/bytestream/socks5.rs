//! The part of SOCKS5 (RFC 1928) that bytestreams use (XEP-0065 §6.3.2): no authentication, CONNECT to a "domain" that
//! is the hash of the bytestream, port 0.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::host::bytestreams::StreamHash;

/// A request that is still to be answered.
pub(super) struct Request {
    /// The bytestream. `Err`: why the request is refused.
    pub(super) hash: Result<StreamHash, Refusal>,
    /// Type, address and port as the client wrote them: the answer repeats them (XEP-0065 §6.3.2).
    address: Vec<u8>,
}

/// Why a request is refused: the code of RFC 1928 §6.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    AddressType = 8,
    Command = 7,
    NotAllowed = 2,
}

/// Reads the greeting, answers it, and reads the request. Reads no byte more. `None` if the client speaks something
/// else, or wants another way to authenticate: nothing more is said to it.
///
/// # Errors
/// If the connection fails.
pub(super) async fn negotiate(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<Option<Request>> {
    let [version, count] = read(io).await?;
    if version != VERSION || count == 0 {
        return Ok(None);
    }
    let mut methods = vec![0; usize::from(count)];
    io.read_exact(&mut methods).await?;
    if !methods.contains(&NO_AUTHENTICATION) {
        io.write_all(&[VERSION, NONE_ACCEPTABLE]).await?;
        return Ok(None);
    }
    io.write_all(&[VERSION, NO_AUTHENTICATION]).await?;
    let [version, command, _reserved, kind] = read(io).await?;
    if version != VERSION {
        return Ok(None);
    }
    let mut address = vec![kind];
    let length = match kind {
        DOMAIN => {
            let [length] = read(io).await?;
            address.push(length);
            usize::from(length)
        }
        IPV4 => 4,
        IPV6 => 16,
        // The end of the address is unknown, so nothing more can be read after this answer (RFC 1928 §6).
        _ => {
            io.write_all(&[VERSION, Refusal::AddressType as u8, 0, IPV4, 0, 0, 0, 0, 0, 0]).await?;
            return Ok(None);
        }
    };
    let start = address.len();
    address.resize(start + length + 2, 0);
    io.read_exact(&mut address[start..]).await?;
    let (name, port) = address[start..].split_at(length);
    let hash = match (command, kind) {
        (CONNECT, DOMAIN) if port == [0, 0] => StreamHash::parse(name).ok_or(Refusal::NotAllowed),
        (CONNECT, DOMAIN) => Err(Refusal::NotAllowed),
        (CONNECT, _) => Err(Refusal::AddressType),
        _ => Err(Refusal::Command),
    };
    Ok(Some(Request { hash, address }))
}

impl Request {
    /// Answers.
    ///
    /// # Errors
    /// If the connection fails.
    pub(super) async fn answer(
        &self,
        io: &mut (impl AsyncWrite + Unpin),
        refusal: Option<Refusal>,
    ) -> io::Result<()> {
        let code = refusal.map_or(0, |refusal| refusal as u8);
        let mut answer = vec![VERSION, code, 0];
        answer.extend_from_slice(&self.address);
        io.write_all(&answer).await?;
        io.flush().await
    }
}

async fn read<const N: usize>(io: &mut (impl AsyncRead + Unpin)) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    io.read_exact(&mut bytes).await?;
    Ok(bytes)
}

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const NONE_ACCEPTABLE: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const DOMAIN: u8 = 3;
const IPV6: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &[u8; 40] = b"98b8d688d0f5d895fd41c5e7309a2e9e33ba32ff";

    /// What becomes of these bytes, and what is answered.
    async fn negotiated(bytes: &[u8]) -> (io::Result<Option<Request>>, Vec<u8>) {
        let (mut ours, mut theirs) = tokio::io::duplex(1024);
        ours.write_all(bytes).await.unwrap();
        ours.shutdown().await.unwrap();
        let found = negotiate(&mut theirs).await;
        if let Ok(Some(request)) = &found {
            request.answer(&mut theirs, request.hash.err()).await.unwrap();
        }
        drop(theirs);
        let mut answer = Vec::new();
        ours.read_to_end(&mut answer).await.unwrap();
        (found, answer)
    }

    fn request(command: u8, kind: u8, address: &[u8], port: [u8; 2]) -> Vec<u8> {
        [b"\x05\x02\x02\x00\x05", &[command, 0, kind][..], address, &port].concat()
    }

    fn domain(name: &[u8]) -> Vec<u8> {
        [&[u8::try_from(name.len()).unwrap()], name].concat()
    }

    #[tokio::test]
    async fn a_request_is_answered_with_its_address() {
        let (found, answer) = negotiated(&request(1, 3, &domain(HASH), [0, 0])).await;
        assert_eq!(found.unwrap().unwrap().hash, Ok(StreamHash::parse(HASH).unwrap()));
        assert_eq!(answer, [b"\x05\x00\x05\x00\x00\x03\x28", &HASH[..], b"\0\0"].concat());
    }

    #[tokio::test]
    async fn another_request_is_refused() {
        for (bytes, refusal) in [
            (request(2, 3, &domain(HASH), [0, 0]), Refusal::Command),
            (request(3, 3, &domain(HASH), [0, 0]), Refusal::Command),
            (request(1, 1, &[127, 0, 0, 1], [0, 80]), Refusal::AddressType),
            (request(1, 4, &[0; 16], [0, 0]), Refusal::AddressType),
            (request(1, 3, &domain(HASH), [0, 1]), Refusal::NotAllowed),
            (request(1, 3, &domain(b"example.org"), [0, 0]), Refusal::NotAllowed),
            (request(1, 3, &domain(b""), [0, 0]), Refusal::NotAllowed),
            (request(1, 3, &domain(&[b'a'; 255]), [0, 0]), Refusal::NotAllowed),
        ] {
            let (found, answer) = negotiated(&bytes).await;
            assert_eq!(found.unwrap().unwrap().hash, Err(refusal), "{bytes:?}");
            assert_eq!(answer[3], refusal as u8, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn what_is_not_socks_is_not_answered() {
        for (bytes, expected) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], &b""[..]),
            (b"\x16\x03\x01\x02\x00\x01\x00", b""),
            (b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00", b""),
            (b"\x05\x00", b""),
            (b"\x05\x01\x02", b"\x05\xff"),
            (b"\x05\x01\x00\x04\x01\x00\x03", b"\x05\x00"),
            (b"\x05\x01\x00\x05\x01\x00\x07", b"\x05\x00\x05\x08\0\x01\0\0\0\0\0\0"),
        ] {
            let (found, answer) = negotiated(bytes).await;
            assert!(matches!(found, Ok(None)), "{bytes:?}");
            assert_eq!(answer, expected, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn half_a_negotiation_is_an_end() {
        let whole = request(1, 3, &domain(HASH), [0, 0]);
        for length in 0..whole.len() {
            let (found, _) = negotiated(&whole[..length]).await;
            assert!(found.is_err(), "{length}");
        }
    }
}

//! Records of a TLS connection, as the server: what is sent becomes records, and records become what was
//! sent. No I/O.
//!
//! rustls makes the protocol, and the buffers are ours ([`rustls::unbuffered`]). Why not tokio-rustls:
//! `docs/decisions/0016-tls-stream.md`.
//!
//! What is easy to get wrong:
//!
//! - rustls keeps positions in bytes that it has seen and not discarded (parts of a handshake message). So
//!   each call gets all bytes that are left from the last call, in front of the new ones.
//! - A state that rustls returns must be handled before the next call: otherwise a record is lost.
//! - Nothing is asked of rustls after it has failed.

use std::{io, mem};

use bytes::{Buf as _, BytesMut};
use rustls::InvalidMessage;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use tokio::io::ReadBuf;

/// The records of one connection. While nothing is on its way, it holds no buffer.
pub(super) struct Records {
    tls: UnbufferedServerConnection,
    /// The beginning of a record, or of a handshake message, whose rest is still to come.
    received: BytesMut,
    /// What was decrypted and did not fit into the buffer of the reader.
    pub(super) plaintext: BytesMut,
    /// Records to be sent.
    pub(super) outgoing: BytesMut,
    reading: Reading,
}

/// Whether more comes from the client.
enum Reading {
    Open,
    /// The client has sent close_notify.
    Closed,
    /// Boxed, since a connection should be small.
    Failed(Box<rustls::Error>),
}

impl From<rustls::Error> for Reading {
    fn from(error: rustls::Error) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl Records {
    pub(super) fn new(tls: UnbufferedServerConnection) -> Self {
        Self {
            tls,
            received: BytesMut::new(),
            plaintext: BytesMut::new(),
            outgoing: BytesMut::new(),
            reading: Reading::Open,
        }
    }

    /// What rustls knows of the connection.
    pub(super) fn tls(&self) -> &UnbufferedServerConnection {
        &self.tls
    }

    /// The client has sent close_notify.
    pub(super) fn is_closed_by_client(&self) -> bool {
        matches!(self.reading, Reading::Closed)
    }

    /// # Errors
    /// Why nothing more is read: a fault of the client.
    pub(super) fn check(&self) -> io::Result<()> {
        match &self.reading {
            Reading::Failed(error) => {
                Err(io::Error::new(io::ErrorKind::InvalidData, error.clone()))
            }
            Reading::Closed | Reading::Open => Ok(()),
        }
    }

    /// Decrypts what the client has sent. Appends plaintext to `into`, and keeps what does not fit.
    pub(super) fn decrypt(&mut self, sent: &mut [u8], into: &mut ReadBuf<'_>) {
        if self.received.is_empty() {
            let done = self.advance(sent, into);
            self.received.extend_from_slice(&sent[done..]);
        } else {
            self.received.extend_from_slice(sent);
            let mut received = mem::take(&mut self.received);
            let done = self.advance(&mut received, into);
            received.advance(done);
            if !received.is_empty() {
                self.received = received;
            }
        }
        if self.received.len() > MOST_RECEIVED {
            let error = rustls::Error::from(InvalidMessage::HandshakePayloadTooLarge);
            self.reading = error.into();
        }
        if !matches!(self.reading, Reading::Open) {
            self.received = BytesMut::new();
        }
    }

    /// Bytes of buffers that are allocated.
    #[cfg(test)]
    pub(super) fn buffered(&self) -> usize {
        self.received.capacity() + self.plaintext.capacity() + self.outgoing.capacity()
    }

    /// Gives records to rustls until it wants more. Returns how many bytes it is done with.
    fn advance(&mut self, records: &mut [u8], into: &mut ReadBuf<'_>) -> usize {
        let mut done = 0;
        // After a fault only the alert is taken, which rustls gives out before it looks at records.
        while !matches!(self.reading, Reading::Failed(_)) || self.tls.wants_write() {
            let UnbufferedStatus { discard, state, .. } =
                self.tls.process_tls_records(&mut records[done..]);
            done += discard;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => {
                                done += record.discard;
                                give(record.payload, into, &mut self.plaintext);
                            }
                            Err(error) => self.reading = error.into(),
                        }
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    let encode = |out: &mut [u8]| {
                        data.encode(out).map_err(|error| match error {
                            EncodeError::InsufficientSize(error) => error.required_size,
                            EncodeError::AlreadyEncoded => 0,
                        })
                    };
                    if let Err(error) = append(&mut self.outgoing, 0, encode) {
                        self.reading = error.into();
                    }
                }
                // It is sent with the next flush.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.reading = Reading::Closed,
                Ok(
                    ConnectionState::BlockedHandshake
                    | ConnectionState::WriteTraffic(_)
                    | ConnectionState::Closed,
                ) => return done,
                // Early data, which is not allowed, or what a later rustls adds.
                Ok(other) => {
                    let error = rustls::Error::General(format!("unexpected {other:?}"));
                    self.reading = error.into();
                    return done;
                }
                Err(error) => self.reading = error.into(),
            }
        }
        done
    }

    /// Encrypts these bytes, or close_notify if there are none.
    pub(super) fn encrypt(&mut self, plaintext: &[u8]) -> io::Result<()> {
        self.check()?;
        // What rustls has to say first, such as the answer to a key update.
        self.decrypt(&mut [], &mut ReadBuf::new(&mut []));
        let state = self.tls.process_tls_records(&mut self.received).state;
        let Ok(ConnectionState::WriteTraffic(mut traffic)) = state else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let room = plaintext.len() + (plaintext.len() / RECORD + 1) * OVERHEAD;
        let encrypted = append(&mut self.outgoing, room, |out| {
            let encrypted = if plaintext.is_empty() {
                traffic.queue_close_notify(out)
            } else {
                traffic.encrypt(plaintext, out)
            };
            encrypted.map_err(|error| match error {
                EncryptError::InsufficientSize(error) => error.required_size,
                EncryptError::EncryptExhausted => 0,
            })
        });
        encrypted.map_err(io::Error::other)
    }
}

/// Gives plaintext to the reader. What does not fit is kept, behind what is kept already.
fn give(plaintext: &[u8], into: &mut ReadBuf<'_>, kept: &mut BytesMut) {
    let fits = if kept.is_empty() { plaintext.len().min(into.remaining()) } else { 0 };
    into.put_slice(&plaintext[..fits]);
    kept.extend_from_slice(&plaintext[fits..]);
}

/// Appends what `write` writes into the room that it gets. If that is too little, `write` says how much it
/// needs.
fn append(
    outgoing: &mut BytesMut,
    mut room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, usize>,
) -> Result<(), rustls::Error> {
    let start = outgoing.len();
    loop {
        outgoing.resize(start + room, 0);
        match write(&mut outgoing[start..]) {
            Ok(written) => {
                outgoing.truncate(start + written);
                return Ok(());
            }
            Err(needed) if needed > room => room = needed,
            Err(_) => {
                outgoing.truncate(start);
                return Err(rustls::Error::EncryptError);
            }
        }
    }
}

/// Bytes of plaintext in the largest record (RFC 8446 §5.1).
const RECORD: usize = 16 * 1024;
/// The most that a record adds to its plaintext, of the suites that we offer: on TLS 1.2 a header of 5 bytes, a
/// nonce of 8, and a tag of 16.
const OVERHEAD: usize = 29;
/// Bytes that wait for their rest: a handshake message may have 64 KiB, the most that rustls takes.
const MOST_RECEIVED: usize = 64 * 1024;

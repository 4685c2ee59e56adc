//! XML for XMPP: bytes become checked elements, and elements become bytes.
//!
//! [`Framer`] cuts a stream into its children, [`Frame::parse`] checks a child and maps it, [`ElementRef`]
//! reads it in place, [`build`] and [`writer`] write. A tree ([`tree`]) is made only where one is edited.
//! Everything that RFC 6120 §11.1 restricts (DTDs, comments, processing instructions, entities beyond the
//! five) and everything that XML 1.0 or Namespaces in XML call ill-formed is refused: this server forwards
//! bytes unchanged, and they must not break the stream of another client.
//!
//! `docs/decisions/0003-xml-parser.md` gives the reasons for this design.

pub mod build;
mod chars;
mod error;
mod frame;
mod framer;
mod header;
mod limits;
mod rewrite;
mod strict;
mod tag;
mod tape;
mod ties;
pub mod tree;
mod unescape;
pub mod writer;

pub use build::{Node, element};
pub use error::{Limit, XmlError};
pub use frame::{Children, ElementRef, Frame};
pub use framer::{Framer, Piece, document};
pub use header::{Header, Scope, header};
pub use limits::Limits;
pub use tag::declares_default;
pub use tree::standalone;
pub use writer::escape_attr;

use crate::ns::{CLIENT, STREAM as STREAMS, XML};

/// The namespace of the prefix `xmlns`, which must not be declared (Namespaces in XML §3).
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

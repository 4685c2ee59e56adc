//! XML as XMPP speaks it: bytes in, checked elements out, and back to bytes.
//!
//! [`Framer`] cuts a stream into its children, [`Frame::parse`] checks one of them and maps it,
//! [`ElementRef`] reads in place, [`build`] and [`writer`] write. A tree ([`tree`]) is made only
//! where one is edited. Refused throughout is what RFC 6120 §11.1 restricts (DTD, comments,
//! processing instructions, entities beyond the five) and what XML 1.0 or Namespaces in XML call
//! ill-formed: what we forward verbatim must not break the stream of somebody else.
//!
//! `docs/decisions/0003-xml-parser.md` says why it is made like this.

pub mod build;
mod chars;
mod error;
mod framer;
mod header;
mod rewrite;
mod strict;
mod tag;
mod tape;
pub mod tree;
mod unescape;
pub mod writer;

pub use build::{Node, element};
pub use error::{Limit, XmlError};
pub use framer::{Framer, Piece, document};
pub use header::{Header, Scope, header};
pub use strict::Limits;
pub use tag::declares_default;
pub use tape::{Children, ElementRef, Frame};
pub use writer::escape_attr;

use crate::ns::{CLIENT, STREAM as STREAMS, XML};

/// What the prefix `xmlns` is always bound to; nobody may declare it (Namespaces in XML §3).
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

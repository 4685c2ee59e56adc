//! What a stanza costs between the socket and the router, and back.

use std::hint::black_box;

use bytes::Bytes;
use divan::{AllocProfiler, Bencher};
use waxwing::xml::{Frame, Framer, Limits, Scope, element, header, writer};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench]
fn frame_a_message(bencher: Bencher<'_, '_>) {
    let mut framer = Framer::new(Limits::default());
    let start = framer.next(OPEN.as_bytes());
    framer.drop_front(OPEN.len());
    assert!(matches!(start, Ok(Some(_))));
    bencher.bench_local(|| {
        let piece = framer.next(black_box(MESSAGE.as_bytes()));
        framer.drop_front(MESSAGE.len());
        piece
    });
}

#[divan::bench]
fn check_and_map_a_message(bencher: Bencher<'_, '_>) {
    let (bytes, scope, limits) = (message(), Scope::default(), Limits::default());
    bencher.bench_local(|| Frame::parse(black_box(bytes.clone()), &scope, &limits));
}

#[divan::bench]
fn write_a_message_anew(bencher: Bencher<'_, '_>) {
    let open = header(
        b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams' \
          xmlns='jabber:client' xmlns:r='urn:xmpp:receipts'>",
    );
    let scope = Scope::from_header(&open.expect("it is well-formed"));
    let limits = Limits::default();
    let bytes = Bytes::from(MESSAGE.replace("<request xmlns='urn:xmpp:receipts'", "<r:request"));
    bencher.bench_local(|| Frame::parse(black_box(bytes.clone()), &scope, &limits));
}

#[divan::bench]
fn find_in_a_message(bencher: Bencher<'_, '_>) {
    let frame = frame();
    bencher.bench_local(|| {
        let root = black_box(&frame).root();
        let to = root.attr("to").map(|to| to.len());
        (to, root.has_child("urn:xmpp:receipts", "request"))
    });
}

#[divan::bench]
fn make_a_tree_of_a_message(bencher: Bencher<'_, '_>) {
    let frame = frame();
    bencher.bench_local(|| black_box(&frame).root().to_tree());
}

#[divan::bench]
fn write_a_tree(bencher: Bencher<'_, '_>) {
    let tree = frame().root().to_tree();
    bencher.bench_local(|| {
        let mut out = Vec::with_capacity(512);
        writer::write_tree(&mut out, black_box(&tree), "jabber:client");
        out
    });
}

#[divan::bench]
fn build_an_answer(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| {
        element("iq")
            .attr("type", "result")
            .attr("id", black_box("8f1b"))
            .attr("to", black_box("romeo@montague.lit/orchard"))
            .child(
                element("query").ns("http://jabber.org/protocol/disco#info").children(
                    ["urn:xmpp:ping", "urn:xmpp:time", "jabber:iq:version"]
                        .map(|var| element("feature").attr("var", var)),
                ),
            )
            .to_bytes()
    });
}

#[divan::bench]
fn read_a_header(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| header(black_box(OPEN.as_bytes())));
}

fn frame() -> Frame {
    Frame::from_bytes(message()).expect("it is well-formed")
}

fn message() -> Bytes {
    Bytes::from_static(MESSAGE.as_bytes())
}

const OPEN: &str = "<stream:stream to='montague.lit' version='1.0' xml:lang='en' \
    xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

const MESSAGE: &str = "<message to='juliet@capulet.lit/balcony' type='chat' xml:lang='en' \
    id='6ac9f1ca-7b2e-4d9f-a5f2-1c52d23f8f6b'><body>Lady, by yonder blessed moon I swear &amp; \
    that tips with silver</body><active xmlns='http://jabber.org/protocol/chatstates'/>\
    <request xmlns='urn:xmpp:receipts'/><origin-id xmlns='urn:xmpp:sid:0' id='6ac9f1ca'/>\
    </message>";

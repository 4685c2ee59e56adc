//! What it costs to read an address.

use divan::{Bencher, black_box};
use waxwing::jid::Jid;

fn main() {
    divan::main();
}

#[divan::bench(args = [
    "juliet@capulet.lit",                                  // inline
    "juliet@capulet.example/gajim.3F0KQ2",                 // on the heap
    "Juliet@Capulet.example/gajim.3F0KQ2",                 // with capitals
    "juliet@capulet.example/Julia 🦊",                     // an emoji in the resource
    "Jülia@capulet.example/phone",                         // folding
    "juliet@xn--bcher-kva.example/phone",                  // an A-label
])]
fn parse(bencher: Bencher<'_, '_>, text: &str) {
    bencher.bench(|| Jid::parse(black_box(text)));
}

#[divan::bench]
fn to_bare(bencher: Bencher<'_, '_>) {
    let jid = Jid::parse("juliet@capulet.example/gajim.3F0KQ2").expect("an address");
    bencher.bench(|| black_box(&jid).to_bare());
}

#[divan::bench]
fn clone(bencher: Bencher<'_, '_>) {
    let jid = Jid::parse("juliet@capulet.example/gajim.3F0KQ2").expect("an address");
    bencher.bench(|| black_box(&jid).clone());
}

//! What a login costs the server.

fn main() {
    divan::main();
}

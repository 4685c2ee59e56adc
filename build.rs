//! Says so if SQLite is about to be built without the flags of `.cargo/config.toml`.
//!
//! Cargo reads that file only if it is called in this folder or below it. A build script cannot set
//! the flags of another package, so all it can do is to tell the person who builds.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={FLAGS}");
    if !std::env::var(FLAGS).is_ok_and(|flags| flags.contains("-USQLITE_ENABLE_MEMORY_MANAGEMENT"))
    {
        println!(
            "cargo::warning=SQLite is built without the flags of .cargo/config.toml: large archives \
             will be written at half the speed. Call cargo in the source folder of Waxwing, or set \
             {FLAGS}=\"-USQLITE_ENABLE_MEMORY_MANAGEMENT -USQLITE_ENABLE_API_ARMOR\"."
        );
    }
}

const FLAGS: &str = "LIBSQLITE3_FLAGS";

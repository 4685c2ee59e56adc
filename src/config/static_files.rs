//! `[static_files]`: files of the operator, which the HTTP service serves as they are.

use std::path::PathBuf;
use std::time::Duration;

use super::section::section;
use super::units::{days, minutes};
use super::value::{Directories, FileName, Text, Time};

section! {
    /// Files of yours that are served over HTTP as they are, such as a web page with a chat (`docs/operations.md`, "A
    /// chat in the browser").
    ///
    /// Names that begin with a dot are not served, nor what a symbolic link outside of the directory points to.
    /// Directories are not listed. Without TLS, only reverse proxies (`listen.proxies`) and this machine are served.
    pub struct StaticFilesConfig = "static_files";

    /// What is served: for each path of the web a directory. Other services of the server come first: with `/`, only
    /// what nothing else answers is looked for in the directory.
    paths: Vec<(String, PathBuf)> = Vec::new() => Directories, Reload;

    /// The file that is served for a directory.
    index: String = "index.html".to_owned() => FileName, Reload;

    /// How long browsers may use a file without asking whether it has changed. HTML pages are always asked for.
    cache: Duration = minutes(60) => Time::between(Duration::ZERO, days(365)), Reload;

    /// The header `Content-Security-Policy` of all files: what pages may load, and where they may connect. The default
    /// lets a page run the scripts that lie beside it, but none that stands in the page, and Converse.js works.
    policy: String = POLICY.to_owned() => Text("\"default-src 'self'\""), Reload;
}

/// Pictures and connections go wherever users send them; programs come from here only. Converse.js sets styles, and
/// compiles WebAssembly for encryption.
const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data: blob: https:; \
    media-src 'self' blob: https:; connect-src 'self' https: wss:; worker-src 'self' blob:; \
    object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

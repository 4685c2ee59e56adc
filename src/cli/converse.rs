//! Puts Converse.js into a directory: from its package, which npm fetches. npm is asked for one version, and what it brings
//! must be the bytes that this version had when this was written.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::exit::{Exit, Problem};

/// Whether it is there.
pub(super) fn is_in(directory: &Path) -> bool {
    directory.join("converse.min.js").is_file()
}

/// Puts it there: out of this package, or out of one that npm fetches.
///
/// # Errors
/// If npm is not installed, fails, or brings something else, or if the package cannot be unpacked.
pub(super) fn put_into(directory: &Path, package: Option<&Path>) -> Result<(), Problem> {
    if let Some(package) = package {
        return unpack(package, directory);
    }
    // A name that is not served.
    let place = directory.join(".npm");
    fs::create_dir_all(&place).map_err(|error| failed(&place, &error))?;
    let put = fetch(&place).and_then(|package| {
        check(&package)?;
        unpack(&package, directory)
    });
    let removed = fs::remove_dir_all(&place).map_err(|error| failed(&place, &error));
    put.and(removed)
}

/// Fetches the package into this directory.
fn fetch(place: &Path) -> Result<PathBuf, Problem> {
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", PACKAGE]).current_dir(place).stdin(Stdio::null());
    let ran = npm.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => Problem::new(Exit::Failed, WITHOUT_NPM),
        _ => Problem::new(Exit::Failed, format!("npm: {error}")),
    })?;
    let told = String::from_utf8_lossy(&ran.stdout);
    let name = told.lines().last().map(str::trim).filter(|name| !name.contains('/'));
    match name.filter(|name| ran.status.success() && !name.is_empty()) {
        Some(name) => Ok(place.join(name)),
        None => {
            let error = String::from_utf8_lossy(&ran.stderr);
            let text = format!("`npm pack {PACKAGE}` failed: {}", error.trim());
            Err(Problem::new(Exit::Failed, text))
        }
    }
}

/// Whether the package is the one that we know.
fn check(package: &Path) -> Result<(), Problem> {
    let bytes = fs::read(package).map_err(|error| failed(package, &error))?;
    let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if hash == SHA256 {
        return Ok(());
    }
    let text =
        format!("npm has brought another {PACKAGE} than the one that is known (SHA-256 {hash})");
    Err(Problem::new(Exit::Failed, text))
}

/// Takes what browsers need out of the package, without anything that it depends on.
fn unpack(package: &Path, directory: &Path) -> Result<(), Problem> {
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(package).arg("-C").arg(directory);
    tar.args(["--strip-components=2", "--no-same-owner", "package/dist"]);
    let ran = tar.output().map_err(|error| Problem::new(Exit::Failed, format!("tar: {error}")))?;
    if ran.status.success() && is_in(directory) {
        return Ok(());
    }
    let error = String::from_utf8_lossy(&ran.stderr);
    let text = format!("{} is no package of Converse.js: {}", package.display(), error.trim());
    Err(Problem::new(Exit::Failed, text))
}

fn failed(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(Exit::Failed, format!("{}: {error}", path.display()))
}

/// The package, in the words of npm.
const PACKAGE: &str = "converse.js@14.0.0";
/// Its hash.
const SHA256: &str = "634f31fa0f7b0e47f1abc60d870ff6805c737577399920ebe92da4c7e5bcaff0";
const WITHOUT_NPM: &str = "the page is written, but Converse.js is missing, and npm, which fetches it, is not installed. \
    Install npm, or run `npm pack converse.js@14.0.0` on another machine, and give the file with `--package`";

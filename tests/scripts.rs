//! The conversations in `tests/scripts/`: each is a test, named by its path. Besides, those that
//! `tests/support/` makes: a cell of a table each, or with more in them than one would write down.
//!
//! They run against our server in this process, or against any other as an oracle
//! (`docs/testing.md`). Time stands still in process unless everybody waits, so that ten minutes
//! of silence take no time and "nothing came" is known, not guessed.

#![expect(clippy::unwrap_used, reason = "functions of tests")]

mod support;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, panic};

use libtest_mimic::{Arguments, Failed, Trial};
use support::requests::{self, Request};
use support::script::{self, Action, Script, Transport};
use support::server::{InProcess, Remote, Target};

thread_local! {
    /// A panic of a connection's task is caught by the server: here it is found out.
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

fn main() {
    let arguments = Arguments::from_args();
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICS.set(PANICS.get() + 1);
        before(info);
    }));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let mut trials: Vec<_> = files.iter().flat_map(|file| trials_of(&root, file)).collect();
    trials.extend(support::subscriptions::cells().into_iter().map(|cell| {
        let place = format!("tests/support/subscriptions.rs: {}", cell.name);
        conversation(&cell.name, place, &cell.script)
    }));
    trials.push(Trial::test("rfc6121/states/the_tables_agree", || {
        support::subscriptions::the_tables_agree();
        Ok(())
    }));
    trials.extend(
        support::crowds::conversations().into_iter().map(|(name, text)| {
            conversation(name, format!("tests/support/crowds.rs: {name}"), &text)
        }),
    );
    trials.extend(support::messages::conversations().into_iter().map(|(name, text)| {
        conversation(&name, format!("tests/support/messages.rs: {name}"), &text)
    }));
    trials.extend(support::archives::conversations().into_iter().map(|(name, text)| {
        conversation(&name, format!("tests/support/archives.rs: {name}"), &text)
    }));
    trials.extend(support::presences::conversations().into_iter().map(|(name, text)| {
        conversation(&name, format!("tests/support/presences.rs: {name}"), &text)
    }));
    trials.extend(support::checks::trials());
    trials.push(Trial::test("requests/with_what_is_foreign", with_what_is_foreign));
    trials.extend(requests::all().into_iter().map(request));
    trials.extend(requests::of_rooms().into_iter().map(request_at_a_room));
    libtest_mimic::run(&arguments, trials).exit();
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "xmpp") {
            files.push(path);
        }
    }
}

/// Over TCP, and over WebSocket and BOSH unless it speaks of what only one of them has.
fn trials_of(root: &Path, file: &Path) -> Vec<Trial> {
    let relative = file.strip_prefix(root).unwrap().with_extension("");
    let name = relative.to_str().unwrap().replace('\\', "/");
    let path = format!("tests/scripts/{name}.xmpp");
    let text = fs::read_to_string(file).unwrap();
    let over = |prefix: &str, transport: Transport| {
        let again = script::parse(&text).ok().and_then(|script| script.over(transport));
        again.map(|script| run(&format!("{prefix}/{name}"), path.clone(), Ok(script)))
    };
    let mut all = vec![conversation(&name, path.clone(), &text)];
    all.extend(over("websocket", Transport::WebSocket));
    all.extend(over("bosh", Transport::Bosh));
    all
}

fn conversation(name: &str, path: String, text: &str) -> Trial {
    run(name, path, script::parse(text))
}

fn run(name: &str, path: String, parsed: Result<Script, String>) -> Trial {
    let is_local = parsed.as_ref().is_ok_and(is_local);
    let is_ignored = is_local && Remote::from_environment().is_some();
    let run = move || {
        let script = parsed.map_err(|why| format!("{path}: {why}"))?;
        converse(&script, &path).map_err(Failed::from)
    };
    Trial::test(name, run).with_ignored_flag(is_ignored)
}

/// Whether it needs our server: for its configuration, or because time passes.
fn is_local(script: &Script) -> bool {
    let passes = script.steps.iter().any(|step| !matches!(step.action, Action::Client(..)));
    let is_server = script.clients.iter().any(|client| client.transport == Transport::Server);
    passes || is_server || !script.server.is_empty() || script.has_echo || script.has_push
}

/// A request with all that may be wrong with it; see `support/requests.rs`.
fn request(request: Request) -> Trial {
    let run = move || {
        let cast = requests::cast();
        let tried = with_server(&cast, async |target| request.run(&cast, target).await);
        tried.map_err(Failed::from)
    };
    Trial::test(request.title(), run).with_ignored_flag(Remote::from_environment().is_some())
}

/// The same for what rooms answer.
fn request_at_a_room(request: Request) -> Trial {
    let run = move || {
        let cast = requests::cast();
        let tried = with_server(&cast, async |target| request.run_at_a_room(&cast, target).await);
        tried.map_err(Failed::from)
    };
    Trial::test(request.title_at_a_room(), run)
        .with_ignored_flag(Remote::from_environment().is_some())
}

/// Every request, with elements and attributes that nobody knows; see `support/foreign.rs`.
fn with_what_is_foreign() -> Result<(), Failed> {
    let cast = requests::cast();
    let tried = with_server(&cast, async |target| support::foreign::run(&cast, target).await);
    tried.map_err(Failed::from)
}

fn converse(script: &Script, path: &str) -> Result<(), String> {
    let done = with_server(script, async |target| support::run::run(script, path, target).await);
    done.map_err(|why| if why.contains(path) { why } else { format!("{path}: {why}") })
}

/// Starts the server that the script wants, and fails if it panics or does not end.
fn with_server(
    script: &Script,
    run: impl AsyncFnOnce(&dyn Target) -> Result<(), String>,
) -> Result<(), String> {
    let remote = Remote::from_environment();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(remote.is_none())
        .build()
        .map_err(|error| error.to_string())?;
    PANICS.set(0);
    let done = runtime.block_on(async {
        let target: Arc<dyn Target> = match remote {
            Some(remote) => Arc::new(remote),
            None => Arc::new(InProcess::start(script).await?),
        };
        run(&*target).await?;
        target.stop().await
    });
    match PANICS.get() {
        0 => done,
        _ => Err(format!("the server panicked\n{}", done.err().unwrap_or_default())),
    }
}

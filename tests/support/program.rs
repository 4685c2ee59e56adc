//! The built program, called in a directory of its own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A directory in which the program is called.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.path().join("waxwing-data")).unwrap();
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing"));
        command.current_dir(self.path()).args(line.split_whitespace());
        command.env_remove("WAXWING_CONFIG").env_remove("WAXWING_DATA");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> Ran {
        Ran::new(line, self.command(line).output().unwrap())
    }

    #[track_caller]
    pub(crate) fn run_with(&self, line: &str, input: &str) -> Ran {
        let mut child = self.command(line).stdin(Stdio::piped()).spawn().unwrap();
        // It may end without reading.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        Ran::new(line, child.wait_with_output().unwrap())
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }
}

/// How it ended and what it said.
pub(crate) struct Ran {
    pub(crate) line: String,
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn new(line: &str, output: Output) -> Self {
        Self {
            line: line.to_owned(),
            code: output.status.code().expect("it ends by itself"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        let Self { line, out, err, .. } = &self;
        assert_eq!(self.code, code, "waxwing {line}\n--- out\n{out}\n--- err\n{err}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let Self { line, out, err, .. } = self;
        serde_json::from_str(out).unwrap_or_else(|error| {
            panic!("waxwing {line}: {error}\n--- out\n{out}\n--- err\n{err}");
        })
    }
}

/// A running server; killed if the test fails.
pub(crate) struct Server {
    pub(crate) child: Child,
    out: BufReader<ChildStdout>,
}

impl Server {
    /// Starts one. Its log goes to the file `log` of the place.
    pub(crate) fn start(place: &Place) -> Self {
        let log = fs::File::create(place.path().join("log")).unwrap();
        let mut child = place.command("serve").stderr(log).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// What it said up to the line with this word.
    #[track_caller]
    pub(crate) fn said_until(&mut self, word: &str) -> String {
        let mut said = String::new();
        while !said.contains(word) {
            let read = self.out.read_line(&mut said).unwrap();
            assert!(read > 0, "it ended and said no {word}: {said}");
        }
        said
    }

    pub(crate) fn end(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, if all went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

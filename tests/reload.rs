//! SIGHUP: what it applies, what it keeps, and what it says.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStderr, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "support/program.rs"]
mod program;

use program::Place;

const APPLIED: &str = "configuration applied";
const DOORS: &str = "c2s = '127.0.0.1:0'\nc2s_tls = []\nhttp = '127.0.0.1:0'\nproxy65 = []\n";
const A: &str = "[[host]]\ndomain = 'a.example'\n";
const B: &str = "[[host]]\ndomain = 'b.example'\n";

/// `waxwing serve`, with its log. Killed if the test fails.
struct Serving {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Serving {
    fn start(place: &Place, config: &str) -> Self {
        place.write("waxwing.toml", config);
        let mut child = place.command("serve").stdout(Stdio::null()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut this = Self { child, log };
        this.await_socket(&place.path().join("data/admin.sock"));
        this
    }

    /// Waits until commands find the server.
    fn await_socket(&mut self, path: &Path) {
        while UnixStream::connect(path).is_err() {
            assert_eq!(self.child.try_wait().unwrap(), None, "it has ended");
            std::thread::yield_now();
        }
    }

    /// The log from here to the line that has this text in it.
    #[track_caller]
    fn logged_until(&mut self, text: &str) -> String {
        let mut all = String::new();
        while !all.lines().next_back().is_some_and(|line| line.contains(text)) {
            let read = self.log.read_line(&mut all).unwrap();
            assert!(read > 0, "the log ends without {text:?}:\n{all}");
        }
        all
    }

    fn reload(&mut self, place: &Place, config: &str) -> String {
        place.write("waxwing.toml", config);
        self.signal(Signal::HUP);
        self.logged_until(APPLIED)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it in good order.
    fn end(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already, if all went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where a browser is sent (XEP-0156).
fn host_meta(place: &Place) -> String {
    let status = place.run("status --json").ends_with(0).json();
    let http = status["http"][0].as_str().unwrap_or_else(|| panic!("{status}")).to_owned();
    let mut client = TcpStream::connect(http).unwrap();
    let request = "GET /.well-known/host-meta.json HTTP/1.1\r\nHost: a.example\r\n\
                   Connection: close\r\n\r\n";
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn options_that_need_a_restart_keep_their_value_however_often_the_file_is_read() {
    let place = Place::new();
    let old = format!("data = 'data'\n{A}{B}[listen]\n{DOORS}https = '127.0.0.1:0'\n");
    let mut serving = Serving::start(&place, &old);
    let before = host_meta(&place);
    let socket = place.path().join("data/admin.sock").display().to_string();
    // The socket stays where it is, so that commands find the server.
    let new = format!(
        "data = 'other'\n{A}{B}[listen]\n{DOORS}https = '127.0.0.1:7999'\n\
         [auth]\nderivations = 9\n[admin]\nsocket = '{socket}'\n"
    );
    for _ in 0..2 {
        let log = serving.reload(&place, &new);
        for option in ["data", "listen.https", "auth.derivations"] {
            let told = format!("this option changes only at a restart option={option}");
            let told = log.lines().filter(|line| line.contains(&told)).count();
            assert_eq!(told, 1, "{option} in\n{log}");
        }
        assert_eq!(host_meta(&place), before);
        assert!(!place.path().join("other").exists(), "certificates of another directory");
    }
    let log = serving.reload(&place, &old);
    assert!(!log.contains("restart"), "{log}");
    assert!(serving.end().success());
}

#[test]
fn domains_that_come_and_go_are_told_and_the_others_are_reloaded() {
    let place = Place::new();
    let doors = format!("[listen]\n{DOORS}https = []\n");
    let mut serving = Serving::start(&place, &format!("data = 'data'\n{A}{B}{doors}"));
    let c = "[[host]]\ndomain = 'c.example'\n";
    let log = serving
        .reload(&place, &format!("data = 'data'\n{B}{c}{doors}[registration]\nopen = true\n"));
    assert!(log.contains("this domain is served only after a restart host=c.example"), "{log}");
    assert!(log.contains("served until a restart host=a.example"), "{log}");
    assert!(!place.path().join("data/certs/c.example.crt").exists());
    assert!(serving.end().success());
}

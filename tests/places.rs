//! The data directory as several programs and several users meet in it: who waits for whom, to whom
//! the files belong, and who may read them. The built program, in directories of its own.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use waxwing::storage::DataLock;

/// A directory with a configuration, in which the program is called.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self::with("")
    }

    /// With more of a configuration. No data directory yet.
    fn with(more: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let text = "[listen]\nc2s = [\"127.0.0.1:0\"]\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n\
                    [auth]\niterations = 4096\n[[host]]\ndomain = \"a.example\"\n\
                    [[host]]\ndomain = \"b.example\"\n";
        fs::write(place.path("waxwing.toml"), format!("{more}\n{text}")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("waxwing-data")
    }

    /// Makes the data directory, with this mode.
    fn make_data(&self, mode: u32) {
        fs::create_dir(self.data()).unwrap();
        fs::set_permissions(self.data(), Permissions::from_mode(mode)).unwrap();
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing"));
        command.current_dir(self.0.path()).args(line.split_whitespace());
        command.env_remove("WAXWING_CONFIG").env_remove("WAXWING_DATA");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[track_caller]
    fn run(&self, line: &str, code: i32) -> String {
        ended_with(line, &self.command(line).output().unwrap(), code)
    }

    fn serve(&self) -> Server {
        let mut child = self.command("serve").spawn().unwrap();
        let err = BufReader::new(child.stderr.take().unwrap());
        let mut out = child.stdout.take().unwrap();
        // Nobody reads the greeting; nobody may wait for that.
        std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
        Server { child, err }
    }
}

#[track_caller]
fn ended_with(line: &str, output: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "waxwing {line}\n{said}");
    said
}

/// A running server; killed if the test fails.
struct Server {
    child: Child,
    err: BufReader<std::process::ChildStderr>,
}

impl Server {
    /// Its log up to the line with this text.
    #[track_caller]
    fn log_until(&mut self, text: &str) -> String {
        let mut said = String::new();
        while !said.contains(text) {
            let read = self.err.read_line(&mut said).unwrap();
            assert!(read > 0, "it ended and did not say {text}: {said}");
        }
        said
    }

    #[track_caller]
    fn end(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let mut rest = String::new();
        self.err.read_to_string(&mut rest).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{rest}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, if all went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn a_server_starts_beside_any_command() {
    let place = Place::new();
    place.make_data(0o700);
    place.run("user add first --random", 0);
    let commands = ["status", "user list", "session list", "user show first", "archive show first"];
    for (i, line) in commands.iter().cycle().take(20).enumerate() {
        let command = place.command(line).spawn().unwrap();
        let mut server = place.serve();
        server.log_until("server started");
        // With or without the server: both are right, but not that somebody stood in the way.
        let output = command.wait_with_output().unwrap();
        let asks_server = line.contains("status") || line.contains("session");
        let code = if asks_server && output.status.code() == Some(5) { 5 } else { 0 };
        ended_with(line, &output, code);
        if i % 5 == 4 {
            place.run(&format!("user add more{i} --random"), 0);
        }
        server.end();
    }
}

#[test]
fn commands_wait_for_each_other() {
    let place = Place::new();
    place.make_data(0o700);
    let all: Vec<_> = (0..8)
        .map(|i| place.command(&format!("user add user{i} --random")).spawn().unwrap())
        .collect();
    for (i, one) in all.into_iter().enumerate() {
        ended_with(&i.to_string(), &one.wait_with_output().unwrap(), 0);
    }
    assert_eq!(place.run("user list", 0).matches("@a.example").count(), 8);
}

#[tokio::test]
async fn a_server_waits_for_a_command_and_says_for_which() {
    let place = Place::new();
    let told = |_: &str| {};
    let lock = DataLock::acquire(&place.data(), "user import", Duration::ZERO, told).await.unwrap();
    let mut server = place.serve();
    let log = server.log_until("waiting for the data directory");
    let holder = format!("`waxwing user import` (process {})", std::process::id());
    assert!(log.contains(&holder), "{log}");
    // What asks the server alone does not wait.
    assert!(place.run("status", 5).contains("running"));
    assert!(place.run("session list", 5).contains("needs a running server"));
    drop(lock);
    server.log_until("server started");
    server.end();
}

#[tokio::test]
async fn a_server_that_waits_can_be_ended() {
    let place = Place::new();
    let told = |_: &str| {};
    let lock = DataLock::acquire(&place.data(), "user import", Duration::ZERO, told).await.unwrap();
    let mut server = place.serve();
    server.log_until("waiting for the data directory");
    server.end();
    drop(lock);
}

#[test]
fn a_data_directory_that_others_may_enter_is_closed() {
    for open in [0o755, 0o750, 0o777] {
        let place = Place::new();
        place.make_data(open);
        let said = place.run("user add romeo --random", 0);
        assert!(said.contains("its mode is 0700 now"), "{said}");
        assert_eq!(mode(&place.data()), 0o700);
        assert!(!place.run("user list", 0).contains("0700"), "it is told once");
        fs::set_permissions(place.data(), Permissions::from_mode(open)).unwrap();
        let mut server = place.serve();
        let log = server.log_until("server started");
        assert!(log.contains("WARN") && log.contains("its mode is 0700 now"), "{log}");
        assert_eq!(mode(&place.data()), 0o700);
        server.end();
    }
}

#[test]
fn a_directory_that_holds_other_things_is_refused_and_not_closed() {
    let place = Place::new();
    place.make_data(0o1777);
    fs::write(place.data().join("photo.jpg"), "").unwrap();
    for (line, code) in [("user add romeo --random", 5), ("serve", 1)] {
        let said = place.run(line, code);
        assert!(said.contains("holds more than our data (photo.jpg)"), "{said}");
        assert!(said.contains("chmod 700 waxwing-data"), "{said}");
    }
    assert_eq!(mode(&place.data()), 0o777);
    assert_eq!(fs::read_dir(place.data()).unwrap().count(), 1, "nothing is made in it");
    // Closed, it is the administrator's choice.
    fs::set_permissions(place.data(), Permissions::from_mode(0o700)).unwrap();
    place.run("user add romeo --random", 0);
}

#[test]
fn whatever_the_umask_nobody_else_reads_the_data() {
    for umask in ["000", "022", "077"] {
        let place = Place(tempfile::tempdir().unwrap());
        let text = "--data data --domain a.example user add romeo --random";
        fs::create_dir(place.path("data")).unwrap();
        let program = env!("CARGO_BIN_EXE_waxwing");
        let line = format!("umask {umask}; exec {program} {text}");
        let mut shell = Command::new("sh");
        let output = shell.current_dir(place.0.path()).args(["-c", &line]).output().unwrap();
        ended_with(&line, &output, 0);
        assert_eq!(mode(&place.path("data")), 0o700);
        for file in ["lock", "domain", "waxwing.sqlite"] {
            assert_eq!(mode(&place.path("data").join(file)), 0o600, "{file}");
        }
    }
}

#[test]
fn a_data_directory_may_be_a_link() {
    let place = Place::new();
    fs::create_dir(place.path("elsewhere")).unwrap();
    fs::set_permissions(place.path("elsewhere"), Permissions::from_mode(0o755)).unwrap();
    symlink(place.path("elsewhere"), place.data()).unwrap();
    place.run("user add romeo --random", 0);
    assert_eq!(mode(&place.path("elsewhere")), 0o700);
    assert!(place.data().is_symlink() && place.path("elsewhere/waxwing.sqlite").exists());
}

#[test]
fn a_file_without_a_host_says_what_is_served() {
    let place = Place(tempfile::tempdir().unwrap());
    let ports =
        "[listen]\nc2s = [\"127.0.0.1:0\"]\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n";
    fs::write(place.path("waxwing.toml"), ports).unwrap();
    assert!(place.run("config check", 0).contains("the only domain is localhost"));
    let mut server = place.serve();
    let log = server.log_until("server started");
    assert!(log.contains("the only domain is localhost"), "{log}");
    server.end();
    fs::write(place.path("waxwing.toml"), format!("{ports}[[host]]\ndomain = \"a.example\"\n"))
        .unwrap();
    assert!(!place.run("config check", 0).contains("localhost"));
}

#[test]
fn all_addresses_that_cannot_be_had_are_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let place = Place(tempfile::tempdir().unwrap());
    let text = format!(
        "[[host]]\ndomain = \"a.example\"\n[listen]\nc2s = [\"{taken}\", \"192.0.2.7:5222\"]\n\
         c2s_tls = []\nhttp = []\nhttps = [\"198.51.100.7:7443\"]\nproxy65 = []\n"
    );
    fs::write(place.path("waxwing.toml"), text).unwrap();
    let said = place.run("serve", 1);
    for wanted in [
        &format!("cannot listen on {taken} (listen.c2s): another program has this port\n"),
        "cannot listen on 192.0.2.7:5222 (listen.c2s): this machine does not have this address\n",
        "cannot listen on 198.51.100.7:7443 (listen.https): this machine does not have this address\n",
    ] {
        assert!(said.contains(wanted), "{wanted} is missing in {said}");
    }
}

#[test]
fn an_admin_socket_that_cannot_be_opened_ends_the_start_and_keeps_the_password() {
    let place = Place::with("data = \"data\"");
    fs::write(place.path("file"), "").unwrap();
    let text = fs::read_to_string(place.path("waxwing.toml")).unwrap();
    for (socket, why) in
        [("nowhere/admin.sock", "No such file"), ("file", "there is something else")]
    {
        let text = format!("{text}[admin]\nsocket = \"{socket}\"\n");
        fs::write(place.path("waxwing.toml"), text).unwrap();
        let said = place.run("serve", 1);
        assert!(said.contains(&format!("cannot open the admin socket {socket}: {why}")), "{said}");
        assert!(!said.contains("Password"), "{said}");
    }
}

#[test]
fn what_only_looks_makes_nothing() {
    let place = Place::new();
    place.run("config check", 0);
    place.run("config explain", 0);
    place.run("status", 5);
    place.run("session list", 5);
    place.run("user list", 5);
    assert!(!place.data().exists());
}

/// Only root can give files away, so only root can do it wrong.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn give(path: &Path) {
    chown(path, Some(SERVICE), Some(SERVICE)).unwrap();
}

/// All that is in the directory and not the service user's.
fn foreign(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        if (meta.uid(), meta.gid()) != (SERVICE, SERVICE) {
            found.push(path.clone());
        }
        if meta.is_dir() {
            found.extend(foreign(&path));
        }
    }
    found
}

#[test]
fn what_root_makes_belongs_to_the_owner_of_the_data_directory() {
    if !is_root() {
        return;
    }
    let place = Place(tempfile::tempdir().unwrap());
    let data = place.path("waxwing-data");
    fs::create_dir(&data).unwrap();
    give(&data);
    let ports =
        "[listen]\nc2s = [\"127.0.0.1:0\"]\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n";
    fs::write(place.path("more"), "juliet secret\n").unwrap();
    place.run("user add romeo --random", 0);
    place.run("user import more", 0);
    assert_eq!(foreign(&data), Vec::<PathBuf>::new());
    assert!(data.join("domain").exists() && data.join("lock").exists());
    // A server that root starts, while it runs, and after it was killed.
    let domain = "[[host]]\ndomain = \"localhost\"\n";
    fs::write(place.path("waxwing.toml"), format!("{ports}{domain}")).unwrap();
    let mut server = place.serve();
    server.log_until("server started");
    place.run("user add benvolio --random", 0);
    for file in ["admin.sock", "certs/localhost.key", "waxwing.sqlite-wal", "waxwing.sqlite-shm"] {
        assert!(data.join(file).exists(), "{file}");
    }
    assert_eq!(foreign(&data), Vec::<PathBuf>::new());
    drop(server);
    assert_eq!(foreign(&data), Vec::<PathBuf>::new());
}

#[test]
fn what_root_has_left_is_given_to_the_owner_of_the_data_directory() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.make_data(0o700);
    place.run("user add romeo --random", 0);
    let mut server = place.serve();
    server.log_until("server started");
    server.end();
    // A link to a file from elsewhere is not given away.
    fs::write(place.path("elsewhere"), "").unwrap();
    symlink(place.path("elsewhere"), place.data().join("domain")).unwrap();
    give(&place.data());
    let said = place.run("user list", 0);
    assert!(said.contains("belongs to the owner of its directory now"), "{said}");
    assert_eq!(foreign(&place.data()), [place.data().join("domain")]);
    assert_eq!(fs::metadata(place.path("elsewhere")).unwrap().uid(), 0);
}

#[test]
fn a_data_directory_that_a_server_makes_belongs_to_the_owner_of_the_one_above() {
    if !is_root() {
        return;
    }
    let place = Place::with("data = \"state/deep/data\"");
    fs::create_dir(place.path("state")).unwrap();
    give(&place.path("state"));
    let mut server = place.serve();
    server.log_until("server started");
    server.end();
    assert_eq!(foreign(&place.path("state")), Vec::<PathBuf>::new());
}

#[test]
fn a_configuration_that_root_writes_can_be_read_by_the_server() {
    if !is_root() {
        return;
    }
    let place = Place(tempfile::tempdir().unwrap());
    fs::create_dir(place.path("etc")).unwrap();
    let program = env!("CARGO_BIN_EXE_waxwing");
    let line = format!("umask 077; exec {program} init --config etc/waxwing.toml");
    let mut shell = Command::new("sh");
    let output = shell.current_dir(place.0.path()).args(["-c", &line]).output().unwrap();
    ended_with(&line, &output, 0);
    assert_eq!(mode(&place.path("etc/waxwing.toml")), 0o644);
    give(&place.path("etc"));
    place.run("init --force --config etc/waxwing.toml", 0);
    assert_eq!(foreign(&place.path("etc")), Vec::<PathBuf>::new());
}

#[test]
fn a_data_directory_of_a_group_is_refused_to_who_cannot_close_it() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.make_data(0o770);
    chown(place.data(), Some(0), Some(SERVICE)).unwrap();
    fs::set_permissions(place.0.path(), Permissions::from_mode(0o755)).unwrap();
    let said = ended_with("user add", &as_service_user(&place, "user add romeo --random"), 5);
    assert!(said.contains("others may enter") && said.contains("`chmod 700 "), "{said}");
    assert_eq!(mode(&place.data()), 0o770);
}

/// Runs a copy of the program, since the user cannot enter where it is.
fn as_service_user(place: &Place, line: &str) -> Output {
    let program = place.path("program");
    fs::copy(env!("CARGO_BIN_EXE_waxwing"), &program).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&program);
    command.current_dir(place.0.path()).args(line.split_whitespace()).stdin(Stdio::null());
    command.env_remove("WAXWING_CONFIG").env_remove("WAXWING_DATA");
    CommandExt::gid(&mut command, SERVICE);
    CommandExt::uid(&mut command, SERVICE).output().unwrap()
}

#[test]
fn another_users_data_directory_is_refused_with_a_sentence() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.make_data(0o755);
    fs::set_permissions(place.0.path(), Permissions::from_mode(0o755)).unwrap();
    let said = ended_with("user add", &as_service_user(&place, "user add romeo --random"), 5);
    let why = format!("it belongs to user 0, and this program runs as user {SERVICE}");
    assert!(said.contains(&why), "{said}");
}

/// A user who is nobody on most machines.
const SERVICE: u32 = 61_234;

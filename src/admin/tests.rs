//! Commands against a memory storage and a server that only notes what it is told, and the socket.

mod invitations;
mod rooms;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::{Answer, COMMANDS, Code, GROUPS, Request, VERSION, run, socket};
use crate::auth::Derivations;
use crate::clock::Clock;
use crate::config::{Config, HostConfig};
use crate::host::command::{Caller, CommandCx, Format, Outcome, ServerControl, SessionRow};
use crate::host::rooms::RoomAdministration;
use crate::host::{Client, revoke_client};
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::storage::{DeviceLogin, MemoryStorage, SavedSession, Storage, StorageError};
use crate::tasks::Tasks;

/// Has one session of romeo, and notes what it is told to close and to remove.
struct Noting(Mutex<Vec<(String, Option<String>)>>, Arc<dyn Storage>, Arc<rooms::NotingRooms>);

#[async_trait]
impl ServerControl for Noting {
    fn sessions(&self) -> Vec<SessionRow> {
        vec![SessionRow {
            jid: Jid::parse("romeo@localhost/orchard").unwrap().to_full().unwrap(),
            client: "gajim.org".to_owned(),
            installation: Some("d4565fa7-4d72-4749-b3d3-740edbf87770".into()),
            peer: Some("192.0.2.7:4711".to_owned()),
            tls: Some("TLSv1.3".to_owned()),
            seconds: 7,
            presence: None,
            status: None,
            priority: None,
            waiting_since: Some(Timestamp::from_micros(0)),
            waiting_until: Some(Timestamp::from_micros(600_000_000)),
        }]
    }

    async fn close(&self, jid: &Jid, reason: Option<&str>) -> usize {
        self.0.lock().push((jid.to_string(), reason.map(str::to_owned)));
        usize::from(jid.local() == Some("romeo"))
    }

    async fn revoke_client(
        &self,
        user: &BareJid,
        client: &Client,
        reason: &str,
    ) -> Result<usize, StorageError> {
        let now = Timestamp::from_micros(0);
        revoke_client(&*self.1, None, user, client, true, now).await?;
        for session in &client.sessions {
            self.0.lock().push((session.to_string(), Some(reason.to_owned())));
        }
        Ok(client.sessions.len())
    }

    async fn remove_account(&self, user: &BareJid) -> Result<Option<usize>, StorageError> {
        if !self.1.accounts().remove(user).await? {
            return Ok(None);
        }
        self.0.lock().push((format!("remove {user}"), None));
        Ok(Some(1))
    }

    fn push_changed(&self, _: &BareJid) {}

    fn admins_changed(&self) {
        self.0.lock().push(("admins".to_owned(), None));
    }

    fn strangers_changed(&self, user: &BareJid) {
        self.0.lock().push((format!("strangers {user}"), None));
    }

    fn remote_servers(&self) -> Option<Arc<dyn crate::host::RemoteServers>> {
        None
    }

    fn rooms(&self) -> Option<Arc<dyn RoomAdministration>> {
        Some(Arc::clone(&self.2) as _)
    }

    fn status(&self) -> Vec<(&'static str, Value)> {
        vec![("sessions", json!(1))]
    }
}

fn context() -> (CommandCx, Arc<Noting>) {
    let storage = MemoryStorage::new() as Arc<dyn Storage>;
    let running = Arc::new(Noting(Mutex::default(), Arc::clone(&storage), Arc::default()));
    let mut config = Config::default_for("localhost", "/nowhere".into());
    config.auth.iterations = 4096;
    config.hosts.push(HostConfig { domain: "b.example".to_owned(), ..config.hosts[0].clone() });
    let cx = CommandCx {
        storage,
        derivations: Derivations::new(&config.auth),
        config: Arc::new(config),
        clock: Clock::manual(Timestamp::from_micros(0)),
        running: Some(Arc::clone(&running) as Arc<dyn ServerControl>),
        caller: Caller::Uid(0),
        default_domain: "localhost".to_owned(),
        only_domain: None,
    };
    (cx, running)
}

fn contexts(cx: CommandCx) -> socket::Contexts {
    Arc::new(move |caller| CommandCx { caller, ..cx.clone() })
}

fn request(command: &str, arguments: Value) -> Request {
    let command = command.split(' ').map(str::to_owned).collect();
    Request {
        version: VERSION,
        command,
        arguments: serde_json::from_value(arguments).unwrap(),
        domain: None,
        confirmed: true,
        format: None,
    }
}

async fn json_of(cx: &CommandCx, command: &str, arguments: Value) -> Value {
    match run(cx.clone(), &request(command, arguments)).await {
        Answer::Ok(Outcome::Done { json, .. } | Outcome::Partly { json, .. }) => json,
        other => panic!("{command}: {other:?}"),
    }
}

/// What a command shows as a table, for programs.
async fn rows_of(cx: &CommandCx, command: &str, arguments: Value) -> Value {
    match run(cx.clone(), &request(command, arguments)).await {
        Answer::Ok(outcome) => outcome.to_json(),
        other @ Answer::Error(_) => panic!("{command}: {other:?}"),
    }
}

async fn code_of(cx: &CommandCx, command: &str, arguments: Value) -> Code {
    match run(cx.clone(), &request(command, arguments)).await {
        Answer::Error(failure) => failure.code,
        other @ Answer::Ok(_) => panic!("{command}: {other:?}"),
    }
}

#[test]
fn each_command_can_be_called_and_has_its_group() {
    let mut paths: Vec<_> = COMMANDS.iter().map(|command| command.path).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), COMMANDS.len());
    for command in COMMANDS {
        let path = command.path;
        match path {
            [_] => {}
            [group, _] => assert!(GROUPS.iter().any(|(name, _)| name == group), "{path:?}"),
            _ => panic!("{path:?} is too deep"),
        }
        for argument in command.arguments {
            assert!(is_snake_case(argument.name), "{path:?} {}", argument.name);
            let of_all = ["config", "data", "domain", "help", "json", "password-stdin", "yes"];
            assert!(!of_all.contains(&argument.name), "{path:?} {}", argument.name);
        }
    }
}

#[tokio::test]
async fn without_a_server_another_password_ends_the_sessions_that_wait_for_one() {
    let (mut cx, _) = context();
    cx.running = None;
    let sessions = cx.storage.resumption();
    for (user, key) in [("romeo", "one"), ("romeo", "two"), ("juliet", "three")] {
        let account = json!({"account": user, "password": "x"});
        run(cx.clone(), &request("user add", account)).await;
        let owner = BareJid::parse(&format!("{user}@localhost")).unwrap();
        let (number, _) = sessions.begin(&owner, key, key).await.unwrap();
        let state = bytes::Bytes::from_static(b"all");
        sessions.save(vec![SavedSession { number, handled: 1, state }]).await.unwrap();
    }
    let keeping = json!({"account": "romeo", "password": "y", "keep_sessions": true});
    assert_eq!(json_of(&cx, "user passwd", keeping).await["closed"], 0);
    assert_eq!(sessions.all().await.unwrap().len(), 3);
    let other = json!({"account": "romeo", "password": "z"});
    assert_eq!(json_of(&cx, "user passwd", other).await["closed"], 2);
    let left: Vec<_> = sessions.all().await.unwrap().into_iter().map(|s| s.key).collect();
    assert_eq!(left, ["three"]);
}

#[tokio::test]
async fn who_is_removed_or_gets_another_password_is_closed() {
    let (cx, running) = context();
    json_of(&cx, "user add", json!({"account": "romeo", "password": "x"})).await;
    assert_eq!(*running.0.lock(), []);
    let new = json!({"account": "romeo", "password": "y", "keep_sessions": true});
    assert_eq!(json_of(&cx, "user passwd", new).await["closed"], 0);
    assert_eq!(*running.0.lock(), []);
    let new = json!({"account": "romeo", "random": true});
    assert_eq!(json_of(&cx, "user passwd", new).await["closed"], 1);
    assert_eq!(json_of(&cx, "user del", json!({"account": "romeo"})).await["closed"], 1);
    let expected = [
        ("romeo@localhost".to_owned(), Some("the password was changed".to_owned())),
        ("remove romeo@localhost".to_owned(), None),
    ];
    assert_eq!(*running.0.lock(), expected);
}

#[tokio::test]
async fn who_is_not_there_is_not_closed() {
    let (cx, running) = context();
    for (command, arguments) in [
        ("user del", json!({"account": "romeo"})),
        ("user passwd", json!({"account": "romeo", "password": "x"})),
    ] {
        assert_eq!(code_of(&cx, command, arguments).await, Code::NotFound);
    }
    assert_eq!(*running.0.lock(), []);
    let juliet = json!({"jid": "juliet/balcony"});
    assert_eq!(code_of(&cx, "session close", juliet).await, Code::NotFound);
    assert_eq!(running.0.lock()[0].0, "juliet@localhost/balcony");
}

#[tokio::test]
async fn a_call_is_checked_before_it_runs() {
    let (cx, _) = context();
    for (command, arguments) in [
        ("user fly", json!({})),
        ("user add", json!({"account": "romeo"})),
        ("user add", json!({"account": "romeo", "password": "x", "random": true})),
        ("user add", json!({"account": "romeo", "password": 7})),
        ("user list", json!({"colour": "red"})),
        ("user list", json!({"host": "a@b"})),
    ] {
        assert_eq!(code_of(&cx, command, arguments).await, Code::Invalid, "{command}");
    }
}

#[tokio::test]
async fn sessions_are_shown_and_counted() {
    let (cx, _) = context();
    let Answer::Ok(Outcome::Table { columns, rows }) =
        run(cx.clone(), &request("session list", json!({}))).await
    else {
        panic!("sessions are a table");
    };
    let expected = json!([{
        "jid": "romeo@localhost/orchard", "client": "gajim.org", "peer": "192.0.2.7:4711",
        "tls": "TLSv1.3", "seconds": 7, "presence": null, "status": null, "priority": null,
        "waiting_since": "1970-01-01T00:00:00.000Z", "waiting_until": "1970-01-01T00:10:00.000Z",
    }]);
    assert_eq!(Outcome::Table { columns, rows }.to_json(), expected);
    json_of(&cx, "user add", json!({"account": "romeo", "password": "x"})).await;
    let shown = json_of(&cx, "user show", json!({"account": "romeo"})).await;
    assert_eq!(shown["sessions"], json!(["romeo@localhost/orchard"]));
    let status = json_of(&cx, "status", json!({})).await;
    assert_eq!((&status["running"], &status["sessions"]), (&json!(true), &json!(1)));
}

#[tokio::test]
async fn a_client_is_shown_and_logged_out() {
    let (cx, control) = context();
    json_of(&cx, "user add", json!({"account": "romeo", "password": "x"})).await;
    let romeo = BareJid::parse("romeo@localhost").unwrap();
    for id in ["d4565fa7-4d72-4749-b3d3-740edbf87770", ""] {
        let (software, by_password) = (Some("Gajim".to_owned()), !id.is_empty());
        let login = DeviceLogin { id: id.to_owned(), software, device: None, by_password };
        cx.storage.devices().note_device(&romeo, cx.clock.now(), &login).await.unwrap();
    }
    let Answer::Ok(outcome) =
        run(cx.clone(), &request("device list", json!({"account": "romeo"}))).await
    else {
        panic!("clients are a table");
    };
    let (id, since) = ("client/d4565fa7-4d72-4749-b3d3-740edbf87770", "1970-01-01T00:00:00.000Z");
    let expected = json!([{
        "device": id, "software": "Gajim", "machine": null, "connected": true,
        "first_seen": since, "last_seen": since, "knows_password": true, "has_token": false,
    }, {
        "device": "other", "software": "Gajim", "machine": null, "connected": false,
        "first_seen": since, "last_seen": since, "knows_password": false, "has_token": false,
    }]);
    assert_eq!(outcome.to_json(), expected);
    control.0.lock().clear();
    let removed = json_of(&cx, "device remove", json!({"account": "romeo", "device": id})).await;
    assert_eq!((&removed["closed"], &removed["knows_password"]), (&json!(1), &json!(true)));
    let reason = Some("the administrator has logged out this client".to_owned());
    assert_eq!(*control.0.lock(), [("romeo@localhost/orchard".to_owned(), reason)]);
    json_of(&cx, "device remove", json!({"account": "romeo", "device": "other"})).await;
    assert_eq!(cx.storage.devices().of(&romeo).await.unwrap(), []);
    let again = json!({"account": "romeo", "device": "other"});
    assert_eq!(code_of(&cx, "device remove", again).await, Code::NotFound);
}

#[tokio::test]
async fn a_command_goes_over_the_socket_and_its_answer_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let (cx, _) = context();
    let tasks = Tasks::new();
    socket::serve(contexts(cx), path.clone(), &tasks).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let add = request("user add", json!({"account": "romeo", "password": "x"}));
    assert!(matches!(socket::call(&path, &add).await.unwrap(), Answer::Ok(_)));
    let Answer::Error(failure) = socket::call(&path, &add).await.unwrap() else {
        panic!("there is a romeo already");
    };
    assert_eq!(failure.code, Code::Conflict);
    assert_eq!(failure.message, "account romeo@localhost already exists");
    assert_eq!(tasks.stop(Duration::from_secs(5)).await, []);
    assert!(!path.exists());
    assert_eq!(socket::call(&path, &add).await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// The answers to these lines, sent over one connection.
async fn on_one_connection(text: &str) -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let tasks = Tasks::new();
    socket::serve(contexts(context().0), path.clone(), &tasks).await.unwrap();
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    tasks.stop(Duration::from_secs(5)).await;
    answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn many_requests_fit_in_one_connection_and_nonsense_does_not_end_it() {
    let text =
        "{\"command\":[\"user\",\"add\"],\"arguments\":secret}\n{\"command\":[\"status\"]}\n";
    let answers = on_one_connection(text).await;
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0]["error"]["code"], "invalid");
    assert!(!answers[0].to_string().contains("secret"));
    assert_eq!(answers[1]["ok"]["json"]["running"], true);
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let (one, other) = (Tasks::new(), Tasks::new());
    socket::serve(contexts(context().0), path.clone(), &one).await.unwrap();
    let refused = socket::serve(contexts(context().0), path.clone(), &other).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AddrInUse);
    let status = request("status", json!({}));
    assert!(matches!(socket::call(&path, &status).await.unwrap(), Answer::Ok(_)));
    one.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    fs::write(&path, "precious").unwrap();
    let refused =
        socket::serve(contexts(context().0), path.clone(), &Tasks::new()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let long = Path::new("/tmp").join("x".repeat(200));
    let refused = socket::serve(contexts(context().0), long, &Tasks::new()).await.unwrap_err();
    assert!(refused.to_string().contains("too long for a socket"), "{refused}");
}

fn is_snake_case(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[tokio::test]
async fn a_call_is_about_the_domain_that_it_names() {
    let (cx, _) = context();
    let of_b = |command: &str, arguments| Request {
        domain: Some("B.example".to_owned()),
        ..request(command, arguments)
    };
    for request in [
        request("user add", json!({"account": "joe", "password": "x"})),
        of_b("user add", json!({"account": "joe", "password": "x"})),
    ] {
        assert!(matches!(run(cx.clone(), &request).await, Answer::Ok(_)));
    }
    let Answer::Ok(Outcome::Table { rows, .. }) =
        run(cx.clone(), &of_b("user list", json!({}))).await
    else {
        panic!("accounts are a table");
    };
    let names: Vec<_> = rows.iter().map(|row| &row[0]).collect();
    assert_eq!(names, ["joe@b.example"]);
    let Answer::Ok(Outcome::Table { rows, .. }) =
        run(cx.clone(), &of_b("session list", json!({}))).await
    else {
        panic!("sessions are a table");
    };
    assert_eq!(rows.len(), 0);
    let removed = run(cx.clone(), &of_b("user del", json!({"account": "joe"}))).await;
    assert!(matches!(removed, Answer::Ok(_)));
    json_of(&cx, "user show", json!({"account": "joe@localhost"})).await;
    assert_eq!(
        code_of(&cx, "user show", json!({"account": "joe@b.example"})).await,
        Code::NotFound
    );

    let of_c = Request { domain: Some("c.example".to_owned()), ..request("status", json!({})) };
    let Answer::Error(failure) = run(cx.clone(), &of_c).await else { panic!("it is not served") };
    assert_eq!(
        failure.message,
        "this server does not serve c.example; it serves localhost, b.example"
    );
}

#[tokio::test]
async fn what_cannot_be_had_back_is_removed_only_if_that_is_confirmed() {
    let (cx, running) = context();
    json_of(&cx, "user add", json!({"account": "romeo", "password": "x"})).await;
    let unconfirmed =
        |command, arguments| Request { confirmed: false, ..request(command, arguments) };
    let destructive: Vec<_> =
        COMMANDS.iter().filter(|c| c.is_destructive()).map(|c| c.name()).collect();
    assert_eq!(
        destructive,
        [
            "user del",
            "user quota",
            "archive limit",
            "archive clear",
            "room destroy",
            "report remove"
        ]
    );
    for (command, arguments) in [
        ("user del", json!({"account": "romeo"})),
        ("archive clear", json!({"account": "romeo"})),
        ("archive limit", json!({"account": "romeo", "age": "23 h"})),
    ] {
        let Answer::Error(failure) = run(cx.clone(), &unconfirmed(command, arguments)).await else {
            panic!("{command} is done unasked");
        };
        assert_eq!(failure.code, Code::Unconfirmed, "{command}");
        assert!(failure.message.contains("romeo@localhost"), "{command}: {}", failure.message);
        assert!(failure.message.ends_with('?'), "{command}: {}", failure.message);
    }
    assert_eq!(*running.0.lock(), []);
    json_of(&cx, "user show", json!({"account": "romeo"})).await;
    // It is not asked about what is not there.
    let nobody = unconfirmed("user del", json!({"account": "nobody"}));
    assert!(matches!(run(cx.clone(), &nobody).await, Answer::Error(f) if f.code == Code::NotFound));
    // A day and more is what people mean.
    let day = unconfirmed("archive limit", json!({"account": "romeo", "age": "1 d"}));
    assert!(matches!(run(cx.clone(), &day).await, Answer::Ok(_)));
}

#[tokio::test]
async fn a_caller_gets_the_half_of_an_answer_that_it_wants() {
    let (cx, _) = context();
    for (format, has_text, has_json) in
        [(None, true, true), (Some(Format::Json), false, true), (Some(Format::Text), true, false)]
    {
        let status = Request { format, ..request("status", json!({})) };
        let answer = serde_json::to_value(run(cx.clone(), &status).await).unwrap();
        assert_eq!(answer["ok"].get("text").is_some(), has_text, "{answer}");
        assert_eq!(answer["ok"].get("json").is_some(), has_json, "{answer}");
    }
    let list = Request { format: Some(Format::Json), ..request("session list", json!({})) };
    let answer = serde_json::to_value(run(cx, &list).await).unwrap();
    assert_eq!(answer["ok"]["json"][0]["jid"], "romeo@localhost/orchard", "{answer}");
}

#[tokio::test]
async fn another_version_of_the_protocol_is_refused_with_ours() {
    let text = "{\"version\":2,\"command\":[\"status\"]}\n\
                {\"version\":3,\"order\":\"status\"}\n\
                {\"command\":[\"status\"],\"domain\":\"localhost\",\"format\":\"json\"}\n";
    let answers = on_one_connection(text).await;
    assert!(answers.iter().all(|answer| answer["version"] == VERSION), "{answers:?}");
    for (answer, version) in answers.iter().zip([2, 3]) {
        let wanted = format!("this server speaks version 1 of the protocol, not version {version}");
        assert_eq!(answer["error"]["message"], wanted);
    }
    assert_eq!(answers[2]["ok"]["json"]["running"], true);
}

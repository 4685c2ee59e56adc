use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::{debug, debug_span, info};

use super::*;

const HOSTILE: &str =
    "eve\n2026-11-20 WARN waxwing::login: login failed\x1b[2J\u{9b}\r\u{202e}\u{7f}\0";

#[test]
fn a_hostile_value_stays_on_its_line_in_every_format() {
    for format in [LogFormat::Text, LogFormat::Json, LogFormat::Journald] {
        let written = log(format, "trace", |_| {
            let span = debug_span!("stream", id = HOSTILE, jid = tracing::field::Empty);
            let _inside = span.enter();
            span.record("jid", tracing::field::display(HOSTILE));
            info!(from = HOSTILE, to = %HOSTILE, id = ?HOSTILE, "message arrives");
            login_failed("[::1]:5".parse().unwrap(), Some(HOSTILE), HOSTILE, HOSTILE);
        });
        assert_eq!(written.len(), 2, "{written:?}");
        for record in written {
            let line = match format {
                LogFormat::Journald => {
                    let (head, rest) = record.split_once("MESSAGE=").unwrap();
                    assert_eq!(head.lines().count(), 3);
                    let (message, fields) = rest.split_once('\n').unwrap();
                    for line in fields.lines() {
                        let (name, _) = line.split_once('=').expect("no value breaks its line");
                        assert!(name.chars().all(|c| c.is_ascii_uppercase()), "{line:?}");
                        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
                    }
                    message
                }
                _ => &record,
            };
            let line = line.strip_suffix('\n').unwrap_or(line);
            let odd = |c: char| c.is_control() || c == '\u{202e}';
            assert!(!line.contains(odd), "{line:?}");
            if format == LogFormat::Json {
                let read: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(read.to_string().contains("eve"));
                let whole = read.get("from").or(read.get("account")).unwrap();
                assert_eq!(whole, HOSTILE, "escaped, not lost");
            }
        }
    }
}

#[test]
fn a_failed_login_is_logged_in_the_form_of_the_filter() {
    let account = "x peer=8.8.8.8 account=y";
    let fail = |_: &LogHandle| {
        let span = debug_span!("stream", id = "a login failed peer=8.8.8.8");
        let _inside = span.enter();
        login_failed(
            "[::ffff:192.0.2.66]:4711".parse().unwrap(),
            Some(account),
            "PLAIN",
            "not-authorized",
        );
        login_failed("[2001:db8::1]:4711".parse().unwrap(), None, "PLAIN", "not-authorized");
    };
    let rest = r#"login failed peer=192.0.2.66 port=4711 account="x peer=8.8.8.8 account=y" mechanism=PLAIN condition=not-authorized"#;

    let lines = log(LogFormat::Text, "info", fail);
    // fail2ban cuts the date out; the rest is what ^ sees.
    let (date, line) = lines[0].trim_end().split_once("Z ").unwrap();
    assert_eq!(date.len(), "2026-11-20T08:00:00.123456".len());
    assert_eq!(line.trim_start(), format!("WARN waxwing::login: {rest}"));
    assert!(lines[1].contains(" peer=2001:db8::1 port=4711 account=- "), "{}", lines[1]);
    assert_eq!(found_by_filter(line), ["192.0.2.66"]);
    assert_eq!(found_by_filter(lines[1].trim_end().split_once("Z ").unwrap().1), ["2001:db8::1"]);

    let records = log(LogFormat::Journald, "info", fail);
    assert_eq!(
        records[0],
        format!(
            "SYSLOG_IDENTIFIER=waxwing\nPRIORITY=4\nTARGET=waxwing::login\nMESSAGE={rest}\n\
             PEER=192.0.2.66\nPORT=4711\nACCOUNT=x peer=8.8.8.8 account=y\nMECHANISM=PLAIN\n\
             CONDITION=not-authorized\n"
        )
    );
    // As fail2ban puts records of the journal together.
    assert_eq!(found_by_filter(&format!("host waxwing[4711]: {rest}")), ["192.0.2.66"]);
    assert_eq!(found_by_filter(&format!("x {line}")), Vec::<&str>::new(), "not at the beginning");
}

#[test]
fn journald_gets_a_field_for_each_field_of_a_record_and_its_spans() {
    let records = log(LogFormat::Journald, "info", |_| {
        let span = tracing::info_span!("stream", peer = "192.0.2.7:5", jid = tracing::field::Empty);
        let _inside = span.enter();
        span.record("jid", "romeo@localhost/a \\ b\nc");
        info!(uid = 7, priority = 1, "log.target" = "x", "done");
    });
    assert_eq!(
        records[0],
        "SYSLOG_IDENTIFIER=waxwing\nPRIORITY=6\nTARGET=waxwing::log::tests\n\
         MESSAGE=stream{peer=192.0.2.7:5 jid=\"romeo@localhost/a \\\\ b\\nc\"}: \
         done uid=7 priority=1 log.target=x\n\
         PEER=192.0.2.7:5\nJID=romeo@localhost/a \\ b\\nc\nUID=7\nLOG_TARGET=x\n"
    );
}

/// The addresses that the filter for fail2ban finds in a line.
fn found_by_filter(line: &str) -> Vec<&str> {
    let filter = include_str!("../../packaging/fail2ban/filter.d/waxwing.conf");
    let expressions = filter.lines().filter_map(|line| {
        let line = line.strip_prefix("failregex =").unwrap_or(line).trim();
        line.starts_with('^').then(|| line.replace("<HOST>", r"(\S+)"))
    });
    let expressions: Vec<_> =
        expressions.map(|text| regex_lite::Regex::new(&text).unwrap()).collect();
    assert_eq!(expressions.len(), 2, "{filter}");
    let found = expressions.iter().filter_map(|expression| expression.captures(line));
    found.map(|captures| captures.get(1).unwrap().as_str()).collect()
}

#[test]
fn json_is_one_flat_object_a_line() {
    let lines = log(LogFormat::Json, "info", |_| {
        let span = tracing::info_span!("stream", id = "abc");
        let _inside = span.enter();
        info!(bytes = 7, "stanza too large");
    });
    let read: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(read["message"], "stanza too large");
    assert_eq!(read["level"], "INFO");
    assert_eq!(read["bytes"], 7);
    assert_eq!(read["spans"][0]["id"], "abc");
}

#[test]
fn the_level_can_be_changed_while_running() {
    let config = |level: &str| LogConfig { format: LogFormat::Text, level: level.to_owned() };
    let lines = log(LogFormat::Text, "info", |handle| {
        debug!("one");
        handle.reload(&config("debug")).unwrap();
        debug!("two");
        handle.reload(&config("nonsense")).unwrap_err();
        debug!("three");
        handle.reload(&config("info,waxwing::log=debug")).unwrap();
        debug!("four");
        debug!(target: "waxwing::tls", "five");
    });
    let seen: Vec<_> =
        lines.iter().map(|line| line.trim_end().rsplit(' ').next().unwrap()).collect();
    assert_eq!(seen, ["two", "three", "four"]);
}

#[test]
fn a_level_is_a_word_we_know() {
    let enabled =
        |text: &str, target: &str, level| parse_level(text).unwrap().would_enable(target, &level);
    assert!(enabled("debug", "waxwing::c2s", tracing::Level::DEBUG));
    assert!(!enabled("debug", "sqlx::query", tracing::Level::DEBUG), "libraries are quieter");
    assert!(enabled("debug,sqlx=debug", "sqlx::query", tracing::Level::DEBUG));
    assert!(!enabled("error", "sqlx::query", tracing::Level::WARN));
    assert!(enabled("waxwing=warn", "sqlx", tracing::Level::INFO));
    assert!(!enabled("waxwing=warn", "waxwing::tls", tracing::Level::INFO));
    assert!(!enabled("off", "waxwing::tls", tracing::Level::ERROR));
    for wrong in ["", "verbose", "info,,debug", "=debug", "waxwing=loud", "info;debug"] {
        let error = parse_level(wrong).unwrap_err().to_string();
        assert!(error.contains(wrong), "{error}");
    }
}

#[test]
fn a_record_reaches_journald_whole_or_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let journald = UnixDatagram::bind(&path).unwrap();
    let socket = JournalSocket::open_at(path.to_str().unwrap()).unwrap();
    let (subscriber, _) =
        subscriber(LogFormat::Journald, parse_level("info").unwrap(), false, socket);
    tracing::subscriber::with_default(subscriber, || {
        info!(count = 2, "ready");
        info!(xml = "a".repeat(1_000_000), "large");
    });
    let mut buffer = vec![0; 1 << 20];
    let n = journald.recv(&mut buffer).unwrap();
    assert!(buffer[..n].ends_with(b"\nMESSAGE=ready count=2\nCOUNT=2\n"));
    let n = journald.recv(&mut buffer).unwrap();
    assert!(n <= 64 * 1024 && buffer[..n].ends_with(b"aaa\n"), "{n}");
}

#[test]
fn the_journal_is_known_by_device_and_inode() {
    assert!(is_journal("8:12345", 8, 12345));
    assert!(!is_journal("8:12345", 8, 12346));
    assert!(!is_journal("", 0, 0));
    assert_eq!(chosen(LogFormat::Json), LogFormat::Json);
}

#[test]
fn a_panic_is_counted_and_logged_without_what_it_quotes() {
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let lines = log(LogFormat::Text, "error", |_| {
        install_panic_hook(move || {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        });
        let secret = "é secret";
        std::panic::catch_unwind(|| secret[1..].len()).unwrap_err();
        std::panic::catch_unwind(|| panic!("a literal")).unwrap_err();
        drop(std::panic::take_hook());
    });
    assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 2);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("panic location=src/log/tests.rs:"), "{}", lines[0]);
    assert!(!lines[0].contains("secret"), "{}", lines[0]);
    assert!(lines[1].contains(r#"error="a literal""#), "{}", lines[1]);
}

/// What `act` logs, a record each.
fn log(format: LogFormat, level: &str, act: impl FnOnce(&LogHandle)) -> Vec<String> {
    let records = Records::default();
    let (subscriber, handle) =
        subscriber(format, parse_level(level).unwrap(), false, records.clone());
    tracing::subscriber::with_default(subscriber, || act(&handle));
    records.0.lock().clone()
}

#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<String>>>);

impl<'a> MakeWriter<'a> for Records {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl io::Write for Records {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.0.lock().push(String::from_utf8(record.to_vec()).unwrap());
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

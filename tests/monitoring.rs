//! The port for programs that watch the server: metrics and health, and the dashboard and alerts made of them.

#[path = "monitoring/promtool.rs"]
mod promtool;

use std::path::Path;
use std::time::Duration;
use std::{fs, iter};

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::metrics::Metrics;
use waxwing::server::Server;
use waxwing::storage::{SqliteStorage, Storage};
use waxwing::tasks::Tasks;
use yaml_rust2::{Yaml, YamlLoader};

const CONFIG: &str = "[listen]\nc2s = []\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n\
    [[host]]\ndomain = 'localhost'\n";

/// The whole answer to a request for this path.
async fn answer(server: &Server, listener: &str, path: &str) -> String {
    let (mut io, theirs) = tokio::io::duplex(1 << 16);
    server.connect(Box::new(theirs), listener);
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    io.write_all(request.as_bytes()).await.expect("it takes the request");
    let mut answer = String::new();
    let read = timeout(Duration::from_secs(30), io.read_to_string(&mut answer));
    read.await.expect("it answers").expect("in UTF-8");
    answer
}

#[tokio::test]
async fn metrics_and_health_are_told_on_their_own_port_alone() {
    let data = tempfile::tempdir().expect("there is a place");
    let mut config = Config::parse(CONFIG, "the test").expect("it is valid");
    data.path().clone_into(&mut config.data);
    let (clock, tasks) = (Clock::system(), Tasks::new());
    let storage = SqliteStorage::open(&data.path().join("waxwing.db"), 1, &tasks).await;
    let storage = storage.expect("it opens");
    let server = Server::start(config, storage.clone(), clock, tasks.clone()).await;
    let server = server.expect("it starts");

    let metrics = answer(&server, "monitoring", "/metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200 "), "{metrics}");
    assert!(metrics.contains(
        "\r\ncontent-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
    ));
    assert!(metrics.contains("\nwaxwing_sessions 0\n"), "{metrics}");
    assert!(
        metrics.contains("\nwaxwing_certificate_expiry_timestamp_seconds{host=\"localhost\"} ")
    );
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    for (path, text) in [("/health/live", "live\n"), ("/health/ready", "ready\n")] {
        let health = answer(&server, "monitoring", path).await;
        assert!(health.starts_with("HTTP/1.1 200 ") && health.ends_with(text), "{path}: {health}");
        let elsewhere = answer(&server, "http", path).await;
        assert!(elsewhere.starts_with("HTTP/1.1 404 "), "{path}: {elsewhere}");
    }
    assert!(answer(&server, "http", "/metrics").await.starts_with("HTTP/1.1 404 "));
    assert!(answer(&server, "monitoring", "/ws").await.starts_with("HTTP/1.1 404 "));

    storage.close().await;
    let ready = answer(&server, "monitoring", "/health/ready").await;
    assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
    assert!(ready.ends_with("the storage fails\n"), "{ready}");
    let live = answer(&server, "monitoring", "/health/live").await;
    assert!(live.starts_with("HTTP/1.1 200 "), "{live}");
    // Each request was counted, by what answered it, and not by the rest of its path.
    let counted = server.state().metrics.render();
    for line in [
        "waxwing_http_requests_total{route=\"monitoring\",status=\"200\"} 4",
        "waxwing_http_requests_total{route=\"monitoring\",status=\"404\"} 3",
        "waxwing_http_requests_total{route=\"monitoring\",status=\"503\"} 1",
        "waxwing_http_requests_total{route=\"websocket\",status=\"404\"} 1",
        "waxwing_http_bodies{direction=\"in\"} 0",
        "waxwing_http_bodies{direction=\"out\"} 0",
        "waxwing_http_received_bytes_total 0",
    ] {
        assert!(counted.lines().any(|found| found == line), "{line} is missing in {counted}");
    }
    assert!(server.state().metrics.http.sent.get() > 1000);
    assert!(tasks.stop(Duration::from_secs(10)).await.is_empty());
}

#[tokio::test]
async fn a_server_that_cannot_write_is_not_ready() {
    let data = tempfile::tempdir().expect("there is a place");
    let mut config = Config::parse(CONFIG, "the test").expect("it is valid");
    data.path().clone_into(&mut config.data);
    let tasks = Tasks::new();
    let path = data.path().join("waxwing.db");
    let storage = SqliteStorage::open(&path, 1, &tasks).await.expect("it opens");
    let server = Server::start(config, storage.clone(), Clock::system(), tasks.clone()).await;
    let server = server.expect("it starts");
    // A backup has the database: it can be read, and not written.
    let options = SqliteConnectOptions::new().filename(&path);
    let mut other = SqliteConnection::connect_with(&options).await.expect("it opens");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("it begins");
    let asked = || answer(&server, "monitoring", "/health/ready");
    let (one, two) = tokio::join!(asked(), asked());
    for ready in [one, two] {
        assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
        assert!(ready.ends_with("the storage does not answer\n"), "{ready}");
    }
    assert_eq!(tasks.count("write-probe"), 1, "one at a time");
    sqlx::query("ROLLBACK").execute(&mut other).await.expect("it ends");
    other.close().await.expect("it closes");
    let ready = asked().await;
    assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
    let batches = server.state().metrics.render();
    asked().await;
    let count = |text: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with("waxwing_storage_writes_total "))
            .map(str::to_owned);
        line.expect("it is counted")
    };
    assert_eq!(count(&batches), count(&server.state().metrics.render()), "not tried again so soon");
    assert!(tasks.stop(Duration::from_secs(10)).await.is_empty());
    storage.close().await;
}

/// The names of metrics in a text.
fn names(text: &str) -> Vec<&str> {
    let starts = text.match_indices("waxwing_").map(|(at, _)| &text[at..]);
    let end = |rest: &str| rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
    starts.map(|rest| &rest[..end(rest).unwrap_or(rest.len())]).collect()
}

#[test]
fn dashboard_and_alerts_use_metrics_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring");
    let known: Vec<String> = Metrics::new().list().into_iter().map(|(name, ..)| name).collect();
    for (file, least) in [("grafana.json", 25), ("alerts.yml", 10)] {
        let text = fs::read_to_string(root.join(file)).expect("the file is there");
        let used = names(&text);
        assert!(used.len() >= least, "{file} uses fewer metrics than it did: {used:?}");
        for name in used {
            let plain = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(known.iter().any(|known| known == plain), "{file}: {name} does not exist");
        }
    }
    let dashboard = fs::read_to_string(root.join("grafana.json")).expect("the file is there");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("there are panels");
    let ids: Vec<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert!(
        iter::zip(1.., &ids).all(|(n, id)| *id == Some(n)),
        "each panel has its number: {ids:?}"
    );
}

/// The fields of a rule that alerts, and what Prometheus wants of them.
fn check_alert(alert: &Yaml) {
    let text = |field: &str| alert[field].as_str().unwrap_or_default();
    let name = text("alert");
    assert!(name.starts_with("Waxwing"), "{alert:?}");
    assert!(!text("expr").trim().is_empty(), "{name}");
    let number = text("for").trim_end_matches(['s', 'm', 'h', 'd']);
    let is_time = alert["for"].is_badvalue() || number.parse::<u32>().is_ok_and(|n| n > 0);
    assert!(is_time, "{name}: `for` is a time");
    assert!(matches!(alert["labels"]["severity"].as_str(), Some("page" | "ticket")), "{name}");
    for note in ["summary", "description"] {
        let said = alert["annotations"][note].as_str().unwrap_or_default();
        assert!(!said.is_empty(), "{name} has no {note}");
        assert_eq!(said.matches("{{").count(), said.matches("}}").count(), "{name}: {said}");
    }
    let known = ["alert", "expr", "for", "labels", "annotations"];
    for field in alert.as_hash().expect("it is a rule").keys() {
        assert!(field.as_str().is_some_and(|field| known.contains(&field)), "{name}: {field:?}");
    }
}

#[test]
fn alerts_are_rules_of_prometheus() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring/alerts.yml");
    let text = fs::read_to_string(&path).expect("the file is there");
    let documents = YamlLoader::load_from_str(&text).expect("it is YAML");
    assert_eq!(documents.len(), 1);
    let groups = documents[0]["groups"].as_vec().expect("there are groups");
    let mut names = Vec::new();
    for group in groups {
        assert!(group["name"].as_str().is_some_and(|name| !name.is_empty()), "{group:?}");
        for alert in group["rules"].as_vec().expect("there are rules") {
            check_alert(alert);
            names.push(alert["alert"].as_str());
        }
    }
    assert!(names.len() >= 9, "there are fewer alerts than there were: {names:?}");
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "each alert has a name of its own");
}

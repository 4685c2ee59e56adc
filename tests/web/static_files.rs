//! Files of the operator.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{PATIENCE, TestServer};

/// A directory with a page, and beside it what nobody may see.
fn site() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("site");
    fs::create_dir_all(root.join("dist")).unwrap();
    fs::create_dir_all(root.join("empty")).unwrap();
    fs::create_dir_all(root.join(".git")).unwrap();
    for (name, text) in [
        ("site/index.html", "<p>page"),
        ("site/dist/a b.js", "script"),
        ("site/.git/config", "secret"),
        ("site/.env", "secret"),
        ("secret", "secret"),
    ] {
        fs::write(place.path().join(name), text).unwrap();
    }
    symlink("dist/a b.js", root.join("inside.js")).unwrap();
    symlink("../secret", root.join("outside.txt")).unwrap();
    symlink(place.path().join("secret"), root.join("absolute.txt")).unwrap();
    symlink("..", root.join("up")).unwrap();
    symlink("nowhere", root.join("broken.txt")).unwrap();
    place
}

async fn server(at: &str, directory: &Path) -> TestServer {
    let paths = format!("paths = {{ {at:?} = {directory:?} }}\ncache = \"2 min\"");
    TestServer::closed(&format!("[static_files]\n{paths}")).await
}

/// The whole answer, with its head in lower case.
async fn ask(server: &TestServer, method: &str, path: &str, more: &str) -> (u16, String, String) {
    let mut io = server.connect();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    timeout(PATIENCE, io.read_to_end(&mut all)).await.unwrap().unwrap();
    let all = String::from_utf8(all).unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

#[tokio::test]
async fn files_are_served_with_their_types() {
    let place = site();
    let server = server("/chat", &place.path().join("site")).await;
    let (status, head, body) = ask(&server, "GET", "/chat/", "").await;
    assert_eq!((status, body.as_str()), (200, "<p>page"), "{head}");
    for line in [
        "content-type: text/html; charset=utf-8",
        "content-length: 7",
        "cache-control: no-cache",
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; ",
        "frame-ancestors 'none'",
        "etag: w/\"",
    ] {
        assert!(head.contains(line), "{line} is missing in {head}");
    }
    let (status, head, body) = ask(&server, "GET", "/chat/dist/a%20b.js?v=1", "").await;
    assert_eq!((status, body.as_str()), (200, "script"), "{head}");
    assert!(head.contains("content-type: text/javascript; charset=utf-8"), "{head}");
    assert!(head.contains("cache-control: max-age=120"), "{head}");
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: w/")).unwrap();
    for (known, status) in
        [(format!("W/{tag}"), 304), (format!("\"x\", W/{tag}"), 304), ("\"x\"".into(), 200)]
    {
        let known = format!("If-None-Match: {known}\r\n");
        let (answer, _, body) = ask(&server, "GET", "/chat/dist/a%20b.js", &known).await;
        assert_eq!((answer, body.is_empty()), (status, status == 304), "{known}");
    }
    let (status, head, body) = ask(&server, "HEAD", "/chat/index.html", "").await;
    assert!((status, body.as_str()) == (200, "") && head.contains("content-length: 7"), "{head}");
    let (status, head, _) = ask(&server, "GET", "/chat?x=y", "").await;
    assert!(status == 308 && head.contains("location: /chat/?x=y"), "{head}");
    let (status, _, body) = ask(&server, "GET", "/chat/inside.js", "").await;
    assert_eq!((status, body.as_str()), (200, "script"), "a link that stays inside");
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let (status, head, _) = ask(&server, method, "/chat/", "").await;
        assert!(status == 405 && head.contains("allow: get, head"), "{method}: {head}");
    }
    server.close().await;
}

#[tokio::test]
async fn nothing_else_is_served() {
    let place = site();
    let server = server("/chat", &place.path().join("site")).await;
    for path in [
        "/",
        "/secret",
        "/chatter/",
        "/chat/nothing",
        "/chat/index.html/",
        "/chat/index.html/x",
        "/chat/empty/",
        "/chat/dist/",
        "/chat/.env",
        "/chat/%2eenv",
        "/chat/.git/config",
        "/chat/outside.txt",
        "/chat/absolute.txt",
        "/chat/broken.txt",
        "/chat/up/secret",
        "/chat/up/",
        "/chat/../secret",
        "/chat/dist/../../secret",
        "/chat/%2e%2e/secret",
        "/chat/%2E%2E/secret",
        "/chat/.%2e/secret",
        "/chat/%2e./secret",
        "/chat/..%2fsecret",
        "/chat/%2e%2e%2fsecret",
        "/chat/..%5csecret",
        "/chat/..\\secret",
        "/chat/%252e%252e/secret",
        "/chat/%c0%ae%c0%ae/secret",
        "/chat/%u002e%u002e/secret",
        "/chat//secret",
        "/chat//etc/passwd",
        "//chat/index.html",
        "/chat/index.html%00.png",
        "/chat/./index.html",
        &format!("/chat/{}", "x".repeat(300)),
    ] {
        let (status, head, body) = ask(&server, "GET", path, "").await;
        assert!(matches!(status, 400 | 404), "{path}: {head}");
        assert!(!body.contains("secret") && !head.contains("location"), "{path}: {head}");
    }
    server.close().await;
}

#[tokio::test]
async fn what_the_server_does_itself_comes_first() {
    let place = site();
    let root = place.path().join("site");
    fs::create_dir_all(root.join("ws")).unwrap();
    fs::write(root.join("ws/index.html"), "not this").unwrap();
    let server = server("/", &root).await;
    assert_eq!(ask(&server, "GET", "/", "").await.2, "<p>page");
    assert_eq!(ask(&server, "GET", "/ws/", "").await.0, 426);
    assert_eq!(ask(&server, "GET", "/files/x/y", "").await.0, 404);
    assert_eq!(ask(&server, "POST", "/", "").await.0, 405);
    server.close().await;
    // A directory that is not there is the operator's mistake, and nobody learns its name.
    let server = self::server("/chat", &place.path().join("none")).await;
    let (status, head, body) = ask(&server, "GET", "/chat/", "").await;
    assert!(status == 500 && body.is_empty(), "{head}");
    server.close().await;
}

/// A package as npm makes it.
fn package(place: &Path) -> PathBuf {
    fs::create_dir_all(place.join("package/dist")).unwrap();
    fs::write(place.join("package/dist/converse.min.js"), "the chat").unwrap();
    let package = place.join("converse.tgz");
    let mut made = Command::new("tar");
    made.arg("-C").arg(place).arg("-czf").arg(&package).arg("package");
    assert!(made.status().unwrap().success());
    package
}

/// Runs `waxwing web-chat` for the directory `site` in this place. `programs`: where the only programs are.
fn web_chat(place: &Path, more: &[&Path], programs: Option<&Path>) -> (Option<i32>, Value) {
    let config = place.join("waxwing.toml");
    let text = "[listen]\nwebsocket = \"wss://chat.example/ws\"\nbosh = \"https://chat.example/b\"\n\
        [[host]]\ndomain = \"example.org\"\n";
    fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing"));
    command.args(["web-chat", "--json", "--config"]).args([&config, &place.join("site")]);
    command.args(more);
    if let Some(programs) = programs {
        command.env("PATH", programs);
    }
    let ran = command.output().unwrap();
    (ran.status.code(), serde_json::from_slice(&ran.stdout).unwrap())
}

#[test]
fn npm_must_be_there_and_bring_what_is_known() {
    let place = tempfile::tempdir().unwrap();
    let (site, programs) = (place.path().join("site"), place.path().join("bin"));
    fs::create_dir(&programs).unwrap();
    let other = "#!/bin/sh\necho x > a.tgz\necho a.tgz\n";
    for (npm, said) in [
        ("", "npm pack converse.js@"),
        ("#!/bin/sh\necho refused >&2\nexit 1\n", "refused"),
        (other, "SHA-256 73cb3858a687a849"),
    ] {
        if !npm.is_empty() {
            fs::write(programs.join("npm"), npm).unwrap();
            fs::set_permissions(programs.join("npm"), Permissions::from_mode(0o755)).unwrap();
        }
        let (code, told) = web_chat(place.path(), &[], Some(&programs));
        assert_eq!(code, Some(1), "{told}");
        assert!(told["error"]["message"].as_str().unwrap().contains(said), "{told}");
        assert!(site.join("index.html").is_file() && !site.join(".npm").exists());
    }
    // A package may be given. What is no package is refused.
    let (code, told) =
        web_chat(place.path(), &[Path::new("--package"), &programs.join("npm")], None);
    assert!(code == Some(1) && told["error"]["message"].as_str().unwrap().contains("no package"));
    let package = package(place.path());
    let (code, told) = web_chat(place.path(), &[Path::new("--package"), &package], None);
    assert_eq!((code, &told["domain"]), (Some(0), &"example.org".into()), "{told}");
    assert_eq!(fs::read_to_string(site.join("converse.min.js")).unwrap(), "the chat");
    // It is there now: npm is not asked again.
    assert_eq!(web_chat(place.path(), &[], Some(&programs)).0, Some(0));
}

#[tokio::test]
async fn the_page_for_a_chat_names_the_addresses_of_this_server() {
    let place = tempfile::tempdir().unwrap();
    let package = package(place.path());
    assert_eq!(web_chat(place.path(), &[Path::new("--package"), &package], None).0, Some(0));
    let server = server("/chat", &place.path().join("site")).await;
    for (path, content) in [("", "src=\"start.js\""), ("converse.min.js", "the chat")] {
        let (status, _, page) = ask(&server, "GET", &format!("/chat/{path}"), "").await;
        assert!(status == 200 && page.contains(content), "{page}");
    }
    let (status, head, script) = ask(&server, "GET", "/chat/start.js", "").await;
    assert_eq!(status, 200, "{head}");
    for line in [
        "\"websocket_url\": \"wss://chat.example/ws\"",
        "\"bosh_service_url\": \"https://chat.example/b\"",
        "\"locked_domain\": \"example.org\"",
    ] {
        assert!(script.contains(line), "{line} is missing in {script}");
    }
    server.close().await;
}

/// Passwords are typed into a page with a chat: it does not come over the network in the clear.
#[tokio::test]
async fn without_tls_nobody_is_served_from_elsewhere() {
    let place = site();
    let server = server("/chat", &place.path().join("site")).await;
    for (address, status) in [("192.0.2.1:9", "403"), ("127.0.0.1:9", "200"), ("[::1]:9", "200")] {
        let (mut io, theirs) = tokio::io::duplex(1 << 16);
        server.server.connect_from(Box::new(theirs), address.parse().unwrap(), "http");
        io.write_all(b"GET /chat/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut all = String::new();
        timeout(PATIENCE, io.read_to_string(&mut all)).await.unwrap().unwrap();
        assert!(all.starts_with(&format!("HTTP/1.1 {status} ")), "{address}: {all}");
    }
    server.close().await;
}

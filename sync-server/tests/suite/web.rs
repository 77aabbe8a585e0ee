//! The web app that a relay serves: what is sent with it, and what is not sent.

use std::fs;
use std::path::Path;

use sync_server::config::Config;
use sync_server::server::{Server, ServerError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

struct Running {
    server: Server,
    _folders: tempfile::TempDir,
}

/// An answer's head in lower case, and its body.
struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn status(&self) -> &str {
        self.head.split_whitespace().nth(1).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.strip_prefix(':')).map(str::trim)
    }
}

fn config(folders: &Path, web: &Path) -> Config {
    Config {
        listen: ([127, 0, 0, 1], 0).into(),
        data: folders.join("data"),
        web: Some(web.to_owned()),
        ..Config::default()
    }
}

async fn start() -> Running {
    let folders = tempfile::tempdir().unwrap();
    let web = folders.path().join("web");
    fs::create_dir_all(web.join("assets")).unwrap();
    for (path, content) in [
        ("index.html", "<!doctype html>"),
        ("manifest.webmanifest", "{}"),
        ("service-worker.js", "self"),
        ("assets/app-1a2b.js", "export {}"),
        ("assets/app-1a2b.js.br", "BR"),
        ("assets/engine-3c4d.wasm", "asm"),
        (".env", "hidden"),
        ("../secret", "secret"),
    ] {
        fs::write(web.join(path), content).unwrap();
    }
    let server = Server::start(&config(folders.path(), &web)).await.unwrap();
    Running { server, _folders: folders }
}

async fn ask(running: &Running, method: &str, path: &str, more: &str) -> Answer {
    let mut stream = TcpStream::connect(running.server.address()).await.unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let body = answer.split_off(end);
    Answer { head: String::from_utf8(answer).unwrap().to_lowercase(), body }
}

async fn get(running: &Running, path: &str) -> Answer {
    ask(running, "GET", path, "").await
}

#[tokio::test]
async fn every_kind_of_file_has_its_type_and_may_not_be_guessed() {
    let running = start().await;
    for (path, kind) in [
        ("/", "text/html"),
        ("/index.html", "text/html"),
        ("/manifest.webmanifest", "application/manifest+json"),
        ("/service-worker.js", "text/javascript"),
        ("/assets/app-1a2b.js", "text/javascript"),
        ("/assets/engine-3c4d.wasm", "application/wasm"),
    ] {
        let answer = get(&running, path).await;
        assert_eq!(answer.status(), "200", "{path}");
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn the_page_runs_its_own_code_only_and_talks_to_this_relay_only() {
    let running = start().await;
    for path in ["/", "/service-worker.js", "/nothing-here"] {
        let answer = get(&running, path).await;
        let policy = answer.header("content-security-policy").unwrap();
        for rule in [
            "default-src 'none'",
            "script-src 'self' 'wasm-unsafe-eval'",
            "style-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.split(';').any(|part| part.trim() == rule), "{path}: {rule}");
        }
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cross-origin-opener-policy"), Some("same-origin"));
    }
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn hashed_files_are_kept_for_ever_and_all_others_asked_for_again() {
    let running = start().await;
    let kept = Some("public, max-age=31536000, immutable");
    assert_eq!(get(&running, "/assets/app-1a2b.js").await.header("cache-control"), kept);
    for path in ["/", "/index.html", "/service-worker.js", "/assets/gone.js"] {
        let answer = get(&running, path).await;
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{path}");
    }
    let changed = get(&running, "/index.html").await;
    let since = format!("If-Modified-Since: {}\r\n", changed.header("last-modified").unwrap());
    // The head is in lower case, which HTTP dates are not.
    let since = since.replace("gmt", "GMT");
    let again = ask(&running, "GET", "/index.html", &title_case(&since)).await;
    assert_eq!((again.status(), again.body.len()), ("304", 0));
    running.server.stop().await.unwrap();
}

/// Days and months with capitals, as HTTP dates have them.
fn title_case(date: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    };
    date.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_browser_that_reads_brotli_gets_what_was_compressed_beforehand() {
    let running = start().await;
    let squeezed = ask(&running, "GET", "/assets/app-1a2b.js", "Accept-Encoding: br\r\n").await;
    assert_eq!(squeezed.header("content-encoding"), Some("br"));
    assert_eq!(squeezed.header("content-type"), Some("text/javascript"));
    assert_eq!(squeezed.body, b"BR");
    assert_eq!(get(&running, "/assets/app-1a2b.js").await.body, b"export {}");
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn nothing_outside_the_folder_and_no_hidden_file_is_sent() {
    let running = start().await;
    for path in [
        "/../secret",
        "/assets/../../secret",
        "/%2e%2e/secret",
        "/%2E%2E%2fsecret",
        "/..%5csecret",
        "/assets/..%2f..%2fsecret",
        "/.env",
        "/%2eenv",
        "//secret",
        "//assets",
        "/%00",
        "/index.html/x",
    ] {
        let answer = get(&running, path).await;
        let body = String::from_utf8_lossy(&answer.body);
        assert!(!body.contains("secret") && !body.contains("hidden"), "{path}");
        assert!(answer.status().starts_with('4'), "{path}: {}", answer.status());
    }
    let posted = ask(&running, "POST", "/", "Content-Length: 0\r\n").await;
    assert_eq!(posted.status(), "405");
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn the_relay_itself_answers_as_before() {
    let running = start().await;
    assert!(get(&running, "/healthz").await.body.starts_with(b"heartbeat"));
    assert_eq!(get(&running, "/readyz").await.body, b"ready\n");
    assert!(get(&running, "/metrics").await.header("content-security-policy").is_none());
    assert_ne!(get(&running, "/v1/socket").await.status(), "404");
    running.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_without_a_web_app_is_an_error_that_says_what_to_do() {
    let folders = tempfile::tempdir().unwrap();
    let refused = Server::start(&config(folders.path(), folders.path())).await;
    let Err(error @ ServerError::Web(_)) = refused else { panic!("it started") };
    assert!(error.to_string().contains("cargo xtask web"), "{error}");
}

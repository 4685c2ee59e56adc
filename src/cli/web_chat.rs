//! `web-chat`: puts Converse.js into a directory, and a page that runs it, configured for this server. What is in the
//! directory is served by `[static_files]`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use serde_json::{Value, json};

use super::arguments::Options;
use super::converse;
use super::exit::{Exit, Problem};
use super::instance;
use super::output::Output;
use crate::config::Config;
use crate::files::write_whole;

/// Writes the page, and fetches Converse.js if it is not there.
pub(super) fn run(
    matches: &ArgMatches,
    options: &Options,
    output: &Output,
) -> Result<Exit, Problem> {
    let place = instance::find(options)?;
    let directory = matches.get_one::<PathBuf>("directory").expect("clap wants it");
    let domain = options.domain.as_deref().unwrap_or_else(|| place.config.default_domain());
    let script = script(&place.config, domain)?;
    let failed = |path: &Path, error: std::io::Error| {
        Problem::new(Exit::Failed, format!("{}: {error}", path.display()))
    };
    fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    for (name, text) in [("index.html", PAGE), ("start.js", script.as_str())] {
        let file = directory.join(name);
        write_whole(&file, text.as_bytes(), 0o644).map_err(|error| failed(&file, error))?;
        // The server reads it as another user.
        let readable = fs::set_permissions(&file, Permissions::from_mode(0o644));
        readable.map_err(|error| failed(&file, error))?;
    }
    let package = matches.get_one::<PathBuf>("package");
    if package.is_some() || !converse::is_in(directory) {
        converse::put_into(directory, package.map(PathBuf::as_path))?;
    }
    let (text, json) = outcome(&place.config, directory, domain);
    output.say(&text, &json)?;
    Ok(Exit::Ok)
}

/// What the page runs: Converse.js with the addresses of this server.
///
/// # Errors
/// If clients in browsers cannot connect.
fn script(config: &Config, domain: &str) -> Result<String, Problem> {
    let (websocket, bosh) = config.web_addresses(domain);
    if websocket.is_none() && bosh.is_none() {
        let text = "clients in browsers cannot connect: set listen.https, or listen.websocket if a \
                    proxy passes connections on to listen.http";
        return Err(Problem::new(Exit::Configuration, text));
    }
    let mut settings = json!({
        "allow_non_roster_messaging": true,
        "allow_registration": false,
        "assets_path": "./",
        "authentication": "login",
        "auto_reconnect": true,
        "discover_connection_methods": false,
        "enable_smacks": true,
        "message_archiving": "always",
        "view_mode": "fullscreen",
    });
    // With one host, names are enough to log in.
    let login = if config.hosts.len() == 1 { "locked_domain" } else { "default_domain" };
    settings[login] = domain.into();
    for (name, address) in [("websocket_url", websocket), ("bosh_service_url", bosh)] {
        if let Some(address) = address {
            settings[name] = address.into();
        }
    }
    let settings = serde_json::to_string_pretty(&settings);
    let settings = settings.map_err(|error| Problem::new(Exit::Failed, error.to_string()))?;
    Ok(format!(
        "// Written by `waxwing web-chat`, which replaces it.\n\
         import converse from \"./converse.min.js\";\n\n\
         converse.initialize({settings});\n"
    ))
}

/// What to do next.
fn outcome(config: &Config, directory: &Path, domain: &str) -> (String, Value) {
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let shown = absolute.display().to_string();
    let at = config.static_files.paths.iter().find(|(_, served)| {
        let same = |path: &Path| path.canonicalize().ok();
        same(served).is_some() && same(served) == same(directory)
    });
    let at = at.map(|(path, _)| format!("{path}/"));
    let mut text = format!("A chat for {domain} is in {shown}.");
    match &at {
        Some(path) => text.push_str(&format!("\n\nIt is served at {path}.")),
        None => text.push_str(&format!(
            "\n\nHave it served by the configuration:\n\n    [static_files]\n    paths = {{ \"/chat\" = {shown:?} }}"
        )),
    }
    let json = json!({
        "directory": absolute, "domain": domain, "path": at,
    });
    (text, json)
}

const PAGE: &str = "<!doctype html>
<html lang=\"en\">
  <head>
    <meta charset=\"utf-8\">
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
    <title>Chat</title>
    <link rel=\"stylesheet\" href=\"converse.min.css\">
    <script type=\"module\" src=\"start.js\"></script>
  </head>
  <body>
    <noscript>This page needs JavaScript.</noscript>
  </body>
</html>
";

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str, domain: &str) -> Result<Value, String> {
        let config = Config::parse(text, "test").unwrap();
        let script = script(&config, domain).map_err(|problem| problem.message)?;
        let begin = script.find("initialize(").unwrap() + "initialize(".len();
        let settings = script[begin..].strip_suffix(");\n").unwrap();
        Ok(serde_json::from_str(settings).unwrap())
    }

    #[test]
    fn the_page_connects_to_the_addresses_of_this_server() {
        let host = "[[host]]\ndomain = 'example.org'\n";
        let own = settings(host, "example.org").unwrap();
        assert_eq!(own["websocket_url"], "wss://example.org:7443/ws");
        assert_eq!(own["bosh_service_url"], "https://example.org:7443/http-bind");
        assert_eq!(own["locked_domain"], "example.org");
        let two = format!(
            "[listen]\nwebsocket = 'wss://chat.example/ws'\n{host}[[host]]\ndomain = 'b.example'\n"
        );
        let two = settings(&two, "b.example").unwrap();
        assert_eq!(two["websocket_url"], "wss://chat.example/ws");
        assert_eq!((&two["bosh_service_url"], &two["locked_domain"]), (&Value::Null, &Value::Null));
        assert_eq!(two["default_domain"], "b.example");
        let none = settings(&format!("[listen]\nhttps = []\n{host}"), "example.org");
        assert!(none.unwrap_err().contains("listen.https"));
    }
}

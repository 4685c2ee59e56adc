//! What the parts of the configuration do together.

mod mistakes;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use self::mistakes::MISTAKES;
use super::{Backend, Config, LogFormat, commented, explain, prepare_domain};
use crate::jid::Jid;

/// The reading of a text that has no mistakes.
fn read(text: &str) -> Config {
    Config::parse(text, "test.toml").unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn an_empty_file_gives_the_defaults() {
    assert_eq!(read(""), Config::default_for("localhost", PathBuf::from("waxwing-data")));
}

#[test]
fn the_commented_file_gives_the_defaults() {
    for domain in ["localhost", "example.org"] {
        let text = commented(domain);
        let data = PathBuf::from("waxwing-data");
        assert_eq!(read(&text), Config::default_for(domain, data), "{text}");
    }
}

#[test]
fn the_defaults_in_the_commented_file_read_as_what_they_are() {
    let is_option = |line: &&str| line.starts_with('#') && !line.starts_with("# ") && *line != "#";
    for domain in ["localhost", "example.org"] {
        let text = commented(domain);
        let options = text.lines().filter(is_option).count();
        assert!(options > 30, "{text}");
        // Those without a default show an example.
        let kept = |line: &str| {
            let examples = [
                "#access_key",
                "#authorities",
                "#backup",
                "#bosh",
                "#bucket",
                "#certificate",
                "#country =",
                "#directory",
                "#endpoint",
                "#forward_reports",
                "#info",
                "#key",
                "#locality =",
                "#location",
                "#location =",
                "#password",
                "#proxy65_address",
                "#region",
                "#resolver",
                "#secret",
                "#see_other_uri",
                "#socket",
                "#trust_anchor",
                "#url",
                "#username",
                "#websocket",
            ];
            let example = examples.iter().any(|n| line.starts_with(n));
            if is_option(&line) && !example { line[1..].to_owned() } else { line.to_owned() }
        };
        // A component cannot be without a secret, and there is no default.
        let mut is_component = false;
        let has_default = |line: &&str| {
            if line.trim_start_matches('#').starts_with('[') {
                is_component = line.contains("[[component]]");
            }
            !is_component
        };
        let lines = text.lines().filter(has_default);
        let text: String = lines.map(|line| kept(line) + "\n").collect();
        let data = PathBuf::from("waxwing-data");
        assert_eq!(read(&text), Config::default_for(domain, data), "{text}");
    }
}

#[test]
fn a_mistake_is_reported_with_its_place_and_what_to_write() {
    for (text, line, column, message, help) in MISTAKES {
        let errors = Config::parse(text, "test.toml").expect_err(text);
        let [error] = errors.0.as_slice() else { panic!("more than one mistake:\n{errors}") };
        let found = (error.line, error.column, error.message.as_str(), error.help.as_deref());
        assert_eq!(found, (*line, *column, *message, Some(*help)), "{text}");
        assert_eq!(error.file, "test.toml");
    }
}

#[test]
fn all_mistakes_of_a_file_are_reported_in_its_order() {
    let text = "dta = 1\n[log]\nlevel = 'loud'\nfrom = 1\n[limits]\ndepth = 0\nnodes = 'x'\n";
    let errors = Config::parse(text, "test.toml").unwrap_err();
    let lines: Vec<_> = errors.0.iter().map(|error| error.line).collect();
    assert_eq!(lines, [1, 3, 4, 6, 7], "{errors}");
}

#[test]
fn all_mistakes_of_syntax_are_reported() {
    let text = "[limits\ndepth = 5 nodes = 6\n[log]\nlevel = info\n";
    let errors = Config::parse(text, "test.toml").unwrap_err();
    let lines: Vec<_> = errors.0.iter().map(|error| error.line).collect();
    assert_eq!(lines, [1, 2, 4], "{errors}");
}

#[test]
fn a_wrong_domain_is_not_also_called_a_duplicate() {
    let text = "[[host]]\ndomain = 'a.'\n[[host]]\ndomain = 'b.'\n[[host]]\ndomain = 'localhost'";
    let errors = Config::parse(text, "test.toml").unwrap_err();
    assert_eq!(errors.0.len(), 2, "{errors}");
}

#[test]
fn a_wrong_value_is_not_also_compared_with_others() {
    let errors = Config::parse("[limits]\nstanza = '15 KiB'\ndepth = 0", "test.toml").unwrap_err();
    assert_eq!(errors.0.len(), 1, "{errors}");
}

#[test]
fn the_caret_stands_below_the_mistake() {
    let text = "[[host]]\r\n\tdomain = \"ü.example.\" # ü\r\n";
    let errors = Config::parse(text, "w.toml").unwrap_err();
    let shown = "w.toml:2:11: `domain` is not a domain that can be served
  |
2 | \tdomain = \"ü.example.\" # ü
  | \t         ^^^^^^^^^^^^
  help: write it without the dot at the end: \"ü.example\"";
    assert_eq!(errors.to_string(), shown);
}

#[test]
fn errors_are_written_as_json() {
    let errors = Config::parse("dat = 1", "w.toml").unwrap_err();
    let json = serde_json::json!([{
        "file": "w.toml", "line": 1, "column": 1,
        "message": "there is no option `dat`", "help": "write `data`",
    }]);
    assert_eq!(serde_json::to_value(&errors).unwrap(), json);
}

#[test]
fn a_file_that_is_not_there_is_an_error_of_the_whole_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none.toml");
    let errors = Config::read(&path).unwrap_err();
    assert_eq!((errors.0.len(), errors.0[0].line), (1, 0));
    assert!(errors.to_string().starts_with(&format!("{}: cannot be read: ", path.display())));
    assert!(errors.to_string().contains("waxwing init"), "{errors}");
}

#[test]
fn a_file_that_is_no_utf_8_is_refused_at_the_byte() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("latin1.toml");
    fs::write(&path, b"# all is well\ndata = \"B\xFCcher\"\n").unwrap();
    let errors = Config::read(&path).unwrap_err();
    let [error] = errors.0.as_slice() else { panic!("{errors}") };
    assert_eq!((error.line, error.column), (2, 10), "{errors}");
}

#[test]
fn values_may_be_written_in_several_ways() {
    let config = read(
        "data = '/srv/x'\n[[host]]\ndomain = 'Example.ORG'\n[[host]]\ndomain = 'b.example'\n\
         certificate = 'c.pem'\nkey = 'k.pem'\n[listen]\nc2s = 5222\nc2s_tls = []\n\
         [limits]\nstanza = 20_000\nsilence = '90 s'\nwrite = '2 min'\nroster_items = 0x10\n\
         [storage]\nbackend = 'memory'\n[log]\nformat = 'json'\nlevel = 'warn, waxwing::c2s = trace'\n",
    );
    assert_eq!(config.default_domain(), "example.org");
    assert_eq!(config.host("b.example").unwrap().key, Some(PathBuf::from("k.pem")));
    assert_eq!(config.host("c.example"), None);
    assert_eq!(config.listen.c2s, ["[::]:5222".parse().unwrap()]);
    assert_eq!(config.listen.c2s_tls, []);
    assert_eq!(config.limits.stanza, 20_000);
    assert_eq!(config.limits.silence, Duration::from_secs(90));
    assert_eq!(config.limits.write, Duration::from_secs(120));
    assert_eq!(config.limits.roster_items, 16);
    assert_eq!(config.storage.backend, Backend::Memory);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.log.level, "warn,waxwing::c2s=trace");
    assert_eq!(config.database_path(), PathBuf::from("/srv/x/waxwing.sqlite"));
    assert_eq!(config.admin_socket(), PathBuf::from("/srv/x/admin.sock"));
}

#[test]
fn variables_of_the_environment_stand_in_texts() {
    let lookup = |name: &str| match name {
        "DOMAIN" => Some("A.example".to_owned()),
        "PORT" => Some("5299".to_owned()),
        "EMPTY" => Some(String::new()),
        "TRICK" => Some("${DOMAIN}".to_owned()),
        _ => None,
    };
    let text = "# ${NOT_SET}\ndata = '/srv/${DOMAIN}/${EMPTY}x$${DOMAIN}$1${TRICK}'\n\
                [[host]]\ndomain = \"${DOMAIN}\"\n[listen]\nc2s = ['127.0.0.1:${PORT}']\n\
                [limits]\nsilence = '${PORT}s'\n";
    let config = super::read::parse(text, "x", &lookup).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(config.data, PathBuf::from("/srv/A.example/x${DOMAIN}$1${DOMAIN}"));
    assert_eq!(config.default_domain(), "a.example");
    assert_eq!(config.listen.c2s, ["127.0.0.1:5299".parse().unwrap()]);
    assert_eq!(config.limits.silence, Duration::from_secs(5299));
    // All that are not set are told, and keys are no values.
    let text = "data = '${A}'\n'${B}' = 1\n[[host]]\ndomain = '${C}'\n";
    let errors = super::read::parse(text, "x", &lookup).unwrap_err();
    let lines: Vec<_> = errors.0.iter().map(|error| error.line).collect();
    assert_eq!(lines, [1, 4], "{errors}");
    let errors = super::read::parse("'${DOMAIN}' = 1", "x", &lookup).unwrap_err();
    assert!(errors.to_string().contains("there is no option `${DOMAIN}`"), "{errors}");
}

#[test]
fn only_localhost_listens_on_the_loopback_interface_alone() {
    let listen = |text: &str| read(text).listen.c2s;
    let loopback = ["127.0.0.1:5222".parse().unwrap(), "[::1]:5222".parse().unwrap()];
    assert_eq!(listen(""), loopback);
    assert_eq!(listen("[[host]]\ndomain = 'localhost'\n[listen]\nc2s_tls = 1"), loopback);
    assert_eq!(listen("[[host]]\ndomain = 'a.example'"), ["[::]:5222".parse().unwrap()]);
    let both = "[[host]]\ndomain = 'localhost'\n[[host]]\ndomain = 'a.example'";
    assert_eq!(listen(both), ["[::]:5222".parse().unwrap()]);
    // Any free port, twice, and the same port of two addresses.
    assert_eq!(listen("[listen]\nc2s = [0, 0]\nc2s_tls = 0").len(), 2);
    assert_eq!(listen("[listen]\nc2s = '10.0.0.1:7'\nc2s_tls = '10.0.0.2:7'").len(), 1);
}

#[test]
fn one_section_or_one_option_can_be_explained() {
    assert!(explain(None).contains("limits.stanza\n") && explain(None).contains("[log]\n"));
    let section = explain(Some("limits"));
    assert!(section.starts_with("[limits]\n") && !section.contains("log.level"), "{section}");
    assert_eq!(explain(Some("[limits]")), section);
    let option = explain(Some("limits.stanza"));
    assert!(option.contains("256 KiB") && !option.contains("limits.depth"), "{option}");
    assert!(explain(Some("data")).contains("waxwing-data"));
    assert!(explain(Some("limit")).contains("did you mean `limits`?"));
}

#[test]
fn a_domain_is_prepared_only_once() {
    for domain in ["localhost", "Example.ORG", "bücher.example", "a-b.example", "192.0.2.7"] {
        let prepared = prepare_domain(domain).unwrap();
        assert_eq!(prepare_domain(&prepared), Ok(prepared.clone()));
        assert_eq!(Jid::parse(&prepared).unwrap().domain(), prepared);
    }
}

proptest! {
    #[test]
    fn any_text_gives_a_configuration_or_errors_that_can_be_shown(text: String) {
        shown(&text)?;
    }

    #[test]
    fn a_text_like_ours_gives_a_configuration_or_errors_that_can_be_shown(
        lines in prop::collection::vec(
            prop::sample::select(vec![
                "[limits]", "[[host]]", "[host]", "[log]", "[listen]", "stanza = ", "depth = 0",
                "domain = 'ü.'", "\tc2s = [1, '", "']", "host.x = {", "}", "\"\"\"", "level = 'x'",
                "# ü", "a.b.c = 1", "\r", "host = [[], {}, 1]", "limits = [{}]", "data.x = 1", "",
            ]),
            0..12,
        ),
        end in prop::sample::select(vec!["\n", "\r\n", " ", ""]),
    ) {
        shown(&lines.join(end))?;
    }
}

/// Errors stand within the text.
fn shown(text: &str) -> Result<(), TestCaseError> {
    if let Err(errors) = Config::parse(text, "x") {
        prop_assert!(!errors.0.is_empty());
        for error in &errors.0 {
            prop_assert!((1..=text.split('\n').count()).contains(&error.line));
            prop_assert!(error.column >= 1);
            prop_assert!(error.to_string().contains('^'));
        }
    }
    Ok(())
}

#[test]
fn no_error_shows_a_secret() {
    for text in [
        "[external_services]\nsecret = sesame-open",
        "[external_services]\nuris = 'x'\nsecret = 'sesame-open",
        "[external_services]\nsecret = ['sesame-open']",
        "[external_services]\npassword = 'sesame-open'",
        "external_services = { uris = 'turn:a', password = 'sesame-open' }",
    ] {
        let errors = Config::parse(text, "test.toml").unwrap_err();
        let shown = format!("{errors} {errors:?} {}", serde_json::to_string(&errors).unwrap());
        assert!(!shown.contains("sesame"), "{shown}");
    }
    let text = "[external_services]\nuris = 'turn:a'\nsecret = 'sesame-open'";
    let config = read(text);
    assert!(!format!("{config:?}").contains("sesame"));
    let [warning] = &config.warnings()[..] else { panic!("{:?}", config.warnings()) };
    assert!(warning.starts_with("`external_services.secret` is short"), "{warning}");
}

#[test]
fn a_secret_in_a_file_is_one_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text =
        format!("[external_services]\nuris = 'turn:a'\nsecret_file = '{}'", file.path().display());
    for (content, wanted) in [
        ("sesame-open-sesame\n", Some("sesame-open-sesame")),
        ("sesame", Some("sesame")),
        ("sesame\r\n", Some("sesame")),
        ("", None),
        ("\n", None),
        ("sesame\nopen\n", None),
    ] {
        fs::write(file.path(), content).unwrap();
        let secret =
            Config::parse(&text, "test.toml").map(|config| config.external_services.secret_file);
        assert_eq!(secret.ok().flatten().as_ref().map(super::Secret::text), wanted, "{content:?}");
    }
}

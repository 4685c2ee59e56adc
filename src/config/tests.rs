//! What the parts of the configuration do together.

use std::path::PathBuf;

use super::{Config, commented};

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
            let example = ["#certificate", "#key", "#socket"].iter().any(|n| line.starts_with(n));
            if is_option(&line) && !example { line[1..].to_owned() } else { line.to_owned() }
        };
        let text: String = text.lines().map(|line| kept(line) + "\n").collect();
        let data = PathBuf::from("waxwing-data");
        assert_eq!(read(&text), Config::default_for(domain, data), "{text}");
    }
}

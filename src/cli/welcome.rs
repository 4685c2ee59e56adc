//! What a newcomer reads after the first start: once, since it has the password.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::place::Place;

/// The text, with an end of line.
pub(super) fn text(place: &Place, program: &str, address: &str, password: &str) -> String {
    let mut text = String::new();
    let listen = &place.config.listen;
    let again = place.again.iter().map(|word| quoted(word));
    let program: Vec<_> = std::iter::once(quoted(program)).chain(again).collect();
    let program = program.join(" ");
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        text.write_fmt(arguments).expect("a String takes everything");
        text.push('\n');
    };
    line(format_args!(""));
    line(format_args!("  Waxwing runs. It made an account; the password is shown only now:"));
    line(format_args!(""));
    line(format_args!("    Address    {address}"));
    line(format_args!("    Password   {password}"));
    line(format_args!(""));
    line(format_args!("    STARTTLS   {}", addresses(&listen.c2s)));
    line(format_args!("    TLS        {}", addresses(&listen.c2s_tls)));
    line(format_args!("    WebSocket  {}", addresses(&listen.https)));
    line(format_args!(""));
    if let Some(reachable) = listen.c2s.first().copied().map(reachable) {
        let (ip, port) = (reachable.ip(), reachable.port());
        let is_self_signed = place.config.hosts.iter().any(|host| host.certificate.is_none());
        let trust = if is_self_signed { " tls trust" } else { "" };
        line(format_args!("  Log in from this machine, with the password above:"));
        line(format_args!(""));
        line(format_args!("    Profanity  /connect {address} server {ip} port {port}{trust}"));
        line(format_args!("    Gajim      log in as {address}, advanced settings: {ip}, {port}"));
        line(format_args!("    Dino       add the account {address}"));
        if is_self_signed {
            line(format_args!(""));
            line(format_args!(
                "  The certificate is self-signed: clients ask whether to trust it."
            ));
        }
        line(format_args!(""));
    }
    line(format_args!("  Another account, and a password of your own:"));
    line(format_args!(""));
    line(format_args!("    {program} user add romeo"));
    line(format_args!("    {program} user passwd admin"));
    line(format_args!(""));
    text
}

fn addresses(addresses: &[SocketAddr]) -> String {
    if addresses.is_empty() {
        return "-".to_owned();
    }
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// An address of this machine for one on which we listen.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) | IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
            Ipv4Addr::LOCALHOST.into()
        }
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// As a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::place::Place;
    use super::{quoted, text};
    use crate::config::Config;

    #[test]
    fn a_newcomer_is_told_all_that_is_needed_to_log_in() {
        let place = Place {
            config: Config::default_for("localhost", PathBuf::from("my data")),
            file: None,
            default_domain: "localhost".to_owned(),
            again: vec!["--data".to_owned(), "my data".to_owned()],
        };
        let text = text(&place, "waxwing", "admin@localhost", "secret");
        for wanted in [
            "Address    admin@localhost\n",
            "Password   secret\n",
            "STARTTLS   127.0.0.1:5222, [::1]:5222\n",
            "WebSocket  127.0.0.1:7443, [::1]:7443\n",
            "/connect admin@localhost server 127.0.0.1 port 5222 tls trust\n",
            "    waxwing --data 'my data' user add romeo\n",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in {text}");
        }
    }

    #[test]
    fn a_word_is_quoted_for_the_shell() {
        assert_eq!(quoted("target/debug/waxwing"), "target/debug/waxwing");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}

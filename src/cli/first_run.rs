//! The text after the first start. It is shown once, because it contains the password.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::instance::Place;
use crate::config::DEFAULT_DOMAIN;
use crate::jid::BareJid;

/// The facts of a new server for the text.
pub(super) struct Newcomer<'a> {
    pub(super) place: &'a Place,
    /// The name by which the program was called.
    pub(super) program: &'a str,
    /// The directory in which it was called.
    pub(super) directory: &'a Path,
    /// The account that was created.
    pub(super) address: &'a BareJid,
    pub(super) password: &'a str,
    /// The file and the fingerprint of the certificate of the account's domain, if the server made it.
    pub(super) certificate: Option<(PathBuf, String)>,
}

/// The text, with a newline at its end.
pub(super) fn text(newcomer: &Newcomer<'_>) -> String {
    let Newcomer { place, address, password, .. } = newcomer;
    let listen = &place.config.listen;
    let mut out = format!(
        "\n  Waxwing runs. It made an account; the password is shown only now:\n\n    \
         Address    {address}\n    Password   {password}\n\n    \
         STARTTLS   {}\n    TLS        {}\n    WebSocket  {}\n\n",
        addresses(&listen.c2s),
        addresses(&listen.c2s_tls),
        addresses(&listen.https),
    );
    if let Some(at) = listen.c2s.first().copied() {
        clients(&mut out, newcomer, at);
    }
    if let Some((file, fingerprint)) = &newcomer.certificate {
        trust(&mut out, address.domain(), &newcomer.directory.join(file), fingerprint);
    }
    let is_relative = Path::is_relative;
    let program_is_here =
        newcomer.program.contains('/') && is_relative(Path::new(newcomer.program));
    let depends = program_is_here
        || is_relative(&place.config.data)
        || place.file.as_deref().is_some_and(is_relative);
    let directory = match depends {
        true => format!("cd {}\n    ", quoted(&newcomer.directory.display().to_string())),
        false => String::new(),
    };
    let again = place.again.iter().map(|word| quoted(word));
    let program: Vec<_> = std::iter::once(quoted(newcomer.program)).chain(again).collect();
    let program = program.join(" ");
    out.push_str(&format!(
        "  Another account, and a password of your own, in another terminal:\n\n    \
         {directory}{program} user add romeo\n    {program} user passwd admin\n\n",
    ));
    out
}

/// Explains how clients find the server. Without DNS records, users must enter its address.
fn clients(out: &mut String, newcomer: &Newcomer<'_>, at: SocketAddr) {
    let address = newcomer.address;
    let domain = address.domain();
    let here = reachable(at);
    let (ip, port) = (here.ip(), here.port());
    let trust = if newcomer.certificate.is_some() { " tls trust" } else { "" };
    out.push_str(&format!(
        "  Log in from this machine, with the password above:\n\n    \
         Profanity  /connect {address} server {ip} port {port}{trust}\n    \
         Gajim      log in as {address}, with Advanced Settings: Hostname {ip}, port {port}, START TLS\n"
    ));
    let dino = if domain != DEFAULT_DOMAIN {
        format!("first write `{ip} {domain}` into /etc/hosts; then add the account {address}")
    } else {
        format!("add the account {address}")
    };
    // Its login has no field for the server, so it uses the default port.
    match port {
        5222 => out.push_str(&format!("    Dino       {dino}\n\n")),
        _ => out.push_str("    Dino       needs port 5222, or a name in the DNS\n\n"),
    }
    if at.ip().is_loopback() {
        return;
    }
    out.push_str(&format!(
        "  From elsewhere, if {domain} is not in the DNS: the address of this machine, and port {port}\n\n    \
         Conversations  Settings, Expert Settings, Extended connection settings; then add the account\n    \
         Monal          add the account with Advanced Settings\n\n"
    ));
}

/// Explains what a user must do about a self-signed certificate.
fn trust(out: &mut String, domain: &str, file: &Path, fingerprint: &str) {
    let file = quoted(&file.display().to_string());
    let kept = format!("/usr/local/share/ca-certificates/waxwing-{}.crt", domain.replace(':', "-"));
    let kept = quoted(&kept);
    out.push_str(&format!(
        "  The certificate is self-signed: {file}\n  Its fingerprint (SHA-256) is\n\n    {}\n    {}\n\n  \
         Gajim, Profanity (without `tls trust`), Conversations and Monal ask whether to trust it. Dino asks\n  \
         nobody: it says that the connection is not secure. For it, let the system trust the certificate\n  \
         (Debian, Ubuntu), and start it again:\n\n    \
         sudo cp {file} {kept}\n    sudo update-ca-certificates\n\n",
        &fingerprint[..fingerprint.len().min(48)],
        &fingerprint[fingerprint.len().min(48)..],
    ));
}

fn addresses(addresses: &[SocketAddr]) -> String {
    if addresses.is_empty() {
        return "-".to_owned();
    }
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// An address of this machine for a listening address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) | IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
            Ipv4Addr::LOCALHOST.into()
        }
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Quotes a word for the shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::instance::Place;
    use super::{Newcomer, quoted, text};
    use crate::config::Config;
    use crate::jid::BareJid;

    fn place(domain: &str) -> Place {
        Place {
            config: Config::default_for(domain, PathBuf::from("my data")),
            file: None,
            default_domain: domain.to_owned(),
            again: vec!["--data".to_owned(), "my data".to_owned()],
        }
    }

    fn told(domain: &str, has_made_certificate: bool) -> String {
        let address = BareJid::from_parts(Some("admin"), domain).unwrap();
        let fingerprint = ["AB"; 32].join(":");
        let made = (PathBuf::from(format!("my data/certs/{domain}.crt")), fingerprint);
        text(&Newcomer {
            place: &place(domain),
            program: "waxwing",
            directory: Path::new("/srv/chat"),
            address: &address,
            password: "secret",
            certificate: has_made_certificate.then_some(made),
        })
    }

    #[test]
    fn a_newcomer_is_told_all_that_is_needed_to_log_in() {
        let text = told("localhost", true);
        for wanted in [
            "Address    admin@localhost\n",
            "Password   secret\n",
            "STARTTLS   127.0.0.1:5222, [::1]:5222\n",
            "WebSocket  127.0.0.1:7443, [::1]:7443\n",
            "/connect admin@localhost server 127.0.0.1 port 5222 tls trust\n",
            "    Dino       add the account admin@localhost\n",
            "is self-signed: '/srv/chat/my data/certs/localhost.crt'\n",
            "    sudo cp '/srv/chat/my data/certs/localhost.crt' \
             /usr/local/share/ca-certificates/waxwing-localhost.crt\n",
            "    cd /srv/chat\n    waxwing --data 'my data' user add romeo\n",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in {text}");
        }
        assert!(!text.contains("Conversations  "), "nobody else reaches it: {text}");
        assert!(text.lines().all(|line| line.len() <= 130), "{text}");
    }

    #[test]
    fn commands_that_find_the_server_from_anywhere_need_no_directory() {
        let address = BareJid::from_parts(Some("admin"), "a.example").unwrap();
        let text = text(&Newcomer {
            place: &Place {
                config: Config::default_for("a.example", PathBuf::from("/var/lib/waxwing")),
                file: Some(PathBuf::from("/etc/waxwing/waxwing.toml")),
                default_domain: "a.example".to_owned(),
                again: Vec::new(),
            },
            program: "/usr/local/bin/waxwing",
            directory: Path::new("/"),
            address: &address,
            password: "secret",
            certificate: None,
        });
        assert!(
            text.contains("terminal:\n\n    /usr/local/bin/waxwing user add romeo\n"),
            "{text}"
        );
    }

    #[test]
    fn a_domain_that_others_reach_is_told_with_what_stands_for_the_dns() {
        let text = told("chat.example.org", false);
        for wanted in [
            "first write `127.0.0.1 chat.example.org` into /etc/hosts",
            "if chat.example.org is not in the DNS",
            "    Conversations  ",
            "/connect admin@chat.example.org server 127.0.0.1 port 5222\n",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in {text}");
        }
        assert!(!text.contains("self-signed") && !text.contains("tls trust"), "{text}");
    }

    #[test]
    fn a_word_is_quoted_for_the_shell() {
        assert_eq!(quoted("target/debug/waxwing"), "target/debug/waxwing");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}

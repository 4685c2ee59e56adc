//! The chat clients that are recommended to people who have none.

use maud::{Markup, html};

/// A kind of device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Platform {
    Android,
    Ios,
    Desktop,
}

impl Platform {
    /// What a browser that says this of itself runs on.
    pub(super) fn of(agent: &str) -> Self {
        match agent {
            agent if agent.contains("Android") => Self::Android,
            agent if ["iPhone", "iPad", "iPod"].iter().any(|name| agent.contains(name)) => {
                Self::Ios
            }
            _ => Self::Desktop,
        }
    }
}

/// The list, with those for the device of the visitor first (XEP-0401 §4.2).
pub(super) fn list(first: Platform) -> Markup {
    let (own, others): (Vec<_>, Vec<_>) = CLIENTS.iter().partition(|(of, ..)| *of == first);
    html! {
        @for (_, heading, clients) in own.into_iter().chain(others) {
            h3 { (heading) }
            ul {
                @for (name, link, about) in clients.iter() {
                    li { a href=(link) rel="noreferrer noopener" { (name) } ": " (about) }
                }
            }
        }
        p { a href="https://xmpp.org/software/" rel="noreferrer noopener" { "More apps" } }
    }
}

type Client = (&'static str, &'static str, &'static str);

const CLIENTS: &[(Platform, &str, &[Client])] = &[
    (
        Platform::Android,
        "Android",
        &[
            ("Conversations", "https://conversations.im/", "the usual choice"),
            ("Cheogram", "https://cheogram.com/", "the same with more settings"),
        ],
    ),
    (
        Platform::Ios,
        "iPhone and iPad",
        &[
            ("Monal", "https://monal-im.org/", "also for Mac"),
            ("Siskin", "https://siskin.im/", "small and quick"),
        ],
    ),
    (
        Platform::Desktop,
        "Computer",
        &[
            ("Gajim", "https://gajim.org/", "Linux, Windows, Mac"),
            ("Dino", "https://dino.im/", "Linux"),
            ("Kaidan", "https://www.kaidan.im/", "Linux, also on phones"),
            ("Beagle", "https://beagle.im/", "Mac"),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::{Platform, list};

    #[test]
    fn clients_for_the_device_come_first() {
        for (agent, platform, first) in [
            ("Mozilla/5.0 (Linux; Android 15; Pixel 9)", Platform::Android, "Android"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0)", Platform::Ios, "iPhone"),
            ("Mozilla/5.0 (X11; Linux x86_64)", Platform::Desktop, "Computer"),
            ("", Platform::Desktop, "Computer"),
        ] {
            assert_eq!(Platform::of(agent), platform);
            let text = list(platform).into_string();
            assert!(text.starts_with(&format!("<h3>{first}")), "{text}");
            assert_eq!(text.matches("<h3>").count(), 3);
        }
    }
}

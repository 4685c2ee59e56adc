//! A password that somebody chooses on a page: its fields, and which ones are refused.
//!
//! Chat clients, which often make a password themselves, are not asked for a length. What no account can have is
//! refused in `src/host/registration.rs`, for all.

use maud::{Markup, html};

use super::form::password;

/// The two fields of a new password. The second one is named `again`.
pub(super) fn fields(name: &str, label: &str) -> Markup {
    html! {
        (password(name, label, Some(HINT), "new-password"))
        (password("again", &format!("{label}, again"), None, "new-password"))
    }
}

/// What is wrong with a new password of an account of this name.
pub(super) fn wrong(name: &str, password: &str, again: &str) -> Option<&'static str> {
    if password.is_empty() {
        return Some("Please choose a password.");
    }
    if password != again {
        return Some("The two passwords are not the same.");
    }
    let (name, lower) = (name.to_lowercase(), password.to_lowercase());
    let mut characters = password.chars();
    let first = characters.next();
    if password.chars().count() < SHORTEST
        || characters.all(|other| Some(other) == first)
        || COMMON.contains(&&*lower)
        || lower == name
        || lower.strip_prefix(&name).is_some_and(|rest| rest.starts_with('@'))
    {
        return Some(
            "This password is easy to guess. Use at least 8 characters, and not your name.",
        );
    }
    None
}

/// The answer to a password that clients could not send.
pub(super) const UNFIT: &str =
    "This cannot be a password: it is too long, or has a character that apps cannot send.";
const HINT: &str = "At least 8 characters, and not your name.";
/// Characters (NIST SP 800-63B-4 §3.1.1.2 asks for no rules but a length, and a list of those that are tried first).
const SHORTEST: usize = 8;
/// Those of 8 characters and more that come first in lists of passwords that were stolen.
const COMMON: [&str; 20] = [
    "00000000",
    "11223344",
    "12341234",
    "12345678",
    "123456789",
    "1234567890",
    "1q2w3e4r",
    "1qaz2wsx",
    "87654321",
    "abc12345",
    "abcd1234",
    "football",
    "iloveyou",
    "password",
    "password1",
    "password123",
    "princess",
    "qwerty12",
    "qwerty123",
    "qwertyuiop",
];

#[cfg(test)]
mod tests {
    use super::wrong;

    #[test]
    fn passwords_are_the_same_twice_and_not_easy_to_guess() {
        let said = |password, again| wrong("Juliet", password, again).unwrap_or("fine");
        for (password, again, part) in [
            ("beauteous", "beauteous", "fine"),
            ("höflich ist", "höflich ist", "fine"),
            ("juliet and romeo", "juliet and romeo", "fine"),
            ("", "", "choose a password"),
            ("", "x", "choose a password"),
            ("beauteous", "Beauteous", "not the same"),
            ("beauteous", "", "not the same"),
            ("seven77", "seven77", "easy to guess"),
            ("ßßßäööü", "ßßßäööü", "easy to guess"),
            ("xxxxxxxxxx", "xxxxxxxxxx", "easy to guess"),
            ("Password", "Password", "easy to guess"),
            ("JULIET@localhost", "JULIET@localhost", "easy to guess"),
        ] {
            assert!(
                said(password, again).contains(part),
                "{password} {again}: {}",
                said(password, again)
            );
        }
        assert!(wrong("juliet-capulet", "Juliet-Capulet", "Juliet-Capulet").is_some());
        assert!(wrong("", "beauteous", "beauteous").is_none());
    }
}

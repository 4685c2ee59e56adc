//! Puts in what stands for something in a script: addresses, what was kept, proofs of SCRAM and of tokens.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Sha256, Sha512};

use super::script::unescape;

/// Puts in what stands for something: `${Romeo's full JID}` by `name`, `${base64 "…"}`.
pub(crate) fn substitute(
    text: &str,
    name: impl Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        let (inner, after) = behind.split_once('}').ok_or("`${` without `}`")?;
        out.push_str(before);
        let value = |of: &str| name(of).ok_or_else(|| format!("what is ${{{of}}}?"));
        if let Some(text) = inner.strip_prefix("base64 \"").and_then(|t| t.strip_suffix('"')) {
            out.push_str(&STANDARD.encode(unescape(text)?));
        } else if let Some((user, token)) =
            inner.strip_prefix("proof ").and_then(|words| words.split_once(' '))
        {
            out.push_str(&STANDARD.encode(token_proof(user, &value(token)?)));
        } else if let Some(uri) = inner.strip_prefix("token of ") {
            let uri = value(uri)?;
            let token = uri.split(['?', ';']).find_map(|part| part.strip_prefix("preauth="));
            out.push_str(token.ok_or_else(|| format!("there is no token in `{uri}`"))?);
        } else if let Some(words) = inner.strip_prefix("salted ") {
            let words: Vec<_> = words.split(' ').collect();
            let [hash, rounds, password, salt] = words[..] else {
                return Err("expected `salted HASH ROUNDS PASSWORD SALT`".to_owned());
            };
            let rounds = rounds.parse().map_err(|_| "the rounds are a number")?;
            let salt = STANDARD.decode(value(salt)?).map_err(|error| error.to_string())?;
            out.push_str(&STANDARD.encode(salted(hash, password, &salt, rounds)?));
        } else {
            out.push_str(&value(inner)?);
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The only message of HT-SHA-256-NONE: a user proves to have a token.
fn token_proof(user: &str, token: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("any length");
    mac.update(b"Initiator");
    [user.as_bytes(), b"\0", &mac.finalize().into_bytes()].concat()
}

/// SaltedPassword (RFC 5802 §3).
fn salted(hash: &str, password: &str, salt: &[u8], rounds: u32) -> Result<Vec<u8>, String> {
    let password = password.as_bytes();
    match hash {
        "SHA-256" => Ok(pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, rounds).to_vec()),
        "SHA-512" => Ok(pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, rounds).to_vec()),
        _ => Err(format!("what hash is `{hash}`?")),
    }
}

//! EXTERNAL (RFC 4422 appendix A): the client logs in by its certificate, which names its account (XEP-0178 §2).

use super::SaslError;
use crate::jid::BareJid;

/// The account that is meant. `users`: the accounts that the certificate names, of the domain of the stream. `authzid`:
/// what the client has sent; it may be empty if there is one account only.
///
/// # Errors
/// `not-authorized` if the certificate names no account; `invalid-authzid` if it names several and the client none, or
/// the client names another one.
pub(super) fn choose(mut users: Vec<BareJid>, authzid: &str) -> Result<BareJid, SaslError> {
    if !authzid.is_empty() {
        let wanted = BareJid::parse(authzid).map_err(|_| SaslError::InvalidAuthzid)?;
        return users.into_iter().find(|user| *user == wanted).ok_or(SaslError::InvalidAuthzid);
    }
    match users.len() {
        0 => Err(SaslError::NotAuthorized),
        1 => Ok(users.remove(0)),
        _ => Err(SaslError::InvalidAuthzid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_the_one_that_the_certificate_names() {
        let (romeo, juliet) = ("romeo@localhost", "juliet@localhost");
        let (none, several) = (SaslError::NotAuthorized, SaslError::InvalidAuthzid);
        for (users, authzid, chosen) in [
            (vec![romeo], "", Ok(romeo)),
            (vec![romeo], romeo, Ok(romeo)),
            (vec![romeo], "ROMEO@localhost", Ok(romeo)),
            (vec![romeo], juliet, Err(several)),
            (vec![romeo], "romeo", Err(several)),
            (vec![romeo], "@", Err(several)),
            (vec![romeo, juliet], "", Err(several)),
            (vec![romeo, juliet], juliet, Ok(juliet)),
            (vec![romeo, juliet], "nurse@localhost", Err(several)),
            (vec![], "", Err(none)),
            (vec![], romeo, Err(several)),
        ] {
            let named = users.iter().map(|user| BareJid::parse(user).unwrap()).collect();
            let chosen = chosen.map(|user| BareJid::parse(user).unwrap());
            assert_eq!(choose(named, authzid), chosen, "{users:?} {authzid:?}");
        }
    }
}

//! EXTERNAL (RFC 4422 appendix A): the client logs in by its certificate, which names its account (XEP-0178 §2).
//!
//! Such a client is known by its certificate (XEP-0494): when its access is taken away, the certificate is refused.
//! What the client says of itself would not do, as it can say something else next time.

use super::SaslError;
use crate::jid::BareJid;

/// The account that is meant. `users`: the accounts that the certificate names, of the domain of the stream. `authzid`:
/// what the client has sent; it may be empty if there is one account only. `claimed`: what the stream header says.
///
/// # Errors
/// `not-authorized` if the certificate names no account; `invalid-authzid` if it names several and the client none, or
/// the client, or its header, names another one.
pub(super) fn choose(
    mut users: Vec<BareJid>,
    authzid: &str,
    claimed: Option<&BareJid>,
) -> Result<BareJid, SaslError> {
    let chosen = if authzid.is_empty() {
        match users.len() {
            0 => return Err(SaslError::NotAuthorized),
            1 => users.pop(),
            _ => None,
        }
    } else {
        let wanted = BareJid::parse(authzid).map_err(|_| SaslError::InvalidAuthzid)?;
        users.into_iter().find(|user| *user == wanted)
    };
    let is_claimed = |user: &BareJid| claimed.is_none_or(|claimed| claimed == user);
    chosen.filter(is_claimed).ok_or(SaslError::InvalidAuthzid)
}

/// The id of the installation of a client with this certificate. `agent`: the id that it tells (XEP-0388 §2.3); two
/// clients may have the same certificate.
#[must_use]
pub fn certificate_client(fingerprint: &str, agent: Option<&str>) -> String {
    match agent {
        Some(agent) => format!("{BY_CERTIFICATE}{fingerprint}/{agent}"),
        None => format!("{BY_CERTIFICATE}{fingerprint}"),
    }
}

/// What all clients with the same certificate have in their ids, and its fingerprint. `None`: the client has not logged
/// in by a certificate.
#[must_use]
pub fn certificate_of(client: &str) -> Option<(&str, &str)> {
    let rest = client.strip_prefix(BY_CERTIFICATE)?;
    let fingerprint = rest.split('/').next()?;
    Some((&client[..BY_CERTIFICATE.len() + fingerprint.len()], fingerprint))
}

/// The prefix before the fingerprint. Ids that clients tell themselves are UUIDs, so none begins like this.
const BY_CERTIFICATE: &str = "certificate/";
/// The document kind of certificates that are refused; the key is the fingerprint.
pub(super) const REVOKED: &str = "revoked-certificate";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_known_by_its_certificate() {
        for agent in [None, Some("d4565fa7-4d72-4749-b3d3-740edbf87770")] {
            let id = certificate_client("ab12", agent);
            assert_eq!(certificate_of(&id), Some(("certificate/ab12", "ab12")), "{id}");
        }
        assert_eq!(certificate_of("d4565fa7-4d72-4749-b3d3-740edbf87770"), None);
    }

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
            assert_eq!(choose(named, authzid, None), chosen, "{users:?} {authzid:?}");
        }
        let jid = |text| BareJid::parse(text).unwrap();
        for (claimed, expected) in [(romeo, Ok(jid(romeo))), (juliet, Err(several))] {
            assert_eq!(choose(vec![jid(romeo)], "", Some(&jid(claimed))), expected, "{claimed}");
        }
    }
}

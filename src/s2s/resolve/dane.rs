//! The keys of the servers of a domain, as the DNS tells them (TLSA, RFC 6698), where it is signed (DNSSEC): RFC 7673 §3.
//!
//! What is easy to get wrong: the SRV records must be signed, too, since they say whose keys are looked at; and a signature
//! says nothing of another name than that of its record.

use std::time::Duration;

use futures_util::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::time::timeout;

use super::Dns;
use super::dns::{srv_of, tlsa_of};
use crate::tls::ServerKey;

/// What the signed DNS tells, or why it tells nothing.
type Found<T> = Result<Vec<T>, &'static str>;

impl Dns {
    /// As [`super::Resolve::keys`].
    pub(super) async fn signed_keys(&self, domain: &str) -> Found<ServerKey> {
        let resolver = self.validating.as_ref().ok_or("there is no signed DNS")?;
        let all = timeout(LOOK_UP, keys(resolver, domain)).await;
        all.map_err(|_| "the DNS does not answer")?
    }
}

async fn keys(resolver: &TokioResolver, domain: &str) -> Found<ServerKey> {
    let direct = format!("_xmpps-server._tcp.{domain}.");
    let starttls = format!("_xmpp-server._tcp.{domain}.");
    let (direct, starttls) =
        futures_util::join!(servers(resolver, &direct), servers(resolver, &starttls));
    let mut servers = both(direct, starttls)?;
    if servers.is_empty() {
        // RFC 6120 §3.2.2.
        servers.push((domain.to_owned(), PORT));
    }
    servers.sort();
    servers.dedup();
    let asked =
        servers.into_iter().take(MOST).map(|(target, port)| keys_of(resolver, target, port));
    all(join_all(asked).await)
}

/// The servers of both kinds of SRV records. One kind that is not signed, or not known, does not spoil the other.
fn both(direct: Found<(String, u16)>, starttls: Found<(String, u16)>) -> Found<(String, u16)> {
    match (direct, starttls) {
        (Ok(direct), Ok(starttls)) => Ok([direct, starttls].concat()),
        (Ok(known), Err(_)) | (Err(_), Ok(known)) if !known.is_empty() => Ok(known),
        (Err(why), _) | (_, Err(why)) => Err(why),
    }
}

/// The keys of all servers. One server whose keys are not signed, or not known, does not spoil the others (RFC 7673 §3.3).
fn all(found: Vec<Found<ServerKey>>) -> Found<ServerKey> {
    let (mut keys, mut why) = (Vec::new(), "there are no TLSA records for the domain");
    for found in found {
        match found {
            Ok(found) => keys.extend(found),
            Err(unknown) => why = unknown,
        }
    }
    if keys.is_empty() { Err(why) } else { Ok(keys) }
}

/// The keys of one server. They count only if its addresses are signed, too (RFC 7673 §3.2).
async fn keys_of(resolver: &TokioResolver, target: String, port: u16) -> Found<ServerKey> {
    let (machine, name) = (format!("{target}."), format!("_{port}._tcp.{target}."));
    let (v6, v4, found) = futures_util::join!(
        signed(resolver, &machine, RecordType::AAAA, is_there),
        signed(resolver, &machine, RecordType::A, is_there),
        signed(resolver, &name, RecordType::TLSA, tlsa_of),
    );
    let found = found?;
    if [&v6, &v4].iter().all(|addresses| addresses.as_ref().map_or(true, Vec::is_empty)) {
        return Err(v6.and(v4).err().unwrap_or("a server of the domain has no address"));
    }
    Ok(found.into_iter().map(|tlsa| ServerKey { target: target.clone(), tlsa }).collect())
}

/// The servers that the SRV records of this name name.
async fn servers(resolver: &TokioResolver, name: &str) -> Found<(String, u16)> {
    let found = signed(resolver, name, RecordType::SRV, srv_of).await?;
    let named = found.into_iter().filter(|srv| !srv.target.is_empty());
    Ok(named.map(|srv| (srv.target, srv.port)).collect())
}

/// The records of a name, all of which are signed.
async fn signed<T>(
    resolver: &TokioResolver,
    name: &str,
    kind: RecordType,
    read: fn(&Record) -> Option<T>,
) -> Found<T> {
    let asked = Name::from_utf8(name).map_err(|_| "this is no domain")?;
    match resolver.lookup(asked.clone(), kind).await {
        Ok(found) => of_name(asked, kind, found.answers(), read),
        Err(error) if error.is_no_records_found() => Ok(Vec::new()),
        Err(error) => {
            tracing::debug!(%error, name, "DNS has failed, or its signatures are wrong");
            Err("the DNS does not answer, or its signatures are wrong")
        }
    }
}

/// The records of this name, or of that for which it is an alias, if all of them are signed. Other records of the answer do not
/// count: whoever has a signed zone could have added records of it to the answer.
fn of_name<T>(
    asked: Name,
    kind: RecordType,
    answers: &[Record],
    read: fn(&Record) -> Option<T>,
) -> Found<T> {
    let mut name = asked;
    for _ in 0..MOST {
        let of_alias =
            |record: &&Record| record.name == name && record.record_type() == RecordType::CNAME;
        let Some(alias) = answers.iter().find(of_alias) else { break };
        let RData::CNAME(target) = &alias.data else { break };
        if !alias.proof.is_secure() {
            return Err(NOT_SIGNED);
        }
        name = target.0.clone();
    }
    let own = || answers.iter().filter(|own| own.name == name && own.record_type() == kind);
    if own().any(|record| !record.proof.is_secure()) {
        return Err(NOT_SIGNED);
    }
    Ok(own().filter_map(read).take(MOST).collect())
}

/// That the record is one of an address.
fn is_there(record: &Record) -> Option<()> {
    record.data.ip_addr().map(|_| ())
}

/// For all records of a domain: a peer waits for it.
const LOOK_UP: Duration = Duration::from_secs(5);
/// Servers of a domain, records of one, and aliases that are followed.
const MOST: usize = 8;
const PORT: u16 = 5269;
const NOT_SIGNED: &str = "the DNS of the domain is not signed";

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::dnssec::Proof;
    use hickory_resolver::proto::rr::rdata::{A, CNAME};

    use super::*;
    use crate::tls::Tlsa;

    fn name(text: &str) -> Name {
        Name::from_utf8(text).unwrap()
    }

    fn record(of: &str, proof: Proof, data: RData) -> Record {
        let mut record = Record::from_rdata(name(of), 60, data);
        record.proof = proof;
        record
    }

    fn address(of: &str, proof: Proof, last: u8) -> Record {
        record(of, proof, RData::A(A::new(192, 0, 2, last)))
    }

    fn alias(of: &str, proof: Proof, target: &str) -> Record {
        record(of, proof, RData::CNAME(CNAME(name(target))))
    }

    /// The last bytes of the addresses of `x.example`, by this answer.
    fn found(answers: &[Record]) -> Found<String> {
        let read = |record: &Record| Some(record.data.ip_addr()?.to_string());
        let found = of_name(name("x.example."), RecordType::A, answers, read);
        found.map(|found| found.iter().map(|ip| ip.replace("192.0.2.", "")).collect())
    }

    #[test]
    fn a_signature_says_nothing_of_another_name() {
        use Proof::{Bogus, Indeterminate, Insecure, Secure};
        let own = || address("x.example.", Secure, 1);
        let foreign = || address("evil.example.", Secure, 6);
        assert_eq!(found(&[own()]).unwrap(), ["1"]);
        assert_eq!(found(&[address("X.Example.", Secure, 1)]).unwrap(), ["1"]);
        assert_eq!(found(&[foreign()]).unwrap(), Vec::<String>::new());
        assert_eq!(found(&[foreign(), own()]).unwrap(), ["1"]);
        // A foreign one that is not signed spoils nothing, either.
        assert_eq!(found(&[address("evil.example.", Insecure, 6), own()]).unwrap(), ["1"]);
        for proof in [Insecure, Bogus, Indeterminate] {
            assert_eq!(found(&[address("x.example.", proof, 1)]), Err(NOT_SIGNED), "{proof:?}");
            assert_eq!(found(&[own(), address("x.example.", proof, 2)]), Err(NOT_SIGNED));
            let aliased = [alias("x.example.", proof, "evil.example."), foreign()];
            assert_eq!(found(&aliased), Err(NOT_SIGNED), "{proof:?}");
        }
        // An alias leads on only from the name that was asked.
        let aliased = [
            foreign(),
            alias("y.example.", Secure, "z.example."),
            alias("x.example.", Secure, "y.example."),
            alias("w.example.", Secure, "evil.example."),
            address("z.example.", Secure, 3),
        ];
        assert_eq!(found(&aliased).unwrap(), ["3"]);
        let round =
            [alias("x.example.", Secure, "y.example."), alias("y.example.", Secure, "x.example.")];
        assert_eq!(found(&round).unwrap(), Vec::<String>::new());
        assert_eq!(found(&[]).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_signed_does_not_spoil_the_rest() {
        let key = |target: &str| {
            let tlsa = Tlsa { usage: 3, selector: 1, matching: 1, data: Vec::new() };
            Ok(vec![ServerKey { target: target.to_owned(), tlsa }])
        };
        let targets = |found: Vec<Found<ServerKey>>| {
            all(found).map(|keys| keys.into_iter().map(|key| key.target).collect::<Vec<_>>())
        };
        assert_eq!(targets(vec![Err(NOT_SIGNED), key("y")]).unwrap(), ["y"]);
        assert_eq!(targets(vec![key("x"), Err(NOT_SIGNED)]).unwrap(), ["x"]);
        assert_eq!(targets(vec![Ok(Vec::new()), Err(NOT_SIGNED)]), Err(NOT_SIGNED));
        assert!(targets(Vec::new()).unwrap_err().contains("no TLSA records"));
        let one = || Ok(vec![("x".to_owned(), 1)]);
        assert_eq!(both(one(), Err(NOT_SIGNED)), one());
        assert_eq!(both(Err(NOT_SIGNED), one()), one());
        assert_eq!(both(one(), one()).unwrap().len(), 2);
        // Nobody can say that there are none, so the domain itself is not tried.
        assert_eq!(both(Err(NOT_SIGNED), Ok(Vec::new())), Err(NOT_SIGNED));
        assert_eq!(both(Ok(Vec::new()), Err(NOT_SIGNED)), Err(NOT_SIGNED));
        assert_eq!(both(Ok(Vec::new()), Ok(Vec::new())), Ok(Vec::new()));
    }
}

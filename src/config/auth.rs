//! `[auth]`: how people log in.

use super::kind::{Count, Switch};
use super::section::section;

section! {
    /// How people log in.
    pub struct AuthConfig = "auth";

    /// Whether one may log in without an account, for a random address that ends with the
    /// session (SASL ANONYMOUS, XEP-0175).
    anonymous: bool = false => Switch, Reload;

    /// Whether PLAIN is offered, under TLS only. It shows the password to the server for a
    /// moment; SCRAM never does. Old clients may need it.
    plain: bool = true => Switch, Reload;

    /// Rounds of PBKDF2 for new passwords. More rounds make a stolen database harder to use and
    /// each login dearer for the client.
    iterations: u32 = 10_000 => Count::between(4096, 10_000_000)
        .not_less("RFC 5802 §5.1 asks for as many rounds")
        .not_more("clients would need minutes to log in, or refuse"), Reload;

    /// Failed logins on one connection before it is closed.
    failures_per_connection: u32 = 5 => Count::between(1, 100)
        .not_less("one attempt must be possible")
        .not_more("guessing must not be cheap"), Reload;

    /// Whether failed logins slow down later ones from the same address. Switch it off where all
    /// clients come from one address, as behind a proxy. The account that was tried is slowed
    /// down in any case.
    slow_addresses: bool = true => Switch, Reload;

    /// How many keys are derived from passwords at the same time: for logins by PLAIN, new
    /// passwords, registrations, commands and imports together. Each occupies a processor meanwhile.
    derivations: usize = 2 => Count::between(1, 1024), Restart;
}

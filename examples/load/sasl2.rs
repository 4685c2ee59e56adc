//! Logins by XEP-0388: the header, the login and the request to bind go out at once. With a token (XEP-0484)
//! that is one round trip, with SCRAM two.

use std::cell::RefCell;
use std::collections::HashMap;

use anyhow::Context;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::client::{Stream, Target, Wire, between, content};
use crate::scram;

/// The tokens of the accounts that have one.
pub(crate) type Tokens = RefCell<HashMap<String, String>>;

impl Target {
    /// Logs in and binds. Returns the full address. `with_token`: by a token, which is asked for in a login
    /// by SCRAM before.
    pub(crate) async fn authenticate<S: Stream>(
        &self,
        wire: &mut Wire<S>,
        user: &str,
        with_token: bool,
    ) -> anyhow::Result<String> {
        let token = self.tokens.borrow().get(user).filter(|_| with_token).cloned();
        let header = self.header();
        let success = if let Some(token) = token {
            let proof = scram::base64(&proof(user, &token));
            let fast = "<fast xmlns='urn:xmpp:fast:0'/>";
            wire.send(&(header + &request("HT-SHA-256-NONE", &proof, fast))).await?;
            wire.expect("</success>").await?
        } else {
            let first = scram::First::new(user)?;
            let initial = scram::base64(first.message().as_bytes());
            let wanted = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>";
            let wanted = if with_token { wanted } else { "" };
            wire.send(&(header + &request("SCRAM-SHA-1", &initial, wanted))).await?;
            let challenge = wire.expect("</challenge>").await?;
            let challenge = content(&challenge, "<challenge")?;
            let last = self.prove(&first, &challenge)?;
            let response = scram::base64(last.message.as_bytes());
            wire.send(&format!("<response xmlns='{SASL2}'>{response}</response>")).await?;
            let success = wire.expect("</success>").await?;
            last.check(&content(&success, "<additional-data")?)?;
            success
        };
        if let Some(token) = between(&success, " token='", "'") {
            self.tokens.borrow_mut().insert(user.to_owned(), token.to_owned());
        }
        wire.expect("</stream:features>").await?;
        let jid = between(&success, "<authorization-identifier>", "</");
        Ok(jid.with_context(|| format!("no address bound: {success}"))?.to_owned())
    }
}

/// `<authenticate/>`. Each account has one installation, so all of them may have the same id.
fn request(mechanism: &str, initial: &str, inside: &str) -> String {
    format!(
        "<authenticate xmlns='{SASL2}' mechanism='{mechanism}'>\
         <initial-response>{initial}</initial-response>\
         <user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>\
         <bind xmlns='urn:xmpp:bind:0'><tag>load</tag></bind>{inside}</authenticate>"
    )
}

/// The only message of HT-SHA-256-NONE.
fn proof(user: &str, token: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("any length");
    mac.update(b"Initiator");
    [user.as_bytes(), b"\0", &mac.finalize().into_bytes()].concat()
}

const SASL2: &str = "urn:xmpp:sasl:2";

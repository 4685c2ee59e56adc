//! `[admin]`: how administrators reach the running server.

use std::path::PathBuf;

use super::error::Problems;
use super::section::{Fields, section};
use super::value::{Accounts, Address, Path, Switch};
use crate::jid::{BareJid, Jid};

section! {
    /// Administration of the running server.
    pub struct AdminConfig = "admin";

    /// Unix socket over which commands such as `waxwing user` reach the running server. If it is not
    /// set: `admin.sock` in the data directory.
    socket: Option<PathBuf> = None => Path("\"/run/waxwing/admin.sock\""), Restart;

    /// Accounts that may give the same commands by their chat clients (XEP-0050), besides those that
    /// have the role by `waxwing user admin`. Whoever has their passwords has the server.
    accounts: Vec<BareJid> = Vec::new() => Accounts, Reload;

    /// Accounts that get a message when a user reports spam or abuse (XEP-0377). `waxwing report list` shows
    /// the reports.
    reports: Vec<BareJid> = Vec::new() => Accounts, Reload;

    /// An address to which each report is forwarded, with the messages that it is about, for people and for
    /// programs (XEP-0377). A server or service of others gets only reports whose users allow that, and does
    /// not learn who reports (XEP-0377 §5).
    forward_reports: Option<Jid> = None => Address, Reload;

    /// Whether a report of an address on another server also goes to the address for abuse that this server announces
    /// (XEP-0157), if the user allows that. It does not learn who reports, but may guess it from the messages.
    report_to_origin: bool = false => Switch, Reload;
}

/// Refuses a socket path that is too long for the kernel.
pub(super) fn check(admin: &AdminConfig, fields: &Fields<'_>, problems: &mut Problems<'_>) {
    let length = admin.socket.as_ref().map_or(0, |socket| socket.as_os_str().len());
    if length > SOCKET_BYTES {
        problems.add(
            &fields.value_of("socket").unwrap_or_else(|| fields.at.clone()),
            format!("`socket` is a path of {length} bytes"),
            format!("choose one of at most {SOCKET_BYTES} bytes, as unix(7) demands"),
        );
    }
}

/// `sun_path` of unix(7) without its final NUL.
const SOCKET_BYTES: usize = 107;

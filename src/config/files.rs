//! `[files]`: files that users upload, `upload.<host>` (XEP-0363).

use std::path::PathBuf;
use std::time::Duration;

use super::section::{choice, section};
use super::units::{GIB, MIB, days, minutes};
use super::value::{Count, HttpsAddress, OneOf, Path, Retention, Size, Switch, Time, Words};

choice! {
    /// What happens when an account has no room for another file.
    pub enum FilesFull {
        /// The user is told so.
        Refuse = "refuse";
        /// The oldest files that were sent in messages are removed when the new one is there.
        Replace = "replace";
    }
}

section! {
    /// Files that users upload to send or show them to others (XEP-0363): `upload.<host>`, and HTTP at `/files/`.
    /// `docs/files.md` explains it.
    ///
    /// What users upload does not count for `limits.account_bytes`: it has the quotas below.
    pub struct FilesConfig = "files";

    /// Offer it. If not, the files stay stored, and nobody reaches them.
    enabled: bool = true => Switch, Restart;

    /// Address at which clients reach the HTTP service from outside, for example `https://files.example.org`. What
    /// follows it in the addresses of files is `/files/…`. Set it if clients connect through a reverse proxy. If it is
    /// not set, it is that of the host at the port of the first address of `listen.https`; without one, files cannot
    /// be uploaded.
    url: Option<String> = None => HttpsAddress::WithPath, Restart;

    /// Directory for the files. If it is not set: `files` in the data directory.
    directory: Option<PathBuf> = None => Path("\"/srv/waxwing-files\""), Restart;

    /// Size of a file.
    max_size: usize = 100 * MIB => Size::between(1, 1024 * GIB), Reload;

    /// Types of files that may be uploaded, for example `["image/*", "video/*"]`. An empty list means all. A client
    /// tells the type, and can tell a wrong one.
    types: Vec<String> = Vec::new() => Words, Reload;

    /// Bytes of all files that one account has sent in messages.
    quota: usize = GIB => Size::between(0, 1024 * GIB), Reload;

    /// What happens when an account has used up `quota`.
    full: FilesFull = FilesFull::Replace => OneOf(FilesFull::WORDS), Reload;

    /// Files of one account.
    files: u64 = 10_000 => Count::between(1, 1_000_000), Reload;

    /// Bytes that one account may upload in 24 hours. 0 = no limit.
    per_day: usize = GIB => Size::between(0, 1024 * GIB), Reload;

    /// How long files that were sent in messages are kept. Older ones are removed within an hour. 0 = until `quota`
    /// is used up.
    age: Duration = days(90) => Retention::up_to(days(36_500)), Reload;

    /// Size of a file for a profile, such as an avatar.
    profile_max_size: usize = 10 * MIB => Size::between(1, 1024 * GIB), Reload;

    /// Bytes of the files for profiles of one account. They are kept as long as the account. 0 = not offered.
    profile_quota: usize = 50 * MIB => Size::between(0, 1024 * GIB), Reload;

    /// Bytes of the files of one account that are to be kept as long as the account, as pictures of a blog.
    /// 0 = not offered.
    permanent_quota: usize = 200 * MIB => Size::between(0, 1024 * GIB), Reload;

    /// How long a client may wait until it begins to upload (XEP-0363 §8).
    slot: Duration = minutes(5) => Time::between(minutes(1), minutes(24 * 60)), Reload;

    /// How long an interrupted upload may be continued.
    resume: Duration = days(1) => Time::between(minutes(1), minutes(7 * 24 * 60)), Reload;

    /// Give the signature of an upload in the header `Authorization` instead of the address, so that no log of a
    /// proxy has it. Some clients forget the headers, and cannot upload then.
    authorization_header: bool = false => Switch, Reload;

    /// Remove a file when its owner retracts the message with its address (XEP-0424). One that was sent in several
    /// messages is lost for all. In encrypted messages, and in rooms, the server does not look.
    remove_retracted: bool = false => Switch, Reload;
}

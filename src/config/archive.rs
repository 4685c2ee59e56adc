//! `[archive]`: which messages are archived, and for how long (XEP-0313).

use std::time::Duration;

use super::section::section;
use super::units::days;
use super::value::{Count, Retention, Switch};

section! {
    /// Message archives: what is kept, and for how long (XEP-0313).
    pub struct ArchiveConfig = "archive";

    /// Archive messages. Users can switch it off for themselves, or for some contacts (XEP-0441).
    /// Without an archive, messages for offline users are still stored until they are delivered.
    enabled: bool = true => Switch, Restart;

    /// How long messages are kept in archives, for example `"90 d"`, `"12 w"` or `"1 y"`. Older messages
    /// are deleted within an hour, and cannot be restored. 0 = forever.
    age: Duration = days(0) => Retention::up_to(days(36_500)), Reload;

    /// How many messages are kept in the archive of one account, the newest. 0 = all.
    messages: u64 = 0 => Count::between(0, 1_000_000_000), Reload;

    /// Let users search their archives by words (XEP-0431). A search reads the messages of the account among which it is
    /// to find some. Encrypted messages are never found.
    search: bool = true => Switch, Restart;
}

//! `[archive]`: what is kept of what people write to each other, and for how long (XEP-0313).

use std::time::Duration;

use super::kind::{Count, Retention, Switch};
use super::section::section;
use super::units::days;

section! {
    /// What is kept of what people write to each other, and for how long (XEP-0313).
    pub struct ArchiveConfig = "archive";

    /// Whether messages are archived for accounts. Users may switch it off for themselves, or for
    /// some of their contacts (XEP-0441). Without it, messages still wait for those who are away.
    enabled: bool = true => Switch, Restart;

    /// How long a message stays in an archive, for example `"90 d"`, `"12 w"` or `"1 y"`. What is older
    /// is removed for good, within an hour. 0: for ever.
    age: Duration = days(0) => Retention::up_to(days(36_500)), Reload;

    /// How many messages stay in the archive of one account, the newest. 0: all.
    messages: u64 = 0 => Count::between(0, 1_000_000_000), Reload;

    /// Whether archives can be searched by words (XEP-0431). Makes the database larger, and finds
    /// messages only that were kept while it was on. What is encrypted is never found.
    search: bool = false => Switch, Restart;
}

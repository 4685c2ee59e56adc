//! The number of files that this process may open. A connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the number of files that this process may open as far as the system allows.
///
/// Returns the number. It never fails: if the number cannot be raised, it stays.
#[must_use]
pub fn raise_open_files() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let (Some(soft), wanted) = (current, maximum.unwrap_or(MANY_FILES)) else {
        return usize::MAX;
    };
    let raised = Rlimit { current: Some(wanted), maximum };
    let now =
        if soft < wanted && setrlimit(Resource::Nofile, raised).is_ok() { wanted } else { soft };
    usize::try_from(now).unwrap_or(usize::MAX)
}

/// The largest number of connections: as configured, but with files left for the database, the admin
/// socket and the listeners.
#[must_use]
pub fn connections(wanted: usize, open_files: usize) -> usize {
    wanted.min(open_files.saturating_sub(RESERVED_FILES)).max(1)
}

/// The number if the system has no limit.
const MANY_FILES: u64 = 1 << 20;
const RESERVED_FILES: usize = 64;

#[cfg(test)]
mod tests {
    use super::{connections, raise_open_files};

    #[test]
    fn files_are_kept_for_the_database() {
        let files = raise_open_files();
        assert!(files >= 64);
        assert_eq!(raise_open_files(), files, "raised once");
        assert_eq!(connections(100_000, 1024), 960);
        assert_eq!(connections(100, 1024), 100);
        assert_eq!(connections(100, 10), 1);
    }
}

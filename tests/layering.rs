//! Architecture rules: which module may use which, how long a file may be, where values of some types are made.
//!
//! Each file below `tests/layering/` holds one rule: the rule, a test that `src/` keeps it, and
//! tests that show the rule failing on samples. `source` reads and parses the files, `paths` lists
//! the paths that a file names, `modules` finds the file in which a named item is defined.
//!
//! The rules see names, not types: a call of a method names no file.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the source has failed")]

#[path = "layering/circles.rs"]
mod circles;
#[path = "layering/floors.rs"]
mod floors;
#[path = "layering/invalidations.rs"]
mod invalidations;
#[path = "layering/islands.rs"]
mod islands;
#[path = "layering/length.rs"]
mod length;
#[path = "layering/message_path.rs"]
mod message_path;
#[path = "layering/modules.rs"]
mod modules;
#[path = "layering/namespaces.rs"]
mod namespaces;
#[path = "layering/origins.rs"]
mod origins;
#[path = "layering/paths.rs"]
mod paths;
#[path = "layering/pipelines.rs"]
mod pipelines;
#[path = "layering/source.rs"]
mod source;
#[path = "layering/tasks.rs"]
mod tasks;

//! What processes use: CPU time and memory, from `/proc`.
//!
//! CPU times come in hundredths of a second: measure seconds, not moments.

use std::fs;

use anyhow::Context;

/// Looks at this process and at the server.
pub(crate) struct Meter {
    server: Option<u32>,
}

/// What was used up to one moment.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sample {
    /// CPU seconds of this process, user and system.
    pub(crate) own_cpu: f64,
    pub(crate) server: Option<ServerSample>,
}

/// What the server with its children used up to one moment.
#[derive(Clone, Copy, Default)]
pub(crate) struct ServerSample {
    /// CPU seconds, user and system.
    pub(crate) cpu: f64,
    pub(crate) rss_kib: u64,
    pub(crate) pss_kib: u64,
}

impl Meter {
    pub(crate) fn new(server: Option<u32>) -> Self {
        Self { server }
    }

    pub(crate) fn sample(&self) -> anyhow::Result<Sample> {
        let server = self.server.map(sample_tree).transpose()?;
        Ok(Sample { own_cpu: cpu_of("self")?.cpu, server })
    }
}

fn sample_tree(root: u32) -> anyhow::Result<ServerSample> {
    let mut total = ServerSample::default();
    for pid in tree(root)? {
        let pid = pid.to_string();
        let (Ok(process), Ok(rollup)) =
            (cpu_of(&pid), fs::read_to_string(format!("/proc/{pid}/smaps_rollup")))
        else {
            anyhow::ensure!(pid != root.to_string(), "cannot look at the server, process {pid}");
            continue; // a child that has ended meanwhile
        };
        total.cpu += process.cpu;
        total.rss_kib += kib(&rollup, "Rss:");
        total.pss_kib += kib(&rollup, "Pss:");
    }
    Ok(total)
}

/// `root` and all that descend from it.
fn tree(root: u32) -> anyhow::Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if let Ok(process) = cpu_of(&pid.to_string()) {
            parents.push((pid, process.parent));
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    Ok(found)
}

struct Process {
    parent: u32,
    cpu: f64,
}

/// proc_pid_stat(5): after the name in parentheses, fields 3 and on.
fn cpu_of(pid: &str) -> anyhow::Result<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(')').context("no name in stat")?.1;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).context("stat is too short");
    let ticks = field(14)?.parse::<f64>()? + field(15)?.parse::<f64>()?;
    Ok(Process { parent: field(4)?.parse()?, cpu: ticks / TICKS_PER_SECOND })
}

fn kib(rollup: &str, name: &str) -> u64 {
    rollup
        .lines()
        .find_map(|line| line.strip_prefix(name)?.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// `USER_HZ`, the same on every architecture that Waxwing is built for.
const TICKS_PER_SECOND: f64 = 100.0;

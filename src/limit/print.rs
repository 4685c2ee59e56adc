//! The page of the budgets, for administrators.

use std::fmt::Write as _;

use super::{ALL, Action};

/// `docs/budgets.md`.
#[must_use]
pub fn markdown() -> String {
    let mut out = HEAD.to_owned();
    for about in ALL {
        let line = "| bound | option | what happens |\n|---|---|---|\n";
        let unit = about.unit;
        write!(out, "\n## {}\n\n{} Unit: {unit}.\n\n", about.name, about.text).expect(WRITES);
        out.push_str(line);
        for rule in about.rules {
            let actions: Vec<_> = rule.actions.iter().map(|action| describe(*action)).collect();
            let (scope, option) = (rule.scope.word(), rule.option);
            let option = match option.rsplit_once(' ') {
                Some((words, option)) => format!("{words} `{option}`"),
                None => format!("`{option}`"),
            };
            writeln!(out, "| {scope} | {option} | {} |", actions.join(", then ")).expect(WRITES);
        }
    }
    out
}

fn describe(action: Action) -> &'static str {
    match action {
        Action::Close => "closed (`close`)",
        Action::Delay => "delayed (`delay`)",
        Action::Error => "refused (`error`)",
    }
}

const WRITES: &str = "writing to a string does not fail";

const HEAD: &str = "\
<!-- Made from src/limit/ by `WAXWING_REGENERATE=1 cargo test --test docs`. -->

# Budgets

Some things are shared by all users of a server: its connections, its processor, its disk, its memory.
For each there is a budget, so that one account or one address cannot take all of it. A user
with ordinary clients does not meet any of them.

- The sum of an *account* is that of all its sessions. The sum of an *address* is that of all clients
  there; an IPv6 address counts as its /64.
- Who is over a budget is first delayed: the server reads from that client later. Where that does
  not help, a request gets an error, or the connection is closed.
- The metric `waxwing_budget_actions_total` counts all of that, with the labels `budget`, `scope` and
  `action`. `waxwing_budget_held` is how much is held now, of budgets that are given back.
- The options can be changed by a reload. In the section `[budgets]`, 0 means that there is no bound.
- `budgets.exempt` lists accounts without bounds on traffic and work: for bots of the operator that send
  in bulk.
";

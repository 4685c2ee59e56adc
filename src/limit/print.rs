//! Writes the page about budgets for administrators.

use std::fmt::Write as _;

use super::{ALL, Action};

/// The text of `docs/budgets.md`.
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

All users of a server share its connections, processor, disk and memory. Each of these has a budget, so that
one account or one address cannot take all of it. A user with ordinary clients does not meet any budget.

- The scope *account* is the sum of all sessions of an account. The scope *address* is the sum of all clients
  at an address; an IPv6 address counts as its /64.
- A client over a budget is first delayed: the server reads from it later. If that does not help, a
  request gets an error, or the connection is closed.
- The metric `waxwing_budget_actions_total` counts these actions, with the labels `budget`, `scope` and
  `action`. `waxwing_budget_held` shows how much is held now, for budgets of memory and connections.
- A reload changes the options. In the section `[budgets]`, 0 means no limit.
- `budgets.exempt` lists accounts without limits on traffic and work: for bots of the operator that send in
  bulk.
";

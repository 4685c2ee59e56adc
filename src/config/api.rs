//! `[api]`: the HTTP API for programs.

use super::section::section;
use super::value::{Count, Origins, Switch};

section! {
    /// The HTTP API by which programs send and read messages: `/api/v1/`. `docs/http-api.md` explains it. Nobody has
    /// access without a token, which a user or an administrator must make (`waxwing token create`).
    pub struct ApiConfig = "api";

    /// Offer it. If not, the tokens stay stored, and are of no use.
    enabled: bool = true => Switch, Reload;

    /// Tokens of one account.
    tokens: u64 = 20 => Count::between(0, 10_000), Reload;

    /// Web pages that may use it, as `https://bot.example.org`: browsers keep all other pages from it (CORS). An empty
    /// list means none. Programs that are no browsers may use it in any case.
    origins: Vec<String> = Vec::new() => Origins, Reload;
}

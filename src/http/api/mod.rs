//! `/api/v1/`: programs that are no XMPP clients send messages, read the archive of their account, and follow it
//! (docs/http-api.md). `docs/api/openapi.json` describes it for programs.
//!
//! What is easy to get wrong: a request may be dropped at any time, when its connection is lost. What has begun to be
//! sent is carried to the end all the same ([`send`]).

mod access;
mod cors;
mod events;
mod json_answer;
mod message;
mod parameters;
mod problem;
mod read;
mod recent;
mod send;
mod source;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use self::access::access;
use self::json_answer::JSON;
use self::problem::Problem;
use self::recent::Recent;
use crate::host::Scope;
use crate::router::Router;

/// The routes.
pub fn routes(router: Arc<Router>) -> axum::Router {
    let api = Arc::new(Api { router, recent: Recent::default() });
    axum::Router::new()
        .route("/api/{*path}", any(answer))
        .route("/api", any(answer))
        .with_state(api)
}

/// What all requests share.
struct Api {
    router: Arc<Router>,
    /// What was sent lately, so that nothing is sent twice.
    recent: Recent,
}

async fn answer(State(api): State<Arc<Api>>, request: Request) -> Response {
    let config = api.router.server.config.load_full();
    let (head, body) = request.into_parts();
    let origin = cors::allowed(&config, &head.headers);
    let answer = match (config.api.enabled, &head.method) {
        (false, _) => Err(Problem::NotFound),
        (true, &Method::OPTIONS) if origin.is_some() => Ok(cors::preflight()),
        (true, _) => dispatch(&api, &head, body).await,
    };
    let mut answer = answer.unwrap_or_else(IntoResponse::into_response);
    if let Some(origin) = origin {
        cors::allow(answer.headers_mut(), &origin);
    }
    answer
}

async fn dispatch(api: &Api, head: &Parts, body: Body) -> Result<Response, Problem> {
    let path = head.uri.path();
    let (_, methods) = PATHS.iter().find(|(known, _)| *known == path).ok_or(Problem::NotFound)?;
    let is_head = head.method == Method::HEAD;
    // What answers GET answers HEAD: the body is left out when the answer is written (RFC 9110 §9.3.2).
    let asked = if is_head { "GET" } else { head.method.as_str() };
    let found = methods.iter().find(|(method, _)| *method == asked);
    let found = found.filter(|(_, act)| !(is_head && matches!(act, Act::Events)));
    let (_, act) = found.ok_or(Problem::MethodNotAllowed(match methods {
        [(_, Act::Events)] => "GET",
        [_] => "GET, HEAD",
        _ => "GET, HEAD, POST",
    }))?;
    let server = &api.router.server;
    match act {
        Act::Describe => Ok(describe()),
        Act::Events => events::answer(server, access(server, head, Scope::Read).await?, head).await,
        Act::Read => read::answer(server, &access(server, head, Scope::Read).await?, head).await,
        Act::Send => {
            let access = access(server, head, Scope::Send).await?;
            send::answer(&api.router, &api.recent, access, head, body).await
        }
    }
}

/// What a request does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Describe,
    Events,
    Read,
    Send,
}

/// The whole API: paths, and what each method does there.
const PATHS: &[(&str, &[(&str, Act)])] = &[
    ("/api/v1/events", &[("GET", Act::Events)]),
    ("/api/v1/messages", &[("GET", Act::Read), ("POST", Act::Send)]),
    ("/api/v1/openapi.json", &[("GET", Act::Describe)]),
];

/// The description is no secret: it says nothing about this server.
fn describe() -> Response {
    let head = [(CONTENT_TYPE, JSON), (CACHE_CONTROL, "max-age=3600")];
    (head, DESCRIPTION).into_response()
}

const DESCRIPTION: &str = include_str!("../../../docs/api/openapi.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_description_names_each_route_and_each_error_and_no_other() {
        let all: Value = serde_json::from_str(DESCRIPTION).unwrap();
        assert_eq!(all["openapi"], "3.1.0");
        assert_eq!(all["info"]["version"], env!("CARGO_PKG_VERSION"));
        let mut described = BTreeSet::new();
        for (path, methods) in all["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                described.insert((method.to_uppercase(), path.clone()));
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    let schema = &answer["content"]["application/problem+json"];
                    let is_problem = schema.is_object() || answer.get("$ref").is_some();
                    assert_eq!(is_problem, status.as_str() >= "400", "{method} {path} {status}");
                }
            }
        }
        let routes = PATHS.iter().flat_map(|(path, methods)| {
            methods.iter().map(|(method, _)| ((*method).to_owned(), (*path).to_owned()))
        });
        assert_eq!(described, routes.collect());

        let types = all["components"]["schemas"]["Problem"]["properties"]["type"]["enum"].clone();
        let types: BTreeSet<_> = types
            .as_array()
            .unwrap()
            .iter()
            .map(|word| word.as_str().unwrap().to_owned())
            .collect();
        let samples = Problem::samples();
        assert_eq!(types, samples.iter().map(|problem| problem.kind()).collect());
        let statuses: BTreeSet<_> =
            all["components"]["responses"].as_object().unwrap().keys().cloned().collect();
        let known: BTreeSet<_> =
            samples.iter().map(|problem| problem.status().as_u16().to_string()).collect();
        assert_eq!(statuses, known);
        let scopes = all["components"]["schemas"]["Scope"]["enum"].as_array().unwrap();
        assert_eq!(*scopes, Scope::ALL.map(|scope| Value::from(scope.word())));
    }
}

//! `component add` and `component remove`: external components (XEP-0114) besides those of the configuration.

use serde_json::{Value, json};

use super::account::{needed, optional};
use super::new_password::{PASSWORD, RANDOM, password_of, with_password};
use crate::config::{ComponentConfig, prepare_domain};
use crate::host::command::{
    Argument, ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission,
    WithoutServer,
};

const DOMAIN: Argument =
    needed("component", ArgumentKind::Text, "The domain of the component, such as irc.example.org");

pub(super) static ADD: Command = Command {
    path: &["component", "add"],
    about: "Add an external component, such as a gateway, and say what it may do; its secret is the password",
    arguments: &[
        DOMAIN,
        PASSWORD,
        RANDOM,
        optional("name", ArgumentKind::Text, "What people see in the list of services"),
        optional("subdomains", ArgumentKind::Flag, "It has all domains below its own, too"),
        optional(
            "connections",
            ArgumentKind::Number,
            "How many connections it may have [default: 1]",
        ),
        optional(
            "roster",
            ArgumentKind::Choice(&["get", "set", "both"]),
            "Requests for the rosters of users that it may send (XEP-0356)",
        ),
        optional(
            "messages",
            ArgumentKind::Flag,
            "It may write in the name of users and of the host",
        ),
        optional(
            "presence",
            ArgumentKind::Choice(&["managed_entity", "roster"]),
            "Whose presence it sees: that of users, or that of their contacts, too",
        ),
        optional(
            "iq",
            ArgumentKind::Text,
            "Other requests that it may send for users: `NAMESPACE=both`, also `get` or `set`; several with spaces between them",
        ),
        optional(
            "delegate",
            ArgumentKind::Text,
            "Namespaces in which it answers instead of the server (XEP-0355): `NAMESPACE`, or \
             `NAMESPACE=ATTRIBUTE,ATTRIBUTE`; several with spaces between them",
        ),
    ],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(add(cx, arguments)),
};

async fn add(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let running = cx.running.as_ref().ok_or(CommandError::NotRunning)?;
    let secret = password_of(arguments)?;
    let section = section(arguments, secret.as_str())?;
    let component = ComponentConfig::parse(&section).map_err(CommandError::Invalid)?;
    let domain = &component.domain;
    let exists = |what: &str| CommandError::Conflict(format!("{domain} is {what} already"));
    if running.components().iter().any(|row| row.domain == *domain) {
        return Err(exists("a component"));
    }
    if running.is_ours(domain) {
        return Err(exists("a domain of this server"));
    }
    running.set_component(domain, Some(&section)).await?;
    let ports: Vec<_> =
        running.status().into_iter().filter(|(name, _)| PORTS.contains(name)).collect();
    let addresses = ports.iter().filter_map(|(_, ports)| ports.as_array()).flatten();
    let addresses: Vec<_> = addresses.filter_map(Value::as_str).collect();
    let place = match addresses.is_empty() {
        true => "No port for components is open: set `listen.components`, and restart the server."
            .to_owned(),
        false => format!("It connects to {}.", addresses.join(" or ")),
    };
    let text = format!("Added the component {domain}. {place}");
    Ok(with_password(text, json!({ "component": domain, "listening": addresses }), secret))
}

/// The section of the configuration that says the same.
fn section(arguments: &Arguments, secret: &str) -> Result<String, CommandError> {
    let mut lines = vec!["[[component]]".to_owned()];
    // A text of JSON is one of TOML.
    let mut line = |key: &str, value: Value| lines.push(format!("{key} = {value}"));
    line("domain", json!(arguments.required("component")?));
    line("secret", json!(secret));
    if let Some(name) = arguments.text("name") {
        line("name", json!(name));
    }
    if arguments.flag("subdomains") {
        line("subdomains", json!(true));
    }
    if let Some(connections) = arguments.number("connections") {
        line("connections", json!(connections));
    }
    for key in ["roster", "presence"] {
        if let Some(word) = arguments.text(key) {
            line(key, json!(word));
        }
    }
    if arguments.flag("messages") {
        line("message", json!("outgoing"));
    }
    let requests = |value: &str| json!(value);
    let attributes =
        |value: &str| json!(value.split(',').filter(|name| !name.is_empty()).collect::<Vec<_>>());
    lines.extend(table(arguments, "iq", requests));
    lines.extend(table(arguments, "delegate", attributes));
    Ok(lines.join("\n"))
}

/// A table of namespaces: `NAMESPACE=VALUE`, several with spaces between them.
fn table(arguments: &Arguments, key: &str, value: impl Fn(&str) -> Value) -> Option<String> {
    let each = arguments.text(key)?.split_whitespace().map(|one| {
        let (ns, text) = one.rsplit_once('=').unwrap_or((one, ""));
        format!("{} = {}", json!(ns), value(text))
    });
    Some(format!("{key} = {{ {} }}", each.collect::<Vec<_>>().join(", ")))
}

pub(super) static REMOVE: Command = Command {
    path: &["component", "remove"],
    about: "Remove an external component that was added by `component add`, and end its connections",
    arguments: &[DOMAIN],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(remove(cx, arguments)),
};

async fn remove(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let running = cx.running.as_ref().ok_or(CommandError::NotRunning)?;
    let domain = prepare_domain(arguments.required("component")?).map_err(CommandError::Invalid)?;
    let is_there = running.components().iter().any(|row| row.domain == domain);
    if running.set_component(&domain, None).await? {
        let text = format!("Removed the component {domain}.");
        return Ok(Outcome::Done { text, json: json!({ "component": domain }) });
    }
    Err(match is_there {
        true => CommandError::Conflict(format!(
            "{domain} is a component of the configuration: remove it there"
        )),
        false => CommandError::NotFound(format!("there is no component {domain}")),
    })
}

/// Where components connect.
const PORTS: [&str; 2] = ["components", "components_tls"];

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::section;
    use crate::config::{ComponentConfig, MessageGrant, RequestGrant};
    use crate::host::command::{Arguments, CommandError};

    fn parse(arguments: &serde_json::Value) -> Result<ComponentConfig, String> {
        let arguments: Map<_, _> = arguments.as_object().cloned().unwrap();
        let section = section(&Arguments(arguments), "s\"e\\c'ret");
        ComponentConfig::parse(&section.map_err(|error: CommandError| error.to_string())?)
    }

    #[test]
    fn what_is_said_to_a_command_is_what_the_configuration_would_say() {
        let component = parse(&json!({
            "component": "IRC.example.org", "name": "\"I\"", "subdomains": true, "connections": 3,
            "roster": "both", "messages": true, "presence": "roster",
            "iq": "http://jabber.org/protocol/pubsub=both urn:x=get",
            "delegate": "urn:y=a,b urn:z",
        }));
        let component = component.unwrap();
        assert_eq!(component.domain, "irc.example.org");
        assert_eq!(component.shared_secret().unwrap().text(), "s\"e\\c'ret");
        assert_eq!(component.name.as_deref(), Some("\"I\""));
        assert!(component.subdomains && component.connections == 3);
        assert_eq!(
            (component.roster, component.message),
            (RequestGrant::Both, MessageGrant::Outgoing)
        );
        assert_eq!(component.requests("urn:x"), RequestGrant::Get);
        assert_eq!(component.requests("http://jabber.org/protocol/pubsub"), RequestGrant::Both);
        let delegated: Vec<_> = component
            .delegate
            .iter()
            .map(|each| (each.ns.as_str(), each.attributes.len()))
            .collect();
        assert_eq!(delegated, [("urn:y", 2), ("urn:z", 0)]);
        for (arguments, problem) in [
            (json!({ "component": "a b" }), "domain"),
            (json!({ "component": "c.example", "connections": 0 }), "connections"),
            (json!({ "component": "c.example", "iq": "urn:x" }), "urn:x"),
            (json!({ "component": "c.example", "presence": "roster" }), "rosters"),
            (json!({ "component": "c.example", "name": "${HOME}" }), "HOME"),
        ] {
            let found = parse(&arguments).unwrap_err();
            assert!(found.contains(problem), "{arguments}: {found}");
        }
    }
}

//! The table of listeners: what is served where. To add one, write a row, and an option for its
//! addresses in `src/config/listen.rs`.

use std::sync::Arc;

use axum::Router;
use futures_util::future::BoxFuture;

use crate::bytestream;
use crate::c2s::{self, C2s, bosh, websocket};
use crate::component;
use crate::http::{self, api, files, host_meta, monitoring, pages, static_files};
use crate::listen::{self, Accepted, Transport};
use crate::s2s::{self, Servers};
use crate::tls::Purpose;

/// A row of the table.
pub type Listener = listen::Listener<Services>;

/// All listeners, in the order in which logs and `status` name them.
pub static LISTENERS: &[Listener] = &[
    Listener {
        name: "starttls",
        option: "listen.c2s",
        addresses: |listen| &listen.c2s,
        transport: Transport::Plain,
        serve: serve_client,
    },
    Listener {
        name: "direct_tls",
        option: "listen.c2s_tls",
        addresses: |listen| &listen.c2s_tls,
        transport: Transport::Tls(Purpose::Direct),
        serve: serve_tls,
    },
    Listener {
        name: "server",
        option: "listen.s2s",
        addresses: |listen| &listen.s2s,
        transport: Transport::Plain,
        serve: serve_server,
    },
    Listener {
        name: "server_tls",
        option: "listen.s2s_tls",
        addresses: |listen| &listen.s2s_tls,
        transport: Transport::Tls(Purpose::ServerDirect),
        serve: serve_server,
    },
    Listener {
        name: "http",
        option: "listen.http",
        addresses: |listen| &listen.http,
        transport: Transport::Proxied,
        serve: serve_http,
    },
    Listener {
        name: "https",
        option: "listen.https",
        addresses: |listen| &listen.https,
        transport: Transport::Tls(Purpose::Https),
        serve: serve_tls,
    },
    Listener {
        name: "monitoring",
        option: "listen.monitoring",
        addresses: |listen| &listen.monitoring,
        transport: Transport::Plain,
        serve: serve_monitoring,
    },
    Listener {
        name: "components",
        option: "listen.components",
        addresses: |listen| &listen.components,
        transport: Transport::Plain,
        serve: serve_component,
    },
    Listener {
        name: "components_tls",
        option: "listen.components_tls",
        addresses: |listen| &listen.components_tls,
        transport: Transport::Tls(Purpose::StartTls),
        serve: serve_component,
    },
    Listener {
        name: "proxy65",
        option: "listen.proxy65",
        addresses: |listen| &listen.proxy65,
        transport: Transport::Plain,
        serve: serve_bytestream,
    },
];

/// What serves connections.
pub struct Services {
    c2s: Arc<C2s>,
    /// `None` if there are no other servers to talk to.
    servers: Option<Arc<Servers>>,
    /// Everything that answers HTTP requests of clients.
    routes: Router,
    /// What answers programs that watch the server.
    monitoring: Router,
}

impl Services {
    pub(super) fn new(c2s: Arc<C2s>, servers: Option<Arc<Servers>>) -> Self {
        let routes = Router::new()
            .merge(api::routes(Arc::clone(&c2s.router)))
            .merge(files::routes(Arc::clone(c2s.server())))
            .merge(pages::routes(&c2s.router, &c2s.verifier))
            .merge(host_meta::routes(Arc::clone(c2s.server())))
            .merge(static_files::routes(Arc::clone(c2s.server())))
            .merge(websocket::routes(Arc::clone(&c2s)));
        let monitoring = monitoring::routes(Arc::clone(c2s.server()));
        let routes = http::bounded(routes).merge(bosh::routes(Arc::clone(&c2s)));
        Self { c2s, servers, routes, monitoring: http::bounded(monitoring) }
    }

    pub(super) fn c2s(&self) -> &Arc<C2s> {
        &self.c2s
    }

    pub(super) fn servers(&self) -> Option<&Arc<Servers>> {
        self.servers.as_ref()
    }
}

/// Each port with TLS serves streams and HTTP: a client says by ALPN what it wants.
fn serve_tls(services: &Services, accepted: Accepted) -> BoxFuture<'static, ()> {
    match accepted.tls.as_ref().map(|tls| tls.purpose) {
        Some(Purpose::Https) => serve_http(services, accepted),
        _ => serve_client(services, accepted),
    }
}

fn serve_client(services: &Services, accepted: Accepted) -> BoxFuture<'static, ()> {
    Box::pin(c2s::serve(Arc::clone(&services.c2s), accepted.into()))
}

fn serve_server(services: &Services, accepted: Accepted) -> BoxFuture<'static, ()> {
    match services.servers() {
        Some(servers) => Box::pin(s2s::serve(Arc::clone(servers), accepted)),
        None => Box::pin(std::future::ready(())),
    }
}

fn serve_http(services: &Services, accepted: Accepted) -> BoxFuture<'static, ()> {
    serve_routes(services, services.routes.clone(), accepted)
}

fn serve_monitoring(services: &Services, accepted: Accepted) -> BoxFuture<'static, ()> {
    serve_routes(services, services.monitoring.clone(), accepted)
}

fn serve_component(services: &Services, accepted: Accepted) -> BoxFuture<'static, ()> {
    Box::pin(component::serve(Arc::clone(&services.c2s.router), accepted))
}

fn serve_bytestream(services: &Services, accepted: Accepted) -> BoxFuture<'static, ()> {
    Box::pin(bytestream::serve(Arc::clone(services.c2s.server()), accepted))
}

fn serve_routes(services: &Services, routes: Router, accepted: Accepted) -> BoxFuture<'static, ()> {
    let server = services.c2s.server();
    let terms = http::Terms {
        clock: server.clock.clone(),
        metrics: server.metrics.clone(),
        write_limit: server.config.load().limits.write,
        stopping: server.tasks.stopping(),
    };
    Box::pin(http::serve(accepted, routes, terms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn each_row_has_the_addresses_of_its_option() {
        let options = LISTENERS.iter().enumerate();
        let lines = options.map(|(i, listener)| {
            let option = listener.option.strip_prefix("listen.").unwrap();
            format!("{option} = \"192.0.2.1:{}\"\n", 5000 + i)
        });
        let text = format!("[listen]\n{}", lines.collect::<String>());
        let config = Config::parse(&text, "test").unwrap();
        for (i, listener) in LISTENERS.iter().enumerate() {
            let addresses = (listener.addresses)(&config.listen);
            assert_eq!(addresses, [([192, 0, 2, 1], 5000 + i as u16).into()], "{}", listener.name);
        }
    }

    #[test]
    fn proxies_can_begin_with_a_header_on_each_of_them() {
        let none = Config::parse("", "test").unwrap();
        for listener in LISTENERS {
            let option = listener.option.strip_prefix("listen.").unwrap();
            let text = format!("[listen]\nproxy_protocol = \"{option}\"\n");
            let config = Config::parse(&text, "test").unwrap();
            let expecting = LISTENERS.iter().filter(|other| other.expects_header(&config.listen));
            assert_eq!(expecting.map(|other| other.name).collect::<Vec<_>>(), [listener.name]);
            assert!(!listener.expects_header(&none.listen));
        }
    }

    #[test]
    fn two_listeners_cannot_have_one_port() {
        for (i, later) in LISTENERS.iter().enumerate() {
            for earlier in &LISTENERS[..i] {
                let [a, b] = [earlier, later].map(|l| l.option.strip_prefix("listen.").unwrap());
                let text = format!("[listen]\n{a} = 9\n{b} = 9\n");
                if (a, b) == ("c2s_tls", "https") {
                    Config::parse(&text, "test").unwrap();
                    continue;
                }
                let problem = Config::parse(&text, "test").unwrap_err().to_string();
                assert!(problem.contains("a port has one protocol"), "{a} {b}: {problem}");
            }
        }
    }
}

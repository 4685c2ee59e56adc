//! A server with a domain, a certificate and accounts, which listens for other servers on the loopback interface.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use waxwing::auth::derive_keys;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::jid::BareJid;
use waxwing::payload::datetime::Timestamp;
use waxwing::server::Server;
use waxwing::storage::{MemoryStorage, NewAccount, Storage};
use waxwing::tasks::Tasks;

pub(crate) use super::authority::{Authority, Pair};
use super::peer::Peer;
use super::trust;

/// A free port of the loopback interface.
pub(crate) fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// What a server of a test is to be.
pub(crate) struct Plan<'a> {
    pub(crate) domain: &'a str,
    pub(crate) address: SocketAddr,
    pub(crate) authority: &'a Authority,
    pub(crate) certificate: Pair,
    /// Where the servers of other domains are.
    pub(crate) hosts: Vec<(&'a str, String)>,
    /// More lines of the section `[s2s]`.
    pub(crate) more: &'a str,
}

/// A server.
pub(crate) struct TestServer {
    domain: String,
    data: tempfile::TempDir,
    storage: Arc<MemoryStorage>,
    config: Config,
    pub(crate) server: Server,
    tasks: Tasks,
}

impl TestServer {
    /// A server `a.example` that knows where these others are. With its address.
    pub(crate) async fn that_knows(
        authority: &Authority,
        hosts: Vec<(&str, String)>,
        more: &str,
    ) -> (Self, SocketAddr) {
        let address = free_port();
        let plan = Plan {
            domain: "a.example",
            address,
            authority,
            certificate: authority.certify(&["a.example"]),
            hosts,
            more,
        };
        (Self::start(plan).await, address)
    }

    /// The same, if it knows `c.example` alone.
    pub(crate) async fn that_knows_c(
        authority: &Authority,
        at_c: SocketAddr,
        more: &str,
    ) -> (Self, SocketAddr) {
        Self::that_knows(authority, vec![("c.example", at_c.to_string())], more).await
    }

    pub(crate) async fn start(plan: Plan<'_>) -> Self {
        let data = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = data.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let (certificate, key) = (
            file("own.crt", &plan.certificate.certificate),
            file("own.key", &plan.certificate.key),
        );
        let authorities = file("authorities.pem", &plan.authority.pem);
        let hosts = plan.hosts.iter().map(|(domain, at)| format!("'{domain}' = '{at}'"));
        let hosts = hosts.collect::<Vec<_>>().join(", ");
        let (domain, address, more) = (plan.domain, plan.address, plan.more);
        let text = format!(
            "[[host]]\ndomain = '{domain}'\ncertificate = '{certificate}'\nkey = '{key}'\n\
             [listen]\nc2s = []\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\ns2s = '{address}'\ns2s_tls = []\n\
             [s2s]\nenabled = true\ndane = false\nauthorities = '{authorities}'\nhosts = {{ {hosts} }}\n{more}\n"
        );
        let mut config = Config::parse(&text, "the test").unwrap_or_else(|error| panic!("{error}"));
        data.path().clone_into(&mut config.data);
        let storage = MemoryStorage::new();
        let tasks = Tasks::new();
        let server = begin(&config, &storage, &tasks).await;
        let this = Self { domain: domain.to_owned(), data, storage, config, server, tasks };
        for user in ["romeo", "juliet"] {
            this.add_account(user).await;
        }
        this
    }

    pub(crate) async fn add_account(&self, user: &str) {
        let (keys, created) = (derive_keys("secret", 4096).unwrap(), Timestamp::from_micros(0));
        let user = BareJid::parse(&format!("{user}@{}", self.domain)).unwrap();
        let account = NewAccount { user, keys, created, admin: false };
        self.storage.accounts().create(&[account]).await.unwrap();
    }

    /// Applies the configuration anew, with these domains not to talk to.
    pub(crate) fn deny(&self, domains: &[&str]) {
        let mut config = self.config.clone();
        config.s2s.deny = domains.iter().map(|domain| (*domain).to_owned()).collect();
        self.server.reload(config).unwrap();
    }

    /// Ends, and begins again with what is stored.
    pub(crate) async fn restart(&mut self) {
        self.tasks.stop(Duration::from_secs(10)).await;
        self.tasks = Tasks::new();
        self.server = begin(&self.config, &self.storage, &self.tasks).await;
    }

    /// A client of this user, which is logged in.
    pub(crate) async fn login(&self, user: &str) -> Peer {
        let (ours, theirs) = tokio::io::duplex(1 << 18);
        self.server.connect(Box::new(theirs), "direct_tls");
        let name = ServerName::try_from(self.domain.clone()).unwrap();
        let connector = TlsConnector::from(Arc::new(trust::config(false)));
        let mut client = Peer::new(connector.connect(name, ours).await.unwrap());
        let open = format!(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
             to='{}' version='1.0'>",
            self.domain
        );
        client.say(&open).await;
        client.hears("</stream:features>").await;
        let message = STANDARD.encode(format!("\0{user}\0secret"));
        let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>";
        client.say(format!("{auth}{message}</auth>")).await;
        client.hears("<success").await;
        client.hears(">").await;
        client.say(&open).await;
        client.hears("</stream:features>").await;
        client
            .say(
                "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
                  <resource>r</resource></bind></iq>",
            )
            .await;
        client.hears("</iq>").await;
        client
    }

    /// The same, and it is available.
    pub(crate) async fn online(&self, user: &str) -> Peer {
        let mut client = self.login(user).await;
        client.say("<presence/>").await;
        client.hears(&format!("from='{user}@{}/r'", self.domain)).await;
        client.hears(">").await;
        client
    }

    pub(crate) fn metric(&self, line: &str) -> bool {
        self.server.state().metrics.render().lines().any(|own| own.starts_with(line))
    }

    pub(crate) async fn close(self) {
        assert_eq!(self.server.state().metrics.panics.get(), 0);
        let left = self.tasks.stop(Duration::from_secs(10)).await;
        assert!(left.is_empty(), "{left:?} do not end");
        drop(self.data);
    }
}

async fn begin(config: &Config, storage: &Arc<MemoryStorage>, tasks: &Tasks) -> Server {
    let storage = Arc::clone(storage) as Arc<dyn Storage>;
    Server::start(config.clone(), storage, Clock::system(), tasks.clone()).await.unwrap()
}

/// Two servers, `a.example` and `b.example`, which know where the other one is.
pub(crate) struct Two {
    pub(crate) a: TestServer,
    pub(crate) b: TestServer,
}

impl Two {
    /// With certificates of an authority that both trust.
    pub(crate) async fn certified(more: &str) -> Self {
        let authority = Authority::new();
        let [one, other] = ["a.example", "b.example"]
            .map(|domain| authority.certify(&[domain, &format!("*.{domain}")]));
        Self::start(&authority, one, other, more).await
    }

    pub(crate) async fn start(authority: &Authority, one: Pair, other: Pair, more: &str) -> Self {
        let (at_a, at_b) = (free_port(), free_port());
        let hosts = |domain: &'static str, at: SocketAddr| {
            let rooms: &'static str =
                if domain == "a.example" { "conference.a.example" } else { "conference.b.example" };
            vec![(domain, at.to_string()), (rooms, at.to_string())]
        };
        let plan = |domain, address, certificate, hosts| Plan {
            domain,
            address,
            authority,
            certificate,
            hosts,
            more,
        };
        // Boxed: a server is large.
        let start = |plan| Box::pin(TestServer::start(plan));
        let a = start(plan("a.example", at_a, one, hosts("b.example", at_b))).await;
        let b = start(plan("b.example", at_b, other, hosts("a.example", at_a))).await;
        Self { a, b }
    }

    pub(crate) fn close(self) -> Pin<Box<dyn Future<Output = ()>>> {
        // Boxed: two servers are large.
        Box::pin(async move {
            self.a.close().await;
            self.b.close().await;
        })
    }
}

//! How other servers are found and reached. Tests put in servers that are in the same process.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::TcpStream;

use super::resolve::{Dns, Resolve};
use crate::config::S2sConfig;
use crate::listen::set_options_of_server;
use crate::stream::wire::Io;

/// How other servers are found and reached.
#[derive(Clone)]
pub struct Network {
    /// Finds them.
    pub resolver: Arc<dyn Resolve>,
    /// Connects to them.
    pub connector: Arc<dyn Connect>,
}

impl Network {
    /// DNS and TCP.
    #[must_use]
    pub fn internet(config: &S2sConfig) -> Self {
        let resolver = Dns::new(config.resolver, config.trust_anchor.as_deref());
        Self { resolver: Arc::new(resolver), connector: Arc::new(Tcp) }
    }
}

/// Makes connections.
#[async_trait]
pub trait Connect: Send + Sync {
    /// Connects to this address. The caller gives up after a while.
    ///
    /// # Errors
    /// If nobody is there.
    async fn connect(&self, address: SocketAddr) -> io::Result<Connected>;
}

/// A connection that was made.
pub struct Connected {
    /// What carries its bytes.
    pub io: Box<dyn Io>,
    /// Our address, if it is known.
    pub own: Option<SocketAddr>,
}

/// Makes connections by TCP.
pub(super) struct Tcp;

#[async_trait]
impl Connect for Tcp {
    async fn connect(&self, address: SocketAddr) -> io::Result<Connected> {
        let socket = TcpStream::connect(address).await?;
        set_options_of_server(&socket);
        let own = socket.local_addr().ok();
        Ok(Connected { io: Box::new(socket), own })
    }
}

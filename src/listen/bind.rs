//! Opens the ports. Reports all that cannot be opened, each with its reason.
//!
//! What is easy to get wrong: a machine without IPv6 refuses `[::]` with one of two errors. The same
//! two errors mean an address of another machine, and that one must not be skipped.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

use super::listener::{Listener, Transport};
use crate::config::ListenConfig;

/// An address on which we cannot listen.
#[derive(Debug)]
pub struct Refused {
    /// The option that names it.
    pub option: &'static str,
    /// Which.
    pub address: SocketAddr,
    /// Why.
    pub error: io::Error,
}

/// Opens all addresses of the configuration for these listeners.
///
/// # Errors
/// All addresses that cannot be opened. Nothing is listening then.
pub fn bind<S>(
    table: &'static [Listener<S>],
    listen: &ListenConfig,
) -> Result<Vec<(&'static Listener<S>, TcpListener)>, Vec<Refused>> {
    bind_with(table, listen, open)
}

fn bind_with<S, L>(
    table: &'static [Listener<S>],
    listen: &ListenConfig,
    mut open: impl FnMut(SocketAddr, bool) -> io::Result<L>,
) -> Result<Vec<(&'static Listener<S>, L)>, Vec<Refused>> {
    let (mut listeners, mut refused) = (Vec::new(), Vec::new());
    let mut with_tls = Vec::new();
    for listener in table {
        let Listener { option, .. } = *listener;
        let addresses = (listener.addresses)(listen);
        let before = listeners.len();
        let mut absent = Vec::new();
        for &address in addresses {
            // Each port with TLS serves whatever its clients ask for, so the first row can have it for both.
            let is_tls = matches!(listener.transport, Transport::Tls(_)) && address.port() > 0;
            if is_tls && with_tls.contains(&address) {
                continue;
            }
            with_tls.extend(is_tls.then_some(address));
            match open(address, addresses.iter().any(SocketAddr::is_ipv4)) {
                Ok(socket) => listeners.push((listener, socket)),
                Err(error) if is_absent(&error) => absent.push((address, error)),
                Err(error) => refused.push(Refused { option, address, error }),
            }
        }
        for (address, error) in absent {
            let has_other =
                listeners.len() > before && addresses.iter().any(|o| covers(o, &address));
            if has_other {
                tracing::info!(%address, "this machine does not have this kind of address: skipped");
            } else if address.is_ipv6() && address.ip().is_unspecified() {
                // All interfaces: those of IPv4 are all that there are.
                let instead = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
                tracing::info!(%address, %instead, "this machine has no IPv6");
                match open(instead, true) {
                    Ok(socket) => listeners.push((listener, socket)),
                    Err(error) => refused.push(Refused { option, address: instead, error }),
                }
            } else {
                refused.push(Refused { option, address, error });
            }
        }
    }
    if refused.is_empty() { Ok(listeners) } else { Err(refused) }
}

/// Whether `other` is the same place in the other family: `localhost` means both kinds of address, as
/// "all interfaces" does, and many machines have only one kind.
fn covers(other: &SocketAddr, absent: &SocketAddr) -> bool {
    let (a, b) = (other.ip(), absent.ip());
    let is_same = a.is_loopback() && b.is_loopback() || a.is_unspecified() && b.is_unspecified();
    is_same && a.is_ipv4() != b.is_ipv4() && other.port() == absent.port()
}

/// Whether the machine has no such address, or no address of this family.
fn is_absent(error: &io::Error) -> bool {
    let no_family = error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
    no_family
        || matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
}

/// Opens one address. The queue is long: after a restart all clients come back at once, and a short
/// queue costs them whole seconds of SYN retries.
fn open(address: SocketAddr, only_v6: bool) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => {
            let socket = TcpSocket::new_v6()?;
            // Beside an IPv4 address of the same port, `[::]` must not mean both.
            rustix::net::sockopt::set_ipv6_v6only(&socket, only_v6)?;
            socket
        }
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { option, address, error } = self;
        write!(f, "cannot listen on {address} ({option}): ")?;
        match error.kind() {
            io::ErrorKind::AddrInUse => write!(f, "another program has this port"),
            io::ErrorKind::PermissionDenied if address.port() < 1024 => {
                write!(f, "a port below 1024 needs a privilege (CAP_NET_BIND_SERVICE)")
            }
            _ if !is_absent(error) => write!(f, "{error}"),
            io::ErrorKind::AddrNotAvailable => {
                write!(f, "this machine does not have this address")
            }
            _ if address.is_ipv6() => write!(f, "this machine has no IPv6"),
            _ => write!(f, "this machine has no IPv4"),
        }
    }
}

const BACKLOG: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    static TABLE: &[Listener<()>] = &[Listener {
        name: "starttls",
        option: "listen.c2s",
        addresses: |listen| &listen.c2s,
        transport: Transport::Plain,
        serve: |(), _| Box::pin(std::future::ready(())),
    }];

    /// Opens on a machine that has these addresses, and answers what was opened or refused.
    fn opened(listen: &str, has: &[&str], no_family: bool) -> Result<Vec<String>, String> {
        let text =
            format!("[listen]\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n{listen}\n");
        let config = Config::parse(&text, "test").unwrap();
        let done = bind_with(TABLE, &config.listen, |address, _| match address {
            _ if address.port() == 1 => Err(io::ErrorKind::PermissionDenied.into()),
            _ if address.port() == 2 => Err(io::ErrorKind::AddrInUse.into()),
            _ if has.contains(&address.ip().to_string().as_str()) => Ok(address.to_string()),
            _ if no_family => {
                Err(io::Error::from_raw_os_error(rustix::io::Errno::AFNOSUPPORT.raw_os_error()))
            }
            _ => Err(io::ErrorKind::AddrNotAvailable.into()),
        });
        let lines =
            |all: Vec<Refused>| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        done.map(|all| all.into_iter().map(|(_, address)| address).collect()).map_err(lines)
    }

    const OLD: &[&str] = &["0.0.0.0", "127.0.0.1", "192.0.2.7"];
    const NEW: &[&str] = &["::", "::1"];

    #[test]
    fn a_machine_without_ipv6_serves_ipv4() {
        for no_family in [true, false] {
            let all = opened("c2s = \"[::]:5222\"", OLD, no_family);
            assert_eq!(all.unwrap(), ["0.0.0.0:5222"]);
            let all = opened("c2s = 5222", OLD, no_family);
            assert_eq!(all.unwrap(), ["0.0.0.0:5222"]);
            let both = opened("c2s = [\"[::]:5222\", \"0.0.0.0:5222\"]", OLD, no_family);
            assert_eq!(both.unwrap(), ["0.0.0.0:5222"]);
            let local = opened("c2s = [\"127.0.0.1:5222\", \"[::1]:5222\"]", OLD, no_family);
            assert_eq!(local.unwrap(), ["127.0.0.1:5222"]);
        }
    }

    #[test]
    fn a_machine_without_ipv4_serves_ipv6() {
        let local = opened("c2s = [\"127.0.0.1:5222\", \"[::1]:5222\"]", NEW, true);
        assert_eq!(local.unwrap(), ["[::1]:5222"]);
        assert_eq!(opened("c2s = 5222", NEW, true).unwrap(), ["[::]:5222"]);
        let only = opened("c2s = \"127.0.0.1:5222\"", NEW, true).unwrap_err();
        assert!(only.ends_with("this machine has no IPv4"), "{only}");
    }

    #[test]
    fn an_address_that_is_not_there_is_refused() {
        let only = opened("c2s = \"[::1]:5222\"", OLD, true).unwrap_err();
        assert_eq!(only, "cannot listen on [::1]:5222 (listen.c2s): this machine has no IPv6");
        for address in ["[2001:db8::7]:5222", "198.51.100.7:5222"] {
            let listen = format!("c2s = [\"192.0.2.7:5222\", \"{address}\"]");
            let foreign = opened(&listen, OLD, false).unwrap_err();
            assert!(foreign.ends_with("this machine does not have this address"), "{foreign}");
        }
        // An address with another port does not replace it.
        let other = opened("c2s = [\"127.0.0.1:5222\", \"[::1]:5233\"]", OLD, true).unwrap_err();
        assert!(other.starts_with("cannot listen on [::1]:5233"), "{other}");
    }

    #[test]
    fn all_that_cannot_be_opened_is_told() {
        let text = "c2s = [\"0.0.0.0:1\", \"0.0.0.0:2\", \"198.51.100.7:5222\", \"[::]:5223\"]";
        let all = opened(text, OLD, false).unwrap_err();
        let told: Vec<_> = all.lines().map(|line| line.split_once("): ").unwrap().1).collect();
        let expected = [
            "a port below 1024 needs a privilege (CAP_NET_BIND_SERVICE)",
            "another program has this port",
            "this machine does not have this address",
        ];
        assert_eq!(told, expected, "{all}");
    }
}

//! Pages of web sites, over HTTPS with a certificate that is valid for the site (RFC 7711 §3).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{ACCEPT, HOST, LOCATION, USER_AGENT};
use axum::http::{Request, StatusCode, Uri};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::super::resolve::Resolve;
use crate::config::StaticHost;

/// How web sites are reached.
pub(super) struct Sites<'a> {
    pub(super) resolver: &'a dyn Resolve,
    /// Where the web sites of some domains are. They may be in a network of ours.
    pub(super) fixed: &'a [StaticHost],
    pub(super) tls: Arc<ClientConfig>,
}

/// The address of a page.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Page {
    /// The site, in ASCII.
    host: String,
    path: String,
}

/// What comes of a question.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Answer {
    Document(Bytes),
    /// It is at this address.
    Moved(String),
}

impl Page {
    /// The page of a domain (RFC 7711 §3, RFC 7712 §5.2).
    pub(super) fn of(domain: &str) -> Result<Self, &'static str> {
        let host = idna::domain_to_ascii(domain).map_err(|_| "this is no domain")?;
        Ok(Self { host, path: "/.well-known/posh/xmpp-server.json".to_owned() })
    }

    /// The page at an address that this one names. Only HTTPS at its own port, and no IP addresses.
    pub(super) fn join(&self, address: &str) -> Result<Self, &'static str> {
        const BAD: &str = "the web site leads to an address that is not allowed";
        let uri: Uri = address.parse().map_err(|_| BAD)?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let Some(authority) = uri.authority() else {
            // Of the same site.
            return match path.starts_with('/') && !path.starts_with("//") {
                true => Ok(Self { host: self.host.clone(), path }),
                false => Err(BAD),
            };
        };
        let is_fine = uri.scheme_str() == Some("https")
            && authority.port_u16().is_none_or(|port| port == PORT)
            && !authority.as_str().contains('@')
            && !authority.host().starts_with('[')
            && authority.host().parse::<IpAddr>().is_err();
        let host = idna::domain_to_ascii(authority.host()).map_err(|_| BAD)?;
        if is_fine { Ok(Self { host, path }) } else { Err(BAD) }
    }
}

impl Sites<'_> {
    /// Asks for a page. No longer than its caller waits.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(super) async fn get(&self, page: &Page) -> Result<Answer, &'static str> {
        let name = ServerName::try_from(page.host.clone()).map_err(|_| "this is no domain")?;
        let tcp = self.connect(&page.host).await?;
        let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await;
        let tls = tls.map_err(|error| {
            tracing::debug!(host = page.host, %error, "no TLS with a web site");
            "the certificate of the web site is not valid"
        })?;
        let failed = |error: hyper::Error| {
            tracing::debug!(host = page.host, %error, "a web site has failed");
            "the web site has failed"
        };
        let (mut sender, connection) =
            http1::handshake::<_, Body>(TokioIo::new(tls)).await.map_err(failed)?;
        let request = Request::get(&page.path)
            .header(HOST, &page.host)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, "Waxwing")
            .body(Body::empty())
            .map_err(|_| "the web site leads to an address that is not allowed")?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(failed)?;
            match answer.status() {
                StatusCode::OK => {
                    let body = to_bytes(Body::new(answer.into_body()), MOST_BYTES).await;
                    let body = body.map_err(|_| "the document of the web site is too long")?;
                    Ok(Answer::Document(body))
                }
                status if status.is_redirection() => {
                    let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
                    let to = to.ok_or("the web site leads nowhere")?;
                    Ok(Answer::Moved(to.to_owned()))
                }
                _ => Err("the web site has no document for it"),
            }
        };
        let driven = async {
            // It ends when the answer was read, or lost.
            drop(connection.await);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = exchange => answer,
            () = driven => Err("the web site has failed"),
        }
    }

    /// Connects to a site: where the configuration says, or where the DNS says, if that is a public address.
    async fn connect(&self, host: &str) -> Result<TcpStream, &'static str> {
        let is_it = |fixed: &&StaticHost| {
            idna::domain_to_ascii(&fixed.domain).is_ok_and(|ascii| ascii == host)
        };
        let places: Vec<_> = match self.fixed.iter().find(is_it) {
            Some(fixed) => vec![fixed.address],
            None => {
                let found = self.resolver.addresses(host).await;
                let found = found.map_err(|_| "the DNS does not answer for the web site")?;
                let public = found.into_iter().filter(|ip| is_public(*ip));
                public.take(MOST_ADDRESSES).map(|ip| SocketAddr::new(ip, PORT)).collect()
            }
        };
        for place in places {
            if let Ok(stream) = TcpStream::connect(place).await {
                return Ok(stream);
            }
        }
        Err("the web site cannot be reached")
    }
}

/// Whether the address belongs to a machine in the public network. Others could be machines beside ours, which must not get
/// requests that strangers have thought of.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_documentation()
                || matches!(
                    (a, b, c),
                    (0 | 224.., ..) | (100, 64..=127, _) | (192, 0, 0) | (198, 18 | 19, _)
                ))
        }
        // Global unicast, without those ranges that contain or lead to others.
        IpAddr::V6(ip) => match ip.segments() {
            [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] => false,
            [first, ..] => (0x2000..=0x3fff).contains(&first),
        },
    }
}

const PORT: u16 = 443;
/// Bytes of a document.
const MOST_BYTES: usize = 64 * 1024;
/// Addresses of a site that are tried.
const MOST_ADDRESSES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_leads_only_to_web_sites() {
        let page = Page::of("münchen.example").unwrap();
        assert_eq!(page.host, "xn--mnchen-3ya.example");
        assert_eq!(page.path, "/.well-known/posh/xmpp-server.json");
        let to = |host: &str, path: &str| Ok(Page { host: host.into(), path: path.into() });
        assert_eq!(page.join("https://B.example/x?y=1#z"), to("b.example", "/x?y=1"));
        assert_eq!(page.join("https://b.example:443"), to("b.example", "/"));
        assert_eq!(page.join("/other.json"), to("xn--mnchen-3ya.example", "/other.json"));
        for bad in [
            "",
            "http://b.example/",
            "ftp://b.example/",
            "file:///etc/passwd",
            "//b.example/",
            "other.json",
            "https://",
            "https://b.example:22/",
            "https://romeo@b.example/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://b.example/\r\nX: y",
        ] {
            assert!(page.join(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn machines_beside_ours_get_no_requests() {
        for public in
            ["192.0.3.1", "8.8.8.8", "100.63.0.1", "2a00::1", "::ffff:8.8.8.8", "2001:200::1"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for other in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.168.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2002:7f00:1::",
        ] {
            assert!(!is_public(other.parse().unwrap()), "{other}");
        }
    }
}

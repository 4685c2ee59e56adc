//! A server for DNS with a table, on a port of the loopback interface (RFC 1035, over UDP).

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

/// The server. It ends with the test.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    table: Arc<Mutex<Table>>,
}

/// The data of the records of each name and type.
type Table = HashMap<(String, u16), Vec<Vec<u8>>>;

impl NameServer {
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let table = Arc::new(Mutex::new(Table::new()));
        let shared = Arc::clone(&table);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let answer = answer(&buffer[..length], &shared.lock().unwrap());
                if let Some(answer) = answer {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        Self { address, table }
    }

    pub(crate) fn a(&self, name: &str, ip: Ipv4Addr) {
        self.add(name, A, ip.octets().to_vec());
    }

    pub(crate) fn aaaa(&self, name: &str, ip: Ipv6Addr) {
        self.add(name, AAAA, ip.octets().to_vec());
    }

    pub(crate) fn srv(&self, name: &str, port: u16, target: &str) {
        let mut data = vec![0, 0, 0, 5];
        data.extend(port.to_be_bytes());
        for label in target.split('.').filter(|label| !label.is_empty()) {
            data.push(u8::try_from(label.len()).unwrap());
            data.extend(label.as_bytes());
        }
        data.push(0);
        self.add(name, SRV, data);
    }

    /// A record `3 1 1`.
    pub(crate) fn tlsa(&self, name: &str, hash: &[u8]) {
        self.remove(name, TLSA);
        self.add(name, TLSA, [&[3, 1, 1], hash].concat());
    }

    /// The zone is signed.
    pub(crate) fn ds(&self, zone: &str) {
        self.add(zone, DS, [&[0, 1, 13, 2][..], &[7; 32]].concat());
    }

    /// A zone begins at this name.
    pub(crate) fn soa(&self, zone: &str) {
        self.add(zone, SOA, [&[0, 0][..], &[0; 20]].concat());
    }

    fn remove(&self, name: &str, kind: u16) {
        self.table.lock().unwrap().remove(&(name.to_owned(), kind));
    }

    fn add(&self, name: &str, kind: u16, data: Vec<u8>) {
        self.table.lock().unwrap().entry((name.to_owned(), kind)).or_default().push(data);
    }
}

/// The answer to a query with one question. `None`: it is none.
fn answer(query: &[u8], table: &Table) -> Option<Vec<u8>> {
    let (mut name, mut at) = (String::new(), 12);
    while *query.get(at)? > 0 {
        let length = usize::from(query[at]);
        let label = std::str::from_utf8(query.get(at + 1..at + 1 + length)?).ok()?;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&label.to_ascii_lowercase());
        at += 1 + length;
    }
    let kind = u16::from_be_bytes([*query.get(at + 1)?, *query.get(at + 2)?]);
    let question = query.get(12..at + 5)?;
    let is_known = table.keys().any(|(known, _)| *known == name);
    let records = table.get(&(name, kind)).map(Vec::as_slice).unwrap_or_default();
    let mut out = query[..2].to_vec();
    // An answer, recursion, and NXDOMAIN if the name has nothing at all.
    out.extend([0x81, if is_known { 0x80 } else { 0x83 }, 0, 1]);
    out.extend(u16::try_from(records.len()).unwrap().to_be_bytes());
    out.extend([0; 4]);
    out.extend(question);
    for data in records {
        // The name stands in the question, at byte 12. One minute.
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 60]);
        out.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        out.extend(data);
    }
    Some(out)
}

const A: u16 = 1;
const SOA: u16 = 6;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const DS: u16 = 43;
const TLSA: u16 = 52;

//! The network origin of a connection, as budgets count it.

use std::net::{IpAddr, Ipv4Addr};

/// An IPv4 address, or an IPv6 /64, which is the smallest network that one customer has.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Origin {
    V4(Ipv4Addr),
    V6([u8; 8]),
}

impl Origin {
    pub(super) fn of(address: IpAddr) -> Self {
        // A socket for both families reports IPv4 addresses as ::ffff:192.0.2.1.
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn an_address_of_ipv6_is_its_network_and_a_mapped_one_is_ipv4() {
        let of = |address: &str| Origin::of(address.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.66"), of("192.0.2.66"));
    }
}

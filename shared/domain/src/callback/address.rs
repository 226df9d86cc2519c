//! Which addresses a callback may go to: those of the public internet, and nothing that only our own network can reach.
//!
//! Follows the special-purpose registries of IANA for IPv4 and IPv6. An address that carries another one inside (mapped,
//! NAT64, 6to4, Teredo) is refused whatever is inside: nobody needs to be reached that way.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Decides about addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Guard {
    /// Whether loopback and private addresses may be called, which only a laptop wants. Link-local addresses and those
    /// where clouds keep their metadata stay closed.
    pub allow_private: bool,
}

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address is not one of the public internet")]
pub struct Forbidden;

/// What kind an address is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Public,
    /// Loopback or private: open only where that is allowed.
    Private,
    /// Never called.
    Special,
}

impl Guard {
    /// Whether a callback may go to this address.
    ///
    /// # Errors
    /// [`Forbidden`].
    pub const fn check(self, address: IpAddr) -> Result<(), Forbidden> {
        let kind = match address {
            IpAddr::V4(address) => kind_of_v4(address),
            IpAddr::V6(address) => kind_of_v6(address),
        };
        match kind {
            Kind::Public => Ok(()),
            Kind::Private if self.allow_private => Ok(()),
            Kind::Private | Kind::Special => Err(Forbidden),
        }
    }
}

const fn kind_of_v4(address: Ipv4Addr) -> Kind {
    match address.octets() {
        // Private networks and loopback.
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] => Kind::Private,
        // This network; shared address space of carriers; link-local, where metadata services are.
        [0, ..] | [100, 64..=127, ..] | [169, 254, ..] => Kind::Special,
        // Protocol assignments (with another metadata service), documentation, AS112, AMT, the 6to4 relay.
        [192, 0, 0 | 2, _] | [192, 31, 196, _] | [192, 52, 193, _] | [192, 88, 99, _] | [192, 175, 48, _] => {
            Kind::Special
        }
        // Benchmarking and documentation.
        [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => Kind::Special,
        // A cloud's internal service on a public address.
        [168, 63, 129, 16] => Kind::Special,
        // Multicast, reserved, broadcast.
        [224..=255, ..] => Kind::Special,
        _ => Kind::Public,
    }
}

const fn kind_of_v6(address: Ipv6Addr) -> Kind {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Private,
        // The metadata service of a cloud, in the midst of the unique local addresses.
        [0xfd00, 0x0ec2, ..] => Kind::Special,
        [0xfc00..=0xfdff, ..] => Kind::Private,
        // Only global unicast addresses are left to be public, without the parts of it that have other uses: IETF protocol
        // assignments (Teredo, benchmarking, ORCHID and more), documentation, 6to4, AS112.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => Kind::Special,
        [0x2620, 0x004f, 0x8000, ..] => Kind::Special,
        [0x2000..=0x3fff, ..] => Kind::Public,
        // Unspecified, v4-mapped, v4-compatible, NAT64, discard-only, segment routing, link-local, site-local, multicast,
        // and whatever is not assigned yet.
        _ => Kind::Special,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn check(address: &str, allow_private: bool) -> bool {
        Guard { allow_private }.check(address.parse().unwrap()).is_ok()
    }

    #[rstest]
    #[case::before_this_network_ends("1.0.0.0")]
    #[case::resolver("8.8.8.8")]
    #[case::below_private("9.255.255.255")]
    #[case::above_private("11.0.0.0")]
    #[case::below_shared("100.63.255.255")]
    #[case::above_shared("100.128.0.0")]
    #[case::below_loopback("126.255.255.255")]
    #[case::above_loopback("128.0.0.1")]
    #[case::below_link_local("169.253.255.255")]
    #[case::above_link_local("169.255.0.0")]
    #[case::below_private_12("172.15.255.255")]
    #[case::above_private_12("172.32.0.0")]
    #[case::between_assignments("192.0.1.1")]
    #[case::below_private_16("192.167.255.255")]
    #[case::above_private_16("192.169.0.0")]
    #[case::below_benchmark("198.17.255.255")]
    #[case::above_benchmark("198.20.0.0")]
    #[case::last_unicast("223.255.255.255")]
    #[case::v6("2606:4700:4700::1111")]
    #[case::v6_above_assignments("2001:200::1")]
    #[case::v6_google("2001:4860:4860::8888")]
    #[case::v6_above_documentation("3fff:1000::1")]
    fn public_address_is_called(#[case] address: &str) {
        assert!(check(address, false) && check(address, true));
    }

    #[rstest]
    #[case::private_8("10.0.0.0")]
    #[case::private_8_end("10.255.255.255")]
    #[case::loopback("127.0.0.1")]
    #[case::loopback_end("127.255.255.254")]
    #[case::private_12("172.16.0.1")]
    #[case::private_12_end("172.31.255.255")]
    #[case::private_16("192.168.0.1")]
    #[case::loopback_v6("::1")]
    #[case::unique_local("fc00::1")]
    #[case::unique_local_end("fdff:ffff::1")]
    fn private_address_is_called_only_where_that_is_allowed(#[case] address: &str) {
        assert!(!check(address, false));
        assert!(check(address, true));
    }

    /// The special-purpose registries, range by range: each its first and its last address.
    #[rstest]
    #[case::this_network("0.0.0.0", "0.255.255.255")]
    #[case::shared_address_space("100.64.0.0", "100.127.255.255")]
    #[case::link_local("169.254.0.0", "169.254.255.255")]
    #[case::metadata("169.254.169.254", "169.254.170.2")]
    #[case::protocol_assignments("192.0.0.0", "192.0.0.255")]
    #[case::metadata_of_another_cloud("192.0.0.192", "100.100.100.200")]
    #[case::internal_service_of_a_third("168.63.129.16", "168.63.129.16")]
    #[case::documentation_1("192.0.2.0", "192.0.2.255")]
    #[case::as112_v4("192.31.196.0", "192.31.196.255")]
    #[case::amt("192.52.193.0", "192.52.193.255")]
    #[case::relay_of_6to4("192.88.99.0", "192.88.99.255")]
    #[case::direct_delegation_as112("192.175.48.0", "192.175.48.255")]
    #[case::benchmarking("198.18.0.0", "198.19.255.255")]
    #[case::documentation_2("198.51.100.0", "198.51.100.255")]
    #[case::documentation_3("203.0.113.0", "203.0.113.255")]
    #[case::multicast("224.0.0.0", "239.255.255.255")]
    #[case::reserved("240.0.0.0", "255.255.255.254")]
    #[case::broadcast("255.255.255.255", "255.255.255.255")]
    #[case::unspecified("::", "::")]
    #[case::compatible("::2", "::ffff:ffff")]
    #[case::compatible_private("::10.0.0.1", "::127.0.0.1")]
    #[case::mapped("::ffff:0:0", "::ffff:ffff:ffff")]
    #[case::mapped_private("::ffff:127.0.0.1", "::ffff:169.254.169.254")]
    #[case::mapped_public("::ffff:8.8.8.8", "::ffff:1.1.1.1")]
    #[case::translated("::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8")]
    #[case::nat64("64:ff9b::", "64:ff9b::ffff:ffff")]
    #[case::nat64_of_metadata("64:ff9b::169.254.169.254", "64:ff9b::10.0.0.1")]
    #[case::local_nat64("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff")]
    #[case::discard_only("100::", "100::ffff:ffff:ffff:ffff")]
    #[case::dummy_prefix("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff")]
    #[case::protocol_assignments_v6("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff")]
    #[case::teredo("2001::1", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff")]
    #[case::benchmarking_v6("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff")]
    #[case::orchid("2001:10::", "2001:1f:ffff::")]
    #[case::orchid_2("2001:20::", "2001:2f:ffff::")]
    #[case::documentation_v6("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")]
    #[case::of_6to4("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]
    #[case::of_6to4_loopback("2002:7f00:1::", "2002:a9fe:a9fe::")]
    #[case::as112_v6("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff")]
    #[case::documentation_v6_long("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff")]
    #[case::segment_routing("5f00::", "5f00:ffff::")]
    #[case::metadata_v6("fd00:ec2::254", "fd00:ec2::23")]
    #[case::link_local_v6("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]
    #[case::site_local("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]
    #[case::multicast_v6("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]
    #[case::not_assigned("4000::", "fbff:ffff::")]
    fn special_address_is_never_called(#[case] first: &str, #[case] last: &str) {
        for address in [first, last] {
            assert!(!check(address, false), "{address}");
            assert!(!check(address, true), "{address} where private ones are allowed");
        }
    }
}

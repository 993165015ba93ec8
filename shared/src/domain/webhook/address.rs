//! Addresses to which requests may be sent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Networks that are not public, from the registries of special-purpose addresses of IANA.
/// <https://www.iana.org/assignments/iana-ipv4-special-registry>
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>
const NOT_PUBLIC: [&str; 24] = [
    // This network, private networks, shared address space of providers, loopback, link-local with
    // the metadata services of clouds.
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    // Protocol assignments, documentation, AS112, 6to4 relays, AMT, benchmarks.
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    // Wire Server of Azure, which answers from each virtual machine.
    "168.63.129.16/32",
    // Multicast, reserved, broadcast.
    "224.0.0.0/4",
    "240.0.0.0/4",
    // Within the global unicast addresses of version 6: protocol assignments such as Teredo,
    // documentation, 6to4, AS112.
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
];

static NETWORKS: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    NOT_PUBLIC
        .iter()
        .filter_map(|net| net.parse().ok())
        .collect()
});

/// Global unicast addresses of version 6. All others, such as loopback, link-local, unique local,
/// multicast and translated addresses, are not public.
static UNICAST: LazyLock<Option<Ipv6Net>> = LazyLock::new(|| "2000::/3".parse().ok());

/// Whether an address belongs to a host on the internet. An IPv4-mapped address is checked as the
/// address that it contains. Other addresses that contain one (NAT64, 6to4, Teredo) are not public,
/// because a network may translate them.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => address
            .to_ipv4_mapped()
            .map_or_else(|| is_public_v6(address), is_public_v4),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_special = |net: &Ipv4Net| net.contains(&address);
    !NETWORKS
        .iter()
        .any(|net| matches!(net, IpNet::V4(net) if is_special(net)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let is_special = |net: &Ipv6Net| net.contains(&address);
    UNICAST.is_some_and(|unicast| unicast.contains(&address))
        && !NETWORKS
            .iter()
            .any(|net| matches!(net, IpNet::V6(net) if is_special(net)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn public(address: &str) -> bool {
        is_public(address.parse().unwrap())
    }

    #[test]
    fn every_network_of_the_table_is_read() {
        assert_eq!(NETWORKS.len(), NOT_PUBLIC.len());
        assert!(UNICAST.is_some());
    }

    #[rstest]
    #[case::unspecified("0.0.0.0")]
    #[case::private_10("10.0.0.1")]
    #[case::shared("100.64.0.1")]
    #[case::last_shared("100.127.255.255")]
    #[case::loopback("127.0.0.1")]
    #[case::other_loopback("127.255.255.254")]
    #[case::metadata("169.254.169.254")]
    #[case::metadata_of_containers("169.254.170.2")]
    #[case::private_172("172.31.255.255")]
    #[case::private_192("192.168.1.1")]
    #[case::documentation("203.0.113.7")]
    #[case::benchmarks("198.19.255.255")]
    #[case::wire_server("168.63.129.16")]
    #[case::multicast("224.0.0.1")]
    #[case::reserved("240.0.0.1")]
    #[case::broadcast("255.255.255.255")]
    #[case::unspecified_v6("::")]
    #[case::loopback_v6("::1")]
    #[case::compatible("::127.0.0.1")]
    #[case::mapped_loopback("::ffff:127.0.0.1")]
    #[case::mapped_metadata("::ffff:169.254.169.254")]
    #[case::translated("::ffff:0:127.0.0.1")]
    #[case::nat64_of_private("64:ff9b::10.0.0.1")]
    #[case::nat64_of_public("64:ff9b::1.1.1.1")]
    #[case::local_nat64("64:ff9b:1::1")]
    #[case::six_to_four("2002:7f00:1::1")]
    #[case::teredo("2001:0:53aa:64c::1")]
    #[case::documentation_v6("2001:db8::1")]
    #[case::new_documentation_v6("3fff::1")]
    #[case::unique_local("fd00:ec2::254")]
    #[case::link_local("fe80::1")]
    #[case::site_local("fec0::1")]
    #[case::multicast_v6("ff02::1")]
    #[case::not_assigned("4000::1")]
    fn addresses_inside_a_network_are_not_public(#[case] address: &str) {
        assert!(!public(address), "{address}");
    }

    #[rstest]
    #[case("1.1.1.1")]
    #[case("9.255.255.255")]
    #[case("11.0.0.0")]
    #[case("100.63.255.255")]
    #[case("100.128.0.0")]
    #[case("172.15.255.255")]
    #[case("172.32.0.0")]
    #[case("192.0.1.1")]
    #[case("223.255.255.255")]
    #[case("2606:4700:4700::1111")]
    #[case("2a00:1450::1")]
    #[case::mapped("::ffff:1.1.1.1")]
    fn addresses_of_hosts_on_the_internet_are_public(#[case] address: &str) {
        assert!(public(address), "{address}");
    }
}

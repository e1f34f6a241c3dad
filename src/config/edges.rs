//! The last value that is taken and the first that is not, for every key with an edge. What is taken, the
//! schema takes too.

use crate::{read, schema};
use vmnet_access::name::NetName;

/// Is `key = value` taken, and if not, is that the only mistake?
fn takes(key: &str, value: &str) -> bool {
    // A small MTU is for a network without IPv6.
    let text = match key {
        "mtu" => format!("{key} = {value}\nsubnet6 = 'none'\n"),
        _ => format!("{key} = {value}\n"),
    };
    let result = read(NetName::new("lab").unwrap(), "f", &text);
    assert!(result.is_err() || schema::objections(&text).is_empty(), "{:?}", schema::objections(&text));
    if let Err(mistakes) = &result {
        assert_eq!(mistakes.len(), 1, "{key} = {value}: {mistakes:?}");
    }
    result.is_ok()
}

fn all_taken(key: &str, values: &[&str]) {
    for value in values {
        assert!(takes(key, value), "{key} = {value} is refused");
    }
}

fn none_taken(key: &str, values: &[&str]) {
    for value in values {
        assert!(!takes(key, value), "{key} = {value} is taken");
    }
}

#[test]
fn packets_are_from_576_to_65535_bytes() {
    all_taken("mtu", &["576", "65535", "0x5dc", "+1500", "'auto'"]);
    none_taken("mtu", &["575", "65536", "-1500", "4294968796", "1500.0", "'Auto'", "'1500'"]);
}

#[test]
fn a_lease_is_from_two_minutes_to_ten_years_or_for_ever() {
    all_taken("dhcp.lease_time", &["'120s'", "'2m'", "'1h'", "'3650d'", "'infinite'"]);
    none_taken(
        "dhcp.lease_time",
        &[
            "'119s'",
            "'1m'",
            "'0d'",
            "'3651d'",
            "'87601h'",
            "'99999999999999999999d'",
            "'2'",
            "'h'",
            "''",
            "'+2m'",
            "'2é'",
            "'1h30m'",
        ],
    );
}

#[test]
fn a_dhcp_option_has_a_name_or_a_number_and_fits_a_line_of_dnsmasqs() {
    let longest = "a".repeat(798);
    all_taken(
        "dhcp.options",
        &[
            "[]",
            "['1']",
            "['254,x']",
            "['option:router']",
            "['option:ntp-server,10.0.1.1']",
            &format!("['6,{longest}']"),
        ],
    );
    none_taken(
        "dhcp.options",
        &[
            "['0,x']",
            "['255,x']",
            "['+6,x']",
            "['']",
            "[',x']",
            "['option:']",
            "['option:,x']",
            "['option:a b,x']",
            "['option6:ntp-server,x']",
            "[\"6,a\\nb\"]",
            "[\"6,\\u007f\"]",
            "['6,é']",
            "[' 6,x']",
            &format!("['6,{longest}a']"),
        ],
    );
}

#[test]
fn a_domain_is_labels_of_letters_digits_and_inner_hyphens() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
    all_taken(
        "dns.domain",
        &["'lab'", "'a-b.7.X'", &format!("'{label}'"), &format!("'{longest}'"), "'local.internal'"],
    );
    none_taken(
        "dns.domain",
        &[
            "''",
            "'.'",
            "'lab.'",
            "'.lab'",
            "'a..b'",
            "'-a'",
            "'a-'",
            "'a_b'",
            "'a b'",
            "'é'",
            "'local'",
            "'x.LOCAL'",
            "'localhost'",
            &format!("'{label}a'"),
            &format!("'{longest}a'"),
        ],
    );
}

#[test]
fn a_subnet_has_room_and_is_for_hosts() {
    all_taken(
        "subnet",
        &[
            "'auto'",
            "'10.0.0.0/8'",
            "'10.0.1.248/29'",
            "'1.0.0.0/8'",
            "'126.0.0.0/8'",
            "'128.0.0.0/8'",
            "'223.255.255.0/24'",
        ],
    );
    none_taken(
        "subnet",
        &[
            "'10.0.0.0/7'",
            "'10.0.1.248/30'",
            "'0.0.0.0/8'",
            "'127.0.0.0/29'",
            "'169.254.0.0/16'",
            "'169.254.200.0/24'",
            "'169.0.0.0/8'",
            "'224.0.0.0/8'",
            "'255.255.255.248/29'",
            "'10.0.1.0'",
            "'10.0.1.0/24 '",
            "'10.0.1.5/24'",
            "''",
        ],
    );
}

#[test]
fn a_mac_address_is_one_interfaces_own() {
    all_taken("mac", &["'02:00:00:12:34:56'", "'52:54:00:AB:cd:ef'", "'00:00:00:00:00:01'"]);
    none_taken(
        "mac",
        &["'03:00:00:12:34:56'", "'ff:ff:ff:ff:ff:ff'", "'00:00:00:00:00:00'", "'02-00-00-12-34-56'", "''"],
    );
}

#[test]
fn an_uplink_is_one_interface_that_nftables_can_name() {
    all_taken("nat.uplink", &["'eth0'", "'eth0.7'", "'wg-x@1'", "'fifteen-letters'"]);
    none_taken(
        "nat.uplink",
        &["''", "'sixteen-letters-'", "'eth*'", "'a b'", "'a\"b'", "'a\\b'", "'é'", "'lab'", "'..'"],
    );
}

#[test]
fn servers_and_sources_are_addresses_somebody_can_have() {
    all_taken("dns.upstream", &["[]", "['127.0.0.53']", "['::1', '9.9.9.9']"]);
    none_taken(
        "dns.upstream",
        &[
            "['0.0.0.0']",
            "['::']",
            "['224.0.0.251']",
            "['ff02::fb']",
            "['255.255.255.255']",
            "['9.9.9.9:53']",
        ],
    );
    all_taken("nat.source", &["'203.0.113.9'", "'10.0.0.7'"]);
    none_taken("nat.source", &["'0.0.0.0'", "'127.0.0.1'", "'224.0.0.1'", "'255.255.255.255'", "'::1'"]);
}

#[test]
fn an_idle_network_stays_for_a_second_to_a_month_or_for_ever() {
    all_taken("idle", &["'keep'", "'down'", "'1s'", "'90m'", "'30d'", "'720h'"]);
    none_taken("idle", &["'0s'", "'31d'", "'721h'", "'Keep'", "'10'", "''", "'10 m'", "600", "true"]);
}

#[test]
fn a_rate_is_from_8_kbit_to_1000_gbit() {
    for key in ["limits.from_guest", "limits.to_guest"] {
        all_taken(key, &["'8kbit'", "'1kbyte'", "'50mbit'", "'1mbyte'", "'1000gbit'", "'125000mbyte'"]);
        none_taken(
            key,
            &[
                "'7kbit'",
                "'0mbit'",
                "'1001gbit'",
                "'125001mbyte'",
                "'99999999999999999999gbit'",
                "'1.5gbit'",
                "'50Mbit'",
                "'50 mbit'",
                "'50mbps'",
                "'mbit'",
                "'-1mbit'",
                "'50'",
                "50",
            ],
        );
    }
}

#[test]
fn an_ipv6_prefix_has_64_bits_that_are_for_hosts() {
    all_taken("subnet6", &["'auto'", "'fd00::/64'", "'2001:db8:0:7::/64'", "'FD00:0:0:1::/64'"]);
    none_taken(
        "subnet6",
        &[
            "'fd00::/63'",
            "'fd00::/65'",
            "'fd00::1/64'",
            "'fd00::'",
            "'::/64'",
            "'::1/64'",
            "'::ffff:10.0.0.1/64'",
            "'fe80::/64'",
            "'febf::/64'",
            "'ff02::/64'",
            "'10.0.1.0/24'",
            "'off'",
            "''",
        ],
    );
}

#[test]
fn further_subnets_are_fixed_and_apart() {
    all_taken("more_subnets", &["[]", "['10.9.0.0/16', '10.8.0.0/16']", "['10.9.0.248/29']"]);
    none_taken(
        "more_subnets",
        &["['auto']", "['10.9.0.1/24']", "['10.9.0.0/16', '10.9.7.0/24']", "'10.9.0.0/16'"],
    );
}

#[test]
fn another_network_is_named_as_it_is_called() {
    all_taken("allow_from", &["[]", "['lab2', 'a_b.c-d']"]);
    none_taken("allow_from", &["['lab']", "['a', 'a']", "['a/b']", "['']", "['-a']", "'lab2'"]);
}

#[test]
fn a_switchs_directory_has_room_for_the_names_of_its_sockets() {
    let longest = format!("/{}", "a".repeat(89));
    all_taken("vde.socket", &["'/run/vde'", "'/run/my vde/'", &format!("'{longest}'")]);
    none_taken("vde.socket", &["''", "'/'", "'//'", "'vde'", "\"/a\\nb\"", &format!("'{longest}a'"), "true"]);
}

#[test]
fn a_console_has_a_path_that_fits_a_sockets_address() {
    let longest = format!("/{}", "a".repeat(106));
    all_taken("vde.mgmt_socket", &["'/run/vde.mgmt'", &format!("'{longest}'")]);
    none_taken(
        "vde.mgmt_socket",
        &["''", "'/'", "'/run/'", "'vde.mgmt'", "\"/a\\nb\"", &format!("'{longest}a'"), "1"],
    );
}

#[test]
fn a_group_is_one_that_the_system_can_have() {
    let longest = "a".repeat(32);
    all_taken("vde.group", &["'vde2-net'", "'_x.7'", "'7a'", &format!("'{longest}'")]);
    none_taken("vde.group", &["''", "'7'", "'-a'", "'a:b'", "'a b'", "'é'", &format!("'{longest}a'"), "7"]);
}

#[test]
fn a_sockets_mode_lets_its_owner_in_and_makes_nothing_executable() {
    all_taken("vde.mode", &["'0660'", "'660'", "'0600'", "'0666'", "'0642'"]);
    none_taken(
        "vde.mode",
        &["''", "'0'", "'060'", "'0460'", "'0770'", "'0661'", "'2660'", "'00660'", "'0680'", "'+660'", "660"],
    );
}

#[test]
fn a_switch_has_from_1_to_1000_ports() {
    all_taken("vde.ports", &["1", "1000", "0x20"]);
    none_taken("vde.ports", &["0", "1001", "-1", "'32'", "32.0"]);
}

/// Is the section taken whose one line is not given here?
fn takes_line(section: &str, line: &str) -> bool {
    let text = format!("isolated = true\n[[{section}]]\n{line}\n");
    let result = read(NetName::new("lab").unwrap(), "f", &text);
    assert!(result.is_err() || schema::objections(&text).is_empty(), "{:?}", schema::objections(&text));
    result.is_ok()
}

#[test]
fn a_guest_has_a_name_that_dns_knows() {
    let longest = "a".repeat(63);
    for good in ["web", "WEB", "a", "7a", "a-1", longest.as_str()] {
        assert!(takes_line("host", &format!("mac = '02:00:00:00:00:01'\nname = '{good}'")), "{good}");
    }
    let too_long = "a".repeat(64);
    for bad in ["", "7", "a.b", "a_b", "-a", "a-", "é", "Gateway", "localhost", too_long.as_str()] {
        assert!(!takes_line("host", &format!("mac = '02:00:00:00:00:01'\nname = '{bad}'")), "{bad}");
    }
}

#[test]
fn a_forward_listens_on_ports_of_an_address() {
    for good in ["1", "65535", "0x50", "'80'", "'80-90'", "'192.0.2.1:80'", "'0.0.0.0:80'", "'[::]:80-81'"] {
        assert!(takes_line("forward", &format!("to = 'web'\nlisten = {good}")), "{good}");
    }
    for bad in
        ["0", "'0'", "65536", "-1", "'80-79'", "'80,81'", "'::1:80'", "'eth0:80'", "'224.0.0.1:80'", "''"]
    {
        assert!(!takes_line("forward", &format!("to = 'web'\nlisten = {bad}")), "{bad}");
    }
}

#[test]
fn a_link_leads_to_ports_of_a_protocol() {
    for good in ["80", "'80'", "'80/tcp'", "'53/udp'", "'53/tcp+udp'", "'1-65535/udp'"] {
        assert!(takes_line("link", &format!("from = 'a'\nto = 'b'\nports = [{good}]")), "{good}");
    }
    for bad in ["", "0", "'0'", "65536", "'80/'", "'/tcp'", "'80/sctp'", "'9-8'", "'web:80'"] {
        assert!(!takes_line("link", &format!("from = 'a'\nto = 'b'\nports = [{bad}]")), "{bad}");
    }
}

/// Is a range taken in 10.0.1.0/24 with the bridge at .100?
fn takes_range(range: &str) -> bool {
    let text = format!("subnet = '10.0.1.0/24'\naddress = '10.0.1.100'\ndhcp.range = '{range}'\n");
    read(NetName::new("lab").unwrap(), "f", &text).is_ok()
}

#[test]
fn a_range_is_hosts_of_the_subnet_without_the_bridge() {
    for good in ["10.0.1.1-10.0.1.99", "10.0.1.101-10.0.1.254", "10.0.1.7-10.0.1.7", "10.0.1.7 - 10.0.1.9"] {
        assert!(takes_range(good), "{good}");
    }
    for bad in [
        "10.0.1.0-10.0.1.99",
        "10.0.1.101-10.0.1.255",
        "10.0.0.255-10.0.1.9",
        "10.0.1.1-10.0.1.100",
        "10.0.1.100-10.0.1.101",
        "10.0.1.9-10.0.1.7",
        "10.0.1.7",
        "10.0.1.7-",
        "10.0.1.7-9",
    ] {
        assert!(!takes_range(bad), "{bad}");
    }
}

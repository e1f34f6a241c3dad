//! Properties over generated files: whatever the text, reading ends with places that are in it; and
//! whatever the network, writing it down and reading it again gives the same one.

use crate::read;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use std::fmt::{Display, Write};
use std::net::{IpAddr, Ipv4Addr};
use vmnet_model::mac::MacAddr;
use vmnet_model::name::{IfName, NetName};
use vmnet_model::network::{Dhcp, DhcpRange, Dns, HostAccess, LeaseTime, Mode, Nat, Network, SubnetChoice};
use vmnet_model::subnet::Subnet;

fn lab() -> NetName {
    NetName::new("lab").unwrap()
}

/// Text that is nearly a network's file: its words in any order, and noise.
fn nearly_a_file() -> impl Strategy<Value = String> {
    let words = [
        "mode",
        "subnet",
        "address",
        "mac",
        "mtu",
        "range",
        "options",
        "upstream",
        "domain",
        "lease_time",
        "forward",
        "mtuu",
        "source",
        "uplink",
        "dhcp",
        "dns",
        "nat",
        "=",
        " = ",
        "\n",
        "\n",
        "\r\n",
        "[",
        "]",
        "[[",
        "]]",
        ".",
        ",",
        "{",
        "}",
        "\"",
        "'",
        "\"\"\"",
        "#",
        "\"nat\"",
        "nat",
        "true",
        "yes",
        "1500",
        "-1",
        "0xff",
        "1e9",
        "99999999999999999999999",
        "10.0.1.0/24",
        "\"10.0.1.0/24\"",
        "\"10.0.1.1\"",
        "1979-05-27",
        "\"1h\"",
        "\\",
        "\u{feff}",
        "é",
        "\u{202e}",
        "\0",
        "\x1b",
        "\t",
    ];
    prop_oneof![
        vec(prop::sample::select(words.to_vec()), 0..40).prop_map(|words| words.concat()),
        any::<String>(),
        "(\\PC|[\n\r\t=\"'\\[\\]#])*",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn whatever_the_text_each_mistake_lies_in_it_and_is_one_clean_line(text in nearly_a_file()) {
        let lines: Vec<_> = text.split('\n').collect();
        let mistakes = read(lab(), "f", &text).err();
        prop_assert!(mistakes.as_ref().is_none_or(|m| !m.is_empty()));
        let mut before = (0, 0);
        for mistake in mistakes.into_iter().flatten() {
            prop_assert!((1..=lines.len()).contains(&mistake.line), "{}", mistake);
            let width = lines[mistake.line - 1].chars().count();
            prop_assert!((1..=width + 1).contains(&mistake.column), "{}", mistake);
            prop_assert!(before <= (mistake.line, mistake.column), "out of order: {}", mistake);
            before = (mistake.line, mistake.column);
            let printed = format!("{mistake}{}", mistake.hint.as_deref().unwrap_or_default());
            prop_assert!(!printed.contains(|c: char| c.is_control() || c == '\u{202e}'), "{:?}", printed);
        }
    }
}

#[test]
fn a_long_hostile_file_is_answered_too() {
    let hostile =
        ["a=\n", "[x]\n", "[", "{", "\"\n", "x=[1.1,", "a.", "mtu = 1 1\n", "1.1.1,", " [x]\n", "k"];
    for text in hostile.map(|piece| piece.repeat(65536 / piece.len())) {
        for start in ["", "x = ["] {
            assert!(read(lab(), "f", &format!("{start}{text}")).is_err());
        }
    }
}

/// A subnet, and three addresses of it in order that differ.
fn addresses() -> impl Strategy<Value = (Subnet, [Ipv4Addr; 3])> {
    let bases = prop::sample::select(vec![[10, 0], [172, 16], [192, 168], [100, 64], [198, 51]]);
    (bases, any::<u16>(), 8_u8..=29, 0_u32..2, 1_u32..3, 1_u32..3).prop_map(
        |([a, b], low, length, skip, second, third)| {
            let [c, d] = low.to_be_bytes();
            let subnet = Subnet::around(Ipv4Addr::new(a, b, c, d), length);
            let one = u32::from(subnet.first_host()) + skip;
            (subnet, [one, one + second, one + second + third].map(Ipv4Addr::from))
        },
    )
}

/// Subnet, address, range: with a fixed subnet or none of the three.
fn placed() -> impl Strategy<Value = (SubnetChoice, Option<Ipv4Addr>, Option<DhcpRange>)> {
    let fixed =
        (addresses(), any::<bool>(), any::<bool>()).prop_map(|((subnet, [a, b, c]), below, ranged)| {
            let (own, first, last) = if below { (a, b, c) } else { (c, a, b) };
            (SubnetChoice::Fixed(subnet), Some(own), ranged.then_some(DhcpRange { first, last }))
        });
    prop_oneof![Just((SubnetChoice::Auto, None, None)), fixed]
}

fn dhcp() -> impl Strategy<Value = Dhcp> {
    let lease_time =
        prop_oneof![Just(LeaseTime::Infinite), (120_u32..=315_360_000).prop_map(LeaseTime::Seconds)];
    let option = prop_oneof!["option:[a-z0-9-]{1,20}(,[ -~]{0,80})?", "[1-9][0-9]?(,[ -~]{0,80})?"];
    (any::<bool>(), lease_time, vec(option, 0..4)).prop_map(|(enabled, lease_time, options)| Dhcp {
        enabled,
        range: None,
        lease_time,
        options,
    })
}

fn dns() -> impl Strategy<Value = Dns> {
    let server = prop_oneof![
        (1_u32..0xdfff_ffff).prop_map(|n| IpAddr::V4(n.into())),
        any::<[u16; 7]>().prop_map(|[a, b, c, d, e, f, g]| IpAddr::V6([0x2001, a, b, c, d, e, f, g].into())),
    ];
    let domain = "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z0-9]{1,9}){0,2}\\.internal";
    (of(domain), vec(server, 0..4)).prop_map(|(domain, upstream)| Dns { domain, upstream })
}

fn nat() -> impl Strategy<Value = Nat> {
    let source = (0x0b00_0000_u32..0x7eff_ffff).prop_map(Ipv4Addr::from);
    let uplink = "[a-z0-9][a-z0-9.@_-]{0,13}[0-9]".prop_map(|name| IfName::new(name.as_bytes()).unwrap());
    (of(source), of(uplink)).prop_map(|(source, uplink)| Nat { source, uplink })
}

fn networks() -> impl Strategy<Value = Network> {
    let modes = prop::sample::select(vec![Mode::Nat, Mode::Routed, Mode::Isolated]);
    let host_access = prop::sample::select(vec![HostAccess::None, HostAccess::Services, HostAccess::All]);
    let mac = of(any::<[u8; 5]>().prop_map(|[a, b, c, d, e]| MacAddr([0x52, a, b, c, d, e])));
    let plain = (modes, mac, 576_u32..=65535, any::<[bool; 2]>(), host_access);
    (plain, placed(), dhcp(), dns(), nat()).prop_map(
        |(
            (mode, mac, mtu, [on_demand, isolated], host_access),
            (subnet, address, range),
            dhcp,
            mut dns,
            nat,
        )| {
            dns.upstream.retain(|server| address.is_none_or(|own| *server != IpAddr::V4(own)));
            Network {
                name: lab(),
                mode,
                subnet,
                address,
                mac,
                mtu,
                on_demand,
                isolated,
                host_access,
                dhcp: Dhcp { range, ..dhcp },
                dns,
                nat: if mode == Mode::Nat { nat } else { Nat::default() },
            }
        },
    )
}

fn quoted(text: impl Display) -> String {
    format!("\"{}\"", text.to_string().replace('\\', "\\\\").replace('"', "\\\""))
}

fn list<T: Display>(items: &[T]) -> String {
    format!("[{}]", items.iter().map(quoted).collect::<Vec<_>>().join(", "))
}

/// The network's file, each key in it that has a value.
fn written(network: &Network) -> String {
    let mut out = String::new();
    let mut line = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            writeln!(out, "{key} = {value}").unwrap();
        }
    };
    line("mode", Some(quoted(network.mode.as_str())));
    line(
        "subnet",
        match network.subnet {
            SubnetChoice::Auto => None,
            SubnetChoice::Fixed(subnet) => Some(quoted(subnet)),
        },
    );
    line("address", network.address.map(quoted));
    line("mac", network.mac.map(quoted));
    line("mtu", Some(network.mtu.to_string()));
    line("on_demand", Some(network.on_demand.to_string()));
    line("isolated", Some(network.isolated.to_string()));
    let host_access = match network.host_access {
        HostAccess::None => "none",
        HostAccess::Services => "services",
        HostAccess::All => "all",
    };
    line("host_access", Some(quoted(host_access)));
    line("dhcp.enabled", Some(network.dhcp.enabled.to_string()));
    line("dhcp.range", network.dhcp.range.map(|r| quoted(format!("{}-{}", r.first, r.last))));
    line(
        "dhcp.lease_time",
        Some(match network.dhcp.lease_time {
            LeaseTime::Infinite => quoted("infinite"),
            LeaseTime::Seconds(seconds) => quoted(format!("{seconds}s")),
        }),
    );
    line("dhcp.options", Some(list(&network.dhcp.options)));
    line("dns.domain", network.dns.domain.as_ref().map(quoted));
    line("dns.upstream", Some(list(&network.dns.upstream)));
    line("nat.source", network.nat.source.map(quoted));
    line("nat.uplink", network.nat.uplink.as_ref().map(quoted));
    out
}

proptest! {
    #[test]
    fn a_network_written_down_reads_back_as_the_same(network in networks()) {
        let text = written(&network);
        prop_assert_eq!(read(lab(), "f", &text), Ok(network), "{}", text);
    }
}

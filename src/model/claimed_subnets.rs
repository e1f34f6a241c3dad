//! Which subnets the files of other network managers claim, up or down: libvirt, LXC, Docker.
//! Each reader takes the file's text and picks out what it knows; anything else it passes over,
//! because a stranger's file is a hint where not to go and never a reason to fail.

use crate::subnet::Subnet;
use std::net::Ipv4Addr;

/// What `lxc-net` takes when its file names no network (`/usr/libexec/lxc/lxc-net`).
const LXC_DEFAULT: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 0, 3, 0), 24);

/// The subnets of a libvirt network (`/etc/libvirt/qemu/networks/NAME.xml`): every IPv4 `<ip>` with
/// its `netmask` or `prefix`, or else its class's length as libvirt has it
/// (<https://libvirt.org/formatnetwork.html>).
#[must_use]
pub fn libvirt_network(xml: &str) -> Vec<Subnet> {
    let text = without_comments(xml);
    text.split("<ip")
        .skip(1)
        .filter(|rest| rest.starts_with(char::is_whitespace))
        .filter_map(ip_element)
        .collect()
}

/// The subnet of `lxc-net` (`/etc/default/lxc-net`): `LXC_NETWORK`, or its own default where only
/// `USE_LXC_BRIDGE="true"` is said.
#[must_use]
pub fn lxc_net(shell_defaults: &str) -> Option<Subnet> {
    let value = |key: &str| {
        let lines = shell_defaults.lines().rev().map(str::trim_start);
        lines
            .filter_map(|line| line.strip_prefix("export ").unwrap_or(line).trim_start().strip_prefix(key))
            .find_map(|rest| {
                let word = rest.strip_prefix('=')?.split([' ', '\t', '#', ';']).next()?;
                Some(word.trim_matches(['"', '\'']))
            })
    };
    match value("LXC_NETWORK") {
        Some(network) => cidr(network),
        None => {
            (value("USE_LXC_BRIDGE") == Some("true")).then(|| Subnet::around(LXC_DEFAULT.0, LXC_DEFAULT.1))
        }
    }
}

/// The subnets of Docker's daemon (`/etc/docker/daemon.json`): its bridge (`bip`, `fixed-cidr`) and
/// the pools for its networks (`base` in `default-address-pools`).
#[must_use]
pub fn docker_daemon(json: &str) -> Vec<Subnet> {
    let mut found = Vec::new();
    let mut key = "";
    let mut rest = json;
    while let Some((string, after)) = next_string(rest) {
        if after.trim_start().starts_with(':') {
            key = string;
        } else if matches!(key, "bip" | "fixed-cidr" | "base") {
            found.extend(cidr(string));
        }
        rest = after;
    }
    found
}

/// `ADDRESS/LENGTH`, host bits allowed.
fn cidr(text: &str) -> Option<Subnet> {
    let (address, length) = text.split_once('/')?;
    let length: u8 = length.parse().ok().filter(|n| *n <= 32)?;
    Some(Subnet::around(address.parse().ok()?, length))
}

fn without_comments(xml: &str) -> String {
    let mut parts = xml.split("<!--");
    let head = parts.next().unwrap_or_default().to_owned();
    parts.filter_map(|part| part.split_once("-->")).fold(head, |text, (_, after)| text + after)
}

/// One `<ip …>`, from behind its name.
fn ip_element(mut rest: &str) -> Option<Subnet> {
    let (mut address, mut length) = (None::<Ipv4Addr>, None);
    loop {
        rest = rest.trim_start();
        if rest.is_empty() || rest.starts_with(['>', '/', '<']) {
            break;
        }
        let (name, after) = rest.split_once('=')?;
        let quote = after.trim_start().chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, after) = after.trim_start().strip_prefix(quote)?.split_once(quote)?;
        match name.trim() {
            "family" if value != "ipv4" => return None,
            "address" => address = Some(value.parse().ok()?),
            "prefix" => length = Some(value.parse().ok().filter(|n| *n <= 32)?),
            "netmask" => length = Some(prefix_of(value.parse().ok()?)?),
            _ => {}
        }
        rest = after;
    }
    let address = address?;
    Some(Subnet::around(address, length.unwrap_or_else(|| class_length(address))))
}

/// The length of a netmask whose ones are all in front.
fn prefix_of(netmask: Ipv4Addr) -> Option<u8> {
    let bits = u32::from(netmask);
    let length = bits.leading_ones();
    if bits.count_ones() == length { u8::try_from(length).ok() } else { None }
}

/// The network part of a class A, B or C address (RFC 791).
fn class_length(address: Ipv4Addr) -> u8 {
    let [first, ..] = address.octets();
    match first {
        0..=127 => 8,
        128..=191 => 16,
        _ => 24,
    }
}

/// The next JSON string, still escaped, and what follows its closing quote.
fn next_string(json: &str) -> Option<(&str, &str)> {
    let (_, text) = json.split_once('"')?;
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let closing = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closing
    })?;
    Some((text.get(..end)?, text.get(end..)?.strip_prefix('"')?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nets(found: impl IntoIterator<Item = Subnet>) -> Vec<String> {
        found.into_iter().map(|s| s.to_string()).collect()
    }

    #[test]
    fn a_libvirt_network_has_every_ipv4_address_it_names() {
        let xml = "<network><name>default</name><!-- <ip address='9.9.9.9' prefix='8'/> -->
            <ip address='192.168.122.1' netmask='255.255.255.0'><dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp></ip>
            <ip\n  prefix = \"20\" localPtr='yes' family=\"ipv4\" address = \"172.20.1.1\" />
            <ip family='ipv6' address='fd00::1' prefix='64'/><ip address='fd01::1' family='ipv6' prefix='8'/>
            <ipnot address='8.8.8.8' prefix='8'/><ip address='10.1.2.3'/></network>";
        assert_eq!(nets(libvirt_network(xml)), ["192.168.122.0/24", "172.20.0.0/20", "10.0.0.0/8"]);
    }

    #[test]
    fn a_broken_libvirt_file_claims_nothing() {
        for xml in [
            "<ip address='10.0.0.1' netmask='255.0.255.0'/>",
            "<ip address='10.0.0.1' prefix='33'/>",
            "<ip address='10.0.0' prefix='8'/>",
            "<ip address='10.0.0.1",
            "<ip address=10.0.0.1 prefix=8>",
            "<ip ",
            "<!-- <ip address='10.0.0.1'/>",
        ] {
            assert_eq!(libvirt_network(xml), [], "{xml}");
        }
    }

    #[test]
    fn lxcs_last_word_counts() {
        let text = "# LXC_NETWORK=\"10.9.9.0/24\"\nLXC_NETWORK=10.0.4.0/24\nexport LXC_NETWORK='10.0.5.0/24' # mine\n#LXC_NETWORK=\"10.0.6.0/24\"\n";
        assert_eq!(nets(lxc_net(text)), ["10.0.5.0/24"]);
        assert_eq!(lxc_net("LXC_NETWORK_X=\"10.0.5.0/24\"\nLXC_NETWORK=\"\"\n"), None);
    }

    #[test]
    fn debians_lxc_file_means_the_default() {
        assert_eq!(nets(lxc_net("USE_LXC_BRIDGE=\"true\"\n")), ["10.0.3.0/24"]);
        assert_eq!(lxc_net("USE_LXC_BRIDGE=\"false\"\n"), None);
    }

    #[test]
    fn docker_claims_its_bridge_and_its_pools() {
        let json = r#"{"bip": "192.168.99.1/24", "log-opts": {"tag": "a \"bip\": 1.2.3.0/24"},
            "default-address-pools" : [{"base":"10.200.0.0/16","size":24}, {"size":24, "base" :
            "172.30.0.0/16"}], "fixed-cidr": "192.168.99.128/25", "fixed-cidr-v6": "fd00::/64"}"#;
        let want = ["192.168.99.0/24", "10.200.0.0/16", "172.30.0.0/16", "192.168.99.128/25"];
        assert_eq!(nets(docker_daemon(json)), want);
        assert_eq!(
            docker_daemon(r#"{"bip": "192.168.99.1/33", "base": "x/8", "dns": "8.8.8.0/24", "bip": "10."#),
            []
        );
    }

    fn around() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[<>ip/='\" \\-!a-z0-9.:{}\\[\\]\\\\,#\n]{0,80}"]
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_fail_or_name_host_bits(text in around()) {
            let libvirt = libvirt_network(&text);
            let docker = docker_daemon(&text);
            for net in libvirt.into_iter().chain(docker).chain(lxc_net(&text)) {
                prop_assert_eq!(net.to_string().parse(), Ok(net));
            }
        }

        #[test]
        fn what_is_written_is_found(bits in any::<u32>(), length in 1_u8..=32, quote in "['\"]", order in any::<bool>()) {
            let address = Ipv4Addr::from(bits);
            let (a, b) = (format!("address={quote}{address}{quote}"), format!("prefix={quote}{length}{quote}"));
            let (a, b) = if order { (a, b) } else { (b, a) };
            let want = Subnet::around(address, length);
            prop_assert_eq!(libvirt_network(&format!("<network><ip {a}\t{b}></ip></network>")), [want]);
            prop_assert_eq!(docker_daemon(&format!("{{\"bip\":\n\"{address}/{length}\"}}")), [want]);
            prop_assert_eq!(lxc_net(&format!("X=1\nLXC_NETWORK={quote}{address}/{length}{quote}\n")), Some(want));
        }
    }
}

use super::*;
use proptest::prelude::*;

fn forward(listen: &str, to: &str, protocol: &str) -> Result<Forward, ForwardError> {
    Forward::new(listen.parse()?, to.parse()?, protocol.parse()?)
}

#[test]
fn what_is_written_is_read_back() {
    for (listen, to) in [
        ("8080", "web:80"),
        ("0", "web:80"),
        ("8000-8010", "10.0.1.5"),
        ("192.0.2.1:80", "02:00:00:00:00:01:8080"),
        ("[2001:db8::1]:80", "[fd00::5]:8080"),
        ("0.0.0.0:80-81", "web:90-91"),
        ("[::]:80", "fd00::5"),
    ] {
        let forward = forward(listen, to, "tcp").unwrap();
        assert_eq!((forward.listen.to_string(), forward.to.to_string()), (listen.into(), to.into()));
    }
}

#[test]
fn what_cannot_work_is_refused() {
    for (listen, to, why) in [
        ("", "web", ForwardError::Ports),
        ("80-79", "web", ForwardError::Backwards),
        ("0-3", "web", ForwardError::Ports),
        ("65536", "web", ForwardError::Ports),
        ("+80", "web", ForwardError::Ports),
        ("eth0:80", "web", ForwardError::Address),
        ("::1:80", "web", ForwardError::Address),
        ("[::1]:80", "web", ForwardError::Loopback6),
        ("80", "web:0", ForwardError::Zero),
        ("80", "", ForwardError::Guest),
        ("80", "[10.0.1.1]:80", ForwardError::Guest),
        ("80", "web:80-81", ForwardError::Sizes),
        ("0.0.0.0:80", "fd00::5", ForwardError::Families),
    ] {
        assert_eq!(forward(listen, to, "tcp"), Err(why), "{listen} {to}");
    }
    assert_eq!(forward("80", "web", "sctp"), Err(ForwardError::Protocol));
}

#[test]
fn two_forwards_fight_only_over_an_address_a_port_and_a_protocol() {
    let fight = |one: (&str, &str), other: (&str, &str)| {
        let (a, b) = (forward(one.0, "a", one.1).unwrap(), forward(other.0, "b", other.1).unwrap());
        assert_eq!(a.overlaps(&b), b.overlaps(&a));
        a.overlaps(&b)
    };
    assert!(fight(("80", "tcp"), ("192.0.2.1:80", "tcp+udp")));
    assert!(fight(("80-90", "tcp"), ("90-99", "tcp")));
    assert!(fight(("0.0.0.0:80", "tcp"), ("192.0.2.1:80", "tcp")));
    assert!(!fight(("0.0.0.0:80", "tcp"), ("[2001:db8::1]:80", "tcp")));
    assert!(!fight(("192.0.2.1:80", "tcp"), ("192.0.2.2:80", "tcp")));
    assert!(!fight(("80", "tcp"), ("80", "udp")));
    assert!(!fight(("80", "tcp"), ("81", "tcp")));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_fall_over(text in "\\PC{0,40}") {
        let _ = (text.parse::<Listen>(), text.parse::<Target>(), text.parse::<Ports>());
    }
}

#[test]
fn each_fault_says_what_to_write_instead() {
    for (listen, to, protocol, words) in [
        ("80", "web", "sctp", "not a protocol: write tcp, udp or tcp+udp"),
        ("0-3", "web", "tcp", "not a port from 1 to 65535 or a range such as 8000-8010"),
        ("80-79", "web", "tcp", "the range ends before it begins"),
        (
            "[ff02::1]:80",
            "web",
            "tcp",
            "not an address and a port such as 192.0.2.1:8080 or [2001:db8::1]:8080",
        ),
        ("[::1]:80", "web", "tcp", "the kernel takes no answer for ::1 from another link: forward 127.0.0.1"),
        ("80", "-", "tcp", "not a guest's name, MAC or address"),
        ("80", "web:0-1", "tcp", "not a port from 1 to 65535 or a range such as 8000-8010"),
        ("80", "web:0", "tcp", "port 0 has no meaning here"),
        ("80", "web:80-81", "tcp", "the two ranges of ports are not of one size"),
        ("[::]:80", "10.0.0.1", "tcp", "it listens on one family of addresses and leads to the other"),
    ] {
        assert_eq!(forward(listen, to, protocol).unwrap_err().to_string(), words);
    }
    assert_eq!("224.0.0.1:80".parse::<Listen>(), Err(ForwardError::Address));
    assert_eq!("[10.0.0.1]:80".parse::<Listen>(), Err(ForwardError::Address));
    assert_eq!("fd00::5:80:".parse::<Target>(), Err(ForwardError::Guest), "brackets are missing");
}

#[test]
fn a_range_has_both_of_its_ends() {
    for (ports, count) in [("80", 1), ("80-81", 2), ("1-65535", 65535)] {
        assert_eq!(ports.parse::<Ports>().map(Ports::count), Ok(count));
    }
    assert_eq!("80".parse(), Ok(Ports::one(80)));
}

#[test]
fn ports_that_are_not_given_stay_the_same() {
    let ports = |to| forward("8000-8002", to, "tcp").unwrap().target_ports().to_string();
    assert_eq!((ports("web"), ports("web:9000-9002")), ("8000-8002".to_owned(), "9000-9002".to_owned()));
    assert_eq!(forward("80", "web:443", "udp").unwrap().to_string(), "udp 80 to web:443");
}

/// Every address that matters here, with its family.
const ADDRESSES: [&str; 4] = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"];

/// All that a place to listen takes, one by one.
fn taken(listen: Listen, protocol: Protocol) -> Vec<(IpAddr, u16, &'static str)> {
    let of_family = |address: IpAddr| match listen.address {
        None => true,
        Some(own) if own.is_unspecified() => own.is_ipv4() == address.is_ipv4(),
        Some(own) => own == address,
    };
    let addresses: Vec<IpAddr> =
        ADDRESSES.map(|a| a.parse().unwrap()).into_iter().filter(|a| of_family(*a)).collect();
    let protocols: &[&str] = match protocol {
        Protocol::Tcp => &["tcp"],
        Protocol::Udp => &["udp"],
        Protocol::Both => &["tcp", "udp"],
    };
    let mut all = Vec::new();
    for address in addresses {
        for port in listen.ports.first..=listen.ports.last {
            all.extend(protocols.iter().map(|protocol| (address, port, *protocol)));
        }
    }
    all
}

fn listen() -> impl Strategy<Value = Listen> {
    let unspecified = ["0.0.0.0", "::"];
    let addresses: Vec<Option<IpAddr>> =
        ADDRESSES.iter().chain(&unspecified).map(|a| Some(a.parse().unwrap())).chain([None]).collect();
    (prop::sample::select(addresses), 1u16..6, 0u16..3)
        .prop_map(|(address, first, more)| Listen { address, ports: Ports { first, last: first + more } })
}

fn target() -> impl Strategy<Value = Who> {
    let all = ["web", "02:00:00:00:00:01", "10.0.1.5", "fd00::5"];
    prop::sample::select(all.to_vec()).prop_map(|who| who.parse().unwrap())
}

proptest! {
    #[test]
    fn two_overlap_where_some_packet_is_for_both(
        one in listen(), other in listen(),
        protocols in (prop::sample::select(&Protocol::ALL[..]), prop::sample::select(&Protocol::ALL[..])),
    ) {
        let of = |listen, protocol| Forward::new(listen, "web".parse().unwrap(), protocol).unwrap();
        let (a, b) = (of(one, protocols.0), of(other, protocols.1));
        let theirs = taken(other, protocols.1);
        let both = taken(one, protocols.0).iter().any(|packet| theirs.contains(packet));
        prop_assert_eq!(a.overlaps(&b), both, "{} and {}", a, b);
    }

    #[test]
    fn every_forward_that_fits_is_read_back_as_it_is_written(
        listen in listen(), who in target(), moved in proptest::option::of(0u16..5), more in 0u16..3,
        protocol in prop::sample::select(&Protocol::ALL[..]),
    ) {
        let ports = moved.map(|by| Ports { first: 100 + by, last: 100 + by + more });
        let made = Forward::new(listen, Target { who: who.clone(), ports }, protocol);
        let sizes = more == listen.ports.last - listen.ports.first || ports.is_none();
        let families = match (&who, listen.address) {
            (Who::Address(_), Some(address)) => address.is_ipv4(),
            (Who::Address6(_), Some(address)) => address.is_ipv6(),
            _ => true,
        };
        prop_assert_eq!(made.is_ok(), sizes && families);
        if let Ok(made) = made {
            let again = forward(&made.listen.to_string(), &made.to.to_string(), protocol.as_str());
            prop_assert_eq!(again, Ok(made));
        }
    }
}

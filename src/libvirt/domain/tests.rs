//! What domains ask for, understood or refused.

use super::*;
use proptest::prelude::*;

const MAC: &str = "52:54:00:00:00:01";

fn element(name: &str, attributes: &[(&str, &str)], children: Vec<Element>) -> Element {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Element { name: name.to_owned(), attributes: attributes.collect(), children }
}

fn on(bridge: &str, mac: &str) -> ToldInterface {
    ToldInterface { bridge: Some(bridge.to_owned()), mac: Some(mac.to_owned()) }
}

fn undecided(mac: &str) -> ToldInterface {
    ToldInterface { bridge: None, mac: Some(mac.to_owned()) }
}

fn wants(
    interfaces: &[ToldInterface],
    metadata: Vec<Element>,
    moment: HookPhase,
) -> Result<Vec<Want>, Mistake> {
    let told = Told { uuid: String::new(), interfaces: interfaces.to_vec(), metadata };
    Domain::understand(&told)?.wants(moment)
}

fn complaint(metadata: Element) -> String {
    wants(&[on("lab", MAC)], vec![metadata], HookPhase::Start).expect_err("it makes sense").to_string()
}

#[test]
fn a_uuid_is_a_files_name_and_nothing_else_is() {
    let text = "08C9CDFB-35ee-44a2-bd60-b88f503b3d6c";
    assert_eq!(DomainId::new(text).unwrap().to_string(), text.to_lowercase());
    for bad in ["", "../../etc/passwd", &text[1..], &format!("{text}0"), &text.replace('-', "/")] {
        assert_eq!(DomainId::new(bad), None, "{bad}");
    }
}

#[test]
fn a_name_and_forwards_are_for_the_interface_on_that_network() {
    let forward = element("forward", &[("listen", "8080"), ("to", "80")], vec![]);
    let dns = element("forward", &[("listen", "127.0.0.1:53"), ("protocol", "udp")], vec![]);
    let lab = element("network", &[("name", "lab"), ("host", "Web")], vec![forward, dns]);
    let interfaces = [on("br0", "52:54:00:00:00:02"), on("lab", MAC)];
    let wants = wants(&interfaces, vec![lab], HookPhase::Prepare).unwrap();
    let [want] = wants.as_slice() else { panic!("{wants:?}") };
    assert_eq!((want.network.as_str(), want.mac), ("lab", MAC.parse().unwrap()));
    assert_eq!(want.host, Some(("web".to_owned(), None)));
    let forwards: Vec<String> = want.forwards.iter().map(ToString::to_string).collect();
    assert_eq!(forwards, ["tcp 8080 to web:80", "udp 127.0.0.1:53 to web"]);
}

#[test]
fn a_guest_without_a_name_is_found_by_its_mac() {
    let forward = element("forward", &[("listen", "2222"), ("to", "22")], vec![]);
    let lab = element("network", &[("name", "lab")], vec![forward]);
    let wants = wants(&[on("lab", MAC)], vec![lab], HookPhase::Prepare).unwrap();
    assert_eq!(wants[0].host, None);
    assert_eq!(wants[0].forwards[0].to_string(), format!("tcp 2222 to {MAC}:22"));
}

#[test]
fn several_networks_stand_in_one_element() {
    let one = element("network", &[("name", "lab"), ("host", "a")], vec![]);
    let long = NetName::new("a-rather-long-project-name").unwrap();
    let other = element("network", &[("name", long.as_str()), ("host", "b")], vec![]);
    let both = element("networks", &[], vec![one, other]);
    let bridge = long.bridge().to_string();
    let interfaces = [on("lab", MAC), on(&bridge, "52:54:00:00:00:02"), on("lab", "52:54:00:00:00:03")];
    assert!(wants(&interfaces, vec![both.clone()], HookPhase::Start).is_err(), "two are on lab");
    let wants = wants(&interfaces[..2], vec![both], HookPhase::Start).unwrap();
    let names: Vec<&str> = wants.iter().map(|want| want.network.as_str()).collect();
    assert_eq!(names, ["lab", long.as_str()]);
}

#[test]
fn of_two_interfaces_on_one_network_the_mac_says_which() {
    let lab = element("network", &[("name", "lab"), ("host", "a"), ("mac", "52:54:00:00:00:03")], vec![]);
    let interfaces = [on("lab", MAC), on("lab", "52:54:00:00:00:03")];
    let twice = wants(&interfaces, vec![lab.clone(), lab.clone()], HookPhase::Start);
    assert!(twice.unwrap_err().to_string().contains("twice"));
    let wants = wants(&interfaces, vec![lab], HookPhase::Start).unwrap();
    assert_eq!(wants[0].mac.to_string(), "52:54:00:00:00:03");
}

#[test]
fn what_is_asked_for_an_interface_without_a_bridge_waits_until_it_has_one() {
    let lab = || vec![element("network", &[("name", "lab"), ("host", "a")], vec![])];
    assert_eq!(wants(&[undecided(MAC)], lab(), HookPhase::Prepare), Ok(vec![]));
    assert!(wants(&[undecided(MAC)], lab(), HookPhase::Start).is_err());
    assert!(wants(&[on("br0", MAC)], lab(), HookPhase::Prepare).is_err(), "nothing can come of it");
}

#[test]
fn what_makes_no_sense_is_said() {
    let network = |attributes: &[(&str, &str)], children| element("network", attributes, children);
    let forward = |attributes: &[(&str, &str)]| {
        element("network", &[("name", "lab")], vec![element("forward", attributes, vec![])])
    };
    for (metadata, words) in [
        (element("domain", &[], vec![]), "<domain> is not <network>"),
        (network(&[], vec![]), "<network> has no name"),
        (network(&[("name", "a/b")], vec![]), "<network name=\"a/b\">: "),
        (network(&[("name", "other")], vec![]), "no interface is on the bridge other"),
        (network(&[("name", "lab"), ("mac", "52:54:00:00:00:09")], vec![]), "with the MAC 52:54:00:00:00:09"),
        (network(&[("name", "lab"), ("hots", "a")], vec![]), "<network> has no attribute hots"),
        (network(&[("name", "lab"), ("host", "a.b")], vec![]), "host=\"a.b\""),
        (network(&[("name", "lab"), ("address", "10.0.1.9")], vec![]), "say its name"),
        (network(&[("name", "lab"), ("host", "a"), ("address", "10.0.1")], vec![]), "address=\"10.0.1\""),
        (network(&[("name", "lab")], vec![element("alias", &[], vec![])]), "<alias> has no place"),
        (forward(&[]), "<forward> has no listen"),
        (forward(&[("listen", "80"), ("from", "1")]), "<forward> has no attribute from"),
        (forward(&[("listen", "eighty")]), "listen=\"eighty\""),
        (forward(&[("listen", "0"), ("to", "80")]), "listen=\"0\""),
        (forward(&[("listen", "80"), ("to", "0")]), "to=\"0\""),
        (forward(&[("listen", "80"), ("to", "1-2")]), "two ranges"),
        (forward(&[("listen", "80"), ("protocol", "sctp")]), "not a protocol"),
    ] {
        let said = complaint(metadata);
        assert!(said.contains(words), "{said} does not say {words}");
        assert!(!said.contains('\n'), "{said}");
    }
}

#[test]
fn an_interface_that_makes_no_sense_is_none_of_ours() {
    let told =
        Told { interfaces: vec![on("a/b", MAC), on("lab", "none"), on("lab", MAC)], ..Told::default() };
    let domain = Domain::understand(&told).unwrap();
    let bridges: Vec<String> = domain.bridges().iter().map(ToString::to_string).collect();
    assert_eq!(bridges, ["lab"]);
    assert_eq!(domain.wants(HookPhase::Start), Ok(vec![]));
}

proptest! {
    #[test]
    fn no_words_make_the_reader_fall_over(words in proptest::collection::vec("\\PC{0,20}", 8)) {
        let word = |at: usize| words[at].as_str();
        let forward = element("forward", &[("listen", word(0)), ("to", word(1)), ("protocol", word(2))], vec![]);
        let lab = element("network", &[("name", "lab"), ("host", word(3)), (word(4), word(5))], vec![forward]);
        let _ = wants(&[on(word(6), word(7)), on("lab", MAC)], vec![lab], HookPhase::Start);
    }
}

//! `[[link]]`: on an isolated network a guest reaches whom the file lets it reach, as far as it says,
//! and nobody else.

use std::time::Duration;

use rig::frame;
use rig::house::House;
use rig::process::Process;
use rig::skip::have;
use rig::station::{Answer, Station};

const LINKED: &str = r#"
subnet = "10.5.0.0/24"
isolated = true

[[link]]
from = "web"
to = "db"
ports = [5432, "5353/udp"]

[[link]]
from = "admin"
to = "web"
"#;

fn house_with(test: &str, text: &str) -> Option<House> {
    if !have(test, &["ping", "busybox", "tcpdump"]) {
        return None;
    }
    let house = House::with_companion(test)?;
    house.start_syslog();
    house.describe("lab", text);
    house.up("lab");
    house.install_raw_frame();
    Some(house)
}

fn leased<'a>(house: &'a House, name: &str) -> (Station<'a>, Answer) {
    let station = house.member_station(name, "lab");
    let answer = station.lease().unwrap_or_else(|| panic!("{name} got no lease"));
    (station, answer)
}

/// Waits until the firewall knows all that it can of the links.
fn wait_for_rules(house: &House, intention: &str) {
    let there = || house.sh("nft list chain bridge vmnet_lab linked").contains(&format!("\"{intention}\""));
    assert!(house.wait_until(Duration::from_secs(5), there), "no rule for {intention}\n{}", house.log());
}

fn listen(station: &Station<'_>, port: u16) -> Process {
    let server = station.spawn(&["busybox", "httpd", "-f", "-p", &port.to_string(), "-h", "/tmp"]);
    assert!((0..100).any(|_| station.opens("127.0.0.1", port)), "no server on port {port}");
    server
}

/// A DNS server, for want of a simpler one that answers UDP.
fn answer(station: &Station<'_>, port: u16) -> Process {
    let port_word = format!("--port={port}");
    let argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--pid-file="];
    let rest = ["--no-resolv", "--no-hosts", "--address=/hello.test/192.0.2.7", &port_word];
    let server = station.spawn(&[&argv[..], &rest[..]].concat());
    assert!(
        (0..100).any(|_| asks(station, "127.0.0.1", port)),
        "no server on port {port}\n{}",
        server.said()
    );
    server
}

/// Whether it answers.
fn asks(station: &Station<'_>, address: &str, port: u16) -> bool {
    let script = r#"exec 3<>"/dev/udp/$0/$1"
        printf '\x12\x34\1\0\0\1\0\0\0\0\0\0\5hello\4test\0\0\1\0\1' >&3
        test "$(timeout 1 head -c 2 <&3)" = "$(printf '\x12\x34')""#;
    station.run(&["timeout", "5", "bash", "-c", script, address, &port.to_string()]).code() == 0
}

#[test]
fn a_link_opens_its_ports_and_nothing_else() {
    let Some(house) = house_with("a_link_opens_its_ports_and_nothing_else", LINKED) else { return };
    let (web, web_answer) = leased(&house, "web");
    let (db, db_answer) = leased(&house, "db");
    let (other, other_answer) = leased(&house, "other");
    let (web_address, db_address) = (web_answer.get("ip"), db_answer.get("ip"));
    wait_for_rules(&house, "web to db");
    let _servers = [listen(&db, 5432), listen(&db, 80), listen(&web, 5432), listen(&web, 80)];
    let _answerers = [answer(&db, 5353), answer(&db, 5354), answer(&web, 5353), answer(&other, 5353)];

    assert!(web.opens(db_address, 5432), "the link's port");
    assert!(asks(&web, db_address, 5353), "the link's UDP port");
    assert!(!web.opens(db_address, 80) && !asks(&web, db_address, 5354), "another port");
    assert!(!web.reaches(db_address), "ping is none of its ports");
    assert!(!db.opens(web_address, 80) && !db.opens(web_address, 5432), "the other way");
    assert!(!asks(&db, web_address, 5353), "the other way");
    for (from, to) in [(&other, db_address), (&other, web_address), (&web, other_answer.get("ip"))] {
        assert!(!from.opens(to, 5432) && !asks(from, to, 5353) && !from.reaches(to), "no link: {to}");
    }
    // The host is no guest.
    for station in [&web, &db, &other] {
        assert!(station.reaches("10.5.0.1"));
    }
    // Not round by the host either.
    for station in [&web, &db, &other] {
        station.run(&["ip", "address", "flush", "dev", "eth0"]).success();
    }
    for (name, answer) in [("web", &web_answer), ("db", &db_answer), ("other", &other_answer)] {
        house.sh(&format!(
            "ip -n {name} address add {}/32 dev eth0
             ip -n {name} route add 10.5.0.1 dev eth0
             ip -n {name} route add default via 10.5.0.1",
            answer.get("ip")
        ));
    }
    assert!(other.reaches("10.5.0.1"));
    assert!(!other.opens(db_address, 5432) && !web.opens(db_address, 80) && !db.reaches(web_address));
}

#[test]
fn an_answer_is_let_back_only_to_who_asked() {
    let Some(house) = house_with("an_answer_is_let_back_only_to_who_asked", LINKED) else { return };
    let (web, web_answer) = leased(&house, "web");
    let (db, db_answer) = leased(&house, "db");
    wait_for_rules(&house, "web to db");
    let _answerer = answer(&db, 5353);
    let heard = web.spawn(&["tcpdump", "-l", "-n", "-i", "eth0", "udp src port 5353"]);
    assert!(house.wait_until(Duration::from_secs(20), || heard.said().contains("listening on")));
    // From the port of an answer, but nobody asked.
    let ends = [&web_answer, &db_answer].map(|answer| answer.get("ip").parse().expect("an address"));
    db.send(&[frame::udp((&web.mac, ends[0], 4444), (&db.mac, ends[1], 5353), b"unasked")]);
    assert!(asks(&web, db_answer.get("ip"), 5353));
    let answered = || heard.said().contains(&format!("{}.5353 >", db_answer.get("ip")));
    assert!(house.wait_until(Duration::from_secs(5), answered), "{}", heard.said());
    assert!(!heard.said().contains(".4444"), "{}", heard.said());
}

#[test]
fn a_link_without_ports_is_for_all_of_them_and_ping_in_one_direction() {
    let name = "a_link_without_ports_is_for_all_of_them_and_ping_in_one_direction";
    let Some(house) = house_with(name, LINKED) else { return };
    let (web, web_answer) = leased(&house, "web");
    let (admin, admin_answer) = leased(&house, "admin");
    let (web_address, admin_address) = (web_answer.get("ip"), admin_answer.get("ip"));
    wait_for_rules(&house, "admin to web");
    let _servers = [listen(&web, 80), listen(&admin, 80)];
    let _answerers = [answer(&web, 5353), answer(&admin, 5353)];
    assert!(admin.opens(web_address, 80) && asks(&admin, web_address, 5353) && admin.reaches(web_address));
    let large = ["ping", "-c", "1", "-W", "5", "-s", "4000", web_address];
    assert_eq!(admin.run(&large).code(), 0, "in fragments");
    assert!(!web.opens(admin_address, 80) && !asks(&web, admin_address, 5353) && !web.reaches(admin_address));

    assert!(admin.reaches(&web.address6()), "IPv6");
    assert!(!web.reaches(&admin.address6()), "IPv6, the other way");
}

#[test]
fn a_link_opens_when_its_guest_comes_and_follows_the_file() {
    let name = "a_link_opens_when_its_guest_comes_and_follows_the_file";
    let Some(house) = house_with(name, LINKED) else { return };
    let (admin, _) = leased(&house, "admin");
    assert!(!house.sh("nft list chain bridge vmnet_lab linked").contains("admin to web"));
    let (web, answer) = leased(&house, "web");
    wait_for_rules(&house, "admin to web");
    assert!(admin.reaches(answer.get("ip")));
    house.assert_up("lab");

    house.describe("lab", &LINKED.replace("from = \"admin\"", "from = \"nobody\""));
    house.up("lab");
    assert!(!admin.reaches(answer.get("ip")), "the link is gone from the file");
    house.assert_up("lab");
    house.describe("lab", LINKED);
    house.up("lab");
    assert!(admin.reaches(answer.get("ip")));
    drop(web);
}

//! What is announced.

use super::*;
use tokio::runtime::{Builder, Runtime};

/// A listener and the runtime in which it listens.
struct Listener {
    runtime: Runtime,
    watch: Watch,
}

fn listen() -> Listener {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let watch = runtime.block_on(async { Watch::open().unwrap() });
    Listener { runtime, watch }
}

/// Events up to the first one that `wanted` takes.
fn until(listener: &mut Listener, wanted: impl Fn(&Event) -> bool) -> Event {
    let Listener { runtime, watch } = listener;
    let search = async {
        loop {
            let event = watch.next().await.expect("the socket lives");
            if wanted(&event) {
                return event;
            }
        }
    };
    let limit = async { tokio::time::timeout(Duration::from_secs(5), search).await };
    runtime.block_on(limit).expect("the event comes")
}

#[test]
fn a_keeper_is_told_what_happens_to_its_bridge() {
    alone(|links| {
        let mut watch = listen();
        let bridge = links.create_bridge(&name("br0"), MAC).unwrap();
        links.add_address(bridge, GATEWAY.into(), 24).unwrap();
        sh("ip link add p0 type veth peer name p1; ip link set p0 master br0");
        let port = find(&links, "p0").index;
        until(&mut watch, |e| *e == Event::PortChanged { bridge, port });
        sh("ip link set p0 nomaster");
        until(&mut watch, |e| *e == Event::PortGone { bridge, port });
        let address = SeenAddress { index: bridge, address: GATEWAY, length: 24 };
        sh("ip address flush dev br0");
        until(&mut watch, |e| *e == Event::AddressGone(address));
        links.add_address(bridge, GATEWAY.into(), 24).unwrap();
        until(&mut watch, |e| *e == Event::AddressChanged(address));
        sh("ip link set br0 mtu 1400");
        until(&mut watch, |e| matches!(e, Event::LinkChanged(l) if l.index == bridge && l.mtu == 1400));
        sh("ip link delete p0");
        until(&mut watch, |e| *e == Event::LinkGone { index: port });
        sh("ip link delete br0");
        until(&mut watch, |e| *e == Event::LinkGone { index: bridge });
    });
}

#[test]
fn leaving_the_bridge_is_not_taken_for_the_links_end() {
    alone(|links| {
        let bridge = links.create_bridge(&name("br0"), MAC).unwrap();
        sh("ip link add p0 type veth peer name p1; ip link set p0 master br0");
        let port = find(&links, "p0").index;
        let mut watch = listen();
        sh("ip link set p0 nomaster");
        links.raise(port).unwrap();
        sh("ip link set p0 alias end");
        let end = until(&mut watch, |e| match e {
            Event::LinkGone { .. } => true,
            Event::LinkChanged(link) => link.alias.as_deref() == Some("end"),
            _ => false,
        });
        assert!(matches!(end, Event::LinkChanged(_)), "bridge {bridge}, port {port}");
    });
}

#[test]
fn a_listener_that_was_too_slow_is_told_to_look_again() {
    alone(|links| {
        let mut watch = listen();
        let index = links.create_bridge(&name("br0"), MAC).unwrap();
        links.raise(index).unwrap();
        // Nothing is read while this thread is busy: the socket's buffer overflows.
        let batch = sh("mktemp");
        let change = |n| format!("link set br0 alias {}{n}\n", "a".repeat(200));
        std::fs::write(&batch, (0..2000).map(change).collect::<String>()).unwrap();
        sh(&format!("ip -batch {batch}; rm {batch}"));
        until(&mut watch, |e| *e == Event::Missed);
        links.delete(index).unwrap();
    });
}

#[test]
fn a_change_of_a_tap_is_told_and_a_mac_can_be_put_back() {
    alone(|links| {
        sh("ip link add br0 type bridge; ip tuntap add dev t0 mode tap user 1000; ip link set t0 master br0");
        sh("ip link set t0 alias 'vmnet br0 uid=1000 pid=7 kept'; ip tuntap add dev t1 mode tun");
        let (bridge, tap) = (find(&links, "br0").index, find(&links, "t0"));
        assert!(tap.is_vacant() && tap.tap.is_some_and(|tap| tap.owner == Some(1000)));
        assert!(find(&links, "t1").tap.is_none(), "it has no frames");
        let mut watch = listen();
        sh("ip link set t0 address 02:00:00:00:00:07");
        until(&mut watch, |event| *event == Event::PortChanged { bridge, port: tap.index });
        links.set_mac(tap.index, MAC).unwrap();
        assert_eq!(find(&links, "t0").mac, Some(MAC));
        let error = links.set_mac(tap.index, MacAddr([1; 6])).unwrap_err().to_string();
        assert!(error.starts_with("cannot set the MAC of t0: "), "{error}");
    });
}

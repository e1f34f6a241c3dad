//! `vmnet hook libvirt`, called as libvirt calls it: what it does for a domain, what it undoes, and all those
//! domains that have nothing to do with us.

use std::time::Duration;

use rig::command::Outcome;
use rig::companion::{DONE, FAILED};
use rig::house::{As, House, VMNET};
use rig::libvirt::Domain;
use rig::page::blocks;

/// What `alpha` asks for on the network `lab`.
const WEB: &str = "<vmnet:network xmlns:vmnet='urn:vmnet:domain:1' name='lab' host='web'>
    <vmnet:forward listen='8080' to='80'/></vmnet:network>";
/// `lab`, with a subnet that is not chosen, so that nothing has to be remembered of it.
const LAB: &str = "subnet = \"10.9.0.0/24\"\nsubnet6 = \"none\"\n";

fn house(test: &str) -> Option<House> {
    let house = House::with_companion(test)?;
    house.describe("lab", LAB);
    Some(house)
}

/// Calls the hook for the operation (and sub-operation) of a domain's life, with this XML.
#[track_caller]
fn call(house: &House, driver: &str, operation: &str, xml: &str) -> Outcome {
    let mut argv = vec![VMNET, "hook", "libvirt", driver, "alpha"];
    argv.extend(operation.split(' '));
    argv.push("-");
    let outcome = house.run_with(As::Root, &argv, Some(xml), Duration::from_secs(60));
    // libvirt waits without a limit; alone, this takes a tenth of a second at most.
    assert!(outcome.took < Duration::from_secs(20), "{outcome}");
    assert_eq!(outcome.stdout, "", "{outcome}");
    outcome
}

/// The same where nothing may go wrong and nothing may be said.
#[track_caller]
fn quietly(house: &House, operation: &str, xml: &str) {
    let outcome = call(house, "qemu", operation, xml);
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (DONE, ""), "{outcome}");
}

/// The one line of a call that must fail.
#[track_caller]
fn refusal(house: &House, xml: &str) -> String {
    let outcome = call(house, "qemu", "prepare begin", xml);
    let said = outcome.complaint(FAILED).to_owned();
    assert_eq!(said.lines().count(), 1, "libvirt has room for one line: {outcome}");
    said
}

/// The reservations of `lab`, as `NAME MAC ADDRESS`.
fn hosts(house: &House) -> Vec<String> {
    let (_, value) = house.json(&["host", "list", "lab"]);
    let host = |host: &serde_json::Value| {
        let word = |key: &str| host[key].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", word("name"), word("mac"), word("address"))
    };
    value["hosts"].as_array().expect("a list").iter().map(host).collect()
}

/// The forwards of `lab`, as `LISTEN TO STATE`.
fn forwards(house: &House) -> Vec<String> {
    let lines = house.vmnet(&["forward", "list", "lab"]).success().to_owned();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        format!("{} {} {}", cells[1], cells[3], cells.last().expect("a state"))
    };
    lines.lines().skip(1).map(row).collect()
}

fn is_up(house: &House) -> bool {
    house.outside_path("/sys/class/net/lab").exists()
}

/// All that is remembered, and all that stands for what is up.
fn kept(house: &House) -> String {
    house.sh("cd /; { find var/lib/vmnet run/vmnet etc/vmnet || :; } 2>/dev/null | sort; cat var/lib/vmnet/lab.json")
}

#[test]
fn a_domain_gets_its_network_its_name_and_its_forwards_and_leaves_nothing() {
    let Some(house) = house("a_domain_gets_its_network_its_name_and_its_forwards_and_leaves_nothing") else {
        return;
    };
    let domain = Domain::new("alpha").on_bridge("lab", "virtio").with_metadata(WEB);
    quietly(&house, "prepare begin", &domain.xml());
    house.assert_up("lab");
    let reserved = hosts(&house);
    let [web] = reserved.as_slice() else { panic!("{reserved:?}") };
    assert!(web.starts_with(&format!("web {} 10.9.0.", domain.mac())), "{web}");
    assert_eq!(forwards(&house), ["8080 web:80 open"]);
    quietly(&house, "start begin", &domain.xml());
    quietly(&house, "started begin", &domain.xml());
    quietly(&house, "stopped end", &domain.xml());
    assert_eq!((hosts(&house), forwards(&house).len()), (reserved, 1), "it still runs");
    quietly(&house, "release end", &domain.xml());
    assert_eq!((hosts(&house).len(), forwards(&house).len()), (0, 0));
    quietly(&house, "release end", &domain.xml());
    house.assert_up("lab");
    house.down("lab");
    assert_eq!(
        kept(&house),
        "etc/vmnet\netc/vmnet/networks\netc/vmnet/networks/lab.toml\nvar/lib/vmnet\nvar/lib/vmnet/lab.json\n{}\n"
    );
}

#[test]
fn what_was_done_is_undone_even_if_the_domain_was_edited_meanwhile() {
    let Some(house) = house("what_was_done_is_undone_even_if_the_domain_was_edited_meanwhile") else {
        return;
    };
    let domain = Domain::new("alpha").on_bridge("lab", "virtio");
    quietly(&house, "prepare begin", &domain.clone().with_metadata(WEB).xml());
    let edited = WEB.replace("web", "mail").replace("8080", "9090");
    quietly(&house, "release end", &domain.clone().with_metadata(&edited).xml());
    assert_eq!((hosts(&house).len(), forwards(&house).len()), (0, 0));
    // A host that lost its power says no goodbye.
    quietly(&house, "prepare begin", &domain.clone().with_metadata(WEB).xml());
    quietly(&house, "prepare begin", &domain.clone().with_metadata(&edited).xml());
    assert_eq!(forwards(&house), ["9090 mail:80 open"]);
    quietly(&house, "prepare begin", &domain.xml());
    assert_eq!((hosts(&house).len(), forwards(&house).len()), (0, 0));
}

#[test]
fn what_cannot_be_undone_at_the_end_is_told_to_the_log_and_undone_at_the_next_start() {
    let name = "what_cannot_be_undone_at_the_end_is_told_to_the_log_and_undone_at_the_next_start";
    let Some(house) = house(name) else { return };
    house.start_syslog();
    let domain = Domain::new("alpha").on_bridge("lab", "virtio");
    quietly(&house, "prepare begin", &domain.clone().with_metadata(WEB).xml());
    house.describe("lab", "mode = \"nut\"\n");
    quietly(&house, "release end", &domain.xml());
    let told = || house.log().contains("domain 'alpha' is gone: cannot close a forward of network 'lab'");
    assert!(house.wait_until(Duration::from_secs(20), told), "{}", house.log());
    house.describe("lab", LAB);
    assert_eq!((hosts(&house).len(), forwards(&house).len()), (1, 1));
    quietly(&house, "prepare begin", &domain.xml());
    assert_eq!((hosts(&house).len(), forwards(&house).len()), (0, 0));
}

#[test]
fn what_an_administrator_had_stays() {
    let Some(house) = house("what_an_administrator_had_stays") else { return };
    let domain = Domain::new("alpha").on_bridge("lab", "virtio").with_metadata(WEB);
    house.vmnet(&["host", "add", "lab", "web", &domain.mac(), "--alias", "www"]).success();
    house.vmnet(&["forward", "add", "lab", "8080", "web:80"]).success();
    let before = kept(&house);
    quietly(&house, "prepare begin", &domain.xml());
    quietly(&house, "release end", &domain.xml());
    house.down("lab");
    assert_eq!(kept(&house), before);
    // And what is changed under a running domain is its changer's.
    house.vmnet(&["host", "rm", "lab", "web"]).success();
    quietly(&house, "prepare begin", &domain.xml());
    house.vmnet(&["host", "rm", "lab", "web"]).success();
    house.vmnet(&["host", "add", "lab", "web", &domain.mac(), "10.9.0.77", "--alias", "w"]).success();
    quietly(&house, "release end", &domain.xml());
    assert_eq!(hosts(&house), [format!("web {} 10.9.0.77", domain.mac())]);
    assert_eq!(forwards(&house), ["8080 web:80 open"]);
}

#[test]
fn a_domain_whose_wishes_cannot_be_fulfilled_does_not_start_and_leaves_nothing() {
    let Some(house) = house("a_domain_whose_wishes_cannot_be_fulfilled_does_not_start_and_leaves_nothing")
    else {
        return;
    };
    house.vmnet(&["forward", "add", "lab", "8080", "other:80"]).success();
    house.vmnet(&["host", "add", "lab", "db", "52:54:00:00:00:01"]).success();
    let before = kept(&house);
    let on_lab = Domain::new("alpha").on_bridge("lab", "virtio");
    let with = |metadata: &str| on_lab.clone().with_metadata(metadata).xml();
    let taken = refusal(&house, &with(WEB));
    assert!(taken.contains("tcp 8080 to web:80") && taken.contains("other:80"), "{taken}");
    let named = refusal(&house, &with(&WEB.replace("'web'", "'db'")));
    assert!(named.contains("cannot reserve 'db' on network 'lab'"), "{named}");
    let elsewhere = refusal(&house, &with(&WEB.replace("'lab'", "'lob'")));
    assert!(elsewhere.contains("no interface is on the bridge lob of network 'lob'"), "{elsewhere}");
    let misspelt = refusal(&house, &with(&WEB.replace("listen", "port")));
    assert!(misspelt.contains("<forward> has no attribute port"), "{misspelt}");
    let alone = Domain::new("alpha").on_bridge("br0", "virtio").with_metadata(WEB).xml();
    assert!(refusal(&house, &alone).contains("domain 'alpha'"));
    house.vmnet(&["down", "lab"]).success();
    assert_eq!(kept(&house), before);
    house.describe("lab", "mode = \"nut\"\n");
    assert!(refusal(&house, &on_lab.xml()).contains("lab.toml"), "its network cannot come up");
    // The end of a domain is never held up.
    quietly(&house, "release end", &with(WEB));
}

#[test]
fn an_interface_of_libvirts_network_is_served_when_its_bridge_is_known() {
    let Some(house) = house("an_interface_of_libvirts_network_is_served_when_its_bridge_is_known") else {
        return;
    };
    let domain = Domain::new("alpha").on_network("ours").with_metadata(WEB);
    quietly(&house, "prepare begin", &domain.xml());
    assert!(!is_up(&house) && hosts(&house).is_empty());
    let plug = |kind: &str| {
        format!(
            "<hookData><network><name>ours</name></network><networkport><plug type='{kind}' bridge='lab'/></networkport></hookData>"
        )
    };
    call(&house, "network", "port-created begin", &plug("network")).success();
    call(&house, "network", "start begin", &plug("bridge")).success();
    assert!(!is_up(&house), "that bridge is libvirt's to make");
    call(&house, "network", "port-created begin", &plug("bridge")).success();
    assert!(is_up(&house));
    quietly(&house, "start begin", &domain.xml().replace("network='ours'", "network='ours' bridge='lab'"));
    assert_eq!((hosts(&house).len(), forwards(&house)), (1, vec!["8080 web:80 open".to_owned()]));
    quietly(&house, "release end", &domain.xml());
    assert_eq!((hosts(&house).len(), forwards(&house).len()), (0, 0));
}

#[test]
fn a_domain_that_has_nothing_to_do_with_us_is_not_even_looked_at() {
    let Some(house) = house("a_domain_that_has_nothing_to_do_with_us_is_not_even_looked_at") else { return };
    if !rig::skip::have("a_domain_that_has_nothing_to_do_with_us_is_not_even_looked_at", &["strace"]) {
        return;
    }
    let foreign = "<other:network xmlns:other='urn:other' name='lab' host='web'/>";
    let opened = |domain: Domain| {
        let words = [VMNET, "hook", "libvirt", "qemu", "alpha", "prepare", "begin", "-"];
        let mut argv = vec!["strace", "-f", "-e", "trace=%file,execve", "-o", "/tmp/house/trace"];
        argv.extend(words);
        let outcome = house.run_with(As::Root, &argv, Some(&domain.xml()), Duration::from_secs(60));
        assert_eq!((outcome.success(), outcome.stderr.as_str()), ("", ""), "{outcome}");
        let trace = house.read_file("/tmp/house/trace").expect("a trace");
        let ours = |line: &&str| {
            ["/etc/vmnet", "/var/lib/vmnet", "/run/vmnet"].iter().any(|place| line.contains(place))
        };
        assert_eq!(trace.matches("execve(").count(), 1, "{trace}");
        trace.lines().filter(ours).map(str::to_owned).collect::<Vec<_>>()
    };
    // Nothing but whether a note about this very domain was left behind.
    let note = format!("/libvirt/{}.json\"", Domain::new("alpha").uuid());
    let alone = opened(Domain::new("alpha").with_metadata(foreign));
    assert!(alone.iter().all(|line| line.contains(&note)), "{alone:?}");
    let beside = opened(Domain::new("alpha").on_bridge("br0", "virtio").with_metadata(foreign));
    let few = |line: &String| line.contains(&note) || line.contains("/vmnet/networks\"");
    assert!(beside.iter().all(few), "{beside:?}");
    assert!(!is_up(&house));
}

#[test]
fn what_is_no_call_for_us_is_no_error() {
    let Some(house) = house("what_is_no_call_for_us_is_no_error") else { return };
    let xml = Domain::new("alpha").on_bridge("lab", "virtio").with_metadata(WEB).xml();
    let large = format!("<domain>{}</domain>", " ".repeat(1 << 20));
    let before = house.snapshot();
    for xml in
        ["", "<domain", "no XML", "<!DOCTYPE a [<!ENTITY b 'c'>]><domain>&b;</domain>", "<domain/>", &large]
    {
        quietly(&house, "prepare begin", xml);
        quietly(&house, "start begin", xml);
        quietly(&house, "release end", xml);
        call(&house, "network", "port-created begin", xml).success();
    }
    for operation in
        ["migrate begin", "restore begin", "reconnect begin", "attach begin", "prepare end", "dance"]
    {
        quietly(&house, operation, &xml);
    }
    call(&house, "lxc", "prepare begin", &xml).success();
    let words = [VMNET, "hook", "libvirt", "qemu", "alpha", "prepare", "begin", "-"];
    let plain = house.run_with(As::User("alice"), &words, Some(&xml), Duration::from_secs(60));
    assert_eq!((plain.success(), plain.stderr.as_str()), ("", ""), "{plain}");
    house.assert_as_in(&before);
}

#[test]
fn a_network_is_left_as_it_is_where_its_file_or_another_bridge_says_so() {
    let Some(house) = house("a_network_is_left_as_it_is_where_its_file_or_another_bridge_says_so") else {
        return;
    };
    let domain = Domain::new("alpha").on_bridge("lab", "virtio");
    house.describe("lab", &format!("on_demand = false\n{LAB}"));
    quietly(&house, "prepare begin", &domain.xml());
    assert!(!is_up(&house), "on_demand = false");
    house.describe("lab", LAB);
    house.sh("ip link add lab type bridge");
    quietly(&house, "prepare begin", &domain.xml());
    assert!(!house.outside_path("/run/vmnet/lab").exists(), "somebody else's bridge");
}

#[test]
fn killed_at_any_of_its_writes_the_hook_leaves_nothing_that_the_end_of_the_domain_does_not_undo() {
    let name = "killed_at_any_of_its_writes_the_hook_leaves_nothing_that_the_end_of_the_domain_does_not_undo";
    let Some(house) = house(name) else { return };
    if !rig::skip::have(name, &["strace"]) {
        return;
    }
    house.up("lab");
    let domain = Domain::new("alpha").on_bridge("lab", "virtio").with_metadata(WEB);
    let mut kills = 0;
    for write in 1..=40 {
        let kill = format!("inject=/rename:signal=KILL:when={write}");
        let mut argv = vec!["strace", "-o", "/tmp/house/trace", "-e", "trace=/rename", "-e", &kill, "--"];
        argv.extend([VMNET, "hook", "libvirt", "qemu", "alpha", "prepare", "begin", "-"]);
        let outcome = house.run_with(As::Root, &argv, Some(&domain.xml()), Duration::from_secs(60));
        let survived = outcome.code() == DONE;
        assert!(survived || outcome.code() == -9, "{outcome}");
        assert!(!survived || forwards(&house) == ["8080 web:80 open"], "{outcome}");
        quietly(&house, "release end", &domain.xml());
        assert_eq!((hosts(&house).len(), forwards(&house).len()), (0, 0), "after write {write}");
        let note = format!("/var/lib/vmnet/libvirt/{}.json", domain.uuid());
        assert!(!house.outside_path(&note).exists(), "after write {write}");
        house.vmnet(&["up", "lab"]).success();
        house.assert_up("lab");
        if survived {
            break;
        }
        kills += 1;
    }
    // At least: the note, the reservation, what the server reads, the forward, and what was chosen.
    assert!((5..40).contains(&kills), "{kills} writes");
}

#[test]
fn many_domains_may_start_and_end_at_once() {
    let Some(house) = house("many_domains_may_start_and_end_at_once") else { return };
    let each = |operation: &str| {
        house.sh(&format!(
            "cd /tmp/house/libvirt; calls=
             for file in *; do {VMNET} hook libvirt qemu ${{file%.xml}} {operation} - <$file & calls+=\" $!\"; done
             for call in $calls; do wait $call; done"
        ))
    };
    for number in 1..=6 {
        let name = format!("web{number}");
        let metadata = WEB.replace("'web'", &format!("'{name}'")).replace("8080", &format!("808{number}"));
        let domain = Domain::new(&name).on_bridge("lab", "virtio").with_metadata(&metadata);
        house.write_xml(&name, &domain.xml());
    }
    each("prepare begin");
    assert_eq!((hosts(&house).len(), forwards(&house).len()), (6, 6), "{:?}", hosts(&house));
    house.assert_up("lab");
    each("release end");
    assert_eq!((hosts(&house).len(), forwards(&house).len()), (0, 0), "{:?}", hosts(&house));
}

#[test]
fn what_our_page_shows_is_understood() {
    let Some(house) = house("what_our_page_shows_is_understood") else { return };
    let shown = blocks("libvirt.md", "xml");
    let (interface, metadata) = (&shown[0], &shown[1]);
    let domain = Domain::new("alpha").on_bridge("brmgr0", "virtio").with_metadata(metadata);
    let lab =
        interface.replace("brmgr0", "lab").replace("<source", "<mac address='52:54:00:12:34:56'/><source");
    quietly(&house, "prepare begin", &domain.xml().replace("<devices>", &format!("<devices>{lab}")));
    house.assert_up("brmgr0");
    house.assert_up("lab");
    assert_eq!(hosts(&house).len(), 1);
    let listed = house.vmnet(&["forward", "list", "brmgr0"]).success().to_owned();
    assert!(listed.contains("web:80") && listed.contains("127.0.0.1:5353"), "{listed}");
    quietly(&house, "release end", &domain.xml());
    assert_eq!(hosts(&house).len(), 0);
}

#[test]
fn guests_start_where_vmnet_is_gone() {
    let Some(house) = house("guests_start_where_vmnet_is_gone") else { return };
    house.install_hooks();
    let hook = ["/etc/libvirt/hooks/qemu.d/vmnet", "alpha", "prepare", "begin", "-"];
    let wrong = Domain::new("alpha").with_metadata(WEB).xml();
    let run = || house.run_with(As::Root, &hook, Some(&wrong), Duration::from_secs(60));
    run().complaint(FAILED);
    // A domain's name is none of our options.
    let odd = [hook[0], "--version", "started", "begin", "-"];
    assert_eq!(house.run_with(As::Root, &odd, Some(&wrong), Duration::from_secs(60)).success(), "");
    house.sh(&format!("chmod 644 {VMNET}"));
    run().success();
    house.sh(&format!("rm {VMNET}"));
    run().success();
}

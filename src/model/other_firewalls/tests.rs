use super::*;

fn place(backend: Backend, family: Family, chain: &str) -> Place {
    Place { backend, family, table: "filter".to_owned(), chain: chain.to_owned() }
}

fn seen(family: Family, name: &str, hook: Option<Hook>, drops: bool, rules: Vec<Rule>) -> SeenChain {
    let base = hook.map(|hook| Base { hook, priority: 0, drops });
    SeenChain { place: place(Backend::Nft, family, name), base, rules }
}

fn rules(all: &[Always]) -> Vec<Rule> {
    let rule = |(at, always): (usize, &Always)| Rule {
        handle: at as u64 + 10,
        comment: None,
        always: Some(always.clone()),
    };
    all.iter().enumerate().map(rule).collect()
}

fn conditional() -> Rule {
    Rule { handle: 5, comment: None, always: None }
}

fn ours(handle: u64, comment: &str) -> Rule {
    Rule { handle, comment: Some(comment.to_owned()), always: None }
}

fn guests() -> Guests {
    Guests {
        bridge: IfName::new(b"lab").unwrap(),
        network: NetName::new("lab").unwrap(),
        host_access: HostAccess::Services,
        dhcp: true,
        ipv6: false,
        inward: false,
        routed: true,
    }
}

fn text(guests: &Guests, chains: &[SeenChain]) -> String {
    nft_text(guests, &survey(guests, chains))
}

#[test]
fn a_host_that_lets_everything_through_is_left_alone() {
    let jump = Always::Jump("others".to_owned());
    for rules in [vec![], vec![conditional()], rules(&[Always::Accept, Always::Refuse]), rules(&[jump])] {
        let chains = [
            seen(Family::Ip, "FORWARD", Some(Hook::Forward), false, rules),
            seen(Family::Ip, "others", None, false, vec![conditional()]),
        ];
        assert_eq!(survey(&guests(), &chains), []);
    }
}

#[test]
fn a_chain_refuses_by_policy_by_a_rule_and_by_a_chain_it_asks() {
    let asks = |target: &str| rules(&[Always::Jump(target.to_owned())]);
    let closed = |drops, rules, other: Vec<Rule>| {
        let base = seen(Family::Inet, "fwd", Some(Hook::Forward), drops, rules);
        survey(&guests(), &[base, seen(Family::Inet, "other", None, false, other)]).len() == 1
    };
    assert!(closed(true, vec![], vec![]));
    assert!(closed(false, rules(&[Always::Refuse]), vec![]));
    assert!(closed(false, asks("other"), rules(&[Always::Refuse])));
    assert!(closed(true, asks("other"), rules(&[Always::Return, Always::Accept])));
    assert!(closed(true, rules(&[Always::Goto("other".to_owned()), Always::Accept]), vec![conditional()]));
    assert!(!closed(true, asks("other"), rules(&[Always::Accept])));
    assert!(!closed(true, rules(&[Always::Accept]), vec![]));
    // Chains that ask each other in a ring, which the kernel would refuse, end all the same.
    assert!(!closed(false, asks("other"), asks("other")));
}

#[test]
fn a_chain_that_is_asked_by_many_ways_is_looked_at_once() {
    // Eight jumps from each to the next: 8^15 ways to the last one.
    let name = |number: usize| if number == 0 { "FORWARD".to_owned() } else { format!("c{number}") };
    let chains = |last: Vec<Rule>| -> Vec<SeenChain> {
        let asking = |number| {
            let hook = (number == 0).then_some(Hook::Forward);
            let jumps = vec![Always::Jump(name(number + 1)); 8];
            seen(Family::Ip, &name(number), hook, true, rules(&jumps))
        };
        (0..15).map(asking).chain([seen(Family::Ip, &name(15), None, false, last)]).collect()
    };
    assert_eq!(survey(&guests(), &chains(vec![conditional()])).len(), 1);
    assert_eq!(survey(&guests(), &chains(rules(&[Always::Accept]))), []);
}

#[test]
fn guests_are_let_in_to_what_they_may_ask_and_through_in_both_directions() {
    let closed = |name, hook| seen(Family::Ip, name, Some(hook), true, vec![]);
    assert_eq!(
        text(&guests(), &[closed("c", Hook::Input)]),
        "insert rule ip filter c iifname \"lab\" meta l4proto icmp accept comment \"vmnet lab icmp\"\n\
         insert rule ip filter c iifname \"lab\" tcp dport 53 accept comment \"vmnet lab dns-tcp\"\n\
         insert rule ip filter c iifname \"lab\" udp dport 53 accept comment \"vmnet lab dns-udp\"\n\
         insert rule ip filter c iifname \"lab\" udp dport 67 accept comment \"vmnet lab dhcp\"\n"
    );
    assert_eq!(
        text(&guests(), &[closed("o", Hook::Output), closed("f", Hook::Forward)]),
        "insert rule ip filter o oifname \"lab\" meta l4proto icmp accept comment \"vmnet lab icmp\"\n\
         insert rule ip filter o oifname \"lab\" tcp sport 53 accept comment \"vmnet lab dns-tcp\"\n\
         insert rule ip filter o oifname \"lab\" udp sport 53 accept comment \"vmnet lab dns-udp\"\n\
         insert rule ip filter o oifname \"lab\" udp sport 67 accept comment \"vmnet lab dhcp\"\n\
         insert rule ip filter f oifname \"lab\" accept comment \"vmnet lab to\"\n\
         insert rule ip filter f iifname \"lab\" accept comment \"vmnet lab from\"\n"
    );
}

#[test]
fn each_kind_of_network_opens_no_more_than_it_needs() {
    use Purpose::{Between, Dhcp, Dhcp6, DnsTcp, DnsUdp, From, Icmp, Icmp6, To};
    let needs = |access, dhcp, ipv6, hook, family| {
        Guests { host_access: access, dhcp, ipv6, ..guests() }.needs(hook, &place(Backend::Nft, family, "c"))
    };
    let (none, all) = (HostAccess::None, HostAccess::All);
    for hook in [Hook::Input, Hook::Output] {
        assert_eq!(needs(none, true, false, hook, Family::Ip), [Dhcp]);
        assert_eq!(needs(none, false, false, hook, Family::Inet), []);
        assert_eq!(needs(all, true, false, hook, Family::Inet), [Dhcp, DnsUdp, DnsTcp, Icmp]);
        assert_eq!(needs(all, true, true, hook, Family::Ip), [Dhcp, DnsUdp, DnsTcp, Icmp]);
        assert_eq!(needs(all, true, true, hook, Family::Ip6), [Dhcp6, DnsUdp, DnsTcp, Icmp6]);
        assert_eq!(needs(all, true, false, hook, Family::Ip6), []);
        assert_eq!(needs(none, true, true, hook, Family::Inet), [Dhcp, Dhcp6, Icmp6]);
    }
    assert_eq!(needs(none, true, false, Hook::Forward, Family::Ip), [From, To]);
    assert_eq!(needs(none, true, false, Hook::Forward, Family::Ip6), [Between]);
    let wire = Guests::of(&Network::bare_wire(NetName::new("lab").unwrap()), true);
    assert_eq!(wire.needs(Hook::Forward, &place(Backend::Nft, Family::Inet, "c")), [Between]);
    assert_eq!(wire.needs(Hook::Input, &place(Backend::Nft, Family::Inet, "c")), []);
    assert_eq!(needs(none, true, true, Hook::Forward, Family::Ip6), [From, To]);
}

#[test]
fn what_is_open_stays_as_it_is_and_what_is_wrong_is_replaced_whole() {
    let (from, to) = (ours(7, "vmnet lab from"), ours(8, "vmnet lab to"));
    let wrong = |rules: Vec<Rule>| {
        let chains = [seen(Family::Ip, "FORWARD", Some(Hook::Forward), true, rules)];
        text(&guests(), &chains)
    };
    let both = "insert rule ip filter FORWARD oifname \"lab\" accept comment \"vmnet lab to\"\n\
                insert rule ip filter FORWARD iifname \"lab\" accept comment \"vmnet lab from\"\n";
    assert_eq!(wrong(vec![conditional(), from.clone(), to.clone()]), "");
    assert_eq!(wrong(vec![ours(3, "vmnet lab2 from")]), both);
    let (gone_7, gone_8) =
        ("delete rule ip filter FORWARD handle 7\n", "delete rule ip filter FORWARD handle 8\n");
    assert_eq!(wrong(vec![from.clone()]), format!("{gone_7}{both}"));
    let refused = Rule { handle: 1, comment: None, always: Some(Always::Refuse) };
    assert_eq!(wrong(vec![refused, from.clone(), to.clone()]), format!("{gone_7}{gone_8}{both}"));
    let chains = [seen(Family::Ip, "FORWARD", Some(Hook::Forward), false, vec![from, to])];
    assert_eq!(text(&guests(), &chains), format!("{gone_7}{gone_8}"));
    assert_eq!(nft_removal(&survey(&guests(), &chains)), format!("{gone_7}{gone_8}"));
}

#[test]
fn dockers_chain_for_others_is_used_while_docker_asks_it() {
    let user = || seen(Family::Ip, "DOCKER-USER", None, false, rules(&[Always::Return]));
    let forward = |rules: Vec<Rule>| [seen(Family::Ip, "FORWARD", Some(Hook::Forward), true, rules), user()];
    let asked = forward(rules(&[Always::Jump("DOCKER-USER".to_owned())]));
    assert!(text(&guests(), &asked).contains("insert rule ip filter DOCKER-USER iifname \"lab\" accept"));
    assert!(text(&guests(), &forward(vec![])).contains("insert rule ip filter FORWARD"));
}

#[test]
fn own_tables_and_what_cannot_be_named_do_not_matter() {
    let base = Some(Base { hook: Hook::Forward, priority: 0, drops: true });
    let chain = |family, table: &str, name: &str| Chain {
        place: Place { backend: Backend::Nft, family, table: table.to_owned(), chain: name.to_owned() },
        base,
    };
    assert!(matters(&chain(Family::Ip, "filter", "FORWARD")));
    assert!(!matters(&chain(Family::Inet, "vmnet_lab", "at_forward")));
    assert!(!matters(&chain(Family::Bridge, "filter", "forward")));
    assert!(!matters(&chain(Family::Ip, "filter", "a; flush ruleset")));
}

#[test]
fn an_older_table_is_opened_and_closed_by_what_was_saved() {
    let saved = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -o lab -m comment --comment \"vmnet lab to\" -j ACCEPT\n\
                 -A FORWARD -o lab2 -m comment --comment \"vmnet lab2 to\" -j ACCEPT\n-A FORWARD -j LOG\nCOMMIT\n";
    let gone = "-D FORWARD -o lab -m comment --comment \"vmnet lab to\" -j ACCEPT\n";
    let network = NetName::new("lab").unwrap();
    assert_eq!(legacy_removal(&network, saved), format!("*filter\n{gone}COMMIT\n"));
    assert_eq!(legacy_removal(&NetName::new("other").unwrap(), saved), "");
    let base = Some(Base { hook: Hook::Forward, priority: 0, drops: true });
    let rules = vec![ours(1, "vmnet lab to"), ours(2, "vmnet lab2 to")];
    let chain = SeenChain { place: place(Backend::Legacy, Family::Ip, "FORWARD"), base, rules };
    let openings = survey(&guests(), &[chain]);
    assert_eq!(
        restore_text(&guests(), &openings, Family::Ip, saved),
        format!(
            "*filter\n{gone}\
             -I FORWARD 1 -o lab -m comment --comment \"vmnet lab to\" -j ACCEPT\n\
             -I FORWARD 1 -i lab -m comment --comment \"vmnet lab from\" -j ACCEPT\nCOMMIT\n"
        )
    );
    assert_eq!(restore_text(&guests(), &openings, Family::Ip6, saved), "");
    assert_eq!(
        openings.first().map(|o| o.place.to_string()).as_deref(),
        Some("iptables-legacy filter FORWARD")
    );
}

#[test]
fn a_name_that_firewalls_read_as_a_pattern_opens_nothing() {
    let chains = [seen(Family::Ip, "FORWARD", Some(Hook::Forward), true, vec![])];
    for name in [&b"br+"[..], b"br*", b"a\"b"] {
        let guests = Guests { bridge: IfName::new(name).unwrap(), ..guests() };
        assert_eq!(survey(&guests, &chains), []);
    }
}

#[test]
fn firewalld_has_an_accept_only_for_what_others_may_send_to_guests() {
    let base = |hook| Some(Base { hook, priority: 10, drops: true });
    let chain = |name: &str, hook| SeenChain {
        place: Place { table: FIREWALLD.to_owned(), ..place(Backend::Nft, Family::Inet, name) },
        base: base(hook),
        rules: Vec::new(),
    };
    let chains = [chain("filter_INPUT", Hook::Input), chain("filter_FORWARD", Hook::Forward)];
    assert_eq!(survey(&guests(), &chains), []);
    let guests = Guests { inward: true, ..guests() };
    assert_eq!(
        text(&guests, &chains),
        "insert rule inet firewalld filter_FORWARD oifname \"lab\" accept comment \"vmnet lab to\"\n"
    );
}

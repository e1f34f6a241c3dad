//! A host that does what each step says, and nothing else, and what is wrong with it.

use crate::cable::End;
use crate::plan::*;
use crate::tap_policy::Enforcement;
use vmnet_access::mac::MacAddr;
use vmnet_access::port_record::BRIDGES_GROUP;

/// A host, with what it shows to nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) seen: ObservedState,
    /// The server has read its files as they are.
    pub(super) read: bool,
    /// It was started on the addresses that are there.
    pub(super) bound: bool,
    /// Nothing is left of a switch.
    pub(super) swept: bool,
}

impl Host {
    fn bridge(&mut self) -> &mut SeenBridge {
        self.seen.bridge.as_mut().expect("a bridge")
    }

    fn switch(&mut self) -> &mut SeenSwitch {
        self.seen.switch.as_mut().expect("a look at the switch")
    }

    /// One step, before which all must be there that it needs.
    pub(super) fn take(&mut self, step: &Step, goal: &DesiredState) {
        match step {
            Step::Bridge(BridgeStep::Create(_))
            | Step::Bridge(BridgeStep::Set { .. })
            | Step::Bridge(BridgeStep::DisableIpv6)
            | Step::Bridge(BridgeStep::PrepareIpv6)
            | Step::Bridge(BridgeStep::RemoveAddress(..))
            | Step::Bridge(BridgeStep::AddAddress(..))
            | Step::Bridge(BridgeStep::Raise)
            | Step::Bridge(BridgeStep::AllowLoopback) => self.take_on_bridge(step, goal),
            Step::Host(HostStep::EnableForwarding) => self.seen.forwarding = true,
            Step::Host(HostStep::EnableForwarding6) => self.seen.forwarding6 = true,
            Step::Firewall(FirewallStep::LoadTables) => {
                (self.seen.ruleset, self.seen.known) = (State::Right, State::Right);
                self.seen.forwards = Some(forwards::shown(&goal.forwards));
            }
            Step::Firewall(FirewallStep::LoadForwards) => {
                assert_eq!(self.seen.ruleset, State::Right, "a table to load them into");
                self.seen.forwards = Some(forwards::shown(&goal.forwards));
            }
            Step::Firewall(FirewallStep::LoadGuests) => {
                assert_eq!(self.seen.ruleset, State::Right, "a table to load them into");
                self.seen.known = State::Right;
            }
            Step::Port(PortStep::WriteRecord) => self.seen.port = State::Right,
            Step::Firewall(FirewallStep::OpenOthers) => {
                let openings = self.seen.foreign.as_mut().unwrap();
                openings.iter_mut().for_each(|opening| opening.open = true);
            }
            Step::Port(PortStep::Set(port)) => {
                let is = self.seen.ports.iter_mut().find(|is| is.index == port.index).expect("the port");
                *is = port.clone();
            }
            Step::Port(PortStep::Attach(index, name)) => {
                self.seen.strays.retain(|stray| *stray != (*index, name.clone()))
            }
            Step::Port(PortStep::SetMac(index, _, mac)) => {
                self.seen.loose.retain(|tap| tap.index != *index || tap.act != Enforcement::PutBack(*mac));
            }
            Step::Port(PortStep::Delete(index, _)) => {
                self.seen.loose.retain(|tap| tap.index != *index || tap.act != Enforcement::Delete);
            }
            Step::Cable(CableStep::Make(..))
            | Step::Cable(CableStep::Remove(..))
            | Step::Cable(CableStep::Start(..))
            | Step::Cable(CableStep::Plug(_))
            | Step::Cable(CableStep::Stop(_)) => self.take_on_cables(step),
            Step::Switch(SwitchStep::WriteRecord)
            | Step::Switch(SwitchStep::RemoveRecord)
            | Step::Switch(SwitchStep::Stop(_))
            | Step::Switch(SwitchStep::Start)
            | Step::Switch(SwitchStep::PlugAgain)
            | Step::Switch(SwitchStep::StopPump(_))
            | Step::Switch(SwitchStep::StartPump) => self.take_on_switch(step, goal),
            _ => self.take_on_server(step, goal),
        }
    }

    fn take_on_bridge(&mut self, step: &Step, goal: &DesiredState) {
        match step {
            Step::Bridge(BridgeStep::Create(mac)) => {
                assert_eq!(self.seen.bridge, None);
                self.bound = false;
                self.seen.bridge = Some(fresh_bridge(*mac));
            }
            Step::Bridge(BridgeStep::Set { mtu, mac, alias }) => {
                let bridge = self.bridge();
                (bridge.mtu, bridge.mac, bridge.group) = (*mtu, Some(*mac), BRIDGES_GROUP);
                bridge.alias = Some(alias.clone());
            }
            Step::Bridge(BridgeStep::DisableIpv6) => self.bridge().ipv6 = Ipv6Role::Off,
            Step::Bridge(BridgeStep::PrepareIpv6) => self.bridge().ipv6 = Ipv6Role::Router,
            Step::Bridge(BridgeStep::Raise) => self.bridge().up = true,
            Step::Bridge(BridgeStep::AllowLoopback) => self.bridge().loopback = true,
            Step::Bridge(BridgeStep::RemoveAddress(address, length)) => {
                self.bound = false;
                match address {
                    IpAddr::V4(a) => self.bridge().addresses.retain(|is| *is != (*a, *length)),
                    IpAddr::V6(a) => self.bridge().addresses6.retain(|is| *is != (*a, *length)),
                }
            }
            Step::Bridge(BridgeStep::AddAddress(address, length)) => {
                assert!(self.bridge().up, "a link that goes up later loses it");
                self.bound &= goal.addresses()[0] != (*address, *length);
                match address {
                    IpAddr::V4(a) => self.bridge().addresses.push((*a, *length)),
                    IpAddr::V6(a) => {
                        assert_eq!(self.bridge().ipv6, Ipv6Role::Router);
                        self.bridge().addresses6.push((*a, *length));
                    }
                }
            }
            _ => unreachable!("{step}"),
        }
    }

    fn take_on_server(&mut self, step: &Step, goal: &DesiredState) {
        let seen = &mut self.seen;
        match step {
            Step::Server(ServerStep::Stop(pid)) => assert_eq!(seen.dnsmasq.take(), Some(*pid)),
            Step::Server(ServerStep::WriteFile) => {
                assert_eq!(seen.dnsmasq, None, "one that runs has read another file");
                seen.dnsmasq_file = State::Right;
            }
            Step::Server(ServerStep::RemoveFile) => {
                assert_eq!(seen.dnsmasq, None, "one that runs needs it");
                seen.dnsmasq_file = State::Absent;
            }
            Step::Server(ServerStep::WriteNames) => (seen.names, self.read) = (State::Right, false),
            Step::Server(ServerStep::WriteReservations) => {
                (seen.reservations, self.read) = (State::Right, false)
            }
            Step::Server(ServerStep::Reread(pid)) => {
                assert_eq!(seen.dnsmasq, Some(*pid));
                self.read = true;
            }
            Step::Server(ServerStep::Start) => {
                let files = [seen.dnsmasq_file, seen.names, seen.reservations];
                assert_eq!((seen.dnsmasq, files), (None, [State::Right; 3]));
                seen.dnsmasq = Some(77);
                (self.read, self.bound) = (true, true);
                assert!(goal.addresses().iter().all(|address| all(self.bridge()).contains(address)));
            }
            _ => unreachable!("{step}"),
        }
    }

    fn take_on_switch(&mut self, step: &Step, goal: &DesiredState) {
        self.swept |= *step == Step::Switch(SwitchStep::RemoveRecord);
        let switch = self.switch();
        match step {
            Step::Switch(SwitchStep::Stop(pid)) => {
                assert_eq!(switch.process.take(), Some(*pid));
                // One that is to be joined is at a place of its own.
                switch.there &= goal.switch.as_ref().is_some_and(|wanted| wanted.run.is_none());
                switch.plugged &= switch.there;
            }
            Step::Switch(SwitchStep::StopPump(pid)) => assert_eq!(switch.pump.take(), Some(*pid)),
            Step::Switch(SwitchStep::WriteRecord) => {
                assert_eq!((switch.process, switch.pump), (None, None), "they know the old record");
                switch.record = State::Right;
            }
            Step::Switch(SwitchStep::RemoveRecord) => {
                assert_eq!((switch.process, switch.pump), (None, None), "they need the record");
                *switch = SeenSwitch::NONE;
            }
            Step::Switch(SwitchStep::Start) => {
                assert_eq!((switch.process, switch.record), (None, State::Right));
                (switch.process, switch.there, switch.plugged) = (Some(88), true, false);
            }
            Step::Switch(SwitchStep::PlugAgain) => {
                assert!(switch.there);
                switch.plugged = true;
            }
            Step::Switch(SwitchStep::StartPump) => {
                assert_eq!((switch.pump, switch.record, switch.there), (None, State::Right, true));
                switch.pump = Some(89);
            }
            _ => unreachable!("{step}"),
        }
    }

    fn take_on_cables(&mut self, step: &Step) {
        let cables = &mut self.seen.cables;
        let whole = By::Pump { record: State::Right, process: Some(90), plugged: true };
        let is = |to: &End| cables.iter().position(|cable| cable.to == *to);
        match step {
            Step::Cable(CableStep::Make(to, far)) => {
                assert_eq!(is(to), None, "a second one would close a circle");
                let by = By::Pair { index: 99, mtu: Some(far.mtu), whole: true };
                cables.push(SeenCable { to: to.clone(), by });
            }
            Step::Cable(CableStep::Remove(index, to)) => {
                let mine = |by| matches!(by, By::Pair { index: own, .. } if own == *index);
                let at = cables.iter().position(|cable| cable.to == *to && mine(cable.by));
                cables.remove(at.expect("an end of that number"));
            }
            Step::Cable(CableStep::Start(to, _)) => match is(to) {
                None => cables.push(SeenCable { to: to.clone(), by: whole }),
                Some(at) => {
                    assert!(matches!(cables[at].by, By::Pump { record: State::Right, process: None, .. }));
                    cables[at].by = whole;
                }
            },
            Step::Cable(CableStep::Plug(to)) => {
                let at = is(to).expect("a pump");
                assert!(matches!(cables[at].by, By::Pump { process: Some(_), plugged: false, .. }));
                cables[at].by = whole;
            }
            Step::Cable(CableStep::Stop(to)) => {
                let at = is(to).expect("a pump");
                assert!(matches!(cables[at].by, By::Pump { .. }));
                cables.remove(at);
            }
            _ => unreachable!("{step}"),
        }
    }
}

pub(super) fn all(bridge: &SeenBridge) -> Vec<(IpAddr, u8)> {
    let v4 = bridge.addresses.iter().map(|(address, length)| (IpAddr::from(*address), *length));
    v4.chain(bridge.addresses6.iter().map(|(address, length)| (IpAddr::from(*address), *length))).collect()
}

fn fresh_bridge(mac: MacAddr) -> SeenBridge {
    SeenBridge {
        kind: Some("bridge".to_owned()),
        mac: Some(mac),
        mtu: 1500,
        group: 0,
        up: false,
        alias: None,
        ipv6: Ipv6Role::Host,
        loopback: false,
        addresses: Vec::new(),
        addresses6: Vec::new(),
    }
}

/// All that is wrong with a host that should be as it should be.
pub(super) fn wrong(goal: &DesiredState, host: &Host) -> Vec<&'static str> {
    let (seen, bridge) = (&host.seen, host.seen.bridge.as_ref().unwrap());
    let addresses = all(bridge);
    let v6 = goal.wanted.subnet6.is_some();
    let role = if v6 { Ipv6Role::Router } else { Ipv6Role::Off };
    let is = (bridge.mac, bridge.mtu, bridge.group, bridge.up, bridge.ipv6, bridge.alias.clone());
    let be = (Some(goal.wanted.mac), goal.wanted.mtu, BRIDGES_GROUP, true, role, Some(goal.bridge_alias()));
    let stays = |old: &(IpAddr, u8)| addresses.contains(old) && !goal.addresses().contains(old);
    let server = match &goal.dnsmasq {
        None => seen.dnsmasq.is_none() && seen.dnsmasq_file == State::Absent,
        Some(_) => {
            let files = [seen.dnsmasq_file, seen.names, seen.reservations] == [State::Right; 3];
            seen.dnsmasq.is_some() && files && host.read && host.bound
        }
    };
    let port = |port: &SeenPort| {
        (port.group, port.isolated) == (goal.port.group, goal.port.isolated)
            && port.hairpin == (goal.port.hairpin && !port.is_wire)
            && (port.mtu == goal.wanted.mtu || !port.ours)
    };
    let shown = forwards::shown(&goal.forwards);
    let checks = [
        ("bridge", is == be),
        ("addresses", goal.addresses().iter().all(|address| addresses.contains(address))),
        ("old addresses", !seen.earlier.iter().any(stays)),
        ("forwarding", seen.forwarding || !goal.forwards()),
        ("ipv6 forwarding", seen.forwarding6 || !goal.forwards() || !v6),
        ("loopback", bridge.loopback || !goal.forwards() || goal.forwards.is_empty()),
        ("tables", seen.ruleset == State::Right && seen.forwards == Some(shown)),
        ("guests in the tables", goal.known.is_none() || seen.known == State::Right),
        ("server", server),
        ("record", seen.port == State::Right),
        ("other firewalls", seen.foreign.iter().flatten().all(|opening| opening.open)),
        ("ports", seen.ports.iter().all(port) && seen.strays.is_empty()),
        ("holders", seen.loose.iter().all(|tap| matches!(tap.act, Enforcement::Wait | Enforcement::Nothing))),
        ("switch", switch_is_right(goal, seen.switch.unwrap())),
        ("cables", cables_are_right(goal, seen)),
    ];
    checks.into_iter().filter(|(_, right)| !right).map(|(what, _)| what).collect()
}

fn switch_is_right(goal: &DesiredState, is: SeenSwitch) -> bool {
    let Some(wanted) = &goal.switch else { return is == SeenSwitch::NONE };
    let there = is.record == State::Right && is.plugged && is.pump.is_some();
    match wanted.run {
        Some(_) => there && is.process.is_some(),
        // Somebody else's may be away: then it is waited for.
        None => is.process.is_none() && is.record == State::Right && (there || !is.there),
    }
}

fn cables_are_right(goal: &DesiredState, seen: &ObservedState) -> bool {
    let each = goal.cables.iter().all(|cable| {
        let own: Vec<By> = seen.cables.iter().filter(|is| is.to == cable.to).map(|is| is.by).collect();
        match &cable.can {
            Can::Pair(far) => {
                matches!(own[..], [By::Pair { mtu, whole: true, .. }] if mtu == Some(far.mtu))
            }
            Can::Pump(_) => {
                matches!(own[..], [By::Pump { record: State::Right, process: Some(_), plugged: true }])
            }
            Can::Never(_) => own.is_empty(),
            Can::Wait | Can::Hidden => own.iter().all(|by| matches!(by, By::Pump { .. })),
        }
    });
    each && seen.cables.iter().all(|is| goal.cables.iter().any(|cable| cable.to == is.to))
}

//! A program that is started with a port of its own: what its words and its environment are told. Bytes,
//! because a command line need not be UTF-8.

use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;

/// What a program is handed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    /// The numbers of the descriptors for frames, one a queue.
    pub descriptors: Vec<i32>,
    /// What the descriptors are.
    pub kind: Kind,
    /// A MAC for the guest. The port's own end of the wire has another.
    pub mac: MacAddr,
    /// The port's name on the host.
    pub port: IfName,
    /// Its MTU in bytes, for a VMM that tells its guest.
    pub mtu: u32,
}

/// What a port's descriptors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A TAP's queues.
    Tap,
    /// A datagram socket on a VDE switch.
    Plug {
        /// The number of the descriptor that keeps the port: the program has it and does nothing with it.
        hold: i32,
        /// How the program's QEMU is told.
        form: PlugForm,
    },
}

/// How QEMU takes a connected datagram socket that it inherits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlugForm {
    /// `-netdev dgram`, from QEMU 7.2 on.
    Dgram,
    /// `-netdev socket`, which every QEMU has.
    Socket,
}

impl PlugForm {
    /// By QEMU's own list of its backends, a line each (`-netdev help`).
    #[must_use]
    pub fn of(backends: &str) -> Self {
        if backends.lines().any(|line| line.trim() == "dgram") { Self::Dgram } else { Self::Socket }
    }
}

/// The place for QEMU's whole `-netdev`, less its `id=`.
const NETDEV: &[u8] = b"{netdev}";

/// Does a word hold the place for QEMU's `-netdev`?
#[must_use]
pub fn has_netdev(word: &[u8]) -> bool {
    word.windows(NETDEV.len()).any(|part| part == NETDEV)
}

/// Every variable that a program may be told by, so that none of an outer program's is taken for one.
pub const VARIABLES: [&str; 7] =
    ["VMNET_FD", "VMNET_FDS", "VMNET_MAC", "VMNET_MTU", "VMNET_TAP", "VMNET_PORT", "VMNET_HOLD_FD"];

impl Handed {
    /// One word of the program's with each `{fd}`, `{fds}`, `{fds,}`, `{netdev}` and `{mac}` in it replaced:
    /// the first descriptor, all of them joined by colons (QEMU's `tap,fds=`), by commas (Cloud
    /// Hypervisor's `fd=[…]`), QEMU's `-netdev` less its `id=`, and the guest's MAC. Every other brace stays as
    /// it is, and what was put in is not looked at again.
    #[must_use]
    pub fn fill(&self, word: &[u8]) -> Vec<u8> {
        let places: [(&[u8], String); 5] = [
            (b"{fd}", self.first()),
            (b"{fds}", self.all(":")),
            (b"{fds,}", self.all(",")),
            (NETDEV, self.netdev()),
            (b"{mac}", self.mac.to_string()),
        ];
        let mut filled = Vec::with_capacity(word.len());
        let mut rest = word;
        while let Some((byte, after)) = rest.split_first() {
            let place = places.iter().find_map(|(place, value)| Some((rest.strip_prefix(*place)?, value)));
            rest = match place {
                Some((after, value)) => {
                    filled.extend_from_slice(value.as_bytes());
                    after
                }
                None => {
                    filled.push(*byte);
                    after
                }
            };
        }
        filled
    }

    /// The same as variables, for programs that look there.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, Vec<u8>)> {
        let port = self.port.as_bytes().to_vec();
        let mut told = vec![
            ("VMNET_FD", self.first().into_bytes()),
            ("VMNET_FDS", self.all(":").into_bytes()),
            ("VMNET_MAC", self.mac.to_string().into_bytes()),
            ("VMNET_MTU", self.mtu.to_string().into_bytes()),
        ];
        match self.kind {
            Kind::Tap => told.push(("VMNET_TAP", port)),
            Kind::Plug { hold, .. } => {
                told.push(("VMNET_PORT", port));
                told.push(("VMNET_HOLD_FD", hold.to_string().into_bytes()));
            }
        }
        told
    }

    fn netdev(&self) -> String {
        let first = self.first();
        match self.kind {
            Kind::Tap if self.descriptors.len() > 1 => format!("tap,fds={}", self.all(":")),
            Kind::Tap => format!("tap,fd={first}"),
            Kind::Plug { form: PlugForm::Dgram, .. } => format!("dgram,local.type=fd,local.str={first}"),
            Kind::Plug { form: PlugForm::Socket, .. } => format!("socket,fd={first}"),
        }
    }

    fn first(&self) -> String {
        self.descriptors.first().map(i32::to_string).unwrap_or_default()
    }

    fn all(&self, between: &str) -> String {
        self.descriptors.iter().map(i32::to_string).collect::<Vec<_>>().join(between)
    }
}

/// A guest's MAC, made of random bytes, with the prefix that QEMU gives (`qemu_macaddr_default_if_unset` in
/// its net/net.c): locally administered, unicast.
#[must_use]
pub fn guest_mac([a, b, c]: [u8; 3]) -> MacAddr {
    MacAddr([0x52, 0x54, 0x00, a, b, c])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn handed(descriptors: &[i32]) -> Handed {
        let port = IfName::new(b"vmtap7").unwrap();
        let (descriptors, mac) = (descriptors.to_vec(), guest_mac([0xab, 0, 1]));
        Handed { descriptors, kind: Kind::Tap, mac, port, mtu: 1500 }
    }

    fn plugged(form: PlugForm) -> Handed {
        let port = IfName::new(b"vde3").unwrap();
        Handed { kind: Kind::Plug { hold: 6, form }, port, ..handed(&[5]) }
    }

    #[track_caller]
    fn assert_fills(word: &str, filled: &str) {
        assert_eq!(String::from_utf8(handed(&[3, 4]).fill(word.as_bytes())).unwrap(), filled);
    }

    #[test]
    fn qemu_and_cloud_hypervisor_find_their_descriptors() {
        assert_fills("tap,id=n,fd={fd}", "tap,id=n,fd=3");
        assert_fills("tap,id=n,fds={fds},vhost=on", "tap,id=n,fds=3:4,vhost=on");
        assert_fills("fd=[{fds,}],num_queues=4,mac={mac}", "fd=[3,4],num_queues=4,mac=52:54:00:ab:00:01");
        assert_fills("{fd}{fd}", "33");
    }

    #[test]
    fn qemus_whole_netdev_is_told_as_this_qemu_knows_it() {
        let fill = |handed: &Handed| String::from_utf8(handed.fill(b"{netdev},id=n")).unwrap();
        assert_eq!(fill(&handed(&[3])), "tap,fd=3,id=n");
        assert_eq!(fill(&handed(&[3, 4])), "tap,fds=3:4,id=n");
        // Said by QEMU 7.2, and by an older one.
        let new = PlugForm::of("Available netdev backend types:\nsocket\nstream\ndgram\ntap\n");
        let old = PlugForm::of("Available netdev backend types:\nsocket\nl2tpv3\nvhost-user\n");
        assert_eq!(fill(&plugged(new)), "dgram,local.type=fd,local.str=5,id=n");
        assert_eq!(fill(&plugged(old)), "socket,fd=5,id=n");
        assert!(has_netdev(b"x{netdev}") && !has_netdev(b"{netdev") && !has_netdev(b""));
    }

    #[test]
    fn a_port_on_a_switch_is_no_tap_and_says_what_keeps_it() {
        let told = plugged(PlugForm::Dgram).environment();
        let value = |key| told.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_slice());
        assert_eq!(value("VMNET_PORT"), Some(&b"vde3"[..]));
        assert_eq!((value("VMNET_FD"), value("VMNET_HOLD_FD")), (Some(&b"5"[..]), Some(&b"6"[..])));
        assert_eq!(value("VMNET_TAP"), None);
        for (name, _) in told.into_iter().chain(handed(&[3]).environment()) {
            assert!(VARIABLES.contains(&name), "{name}");
        }
    }

    #[test]
    fn a_brace_that_is_none_of_ours_stays() {
        for word in
            ["", "{", "}", "{}", "{fd", "{ fd }", "{FD}", "{fds;}", "${x}", "{\"type\":\"tap\"}", "}{"]
        {
            assert_fills(word, word);
        }
        assert_fills("{{fd}}", "{3}");
        assert_fills(r#"{"fds":"{fds}"}"#, r#"{"fds":"3:4"}"#);
        assert_fills("{fd{fd}", "{fd3");
    }

    #[test]
    fn a_word_need_not_be_utf_8() {
        assert_eq!(handed(&[9]).fill(b"\xff{fd}\xfe{"), b"\xff9\xfe{");
    }

    #[test]
    fn the_environment_says_the_same_as_the_words() {
        let handed = handed(&[3, 4]);
        let expected = ["{fd}", "{fds}", "{mac}", "1500", "vmtap7"].map(|word| handed.fill(word.as_bytes()));
        let told: Vec<Vec<u8>> = handed.environment().into_iter().map(|(_, value)| value).collect();
        assert_eq!(told, expected);
    }

    proptest! {
        #[test]
        fn what_holds_no_place_is_not_changed(word in proptest::collection::vec(any::<u8>(), 0..40)) {
            let holds = ["{fd}", "{fds}", "{fds,}", "{netdev}", "{mac}"]
                .iter()
                .any(|place| word.windows(place.len()).any(|part| part == place.as_bytes()));
            prop_assume!(!holds);
            prop_assert_eq!(handed(&[3]).fill(&word), word);
        }
    }
}

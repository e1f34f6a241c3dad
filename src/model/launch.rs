//! A program that is started with a port of its own: what its words and its environment are told. Bytes,
//! because a command line need not be UTF-8.

use crate::mac::MacAddr;
use crate::name::IfName;

/// What a program is handed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    /// The numbers of the port's descriptors, one a queue.
    pub descriptors: Vec<i32>,
    /// A MAC for the guest. The port's own end of the wire has another.
    pub mac: MacAddr,
    /// The port's name on the host.
    pub port: IfName,
    /// Its MTU in bytes, for a VMM that tells its guest.
    pub mtu: u32,
}

impl Handed {
    /// One word of the program's with each `{fd}`, `{fds}`, `{fds,}` and `{mac}` in it replaced: the first
    /// descriptor, all of them joined by colons (QEMU's `tap,fds=`), by commas (Cloud Hypervisor's
    /// `fd=[…]`), and the guest's MAC. Every other brace stays as it is, and what was put in is not
    /// looked at again.
    #[must_use]
    pub fn fill(&self, word: &[u8]) -> Vec<u8> {
        let places: [(&[u8], String); 4] = [
            (b"{fd}", self.first()),
            (b"{fds}", self.all(":")),
            (b"{fds,}", self.all(",")),
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
    pub fn environment(&self) -> [(&'static str, Vec<u8>); 5] {
        [
            ("VMNET_FD", self.first().into_bytes()),
            ("VMNET_FDS", self.all(":").into_bytes()),
            ("VMNET_MAC", self.mac.to_string().into_bytes()),
            ("VMNET_TAP", self.port.as_bytes().to_vec()),
            ("VMNET_MTU", self.mtu.to_string().into_bytes()),
        ]
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
        Handed { descriptors: descriptors.to_vec(), mac: guest_mac([0xab, 0, 1]), port, mtu: 1500 }
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
        let expected = ["{fd}", "{fds}", "{mac}", "vmtap7", "1500"].map(|word| handed.fill(word.as_bytes()));
        assert_eq!(handed.environment().map(|(_, value)| value), expected);
    }

    proptest! {
        #[test]
        fn what_holds_no_place_is_not_changed(word in proptest::collection::vec(any::<u8>(), 0..40)) {
            let holds = ["{fd}", "{fds}", "{fds,}", "{mac}"]
                .iter()
                .any(|place| word.windows(place.len()).any(|part| part == place.as_bytes()));
            prop_assume!(!holds);
            prop_assert_eq!(handed(&[3]).fill(&word), word);
        }
    }
}

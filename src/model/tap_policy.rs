//! How far whoever holds a TAP may go. The kernel lets every holder make it persistent, give it
//! away and change its MAC (`__tun_chr_ioctl` in drivers/net/tun.c asks for no capability); here is
//! what is done about a TAP of ours that is not as it was granted.

use std::fmt;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;
use vmnet_access::port_record::{PortTag, TapState};

/// So many changes are borne before the TAP goes: whoever makes them again and again has no use for
/// them but others' harm.
pub const CHANGES_MAX: u32 = 5;
/// So many changes of its MAC under `guard`. One, because it may not have been the holder: udev gives a link
/// that just came a MAC of its own (MACAddressPolicy= in systemd.link(5)) if it looked before we gave it ours.
pub const MOVES_UNDER_GUARD: u32 = 1;

/// A TAP that carries our tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedTap {
    /// The tag that the TAP was granted with.
    pub tag: PortTag,
    /// The TAP's name.
    pub name: IfName,
    /// The TAP's MAC as it is now.
    pub mac: Option<MacAddr>,
    /// Somebody holds it: the driver has a carrier while a queue is attached.
    pub held: bool,
    /// What else the kernel tells of the TAP.
    pub state: TapState,
}

/// One way in which a holder went further than the grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantViolation {
    /// Another MAC: the bridge would take that of another guest for its own.
    Mac,
    /// It would stay as a port when its holder ends.
    Persistent,
    /// Another user or a group may open it.
    GivenAway,
}

impl fmt::Display for GrantViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mac => "its MAC was changed",
            Self::Persistent => "it was made persistent",
            Self::GivenAway => "it was given to another user",
        })
    }
}

/// What is to be done about a holder's violations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// Nothing.
    Nothing,
    /// Give it this MAC again.
    PutBack(MacAddr),
    /// Nothing can be undone from outside while somebody holds it (a second TUNSETIFF answers
    /// EBUSY); it goes when its holder does.
    Wait,
    /// Delete the link: whoever holds it holds nothing any more.
    Delete,
}

impl GrantedTap {
    /// In what it is not as it was granted.
    #[must_use]
    pub fn breaches(&self) -> Vec<GrantViolation> {
        let TapState { persistent, owner, group, .. } = self.state;
        let mut breaches = Vec::new();
        if self.mac.is_some_and(|mac| mac != self.tag.mac(&self.name)) {
            breaches.push(GrantViolation::Mac);
        }
        if persistent && !self.tag.kept {
            breaches.push(GrantViolation::Persistent);
        }
        if group.is_some() || owner.is_some_and(|owner| owner != self.tag.uid) {
            breaches.push(GrantViolation::GivenAway);
        }
        breaches
    }

    /// What to do, on a network that says `guard` or not, after so many changes.
    #[must_use]
    pub fn act(&self, guard: bool, changes: u32) -> Enforcement {
        let breaches = self.breaches();
        let lasting = breaches.iter().any(|breach| *breach != GrantViolation::Mac);
        let moved = breaches.contains(&GrantViolation::Mac);
        let most = if guard { MOVES_UNDER_GUARD } else { CHANGES_MAX };
        match (moved, lasting) {
            (false, false) => Enforcement::Nothing,
            (_, true) if guard || !self.held => Enforcement::Delete,
            _ if changes >= most => Enforcement::Delete,
            (true, _) => Enforcement::PutBack(self.tag.mac(&self.name)),
            (false, true) => Enforcement::Wait,
        }
    }

    /// It stays and nobody holds it: no reason to keep a network, which takes it along when it goes.
    #[must_use]
    pub fn is_vacant(&self) -> bool {
        self.state.persistent && !self.held
    }
}

#[cfg(test)]
impl GrantedTap {
    /// One as it was granted, for tests.
    pub(crate) fn sample() -> Self {
        let name = IfName::new(b"vmtap7").unwrap();
        let tag = PortTag { bridge: IfName::new(b"lab").unwrap(), uid: 1000, pid: 7, kept: false };
        Self { mac: Some(tag.mac(&name)), tag, name, held: true, state: TapState::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted() -> GrantedTap {
        GrantedTap::sample()
    }

    fn kept() -> GrantedTap {
        let mut tap = granted();
        tap.tag.kept = true;
        tap.mac = Some(tap.tag.mac(&tap.name));
        tap.state = TapState { persistent: true, owner: Some(1000), ..TapState::default() };
        tap
    }

    fn with(tap: GrantedTap, change: impl FnOnce(&mut GrantedTap)) -> GrantedTap {
        let mut tap = tap;
        change(&mut tap);
        tap
    }

    const FOREIGN: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    #[test]
    fn what_was_granted_is_left_alone_held_or_not() {
        for guard in [false, true] {
            assert_eq!(granted().act(guard, 9), Enforcement::Nothing);
            assert_eq!(kept().act(guard, 9), Enforcement::Nothing);
            assert_eq!(with(kept(), |tap| tap.held = false).act(guard, 9), Enforcement::Nothing);
            // One with several queues belongs to its user from the start.
            assert_eq!(
                with(granted(), |tap| tap.state.owner = Some(1000)).act(guard, 9),
                Enforcement::Nothing
            );
            // Its owner may let it end with himself.
            assert_eq!(with(kept(), |tap| tap.state.persistent = false).act(guard, 9), Enforcement::Nothing);
        }
    }

    #[test]
    fn another_mac_is_put_back_but_not_for_ever() {
        let own = granted().tag.mac(&granted().name);
        let moved = with(granted(), |tap| tap.mac = Some(FOREIGN));
        assert_eq!(moved.breaches(), [GrantViolation::Mac]);
        assert_eq!(moved.act(false, CHANGES_MAX - 1), Enforcement::PutBack(own));
        assert_eq!(moved.act(false, CHANGES_MAX), Enforcement::Delete);
        assert_eq!(moved.act(true, 0), Enforcement::PutBack(own));
        assert_eq!(moved.act(true, MOVES_UNDER_GUARD), Enforcement::Delete);
        // A kept one has another, and keeps it while nobody holds it.
        let moved = with(kept(), |tap| (tap.mac, tap.held) = (Some(own), false));
        assert_eq!(moved.act(false, 0), Enforcement::PutBack(kept().tag.mac(&kept().name)));
    }

    #[test]
    fn one_that_would_stay_goes_with_its_holder_or_at_once_under_guard() {
        let persistent: fn(&mut GrantedTap) = |tap| tap.state.persistent = true;
        let given: fn(&mut GrantedTap) = |tap| tap.state.owner = Some(0);
        let shared: fn(&mut GrantedTap) = |tap| tap.state.group = Some(7);
        for (tap, change) in [
            (granted(), persistent),
            (granted(), given),
            (granted(), shared),
            (kept(), given),
            (kept(), shared),
        ] {
            let tap = with(tap, change);
            assert_eq!(tap.act(false, 0), Enforcement::Wait, "{tap:?}");
            assert_eq!(tap.act(true, 0), Enforcement::Delete, "{tap:?}");
            assert_eq!(tap.act(false, CHANGES_MAX), Enforcement::Delete, "{tap:?}");
            assert_eq!(
                with(tap.clone(), |tap| tap.held = false).act(false, 0),
                Enforcement::Delete,
                "{tap:?}"
            );
            // Its MAC is put back meanwhile.
            let moved = with(tap, |tap| tap.mac = Some(FOREIGN));
            assert!(matches!(moved.act(false, 0), Enforcement::PutBack(_)), "{moved:?}");
        }
    }

    #[test]
    fn only_one_that_stays_can_be_vacant() {
        assert!(with(kept(), |tap| tap.held = false).is_vacant());
        assert!(!kept().is_vacant());
        assert!(!with(granted(), |tap| tap.held = false).is_vacant());
    }

    #[test]
    fn each_breach_is_told_and_a_mac_that_is_unknown_is_none() {
        assert_eq!(with(granted(), |tap| tap.mac = None).breaches(), []);
        let all = with(granted(), |tap| {
            tap.mac = Some(FOREIGN);
            tap.state = TapState { persistent: true, owner: Some(1001), ..TapState::default() };
        });
        let words: Vec<String> = all.breaches().iter().map(ToString::to_string).collect();
        let expected = ["its MAC was changed", "it was made persistent", "it was given to another user"];
        assert_eq!(words, expected);
    }
}

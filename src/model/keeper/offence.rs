//! What is known of the holder of a TAP who went further than the grant, and what follows from it.

use crate::tap_policy::{Enforcement, GrantViolation, GrantedTap};

/// What one port's holder did since it came.
#[derive(Debug, Default)]
pub struct Offence {
    /// What the log was told; once is enough.
    told: Vec<GrantViolation>,
    /// What the port was like at the last look.
    last: Vec<GrantViolation>,
    /// How often it was changed.
    changes: u32,
}

/// What follows from one look at a TAP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What is to be done about it.
    pub act: Enforcement,
    /// In what it is not as it was granted.
    pub breaches: Vec<GrantViolation>,
    /// The violations that the log does not know yet.
    pub news: Vec<GrantViolation>,
}

impl Offence {
    /// What follows from how a TAP is now, on a network that says `guard` or not. What is told as news is
    /// news only once.
    #[must_use]
    pub fn judge(&mut self, tap: &GrantedTap, guard: bool) -> Verdict {
        let breaches = tap.breaches();
        let act = tap.act(guard, self.changes);
        // A MAC is put back each time, so that it was changed again.
        let is_change =
            |breach: &GrantViolation| *breach == GrantViolation::Mac || !self.last.contains(breach);
        self.changes += u32::from(breaches.iter().any(is_change));
        self.last.clone_from(&breaches);
        let news: Vec<GrantViolation> =
            breaches.iter().filter(|one| !self.told.contains(one)).copied().collect();
        self.told.extend(&news);
        Verdict { act, breaches, news }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tap_policy::CHANGES_MAX;
    use vmnet_access::mac::MacAddr;
    use vmnet_access::port_record::TapState;

    fn granted() -> GrantedTap {
        GrantedTap::sample()
    }

    fn moved() -> GrantedTap {
        GrantedTap { mac: Some(MacAddr([2, 0, 0, 0, 0, 1])), ..granted() }
    }

    fn persistent() -> GrantedTap {
        GrantedTap { state: TapState { persistent: true, ..TapState::default() }, ..granted() }
    }

    #[test]
    fn a_mac_is_put_back_so_many_times_and_told_of_once() {
        let mut offence = Offence::default();
        for change in 0..CHANGES_MAX {
            let verdict = offence.judge(&moved(), false);
            assert!(matches!(verdict.act, Enforcement::PutBack(_)), "{verdict:?}");
            assert_eq!(verdict.news.is_empty(), change > 0);
            assert_eq!(offence.judge(&granted(), false).act, Enforcement::Nothing);
        }
        assert_eq!(offence.judge(&moved(), false).act, Enforcement::Delete);
    }

    #[test]
    fn what_lasts_is_one_change_however_often_it_is_seen() {
        let mut offence = Offence::default();
        assert_eq!(offence.judge(&persistent(), false).news, [GrantViolation::Persistent]);
        for _ in 0..2 * CHANGES_MAX {
            let verdict = offence.judge(&persistent(), false);
            let seen =
                Verdict { act: Enforcement::Wait, breaches: vec![GrantViolation::Persistent], news: vec![] };
            assert_eq!(verdict, seen);
        }
    }

    #[test]
    fn what_is_undone_and_done_again_is_another_change() {
        let mut offence = Offence::default();
        for _ in 0..CHANGES_MAX {
            assert_eq!(offence.judge(&persistent(), false).act, Enforcement::Wait);
            assert_eq!(offence.judge(&granted(), false).act, Enforcement::Nothing);
        }
        assert_eq!(offence.judge(&persistent(), false).act, Enforcement::Delete);
    }
}

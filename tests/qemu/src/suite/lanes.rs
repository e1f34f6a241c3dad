//! How a test uses the processors, and so how many of its kind go side by side: a table, because a test
//! does not know what others do beside it. What is not in it waits more than it works, as most tests do:
//! for what must not arrive, for a program to start, for time to pass.

/// What a test does with the processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Keeps one busy: emulators, a hundred callers at once.
    Busy,
    /// Waits more than it works.
    Waiting,
    /// Measures time, and would measure the others.
    Alone,
}

impl Lane {
    /// How many of the kind go side by side on so many processors.
    pub fn width(self, processors: usize) -> usize {
        match self {
            Self::Busy => processors,
            Self::Waiting => processors * 3,
            Self::Alone => 1,
        }
    }
}

/// Tests, by the beginning of their names, that are not as the rest. Each lane starts them in this order,
/// and the rest after them: what takes long comes first, so that nothing is left to wait for at the end.
pub const TABLE: &[(&str, Lane)] = &[
    // Each system call of a verb in its turn: a verb, some hundred times.
    ("network::faults::", Lane::Busy),
    // An emulator with a whole Debian in it.
    ("network::systemd::", Lane::Busy),
    ("network::killed::", Lane::Busy),
    ("attach::killed::", Lane::Busy),
    // Emulators.
    ("vde::guests::", Lane::Busy),
    ("vde::port_guests::", Lane::Busy),
    ("vde::hotplug::", Lane::Busy),
    ("vmm::guests::", Lane::Busy),
    ("vmm::exec_guests::", Lane::Busy),
    ("vmm::ipv6_guest::", Lane::Busy),
    ("vmm::libvirt::", Lane::Busy),
    ("vmm::libvirt_system::", Lane::Busy),
    ("vmm::snippets::qemu_", Lane::Busy),
    ("network::reservations::real_guests", Lane::Busy),
    ("helper::broker::a_guest", Lane::Busy),
    // Many callers at once.
    ("helper::access::both_come", Lane::Busy),
    ("helper::broker_service::killed_fifty", Lane::Busy),
    ("helper::hostile_caller::a_hundred", Lane::Busy),
    ("helper::quota::", Lane::Busy),
    // These wait long.
    ("network::up_down::nothing_is_left_of_any", Lane::Waiting),
    ("firewall::links::", Lane::Waiting),
    ("firewall::limits::", Lane::Waiting),
    ("firewall::isolation::", Lane::Waiting),
    ("firewall::guard::", Lane::Waiting),
    ("network::idle::", Lane::Waiting),
    ("network::words::", Lane::Waiting),
    ("network::ipv6::networks_are", Lane::Waiting),
    ("network::ipv6::a_packet", Lane::Waiting),
    ("attach::stay::", Lane::Waiting),
    ("vmm::tap::", Lane::Waiting),
    // How long an honest request takes beside a thousand others.
    ("helper::broker_hostile::", Lane::Alone),
    // For how long a firewall that comes or goes cuts guests off.
    ("firewall::beside_others::a_firewall_that_comes_later", Lane::Alone),
    ("firewall::beside_others::a_flushed_ruleset", Lane::Alone),
    ("firewall::beside_others::ufw_", Lane::Alone),
    ("firewall::beside_others::firewalld_lets_guests_through", Lane::Alone),
    ("firewall::docker::guests_are_not_cut_off", Lane::Alone),
    // When a guest has its address.
    ("network::ipv6::a_guest_has_an_address_two_seconds", Lane::Alone),
    // For how long nothing comes through.
    ("vde::endurance::", Lane::Alone),
];

/// Where a test stands: its lane, and its place there among the others (a lower number starts first).
pub fn place(test: &str) -> (Lane, usize) {
    let row = TABLE.iter().position(|(beginning, _)| test.starts_with(beginning));
    row.map_or((Lane::Waiting, TABLE.len()), |row| (TABLE[row].1, row))
}

/// The rows of the table that no test answers to: what they name was renamed, and is now in a lane that
/// nobody chose.
pub fn unknown_rows(tests: &[&str]) -> Vec<&'static str> {
    let names = TABLE.iter().map(|(beginning, _)| *beginning);
    names.filter(|beginning| !tests.iter().any(|test| test.starts_with(beginning))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_in_the_lane_of_the_first_row_that_its_name_begins_with() {
        assert_eq!(place("network::faults::a_call"), (Lane::Busy, 0));
        assert_eq!(place("vde::endurance::traffic").0, Lane::Alone);
        assert_eq!(place("vmnet_model::network::systemd::x"), (Lane::Waiting, TABLE.len()));
    }

    #[test]
    fn a_row_that_no_test_answers_to_is_told() {
        let (first, _) = TABLE[0];
        let others: Vec<&str> = TABLE.iter().skip(1).map(|(beginning, _)| *beginning).collect();
        assert_eq!(unknown_rows(&others), [first]);
    }

    #[test]
    fn no_row_hides_a_later_one() {
        for (later, (beginning, _)) in TABLE.iter().enumerate() {
            let hidden = TABLE.iter().take(later).any(|(earlier, _)| beginning.starts_with(earlier));
            assert!(!hidden, "{beginning}");
        }
    }
}

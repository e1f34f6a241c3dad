//! Which keys a network's file may have and what form the value of each has: the one table that the
//! parser, the schema and the tests of template and man page go by.

use crate::mistake::{Fault, shown};
use crate::nearest::nearest;
use crate::{limits, patterns, times, values};
use std::ops::RangeInclusive;
use vmnet_model::forward::Protocol;

/// 1023 is the kernel's limit for a bridge (BR_MAX_PORTS in net/bridge/br_private.h); the switch is its
/// other half.
pub(crate) const PORTS: RangeInclusive<u32> = 1..=1000;
/// The names that docker-vde-plugin's options and vde_switch(1) have for these keys.
pub(crate) const OLD_NAMES: &[(&str, &str)] = &[
    ("socket_dir", "socket"),
    ("create_sockets", "create"),
    ("socket_group", "group"),
    ("num_switchports", "ports"),
    ("management_socket", "mgmt_socket"),
    ("sock", "socket"),
    ("numports", "ports"),
    ("mgmt", "mgmt_socket"),
    ("fstp", "fast_spanning_tree"),
];

/// What a value looks like. What it has to mean besides, the reader of the key says.
pub(crate) enum Form {
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Words(fn() -> Vec<&'static str>),
    /// A whole number.
    Number(RangeInclusive<u32>),
    /// A text that this regular expression finds itself in.
    Text(fn() -> String),
    /// Any of these.
    Either(&'static [Form]),
    /// A list of them, with at least so many.
    List(&'static Form, usize),
    /// `[section]`
    Section(&'static Keys),
    /// `[[section]]`, any number of them.
    Sections(&'static Keys),
}

/// One key.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
}

/// The keys of one table.
pub(crate) struct Keys {
    /// Its name, empty for the top of the file.
    pub(crate) section: &'static str,
    /// Those that this version knows.
    pub(crate) known: &'static [Key],
    /// Those that must be there.
    pub(crate) needed: &'static [&'static str],
    /// Those of the design that a later version brings.
    later: &'static [&'static str],
    /// Names that others have for some of them, each with ours.
    old: &'static [(&'static str, &'static str)],
}

const fn key(name: &'static str, form: Form) -> Key {
    Key { name, form }
}

/// For what only the host decides, or a word that frees it from a number.
const AUTO: Form = Form::Words(|| vec![values::AUTO]);

pub(crate) static TOP: Keys = Keys {
    section: "",
    known: &[
        key("mode", Form::Words(|| values::modes().map(|(word, _)| word).to_vec())),
        key("subnet", Form::Either(&[AUTO, Form::Text(patterns::subnet)])),
        key("address", Form::Text(patterns::ipv4)),
        key("more_subnets", Form::List(&Form::Text(patterns::subnet), 0)),
        key(
            "subnet6",
            Form::Either(&[Form::Words(|| vec![values::AUTO, values::NONE]), Form::Text(patterns::prefix6)]),
        ),
        key("mac", Form::Text(patterns::mac)),
        key("mtu", Form::Either(&[AUTO, Form::Number(values::MTU)])),
        key("on_demand", Form::Switch),
        key(
            "idle",
            Form::Either(&[
                Form::Words(|| times::idle_words().map(|(word, _)| word).to_vec()),
                Form::Text(times::pattern),
            ]),
        ),
        key("isolated", Form::Switch),
        key("guard", Form::Switch),
        key("allow_from", Form::List(&Form::Text(patterns::network), 0)),
        key("host_access", Form::Words(|| values::host_accesses().map(|(word, _)| word).to_vec())),
        key("dhcp", Form::Section(&DHCP)),
        key("dns", Form::Section(&DNS)),
        key("nat", Form::Section(&NAT)),
        key("limits", Form::Section(&LIMITS)),
        key("host", Form::Sections(&HOST)),
        key("forward", Form::Sections(&FORWARD)),
        key("link", Form::Sections(&LINK)),
        key("vde", Form::Section(&VDE)),
    ],
    needed: &[],
    later: &["uplink"],
    old: &[],
};
pub(crate) static DHCP: Keys = Keys {
    section: "dhcp",
    known: &[
        key("enabled", Form::Switch),
        key("range", Form::Text(patterns::range)),
        key("lease_time", Form::Either(&[Form::Words(|| vec![times::INFINITE]), Form::Text(times::pattern)])),
        key("options", Form::List(&Form::Text(patterns::dhcp_option), 0)),
    ],
    needed: &[],
    later: &[],
    old: &[],
};
pub(crate) static DNS: Keys = Keys {
    section: "dns",
    known: &[
        key("domain", Form::Text(patterns::domain)),
        key("upstream", Form::List(&Form::Text(patterns::server), 0)),
        key("register", Form::Switch),
    ],
    needed: &[],
    later: &[],
    old: &[],
};
pub(crate) static NAT: Keys = Keys {
    section: "nat",
    known: &[key("source", Form::Text(patterns::ipv4)), key("uplink", Form::Text(patterns::interface))],
    needed: &[],
    later: &[],
    old: &[],
};
pub(crate) static LIMITS: Keys = Keys {
    section: "limits",
    known: &[key("from_guest", Form::Text(limits::pattern)), key("to_guest", Form::Text(limits::pattern))],
    needed: &[],
    later: &[],
    old: &[],
};
pub(crate) static HOST: Keys = Keys {
    section: "host",
    known: &[
        key("name", Form::Text(patterns::host)),
        key("mac", Form::Text(patterns::mac)),
        key("address", Form::Text(patterns::ipv4)),
        key("address6", Form::Text(patterns::ipv6)),
        key("aliases", Form::List(&Form::Text(patterns::host), 0)),
    ],
    needed: &["name", "mac"],
    later: &[],
    old: &[],
};
/// A port by its number; 0 means any free one and is for commands, not for files.
const PORT: Form = Form::Number(1..=65535);
pub(crate) static FORWARD: Keys = Keys {
    section: "forward",
    known: &[
        key("listen", Form::Either(&[PORT, Form::Text(patterns::listen)])),
        key("to", Form::Text(patterns::target)),
        key("protocol", Form::Words(|| Protocol::ALL.map(Protocol::as_str).to_vec())),
    ],
    needed: &["listen", "to"],
    later: &[],
    old: &[],
};
pub(crate) static LINK: Keys = Keys {
    section: "link",
    known: &[
        key("from", Form::Text(patterns::guest)),
        key("to", Form::Text(patterns::guest)),
        key("ports", Form::List(&Form::Either(&[PORT, Form::Text(patterns::link_ports)]), 1)),
        key("alias", Form::Text(patterns::host)),
    ],
    needed: &["from", "to"],
    later: &[],
    old: &[],
};
pub(crate) static VDE: Keys = Keys {
    section: "vde",
    known: &[
        key("socket", Form::Text(patterns::path)),
        key("create", Form::Switch),
        key("group", Form::Text(patterns::group)),
        key("mode", Form::Text(patterns::socket_mode)),
        key("ports", Form::Number(PORTS)),
        key("hub", Form::Switch),
        key("mgmt_socket", Form::Text(patterns::path)),
        key("fast_spanning_tree", Form::Switch),
    ],
    needed: &[],
    later: &[],
    old: OLD_NAMES,
};

impl Form {
    /// The table that the value is, or that each of it is.
    pub(crate) fn table(&self) -> Option<&'static Keys> {
        match self {
            Self::Section(keys) | Self::Sections(keys) => Some(*keys),
            _ => None,
        }
    }
}

impl Keys {
    /// Every name.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.known.iter().map(|key| key.name).collect()
    }

    /// This table and those in it.
    pub(crate) fn tables(&'static self) -> Vec<&'static Self> {
        let inner = self.known.iter().filter_map(|key| key.form.table());
        [self].into_iter().chain(inner.flat_map(Self::tables)).collect()
    }

    /// May there be several tables of this name?
    fn is_repeated(&self) -> bool {
        let is_it = |key: &&Key| matches!(key.form, Form::Sections(keys) if keys.section == self.section);
        TOP.known.iter().any(|key| is_it(&key))
    }

    /// The table as its heading is written.
    pub(crate) fn heading(&self) -> String {
        if self.is_repeated() { format!("[[{}]]", self.section) } else { format!("[{}]", self.section) }
    }

    /// What to say about a key that is none of these.
    pub(crate) fn stranger(&self, key: &str) -> Fault {
        let place = if self.section.is_empty() { String::new() } else { format!(" in {}", self.heading()) };
        let later = self.later.contains(&key);
        let fault = if later {
            Fault::new(format!("key '{key}'{place} is not supported by this version"))
        } else {
            Fault::new(format!("unknown key '{}'{place}", shown(key)))
        };
        if let Some(ours) = self.renamed(key) {
            return fault.hint(format!("here it is called '{ours}'"));
        }
        let has = |keys: &&Keys| keys.section != self.section && keys.names().contains(&key);
        if let Some(home) = TOP.tables().into_iter().find(has) {
            return fault.hint(match home.section {
                "" => format!("'{key}' belongs at the top of the file, before the first [section]"),
                _ => format!("'{key}' belongs in {}", home.heading()),
            });
        }
        let old: Vec<_> = self.old.iter().map(|(old, _)| *old).collect();
        let renamed = || self.renamed(nearest(key, &old)?);
        match (nearest(key, &self.names()), renamed()) {
            _ if later => fault,
            (Some(known), _) => fault.hint(format!("did you mean '{known}'?")),
            (None, Some(ours)) => fault.hint(format!("here it is called '{ours}'")),
            (None, None) => fault,
        }
    }

    /// Our name for what others call so.
    fn renamed(&self, key: &str) -> Option<&'static str> {
        self.old.iter().find(|(old, _)| *old == key).map(|(_, ours)| *ours)
    }
}

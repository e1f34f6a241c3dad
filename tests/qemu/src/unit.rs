//! What a systemd unit of ours leaves its program, tried without systemd: rights, files, system calls.

use std::collections::BTreeSet;
use std::path::Path;

use crate::house::House;

/// What `ProtectSystem=strict` leaves: all read-only but the two directories that our units ask for.
const PROTECT: &str = r#"
mkdir -p /run/vmnet /var/lib/vmnet
for place in /run/vmnet /var/lib/vmnet; do mount --bind $place $place; done
for place in / /etc /usr/local /usr/lib/qemu /var/lib /run /tmp; do
    mountpoint -q $place && mount -o remount,bind,ro $place
done
! touch /etc/probe /run/probe /var/lib/probe /tmp/probe 2>/dev/null
exec "$@"
"#;

/// One unit's text.
pub struct Unit(String);

impl Unit {
    /// The unit of this file in `conf/`.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn read(file: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf").join(file);
        Self(std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    }

    /// The value of a setting.
    ///
    /// # Panics
    /// If the unit has none of that name.
    #[track_caller]
    pub fn setting(&self, key: &str) -> &str {
        let found = self.0.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("the unit has no {key}"))
    }

    /// What a program is started below to have the rights and the file system of the unit. It needs
    /// `unshare`, `mountpoint` and `setpriv`.
    ///
    /// # Panics
    /// If the unit leaves more than that.
    #[track_caller]
    pub fn confinement(&self) -> Vec<String> {
        assert_eq!(self.setting("NoNewPrivileges"), "yes");
        assert_eq!(self.setting("ProtectSystem"), "strict");
        let rights = self.setting("CapabilityBoundingSet").to_lowercase().replace("cap_", "+");
        let bounding = format!("--bounding-set=-all,{}", rights.replace(' ', ","));
        let files = ["unshare", "--mount", "--propagation=private", "bash", "-euc", PROTECT, "bash"];
        let rights = ["setpriv", &bounding, "--inh-caps=-all", "--no-new-privs", "--"];
        files.into_iter().chain(rights).map(str::to_owned).collect()
    }

    /// System calls in a log of `strace -f -o` that the unit forbids. It needs `systemd-analyze`.
    ///
    /// # Panics
    /// If the log holds nothing.
    #[track_caller]
    pub fn forbidden_calls(&self, house: &House, log: &str) -> Vec<String> {
        let sets = self.setting("SystemCallFilter");
        let allowed: BTreeSet<String> = sets.split(' ').flat_map(|set| calls_of(house, set)).collect();
        assert!(allowed.len() > 100, "{allowed:?}");
        let text = house.read_file(log).unwrap_or_default();
        let call = |line: &str| {
            let (name, _) = line.split_once(' ')?.1.trim().split_once('(')?;
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_').then(|| name.to_owned())
        };
        let made: BTreeSet<String> = text.lines().filter_map(call).collect();
        assert!(made.contains("bind") && made.contains("execve"), "{made:?}");
        made.difference(&allowed).cloned().collect()
    }
}

/// The names in one of systemd's sets of system calls, the sets in it included; a call is itself.
fn calls_of(house: &House, set: &str) -> BTreeSet<String> {
    if !set.starts_with('@') {
        return BTreeSet::from([set.to_owned()]);
    }
    let mut calls = BTreeSet::new();
    let text = house.run(&["systemd-analyze", "syscall-filter", set]).success().to_owned();
    for word in text.lines().skip(1).map(str::trim).filter(|word| !word.starts_with('#') && !word.is_empty())
    {
        if word.starts_with('@') {
            calls.extend(calls_of(house, word));
        } else {
            calls.insert(word.to_owned());
        }
    }
    calls
}

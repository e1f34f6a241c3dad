//! How this host restarts a service and installs a program: cures are commands, and each family of
//! distributions has its own.

/// Who runs the host's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Services {
    /// systemd.
    Systemd,
    /// OpenRC.
    OpenRc,
    /// runit.
    Runit,
    /// Somebody else.
    Other,
}

impl Services {
    /// The command that restarts a service.
    pub fn restart(self, service: &str) -> String {
        match self {
            Self::Systemd => format!("systemctl restart {service}"),
            Self::OpenRc => format!("rc-service {service} restart"),
            Self::Runit => format!("sv restart {service}"),
            Self::Other => format!("service {service} restart"),
        }
    }

    /// The command that stops a service, now and for good.
    pub fn disable(self, service: &str) -> String {
        match self {
            Self::Systemd => format!("systemctl disable --now {service}"),
            Self::OpenRc => format!("rc-service {service} stop && rc-update delete {service}"),
            Self::Runit => format!("rm /var/service/{service}"),
            Self::Other => format!("service {service} stop"),
        }
    }
}

/// Families of distributions by the words of os-release(5), the command that installs a package,
/// and what the package with dnsmasq's program is called.
const FAMILIES: [(&[&str], &str, &str); 7] = [
    (&["debian", "ubuntu"], "apt-get install", "dnsmasq-base"),
    (&["fedora", "rhel", "centos"], "dnf install", "dnsmasq"),
    (&["arch"], "pacman -S", "dnsmasq"),
    (&["alpine"], "apk add", "dnsmasq"),
    (&["void"], "xbps-install", "dnsmasq"),
    (&["gentoo"], "emerge", "dnsmasq"),
    (&["suse", "opensuse", "sles"], "zypper install", "dnsmasq"),
];

/// The command that installs a program, from the text of os-release(5).
pub(super) fn install(os_release: &str, program: &str) -> String {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
    };
    let words = format!("{} {}", value("ID"), value("ID_LIKE"));
    let mut found = words.split_whitespace().filter_map(|word| {
        FAMILIES.iter().find(|(names, ..)| {
            names.iter().any(|name| word == *name || word.starts_with(&format!("{name}-")))
        })
    });
    let (install, dnsmasq) =
        found.next().map_or(("install the package", "dnsmasq"), |(_, install, dnsmasq)| (*install, *dnsmasq));
    let package = match program {
        "dnsmasq" => dnsmasq,
        "nft" => "nftables",
        "vde_switch" => "vde2",
        other => other,
    };
    format!("{install} {package}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_its_own_way_to_install_dnsmasq() {
        for (text, command) in [
            ("ID=debian\n", "apt-get install dnsmasq-base"),
            ("NAME=x\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "apt-get install dnsmasq-base"),
            ("ID=fedora\n", "dnf install dnsmasq"),
            ("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", "zypper install dnsmasq"),
            ("ID=alpine\n", "apk add dnsmasq"),
            ("", "install the package dnsmasq"),
        ] {
            assert_eq!(install(text, "dnsmasq"), command, "{text}");
        }
        assert_eq!(install("ID=arch", "nft"), "pacman -S nftables");
    }
}

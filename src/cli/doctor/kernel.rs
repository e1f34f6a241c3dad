//! What the kernel or the host lacks: features, each told with the module that has it, and programs.
//! Features are tried out and not looked up by their modules' names, because a kernel may have them
//! built in.

use super::finding::{Finding, Severity};
use super::remedy;

/// Something a network needs of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// A word for it.
    pub name: &'static str,
    /// The module that has it.
    pub module: &'static str,
    /// A text that nft can check only where the kernel has it.
    pub probe: &'static str,
}

/// What our tables need, the ground first: what stands on a missing one is missing too.
pub const FEATURES: [Feature; 10] = [
    Feature { name: "nftables", module: "nf_tables", probe: "table inet vmnet_probe { }" },
    Feature {
        name: "connection tracking in nftables",
        module: "nft_ct",
        probe: "table inet vmnet_probe { chain one { ct state established accept; }; }",
    },
    Feature {
        name: "NAT in nftables",
        module: "nft_chain_nat",
        probe: "table inet vmnet_probe { chain one { type nat hook postrouting priority srcnat; }; }",
    },
    Feature {
        name: "masquerading in nftables",
        module: "nft_masq",
        probe: "table inet vmnet_probe { chain one { type nat hook postrouting priority srcnat; masquerade; }; }",
    },
    Feature {
        name: "forwards in nftables",
        module: "nft_nat",
        probe: "table inet vmnet_probe { chain one { type nat hook prerouting priority dstnat; dnat ip to 127.0.0.1; }; }",
    },
    Feature {
        name: "redirecting in nftables",
        module: "nft_redir",
        probe: "table inet vmnet_probe { chain one { type nat hook prerouting priority dstnat; redirect; }; }",
    },
    Feature {
        name: "limits in nftables",
        module: "nft_limit",
        probe: "table inet vmnet_probe { chain one { limit rate over 1000 bytes/second drop; }; }",
    },
    Feature {
        name: "route lookups in nftables",
        module: "nft_fib_inet",
        probe: "table inet vmnet_probe { chain one { type filter hook prerouting priority 0; fib daddr type local accept; }; }",
    },
    Feature {
        name: "rejecting in nftables",
        module: "nft_reject_inet",
        probe: "table inet vmnet_probe { chain one { type filter hook input priority 0; reject; }; }",
    },
    Feature {
        name: "filtering on bridges in nftables",
        module: "nf_tables_bridge",
        probe: "table bridge vmnet_probe { chain one { type filter hook forward priority 0; }; }",
    },
];

/// The feature behind bridges; it has no text, it is tried by asking for a bridge that cannot be.
pub const BRIDGES: Feature = Feature { name: "bridges", module: "bridge", probe: "" };
/// The feature behind TAPs; its device tells.
pub const TAPS: Feature = Feature { name: "TAPs", module: "tun", probe: "" };

/// `/dev/net/tun`, through which TAPs are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunDevice {
    /// There.
    There,
    /// There is no such node, though the kernel has the driver.
    NoNode,
    /// The kernel has no driver.
    NoDriver,
}

/// What is wrong with it.
#[must_use]
pub fn tun(device: TunDevice) -> Option<Finding> {
    match device {
        TunDevice::There => None,
        TunDevice::NoDriver => Some(missing_feature(&TAPS)),
        TunDevice::NoNode => Some(Finding {
            id: "tun-missing",
            severity: Severity::Fault,
            object: "/dev/net/tun".to_owned(),
            what: "/dev/net/tun does not exist".to_owned(),
            cause: "the kernel can make TAPs, but nobody made its device node".to_owned(),
            // The number is the kernel's (Documentation/admin-guide/devices.txt).
            cure: "mkdir -p /dev/net && mknod -m 0666 /dev/net/tun c 10 200".to_owned(),
            fix: None,
        }),
    }
}

/// The programs that a network needs.
pub const PROGRAMS: [&str; 2] = ["nft", "dnsmasq"];

/// A feature that is missing.
#[must_use]
pub fn missing_feature(feature: &Feature) -> Finding {
    let module = feature.module;
    Finding {
        id: "kernel-feature",
        severity: Severity::Fault,
        object: module.to_owned(),
        what: format!("the kernel has no {}", feature.name),
        cause: format!("module {module} is neither loaded nor built in, or is not installed for this kernel"),
        cure: format!("modprobe {module}"),
        fix: None,
    }
}

/// A program that is missing.
#[must_use]
pub fn missing_program(program: &str, places: &[&str], os_release: &str) -> Finding {
    Finding {
        id: "program-missing",
        severity: Severity::Fault,
        object: program.to_owned(),
        what: format!("program {program} is not installed"),
        cause: format!("it is in none of {}", places.join(", ")),
        cure: remedy::install(os_release, program),
        fix: None,
    }
}

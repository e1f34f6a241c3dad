//! What the kernel or the host lacks: features, each told with the module that has it, and programs.
//! Features are tried out and not looked up by their modules' names, because a kernel may have them
//! built in.

use super::finding::{Finding, Report, Severity};
use super::host::{Host, text};
use super::remedy;
use nix::errno::Errno;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;
use vmnet_host::links::Links;
use vmnet_host::links::ask::Cause;
use vmnet_tools::find::{self, PLACES};
use vmnet_tools::{ToolError, nft};

/// What is missing. A kernel without nftables lacks all that stands on it, so only the first is told.
pub(super) fn check(host: &Host<'_>, report: &mut Report) {
    let os_release = text("/etc/os-release");
    let missing = PROGRAMS.iter().filter(|program| find::program(program).is_err());
    report.findings.extend(missing.map(|program| missing_program(program, &PLACES, &os_release)));
    report.findings.extend(judge_tun(tun()));
    if !host.root {
        report.unseen.push("what the kernel's nftables can do: only root can try".to_owned());
        return;
    }
    if no_bridges(host.links) {
        report.findings.push(missing_feature(&BRIDGES));
    }
    match missing_in_nftables() {
        Ok(features) => report.findings.extend(features.into_iter().map(missing_feature)),
        Err(why) => report.unseen.push(format!("what the kernel's nftables can do: {why}")),
    }
}

/// A node may be there before its module is loaded, and opening it loads that. The misc devices
/// that have a driver are listed in /proc/misc.
fn tun() -> TunDevice {
    let driver = || text("/proc/misc").lines().any(|line| line.trim_end().ends_with(" tun"));
    match std::fs::File::open("/dev/net/tun").map_err(|error| error.raw_os_error().map(Errno::from_raw)) {
        Err(Some(Errno::ENOENT)) if driver() => TunDevice::NoNode,
        Err(Some(Errno::ENOENT | Errno::ENXIO | Errno::ENODEV)) => TunDevice::NoDriver,
        // That a plain user may not open it is another matter.
        _ => TunDevice::There,
    }
}

/// The kernel looks for the kind of a new link (and loads its module) before it looks at the
/// address, and no bridge can have the address of a group (`br_validate` in
/// net/bridge/br_netlink.c). So nothing is ever made.
fn no_bridges(links: &Links) -> bool {
    let Ok(name) = IfName::new(b"vmnet-probe") else { return false };
    let group = MacAddr([1, 0, 0, 0, 0, 1]);
    matches!(links.create_bridge(&name, group), Err(error) if error.cause == Cause::Kernel(Errno::EOPNOTSUPP as i32))
}

/// All in one text; one by one only where that is refused.
fn missing_in_nftables() -> Result<Vec<&'static Feature>, String> {
    let all: Vec<&str> = FEATURES.iter().map(|feature| feature.probe).collect();
    if nft::check(&all.join("\n")).is_ok() {
        return Ok(Vec::new());
    }
    let mut missing = Vec::new();
    for feature in &FEATURES {
        match nft::check(feature.probe) {
            Ok(()) => {}
            Err(ToolError::Failed { stderr, .. }) if !stderr.contains("not permitted") => {
                missing.push(feature)
            }
            // A missing program is told already.
            Err(ToolError::NotInstalled { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error.to_string()),
        }
        if missing.len() == 1 && feature.name == "nftables" {
            break;
        }
    }
    Ok(missing)
}

/// Something a network needs of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Feature {
    /// A word for it.
    name: &'static str,
    /// The module that has it.
    module: &'static str,
    /// A text that nft can check only where the kernel has it.
    probe: &'static str,
}

/// What our tables need, the ground first: what stands on a missing one is missing too.
const FEATURES: [Feature; 10] = [
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
const BRIDGES: Feature = Feature { name: "bridges", module: "bridge", probe: "" };
/// The feature behind TAPs; its device tells.
const TAPS: Feature = Feature { name: "TAPs", module: "tun", probe: "" };

/// `/dev/net/tun`, through which TAPs are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TunDevice {
    /// There.
    There,
    /// There is no such node, though the kernel has the driver.
    NoNode,
    /// The kernel has no driver.
    NoDriver,
}

/// What is wrong with it.
fn judge_tun(device: TunDevice) -> Option<Finding> {
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
const PROGRAMS: [&str; 2] = ["nft", "dnsmasq"];

/// A feature that is missing.
fn missing_feature(feature: &Feature) -> Finding {
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
fn missing_program(program: &str, dirs: &[&str], os_release: &str) -> Finding {
    Finding {
        id: "program-missing",
        severity: Severity::Fault,
        object: program.to_owned(),
        what: format!("program {program} is not installed"),
        cause: format!("it is in none of {}", dirs.join(", ")),
        cure: remedy::install(os_release, program),
        fix: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_is_not_there_and_a_node_that_is_not_have_cures_of_their_own() {
        let cure = |device| judge_tun(device).map(|finding| (finding.id, finding.cure));
        assert_eq!(cure(TunDevice::There), None);
        assert_eq!(cure(TunDevice::NoDriver), Some(("kernel-feature", "modprobe tun".to_owned())));
        let node = "mkdir -p /dev/net && mknod -m 0666 /dev/net/tun c 10 200".to_owned();
        assert_eq!(cure(TunDevice::NoNode), Some(("tun-missing", node)));
    }
}

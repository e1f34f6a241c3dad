//! Features of the kernel, tried out, and programs.

use crate::doctor::finding::Finding;
use crate::doctor::kernel::{
    self, BRIDGES, FEATURES, Feature, PROGRAMS, TunDevice, missing_feature, missing_program,
};
use crate::doctor::{Host, text};
use nix::errno::Errno;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;
use vmnet_host::links::Links;
use vmnet_host::links::ask::Cause;
use vmnet_tools::find::{self, PLACES};
use vmnet_tools::{ToolError, nft};

/// What is missing. A kernel without nftables lacks all that stands on it, so only the first is told.
pub fn findings(host: &Host, links: &Links, unseen: &mut Vec<String>) -> Vec<Finding> {
    let os_release = text("/etc/os-release");
    let missing = PROGRAMS.iter().filter(|program| find::program(program).is_err());
    let mut findings: Vec<Finding> =
        missing.map(|program| missing_program(program, &PLACES, &os_release)).collect();
    findings.extend(kernel::tun(tun()));
    if !host.root {
        unseen.push("what the kernel's nftables can do: only root can try".to_owned());
        return findings;
    }
    if no_bridges(links) {
        findings.push(missing_feature(&BRIDGES));
    }
    match missing_in_nftables() {
        Ok(features) => findings.extend(features.into_iter().map(missing_feature)),
        Err(why) => unseen.push(format!("what the kernel's nftables can do: {why}")),
    }
    findings
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

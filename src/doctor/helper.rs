//! The helper's file: a plain user's QEMU starts it, so it must bring its own right to make a TAP, or
//! find a broker that has it.

use super::finding::{Finding, Report, Severity, quoted};
use super::host::Host;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use vmnet_access::paths;
use vmnet_port::client;
use vmnet_sys::rights::{self, Rights};

/// What is wrong with it.
pub(super) fn check(_: &Host<'_>, report: &mut Report) {
    let path = Path::new(paths::HELPER);
    report.findings.extend(judge(&Helper {
        path: paths::HELPER.to_owned(),
        mount: mount_of(path),
        rights: rights::of(path).ok(),
        tun: std::fs::metadata("/dev/net/tun").ok().map(|meta| meta.mode() & 0o7777),
        broker: client::broker().is_ok_and(|broker| broker.is_some()),
    }));
}

/// Where the file system that holds a file is mounted: the highest directory above it on the same
/// device.
fn mount_of(path: &Path) -> String {
    let device = |path: &Path| std::fs::metadata(path).ok().map(|meta| meta.dev());
    let own = device(path);
    let mount = path.ancestors().take_while(|above| device(above) == own).last().unwrap_or(Path::new("/"));
    String::from_utf8_lossy(mount.as_os_str().as_bytes()).into_owned()
}

/// The helper, and the device that it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Helper {
    /// Where it should be.
    path: String,
    /// Where its file system is mounted.
    mount: String,
    /// What is there.
    rights: Option<Rights>,
    /// Permission bits of `/dev/net/tun`, if that is there.
    tun: Option<u32>,
    /// A broker listens, which serves a helper that has no rights.
    broker: bool,
}

/// What is wrong with it.
fn judge(helper: &Helper) -> Vec<Finding> {
    let path = quoted(&helper.path);
    let Some(rights) = helper.rights else {
        let cause = "plain users' guests have no other way to a port";
        return vec![finding(helper, "helper-missing", "does not exist", cause, "make install".to_owned())];
    };
    let setuid = rights.mode & 0o4000 != 0;
    let mut findings = Vec::new();
    if rights.mode & 0o001 == 0 {
        let cause = "plain users may not start it";
        findings.push(finding(
            helper,
            "helper-mode",
            "is not executable for everybody",
            cause,
            format!("chmod o+x {path}"),
        ));
    }
    let give = format!("chown root:root {path} && chmod 4755 {path}");
    if setuid && rights.owner != 0 && !rights.capability {
        let what = format!("is setuid, but belongs to uid {} instead of root", rights.owner);
        findings.push(finding(
            helper,
            "helper-owner",
            &what,
            "it runs as that user, who may make no TAP",
            give,
        ));
    } else if !setuid && !rights.capability && !helper.broker {
        let cause = "started by a plain user, it may make no TAP";
        findings.push(finding(
            helper,
            "helper-rights",
            "is neither setuid root nor has it a file capability, and no broker listens",
            cause,
            give,
        ));
    }
    if rights.nosuid && (setuid || rights.capability) && !helper.broker {
        let mount = quoted(&helper.mount);
        let cause = "the kernel passes over its setuid bit and its capability there";
        let what = format!("is on a file system mounted nosuid ({})", helper.mount);
        findings.push(finding(
            helper,
            "helper-nosuid",
            &what,
            cause,
            format!("mount -o remount,suid {mount}"),
        ));
    }
    if rights.capability && !setuid && helper.tun.is_some_and(|mode| mode & 0o006 != 0o006) {
        findings.push(Finding {
            object: "/dev/net/tun".to_owned(),
            what: "/dev/net/tun may not be opened by everybody".to_owned(),
            ..finding(
                helper,
                "tun-mode",
                "",
                "the helper has a capability and no root, and opens it as its caller",
                "chmod 0666 /dev/net/tun".to_owned(),
            )
        });
    }
    findings
}

fn finding(helper: &Helper, id: &'static str, what: &str, cause: &str, cure: String) -> Finding {
    Finding {
        id,
        severity: Severity::Fault,
        object: helper.path.clone(),
        what: format!("{} {what}", helper.path),
        cause: cause.to_owned(),
        cure,
        fix: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lack_of_rights_is_told_and_each_way_to_have_them_is_not() {
        let good = Rights { owner: 0, mode: 0o4755, capability: false, nosuid: false };
        let with_capability = Rights { mode: 0o755, capability: true, ..good };
        for (rights, tun, expected) in [
            (Some(good), 0o600, &[][..]),
            (Some(with_capability), 0o666, &[]),
            (Some(with_capability), 0o600, &["tun-mode"]),
            (None, 0o666, &["helper-missing"]),
            (Some(Rights { mode: 0o755, ..good }), 0o666, &["helper-rights"]),
            (Some(Rights { owner: 1000, ..good }), 0o666, &["helper-owner"]),
            (Some(Rights { nosuid: true, ..good }), 0o666, &["helper-nosuid"]),
            (Some(Rights { nosuid: true, ..with_capability }), 0o666, &["helper-nosuid"]),
            (Some(Rights { mode: 0o4750, ..good }), 0o666, &["helper-mode"]),
        ] {
            let (path, mount) = ("/h".to_owned(), "/".to_owned());
            let helper = Helper { path, mount, rights, tun: Some(tun), broker: false };
            let ids: Vec<_> = judge(&helper).iter().map(|finding| finding.id).collect();
            assert_eq!(ids, expected, "{rights:?}");
        }
    }

    #[test]
    fn with_a_broker_the_helper_needs_no_rights_but_must_be_there_for_all() {
        let plain = Rights { owner: 0, mode: 0o755, capability: false, nosuid: false };
        for (rights, expected) in [
            (Some(plain), &[][..]),
            (Some(Rights { mode: 0o4755, nosuid: true, ..plain }), &[]),
            (Some(Rights { mode: 0o750, ..plain }), &["helper-mode"]),
            (None, &["helper-missing"]),
        ] {
            let (path, mount) = ("/h".to_owned(), "/".to_owned());
            let helper = Helper { path, mount, rights, tun: None, broker: true };
            let ids: Vec<_> = judge(&helper).iter().map(|finding| finding.id).collect();
            assert_eq!(ids, expected, "{rights:?}");
        }
    }
}

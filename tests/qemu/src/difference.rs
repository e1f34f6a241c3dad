//! Every intended difference between QEMU's helper and ours, by name. A test that meets one asserts
//! what both do ([`crate::helper::Helper::differs`]), so that it fails if either changes.

/// One difference.
#[derive(Debug)]
pub struct Difference {
    /// What tests call it.
    pub name: &'static str,
    /// What QEMU's helper does.
    pub qemu: &'static str,
    /// What ours does.
    pub ours: &'static str,
    /// Why.
    pub why: &'static str,
}

/// All of them.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "two-word arguments",
        qemu: "`--br NAME` is an error",
        ours: "accepted, like `--br=NAME`",
        why: "people type it",
    },
    Difference {
        name: "help and version",
        qemu: "unknown arguments",
        ours: "printed, exit 0",
        why: "people ask for it",
    },
    Difference {
        name: "fd is a number",
        qemu: "`--fd=abc` means descriptor 0",
        ours: "refused",
        why: "a typing error must not hand a TAP to standard input",
    },
    Difference {
        name: "fd is a stream socket",
        qemu: "sends over any connected AF_UNIX socket",
        ours: "only over a connected AF_UNIX stream",
        why: "that is what QEMU and libvirt hand over, and it can be checked before anything is made",
    },
    Difference {
        name: "not a bridge",
        qemu: "makes a TAP, fails at whatever the device cannot do",
        ours: "says that it is not a bridge, before a TAP is made",
        why: "nothing is made in vain, and the message says what is wrong",
    },
    Difference {
        name: "tun device mode",
        qemu: "opens /dev/net/tun as the caller, so fails at mode 0600",
        ours: "opens it as root",
        why: "mode 0600 is a common hardening, and the rules have decided by then",
    },
    Difference {
        name: "tap name",
        qemu: "tap%d, no alias",
        ours: "vmtap and a number, and an alias with bridge, user and process",
        why: "network managers can leave them alone by name, people see whose they are",
    },
    Difference {
        name: "tap number",
        qemu: "the lowest free one, so that a number is used again at once",
        ours: "that of the helper's process",
        why: "no late rule, counter or log line about one guest's port hits another's; and it spares the kernel a search",
    },
    Difference {
        name: "unreadable include",
        qemu: "skipped, its deny lines too",
        ours: "its allow lines do not count, its deny lines do",
        why: "a deny must not fail open",
    },
    Difference {
        name: "unreadable main file",
        qemu: "failed to parse",
        ours: "read as root for its deny lines only: denied",
        why: "the same rule for every file; refused by both",
    },
    Difference {
        name: "relative include",
        qemu: "from the caller's working directory",
        ours: "from the including file's directory",
        why: "the caller must not choose the rules",
    },
    Difference {
        name: "include depth",
        qemu: "no limit; a file that includes itself overflows the stack",
        ours: "eight files deep, then refused",
        why: "a mistake must not crash a setuid program",
    },
    Difference {
        name: "bad include",
        qemu: "the rest of that file is lost, the helper goes on",
        ours: "refused, with file and line",
        why: "a deny behind the mistake must not be lost",
    },
    Difference {
        name: "include of no regular file",
        qemu: "a directory is skipped, a FIFO is waited for",
        ours: "refused",
        why: "deny lines expected there must not be lost, and nothing may hang QEMU",
    },
    Difference {
        name: "file that others can write",
        qemu: "obeyed",
        ours: "refused, unless owned by root and writable by root alone",
        why: "whoever can write it decides otherwise",
    },
    Difference {
        name: "long line",
        qemu: "its tail is taken for a line of its own",
        ours: "refused",
        why: "the tail of a comment must not be a rule",
    },
    Difference {
        name: "long file",
        qemu: "read whatever its length",
        ours: "refused above 64 KiB",
        why: "a setuid program's memory is bounded",
    },
    Difference {
        name: "altname",
        qemu: "the rules see the name as asked",
        ours: "the rules see the bridge's own name",
        why: "a deny must not be passed by another name",
    },
];

/// A difference by name.
///
/// # Panics
/// If it is not in the table.
#[track_caller]
pub fn difference(name: &str) -> &'static Difference {
    let found = DIFFERENCES.iter().find(|difference| difference.name == name);
    found.unwrap_or_else(|| panic!("{name:?} is not an intended difference"))
}

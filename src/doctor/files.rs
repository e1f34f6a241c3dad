//! What the files of others say of our links: does the host's dnsmasq, NetworkManager or networkd
//! leave a link of this name alone? A word that is not known here is passed over.

/// The links that the snippets in conf/ name.
pub(super) const SHIPPED: &str = "brmgr*";

/// Does a name fit a pattern whose `*` stand for any bytes and whose `?` for one (glob(7))?
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(byte) if *byte == b'?' || Some(byte) == name.get(n) => (p, n) = (p + 1, n + 1),
            _ => match star {
                // The last star takes one byte more.
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// One option of dnsmasq(8): its long name, and its value or nothing.
pub(super) type Setting = (String, String);

/// The options of a dnsmasq file.
pub(super) fn dnsmasq_file(text: &str) -> Vec<Setting> {
    let lines = text.lines().map(|line| line.split(" #").next().unwrap_or_default().trim());
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(option).collect()
}

/// The options of a dnsmasq's command line, its own name left out.
pub(super) fn dnsmasq_arguments(arguments: &[String]) -> Vec<Setting> {
    let mut options = Vec::new();
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        if let Some(long) = word.strip_prefix("--") {
            options.push(option(long));
            continue;
        }
        let long = match word.get(..2) {
            Some("-C") => "conf-file",
            Some("-7") => "conf-dir",
            Some("-i") => "interface",
            Some("-I") => "except-interface",
            Some("-a") => "listen-address",
            Some("-z") => "bind-interfaces",
            _ => continue,
        };
        let stuck = word.get(2..).unwrap_or_default();
        let value = match (long, stuck) {
            ("bind-interfaces", _) => String::new(),
            (_, "") => rest.next().cloned().unwrap_or_default(),
            (_, stuck) => stuck.to_owned(),
        };
        options.push((long.to_owned(), value));
    }
    options
}

fn option(text: &str) -> Setting {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (key.trim().to_owned(), value.trim().to_owned())
}

/// How a dnsmasq with these options treats a link that comes up later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dnsmasq {
    /// It leaves it alone.
    Spares,
    /// It listens on every address of the host.
    TakesAll,
    /// It listens on each link's own address, this one's too.
    TakesLink,
}

/// Does it bind to single links, and is this one not among them?
pub(super) fn dnsmasq(options: &[Setting], link: &str) -> Dnsmasq {
    let values = |key: &'static str| options.iter().filter(move |(k, _)| k == key).map(|(_, value)| value);
    let names = |key| values(key).flat_map(|value| value.split(',')).map(str::trim).collect::<Vec<_>>();
    if !options.iter().any(|(key, _)| key == "bind-interfaces" || key == "bind-dynamic") {
        return Dnsmasq::TakesAll;
    }
    let only = names("interface");
    let limited = !only.is_empty() || values("listen-address").next().is_some();
    let named = only.iter().any(|pattern| fits(pattern, link));
    let excepted = names("except-interface").iter().any(|pattern| fits(pattern, link));
    if excepted || (limited && !named) { Dnsmasq::Spares } else { Dnsmasq::TakesLink }
}

/// The lines of a `key=value` file by section: (section, key, value).
fn sections(text: &str) -> Vec<(&str, &str, &str)> {
    let mut section = "";
    let mut found = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
        } else if let Some((key, value)) = line.split_once('=') {
            found.push((section, key.trim(), value.trim()));
        }
    }
    found
}

/// Do NetworkManager's files leave a link of this name and type (`bridge`, `tun`) alone? A
/// `[device…]` section with `managed=0` that matches it, or `unmanaged-devices=`
/// (NetworkManager.conf(5)). The later file wins.
pub(super) fn network_manager_spares(files: &[String], link: &str, kind: &str) -> bool {
    let mut spared = false;
    for text in files {
        let lines = sections(text);
        let lists =
            lines.iter().filter(|(section, key, _)| *section == "keyfile" && *key == "unmanaged-devices");
        for (_, _, list) in lists {
            spared = device_list_fits(list, link, kind);
        }
        let unmanaged = lines.iter().filter(|(section, key, value)| {
            section.starts_with("device") && *key == "managed" && matches!(*value, "0" | "false" | "no")
        });
        for (device, ..) in unmanaged {
            let list = lines.iter().find(|(section, key, _)| section == device && *key == "match-device");
            spared |= list.is_none_or(|(_, _, list)| device_list_fits(list, link, kind));
        }
    }
    spared
}

/// "Device List Format" of NetworkManager.conf(5): any word fits, and no `except:` word does.
fn device_list_fits(list: &str, link: &str, kind: &str) -> bool {
    let one = |word: &str| match word.split_once(':') {
        Some(("interface-name", name)) => match name.strip_prefix('=') {
            Some(exact) => exact == link,
            None => fits(name.strip_prefix('~').unwrap_or(name), link),
        },
        Some(("type", name)) => name == kind,
        _ => word == "*",
    };
    let words = || list.split([',', ';']).map(str::trim).filter(|word| !word.is_empty());
    let excepted = words().filter_map(|word| word.strip_prefix("except:")).any(one);
    let mut others = words().filter(|word| !word.starts_with("except:")).peekable();
    !excepted && (others.peek().is_none() || others.any(one))
}

/// Does networkd's file of this text take a link of this name and kind, leave it alone, or is it
/// about others? (systemd.network(5))
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Networkd {
    /// It matches, with `Unmanaged=yes`.
    Leaves,
    /// It matches.
    Takes,
    /// It does not match.
    Passes,
}

/// What a `.network` file says of a link. A condition that is not known here counts as not met:
/// a bridge or TAP has no path, driver or permanent address to be matched by.
pub(super) fn networkd(text: &str, link: &str, kind: &str) -> Networkd {
    let lines = sections(text);
    let yes = |value: &str| matches!(value, "yes" | "true" | "1" | "on");
    let fits_any = |list: &str, of: &str| {
        let (list, wanted) = list.strip_prefix('!').map_or((list, true), |list| (list, false));
        list.split_whitespace().any(|pattern| fits(pattern, of)) == wanted
    };
    let met = |(_, key, value): &&(&str, &str, &str)| match *key {
        "Name" => fits_any(value, link),
        "Kind" => fits_any(value, kind),
        "Type" => fits_any(value, if kind == "bridge" { "bridge" } else { "ether" }),
        _ => value.is_empty(),
    };
    let mut conditions = lines.iter().filter(|(section, ..)| *section == "Match");
    if !conditions.all(|line| met(&line)) {
        return Networkd::Passes;
    }
    let left =
        lines.iter().any(|(section, key, value)| *section == "Link" && *key == "Unmanaged" && yes(value));
    if left { Networkd::Leaves } else { Networkd::Takes }
}

#[cfg(test)]
mod tests;

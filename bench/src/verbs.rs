//! `vmnet up` and `down` beside what others use to bring a network up: Debian's `lxc-net`, and
//! `virsh` where libvirt is installed.

use crate::chance::Chance;
use crate::host::{self, FULL, NETWORK, VMNET};
use crate::numbers::{Sample, against, time};
use crate::report::Section;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LXC_NET: &str = "/usr/libexec/lxc/lxc-net";
const LIBVIRTD: &str = "/usr/sbin/libvirtd";
const LIBVIRT_NETWORK: &str = "/usr/share/libvirt/networks/default.xml";
/// libvirtd is asked so many times, 50 ms apart, whether it answers.
const LIBVIRT_TRIES: usize = 200;

/// One way to have a network: up and down, in words.
struct Way {
    name: &'static str,
    up: Vec<&'static str>,
    down: Vec<&'static str>,
    /// What we aim at: our time over its.
    aim: f64,
}

fn ours() -> Way {
    Way { name: "vmnet", up: vec![VMNET, "up", NETWORK], down: vec![VMNET, "down", NETWORK], aim: 1.0 }
}

/// The same with every key that makes more work: both tables, links, guards, limits, reservations,
/// forwards, a further subnet.
fn everything() -> Way {
    let name = "vmnet, with everything";
    Way { name, up: vec![VMNET, "up", FULL], down: vec![VMNET, "down", FULL], aim: 1.0 }
}

/// How many of [`ours`] there are in front of the others.
const OURS: usize = 2;

fn lxc_net() -> Option<Way> {
    Path::new(LXC_NET).exists().then(|| Way {
        name: "lxc-net",
        up: vec![LXC_NET, "start"],
        down: vec![LXC_NET, "stop"],
        aim: 1.0,
    })
}

fn virsh() -> Way {
    let words = |verb| vec!["virsh", "--quiet", verb, "default"];
    Way { name: "virsh", up: words("net-start"), down: words("net-destroy"), aim: 0.25 }
}

/// A libvirtd of our own, ended with this value.
struct Libvirtd(Child);

impl Libvirtd {
    /// None where it is not installed.
    fn start() -> io::Result<Option<Self>> {
        if !Path::new(LIBVIRTD).exists() || !Path::new(LIBVIRT_NETWORK).exists() {
            return Ok(None);
        }
        host::script("mkdir -p /run/libvirt /var/log/libvirt")?;
        let quiet = Stdio::null;
        let daemon = Command::new(LIBVIRTD).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn()?;
        let daemon = Self(daemon);
        for _ in 0..LIBVIRT_TRIES {
            if host::run(&["virsh", "--quiet", "net-list"]).is_ok() {
                // It may be defined, and up, from the package's installation.
                let _ = host::run(&["virsh", "--quiet", "net-define", LIBVIRT_NETWORK]);
                let _ = host::run(&["virsh", "--quiet", "net-destroy", "default"]);
                return Ok(Some(daemon));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(io::Error::other("libvirtd does not answer"))
    }
}

impl Drop for Libvirtd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Up and down, `rounds` times each, in random order, never two at a time.
///
/// # Errors
/// One of ours failed, or one of theirs that is installed.
pub fn compare(rounds: usize) -> io::Result<Section> {
    let libvirtd = Libvirtd::start()?;
    let mut ways = vec![ours(), everything()];
    ways.extend(lxc_net());
    ways.extend(libvirtd.as_ref().map(|_| virsh()));
    let mut samples = vec![(Sample::default(), Sample::default()); ways.len()];
    let (mut chance, mut order) = (Chance::new(), (0..ways.len()).collect::<Vec<_>>());
    for _ in 0..rounds {
        chance.shuffle(&mut order);
        for &place in &order {
            samples[place].0.add(host::run(&ways[place].up)?);
            samples[place].1.add(host::run(&ways[place].down)?);
        }
    }
    let mut section = Section::new(
        "Network up and down",
        &format!(
            "Each command from start to exit, {rounds} times in random order. `lxc-net` is a shell script that makes a \
             bridge, loads nftables rules and starts dnsmasq; `vmnet up` also starts a keeper that is ready when it \
             returns. With everything: IPv6, a further subnet, isolation with a link, guard, limits, ten reservations \
             and ten forwards. The ratios are the medians of each round's ratio: vmnet's time over this one's, and \
             that of vmnet with everything."
        ),
        &["", "up", "vmnet", "with everything", "down", "vmnet", "with everything"],
    );
    for (place, (way, (up, down))) in ways.iter().zip(&samples).enumerate() {
        let [ups, downs] = [0, 1].map(|which| {
            let own = |ours: usize| {
                if which == 0 { samples[ours].0.ratio(up) } else { samples[ours].1.ratio(down) }
            };
            [own(0), own(1)]
        });
        let ratio = |ratio: f64| format!("{ratio:.2}");
        section.row(&[
            way.name,
            &time(up.median()),
            &ratio(ups[0]),
            &ratio(ups[1]),
            &time(down.median()),
            &ratio(downs[0]),
            &ratio(downs[1]),
        ]);
        if place < OURS {
            continue;
        }
        for (verb, [plain, full]) in [("up", ups), ("down", downs)] {
            section.line(format!("{verb} against {}: {}", way.name, against(plain, way.aim)));
            section.line(format!("{verb} with everything against {}: {}", way.name, against(full, way.aim)));
        }
    }
    for (there, name) in [(lxc_net().is_some(), "lxc-net"), (libvirtd.is_some(), "virsh")] {
        if !there {
            section.line(format!("{name}: not installed, left out"));
        }
    }
    Ok(section)
}

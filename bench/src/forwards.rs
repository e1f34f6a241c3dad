//! `vmnet forward add` and `rm` beside nft that is given a file with one rule, or with one deletion, and
//! nothing else to do.

use crate::chance::Chance;
use crate::host::{self, NETWORK, VMNET};
use crate::numbers::{Sample, against, time};
use crate::report::Section;
use std::io;

/// What we aim at: our time over nft's.
const AIM: f64 = 1.5;
const ONE_RULE: &str = "/tmp/one-rule";
const NO_RULE: &str = "/tmp/no-rule";
/// A table like ours, with a chain to add to.
const TABLE: &str = "table inet bare {
	chain forwards {
		type nat hook prerouting priority -100; policy accept;
	}
}
";
const RULE: &str = "add rule inet bare forwards meta nfproto ipv4 tcp dport 8080 dnat ip to 10.0.1.9:80\n";

/// Each `rounds` times, ours and nft's in random order. One forward stands all the time, because the
/// first one of a network does more: it sets the ports' flags.
///
/// # Errors
/// One of them failed.
pub fn compare(rounds: usize) -> io::Result<Section> {
    std::fs::write("/tmp/bare-table", TABLE)?;
    std::fs::write(ONE_RULE, RULE)?;
    std::fs::write(NO_RULE, "flush chain inet bare forwards\n")?;
    host::run(&["nft", "-f", "/tmp/bare-table"])?;
    host::run(&[VMNET, "up", NETWORK])?;
    host::run(&[VMNET, "forward", "add", NETWORK, "8000", "10.0.1.8:80"])?;
    let ours = [
        vec![VMNET, "forward", "add", NETWORK, "8080", "10.0.1.9:80"],
        vec![VMNET, "forward", "rm", NETWORK, "8080"],
    ];
    let nft = [vec!["nft", "-f", ONE_RULE], vec!["nft", "-f", NO_RULE]];
    let mut samples = vec![(Sample::default(), Sample::default()); 2];
    let mut chance = Chance::new();
    let mut order = [0, 1];
    for _ in 0..rounds {
        for (act, (own, bare)) in samples.iter_mut().enumerate() {
            chance.shuffle(&mut order);
            for &whose in &order {
                match whose {
                    0 => own.add(host::run(&ours[act])?),
                    _ => bare.add(host::run(&nft[act])?),
                }
            }
        }
    }
    host::run(&[VMNET, "forward", "rm", NETWORK, "8000"])?;
    host::run(&[VMNET, "down", NETWORK])?;
    host::run(&["nft", "delete", "table", "inet", "bare"])?;
    let mut section = Section::new(
        "Forward added and removed",
        &format!(
            "`vmnet forward add` and `rm` on a network that is up, each from start to exit, {rounds} times, beside \
             `nft -f` with one rule, and `nft -f` that removes it: nothing that deletes a rule returns before all \
             processors have seen it. The ratio is the median of each round's ratio."
        ),
        &["", "vmnet", "nft", "ours is … times nft's"],
    );
    for (act, (own, bare)) in ["add", "rm"].into_iter().zip(&samples) {
        let ratio = own.ratio(bare);
        section.row(&[act, &time(own.median()), &time(bare.median()), &format!("{ratio:.2}")]);
        section.line(format!("forward {act} against a bare nft: {}", against(ratio, AIM)));
    }
    Ok(section)
}

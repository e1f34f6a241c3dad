//! `vmnet doctor` in a house: a house in which it has nothing to say, what it finds, and its cures
//! done as it gives them.

use serde_json::Value;

use crate::companion::{DONE, DRIFTED};
use crate::house::{House, VMNET};

/// One finding, as JSON has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its word.
    pub id: String,
    /// `fault`, `warning` or `note`.
    pub severity: String,
    /// What it is about.
    pub object: String,
    /// What is wrong.
    pub what: String,
    /// The command.
    pub cure: String,
    /// `--fix` does it.
    pub safe: bool,
    /// It was done.
    pub fixed: bool,
}

impl House {
    /// A house with our programs, of which `doctor` has nothing to say: nothing is up, and no trace of
    /// what is installed on this machine.
    #[track_caller]
    pub fn healthy(test: &str) -> Option<Self> {
        let house = Self::with_companion(test)?;
        house.sh("rm -rf /etc/qemu /etc/dnsmasq.d /etc/dnsmasq.conf /etc/systemd/network /etc/NetworkManager /etc/ufw
             echo nameserver 127.0.0.1 >/etc/resolv.conf");
        house.assert_healthy();
        Some(house)
    }

    /// What `doctor` finds, with these arguments.
    ///
    /// # Panics
    /// If its exit code does not fit, or it leaves something unseen.
    #[track_caller]
    pub fn findings(&self, arguments: &[&str]) -> Vec<Finding> {
        let (code, report) = self.json(&[&["doctor"], arguments].concat());
        assert_eq!(report["unseen"], Value::Array(Vec::new()), "{report:#}");
        let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let finding = |row: &Value| Finding {
            id: text(row, "id"),
            severity: text(row, "severity"),
            object: text(row, "object"),
            what: text(row, "what"),
            cure: text(row, "cure"),
            safe: row["safe"] == true,
            fixed: row["fixed"] == true,
        };
        let found: Vec<Finding> = report["findings"].as_array().into_iter().flatten().map(finding).collect();
        let left = found.iter().any(|finding| finding.severity != "note" && !finding.fixed);
        assert_eq!(code, if left { DRIFTED } else { DONE }, "{report:#}");
        assert_eq!(report["ok"], !left, "{report:#}");
        found
    }

    /// The one thing that `doctor` finds.
    ///
    /// # Panics
    /// If it is another one, or not the only one.
    #[track_caller]
    pub fn finding(&self, id: &str) -> Finding {
        let mut found = self.findings(&[]);
        assert!(found.len() == 1 && found[0].id == id, "not {id} alone: {found:#?}");
        found.remove(0)
    }

    /// Fails if `doctor` finds anything, notes included.
    #[track_caller]
    pub fn assert_healthy(&self) {
        let found = self.findings(&[]);
        assert!(found.is_empty(), "{found:#?}");
    }

    /// Does what a finding says, as root would.
    #[track_caller]
    pub fn do_cure(&self, finding: &Finding) {
        let script = format!("PATH=$PATH:{}; {}", VMNET.trim_end_matches("/vmnet"), finding.cure);
        self.run(&["bash", "-euo", "pipefail", "-c", &script]).success();
    }

    /// Sees that a finding is the only one, and gone when its cure was done.
    #[track_caller]
    pub fn assert_cured(&self, id: &str) -> Finding {
        let finding = self.finding(id);
        self.do_cure(&finding);
        self.assert_healthy();
        finding
    }
}

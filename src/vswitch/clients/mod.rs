//! Who is plugged into a network's VDE switch. Root asks the switch, and believes of its answer what the
//! kernel says too; to anybody else only those are shown who hold a port that they were given.

mod facts;
mod revoke;

pub use revoke::revoke;

use crate::console::{Console, ConsoleError, Talk};
use crate::console_text::{PortView, SwitchView};
use crate::dir::SwitchDir;
use crate::process;
use crate::settings;
use facts::Facts;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use vmnet_access::mac::MacAddr;
use vmnet_access::vde_port_tag::VdePortTag;
use vmnet_model::error::Error;
use vmnet_model::vde_switch::Switch;
use vmnet_sys::caller::name_of;
use vmnet_sys::open_sockets;
use vmnet_sys::process::{Process, program};
use vmnet_vde::held_port::tags;

/// One client that is plugged into a switch.
#[derive(Clone, Debug)]
pub struct Client {
    /// Their port, where the switch could be asked.
    pub port: Option<u32>,
    /// What kind of client it is.
    pub who: Who,
    /// The MACs last seen there.
    pub macs: Vec<MacAddr>,
    /// Who connected to the switch, by the kernel's word, where it is certain who that is.
    pub connected: Option<open_sockets::Client>,
    /// What the switch says of the port, where it could be asked.
    pub view: Option<PortView>,
}

impl Client {
    /// What it is called for `--revoke`; none where the switch cannot be asked.
    pub fn name(&self) -> Option<String> {
        self.port.map(|port| format!("vde{port}"))
    }

    /// The user and process, as far as anybody but they themselves says so.
    pub fn holder(&self) -> (Option<u32>, Option<u32>) {
        match self.who {
            Who::Granted(tag) => (Some(tag.uid), Some(tag.pid)),
            Who::Joined => {
                let pid = self.connected.map(|connected| connected.pid).filter(|pid| program(*pid).is_some());
                (self.connected.map(|connected| connected.uid), pid)
            }
            Who::Pump | Who::Cable => (None, None),
        }
    }

    /// The name of the user, as far as anybody says so.
    pub fn user(&self) -> Option<String> {
        self.holder().0.map(name_of)
    }

    /// In a few words, for a list of those in the way.
    pub fn phrase(&self) -> String {
        let name = self.name().unwrap_or_else(|| "a port of the switch".to_owned());
        match (self.user(), self.holder().1) {
            (Some(user), Some(pid)) => format!("{name} (user {user}, pid {pid})"),
            (Some(user), None) => format!("{name} (user {user})"),
            _ => name,
        }
    }
}

/// Who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The port was asked for, and granted by the access rules.
    Granted(VdePortTag),
    /// What makes bridge and switch one wire.
    Pump,
    /// A cable's pump.
    Cable,
    /// They joined by themselves, as a member of the switch's group.
    Joined,
}

/// All of them, and what else a look at the switch brought.
#[derive(Debug, Default)]
pub struct Clients {
    /// By the number of the port.
    pub list: Vec<Client>,
    /// The switch, where it could be asked.
    pub switch: Option<SwitchView>,
    /// What the switch's console said instead of an answer.
    pub trouble: Option<String>,
    /// So many ports it has mislaid of those who are listed.
    pub mislaid: usize,
    /// The switch has mislaid a port.
    pub damaged: bool,
    /// The switch is somebody else's: who plugs himself in there is no guest of ours, and it is not ours to
    /// mend.
    pub is_anothers: bool,
}

impl Clients {
    /// Those for whom the network is there. Of those who joined by themselves the mislaid cannot be told
    /// from others, unless all are.
    pub fn guests(&self) -> impl Iterator<Item = &Client> {
        let joined = self.list.iter().filter(|client| client.who == Who::Joined).count();
        let any_joined = joined > self.mislaid;
        self.list.iter().filter(move |client| match client.who {
            Who::Granted(_) => true,
            Who::Joined => any_joined && !self.is_anothers,
            Who::Pump | Who::Cable => false,
        })
    }

    /// No port of the switch is free.
    pub fn is_full(&self) -> bool {
        // Debian's has one less than it says.
        self.switch.is_some_and(|switch| {
            let active = self.list.iter().filter(|client| client.port.is_some()).count();
            active + 1 >= usize::try_from(switch.ports).unwrap_or(usize::MAX)
        })
    }
}

/// The console of a network's switch.
pub fn console(switch: &Switch) -> Option<Console> {
    let path = switch.console.as_ref()?;
    Some(Console::of(PathBuf::from(path), switch.door.owner))
}

/// Look who is plugged into a switch. A network without a switch has no clients.
pub fn look(run_dir: &Path, dir: &SwitchDir) -> Result<Clients, Error> {
    look_for(run_dir, dir, Sought::Who)
}

/// Look at the ports too: whose they are, their VLANs and counters.
pub fn look_closely(run_dir: &Path, dir: &SwitchDir) -> Result<Clients, Error> {
    look_for(run_dir, dir, Sought::Ports)
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sought {
    Who,
    Ports,
}

fn look_for(run_dir: &Path, dir: &SwitchDir, sought: Sought) -> Result<Clients, Error> {
    let Some(switch) = settings::recorded(dir)? else { return Ok(Clients::default()) };
    let held = holders_of(dir)?;
    let is_anothers = switch.run.is_none();
    let is_away = switch.run.is_some() && process::switch(dir).is_none();
    let console = console(&switch).filter(|_| nix::unistd::geteuid().is_root() && !is_away);
    let Some(console) = console else {
        return Ok(Clients { is_anothers, ..of_holders(&switch, &held, None) });
    };
    let asked = begin(&console, &switch, dir).and_then(|(mut talk, process)| {
        let (mut facts, mislaid) = ask(&mut talk, &process)?;
        if sought == Sought::Ports && facts.trouble.is_none() {
            facts.ask_ports(&mut talk, &process, &dir.plugs(), &held)?;
        }
        Ok((facts, mislaid))
    });
    let found = match asked {
        Err(error) => of_holders(&switch, &held, Some(trouble(&switch, &error))),
        Ok((facts, mislaid)) => {
            let mut list = facts.clients(run_dir, dir, &switch);
            // A port of one who is gone is mislaid for certain, and nobody's.
            let all = list.len();
            list.retain(|client| match client.who {
                Who::Granted(tag) => held.contains(&tag),
                _ => true,
            });
            let damaged = mislaid > 0;
            let mislaid = mislaid.saturating_sub(all - list.len());
            let trouble = facts.trouble.as_ref().map(|error| trouble(&switch, error));
            Clients { list, switch: Some(facts.switch), trouble, mislaid, damaged, is_anothers }
        }
    };
    Ok(Clients { is_anothers, ..found })
}

/// Those who have anything of a port that was granted.
fn holders_of(dir: &SwitchDir) -> Result<BTreeSet<VdePortTag>, Error> {
    let failed = |error| Error::new("list", dir.plugs().display(), vmnet_sys::trust::plain(&error));
    tags(&dir.plugs()).map_err(failed)
}

/// A talk with the switch, and its process: of one of ours by its number, of another's by the kernel's word of
/// who listens at its console.
fn begin(console: &Console, switch: &Switch, dir: &SwitchDir) -> Result<(Talk, Process), ConsoleError> {
    let gone = || ConsoleError::NoConsole(io::ErrorKind::NotFound.into());
    let ours = match switch.run {
        Some(_) => Some(process::switch(dir).ok_or_else(gone)?),
        None => None,
    };
    let talk = console.talk()?;
    let process = ours.map_or_else(|| talk.process().map_err(ConsoleError::Broken), Ok)?;
    Ok((talk, process))
}

/// The settings of a switch of ours in words, as they were given to it and as it says they are; none where
/// it cannot be asked. One question.
pub fn settings(dir: &SwitchDir) -> Result<Option<(String, String)>, Error> {
    let of = settings::recorded(dir)?.filter(|_| nix::unistd::geteuid().is_root());
    let Some((of, run)) = of.and_then(|of| of.run.map(|run| (of, run))) else { return Ok(None) };
    let Some(console) = console(&of) else { return Ok(None) };
    let words = |ports: u32, hub: bool| format!("{ports} ports{}", if hub { ", hub" } else { "" });
    let wanted = words(run.ports, run.hub);
    let actual = match console.talk().and_then(|mut talk| talk.switch()) {
        // Debian's has one less than it says.
        Ok(is) => words(is.ports.saturating_sub(1), is.hub),
        Err(error) => error.to_string(),
    };
    Ok(Some((wanted, actual)))
}

/// What the switch and the kernel say. A port is mislaid if it is twice: between two questions somebody may
/// have gone.
fn ask(talk: &mut Talk, process: &Process) -> Result<(Facts, usize), ConsoleError> {
    let first = Facts::ask(talk, process)?;
    let mislaid = first.mislaid();
    if mislaid == 0 {
        return Ok((first, mislaid));
    }
    let second = Facts::ask(talk, process)?;
    let again = second.mislaid();
    Ok((second, mislaid.min(again)))
}

fn trouble(switch: &Switch, error: &ConsoleError) -> String {
    let path = switch.console.as_deref().unwrap_or_default();
    format!("cannot ask the switch's console {path}: {error}")
}

/// Without the switch's word: those whose sockets the kernel lists.
fn of_holders(switch: &Switch, held: &BTreeSet<VdePortTag>, trouble: Option<String>) -> Clients {
    let client = |tag: &VdePortTag| Client {
        port: None,
        who: if tag.uid == switch.pump { Who::Pump } else { Who::Granted(*tag) },
        macs: Vec::new(),
        connected: None,
        view: None,
    };
    Clients { list: held.iter().map(client).collect(), trouble, ..Clients::default() }
}

//! libvirt's end: what it says when a guest is about to start and when it is gone (libvirt's "hooks").
//! Networks come up, and what the domain's metadata asks for is done, remembered and undone.

#![forbid(unsafe_code)]

mod domain;
mod notes;
mod requests;
mod xml;

pub use domain::HookPhase;

use domain::{Domain, DomainId, Told};
use notes::Note;
use std::io::Read;
use std::path::Path;
use vmnet_access::name::{IfName, NetName};
use vmnet_host::log::Log;
use vmnet_model::error::{Error, ErrorKind};
use vmnet_network::dirs::Dirs;
use vmnet_network::store::definitions;
use vmnet_network::{Networks, Start};

/// Most bytes of a document that are read. A larger one is no domain that asks anything of us.
const DOCUMENT_MAX: u64 = 1 << 20;

/// A call that may be about us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// A domain is about to start: its name, and how far it is.
    Begin(&'a str, HookPhase),
    /// A domain is gone, or did not come.
    Release,
    /// A guest asks one of libvirt's networks for a port.
    Port,
}

/// Answer it. Whoever sends no XML, or too much of it, has nothing to do with us.
///
/// # Errors
/// A domain asks for something that cannot be done. Never at its end.
pub fn answer(dirs: &Dirs, call: Call<'_>, document: impl Read) -> Result<(), Error> {
    let Some(text) = read(document) else { return Ok(()) };
    match call {
        Call::Begin(name, moment) => match xml::domain(&text) {
            Some(told) => begin(dirs, name, moment, &told),
            None => Ok(()),
        },
        Call::Release => {
            if let Some(id) = xml::domain(&text).and_then(|told| DomainId::new(&told.uuid)) {
                release(dirs, &id);
            }
            Ok(())
        }
        Call::Port => match xml::port(&text).and_then(|bridge| IfName::new(bridge.as_bytes()).ok()) {
            Some(bridge) => start(dirs, &bridge),
            None => Ok(()),
        },
    }
}

fn read(document: impl Read) -> Option<String> {
    let mut text = String::new();
    document.take(DOCUMENT_MAX + 1).read_to_string(&mut text).ok()?;
    (text.len() as u64 <= DOCUMENT_MAX).then_some(text)
}

fn begin(dirs: &Dirs, name: &str, moment: HookPhase, told: &Told) -> Result<(), Error> {
    let failed =
        |cause: &dyn std::fmt::Display| Error::new("prepare", format!("domain '{}'", plain(name)), cause);
    let asked = |cause| failed(&format!("its metadata: {cause}")).kind(ErrorKind::Invalid);
    let domain = Domain::understand(told).map_err(|why| asked(why.to_string()))?;
    let wanted = domain.wants(moment).map_err(|why| asked(why.to_string()))?;
    for bridge in domain.bridges() {
        start(dirs, bridge)?;
    }
    let asks = !told.metadata.is_empty();
    let Some(id) = DomainId::new(&told.uuid) else {
        return if asks { Err(failed(&"it has no UUID").kind(ErrorKind::Invalid)) } else { Ok(()) };
    };
    if moment == HookPhase::Prepare {
        // Left by a run whose end nobody told us, as when the host lost its power.
        release(dirs, &id);
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let mut note = Note::of(dirs, &id).unwrap_or_default();
    note.domain = plain(name);
    let done = wanted.iter().try_for_each(|want| requests::apply(dirs, &id, &mut note, want));
    if done.is_err() {
        release(dirs, &id);
    }
    done
}

/// Undo what was done for a domain. What cannot be undone is told to the log, and tried again when the
/// domain starts or ends the next time.
fn release(dirs: &Dirs, id: &DomainId) {
    let Some(mut note) = Note::of(dirs, id) else { return };
    let mut troubles = Vec::new();
    note.applied.retain(|applied| match requests::undo(dirs, applied) {
        Ok(()) => false,
        Err(failure) => {
            troubles.push(failure);
            true
        }
    });
    troubles.extend(note.keep(dirs, id).err());
    for failure in troubles {
        Log::Background.trouble(&format!("domain '{}' is gone: {failure}", note.domain));
    }
}

/// Bring the network of a bridge up, if it is one of ours and down.
fn start(dirs: &Dirs, bridge: &IfName) -> Result<(), Error> {
    let Some(network) = network_of(dirs, bridge) else { return Ok(()) };
    // Somebody else's bridge of that name is theirs to care for.
    let there = Path::new("/sys/class/net").join(bridge.to_string()).exists();
    if there && !dirs.run_dir(bridge).record().exists() {
        return Ok(());
    }
    let file = definitions::read(dirs, &network).map_err(|why| why.failure("start", &network))?;
    if !file.on_demand {
        return Ok(());
    }
    let raised = Networks::open(dirs.clone(), Log::Foreground).get(&network).up(Start::OnDemand)?;
    raised.iter().flat_map(|raised| &raised.notes).for_each(|note| Log::Foreground.info(note));
    Ok(())
}

/// The network of ours whose bridge this is.
fn network_of(dirs: &Dirs, bridge: &IfName) -> Option<NetName> {
    definitions::names(dirs).ok()?.into_iter().find(|network| network.bridge() == *bridge)
}

/// A stranger's words on one line.
fn plain(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_that_asks_for_what_makes_no_sense_is_invalid() {
        let at = tempfile::tempdir().unwrap();
        let dirs = Dirs::new(&at.path().join("etc"), &at.path().join("lib"), &at.path().join("run"));
        let nonsense = domain::Element { name: "nonsense".to_owned(), attributes: vec![], children: vec![] };
        let told = Told { metadata: vec![nonsense], ..Told::default() };
        let failure = begin(&dirs, "web", HookPhase::Start, &told).unwrap_err();
        assert!(failure.to_string().starts_with("cannot prepare domain 'web': its metadata: "), "{failure}");
        assert_eq!(failure.kind, ErrorKind::Invalid);
    }

    #[test]
    fn a_document_is_read_whole_or_not_at_all() {
        let max = usize::try_from(DOCUMENT_MAX).unwrap();
        assert_eq!(read("x".repeat(max).as_bytes()).map(|text| text.len()), Some(max));
        assert_eq!(read("x".repeat(max + 1).as_bytes()), None);
        assert_eq!(read(&b"\xff"[..]), None);
    }
}

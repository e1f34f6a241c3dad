//! `vmnet snippet NAME --for PROGRAM`

use crate::args::Program;
use crate::exit::Exit;
use crate::say;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use vmnet_access::name::IfName;
use vmnet_model::error::{Error, ErrorKind};
use vmnet_model::launch::guest_mac;
use vmnet_model::snippet::Snippet;
use vmnet_network::dirs::Dirs;
use vmnet_network::store::definitions;
use vmnet_sys::random;
use vmnet_sys::trust::plain;

/// Print it. The network may be down.
pub fn run(dirs: &Dirs, name: &IfName, program: Program) -> Result<Exit, Error> {
    let failed =
        |cause: &dyn std::fmt::Display| Error::new("write a snippet for", format!("'{name}'"), cause);
    let network = definitions::names(dirs)?.into_iter().find(|network| network.bridge() == *name);
    if network.is_none() && !is_bridge(name) {
        return Err(failed(&"no such network, and no such bridge")
            .kind(ErrorKind::NoSuchNetwork)
            .hint(format!("'vmnet init {name}' describes a network of that name")));
    }
    let mac = random::bytes().map(guest_mac).map_err(|error| failed(&plain(&error)))?;
    let snippet = Snippet::new(name.as_bytes(), network, mac)
        .map_err(|error| failed(&error).kind(ErrorKind::Invalid))?;
    say::text(&match program {
        Program::Qemu => snippet.qemu(),
        Program::Libvirt => snippet.libvirt(),
        Program::Firecracker => snippet.firecracker(),
        Program::CloudHypervisor => snippet.cloud_hypervisor(),
        Program::Crosvm => snippet.crosvm(),
        Program::Lxc => snippet.lxc(),
        Program::Nspawn => snippet.nspawn(),
    });
    Ok(Exit::Done)
}

/// Any bridge that is there: rules may let people onto those too.
fn is_bridge(name: &IfName) -> bool {
    Path::new("/sys/class/net").join(OsStr::from_bytes(name.as_bytes())).join("bridge").is_dir()
}

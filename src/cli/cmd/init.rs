//! `vmnet init NAME`

use crate::exit::Exit;
use crate::say;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use vmnet_access::name::NetName;
use vmnet_host::files::make_directory;
use vmnet_model::error::{Error, ErrorKind, network};
use vmnet_network::dirs::Dirs;
use vmnet_sys::trust::plain;

/// Write a commented file; never over one that is there.
pub fn run(dirs: &Dirs, name: &NetName) -> Result<Exit, Error> {
    let path = dirs.network_file(name);
    let failed = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::AlreadyExists => ErrorKind::Exists,
            _ => ErrorKind::Host,
        };
        Error::new("describe", network(name), format!("{}: {}", path.display(), plain(&error))).kind(kind)
    };
    make_directory(&dirs.networks())?;
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path).map_err(failed)?;
    file.write_all(vmnet_config::template(name).as_bytes()).map_err(failed)?;
    say::line(&format!("wrote {}; 'vmnet up {name}' brings it up", path.display()));
    Ok(Exit::Done)
}

//! The directories of a switch: made for our own, looked at before another's is joined. Nothing in one
//! that others may write to is done with root's rights.

use crate::dir::SwitchDir;
use crate::group_of_user;
use crate::named;
use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::Path;
use vmnet_access::port_record::SwitchAccess;
use vmnet_access::vde::{CONTROL, Directory};
use vmnet_host::files::{read_file, write_file};
use vmnet_model::error::{self, Error};
use vmnet_model::vde_switch::Switch;
use vmnet_sys::trust::plain;

/// The switch's directory: its group comes in, and its sockets are the group's too.
const SWITCH_MODE: u32 = 0o2770;
/// The console's: whoever reaches that can have the switch run any code.
const CONSOLE_MODE: u32 = 0o700;
/// The plugs': whoever runs a switch must reach the sockets in it, and nobody needs to list them.
const PLUGS_MODE: u32 = 0o711;

/// Where the sockets of a switch of ours are made: its directory, and that of its console.
pub fn directories(switch: &Switch) -> impl Iterator<Item = &Path> {
    let console = switch.console.as_ref().and_then(|console| Path::new(console).parent());
    std::iter::once(Path::new(switch.door.directory.as_str())).chain(console)
}

/// Make the directories of a switch of ours, or put them right.
pub fn make(switch: &Switch) -> Result<(), Error> {
    let SwitchAccess { owner, group, .. } = switch.door;
    let rights = [(group, SWITCH_MODE), (group_of_user(owner), CONSOLE_MODE)];
    let wanted = || directories(switch).zip(rights);
    // All are looked at before one is changed.
    for (path, _) in wanted() {
        look(path, owner).map_err(|cause| failed(path, cause).kind(error::ErrorKind::Conflict))?;
    }
    for (path, (group, mode)) in wanted() {
        put_right(path, owner, group, mode).map_err(|error| failed(path, plain(&error)))?;
    }
    Ok(())
}

fn failed(path: &Path, cause: impl std::fmt::Display) -> Error {
    Error::new("use", format!("directory '{}'", path.display()), cause)
}

/// Make the directory of the sockets of those who hold ports, root's, or put its mode right.
pub fn make_plugs(path: &Path) -> std::io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // Whatever the umask.
    fs::set_permissions(path, Permissions::from_mode(PLUGS_MODE))
}

/// Is it ours, or free to be?
fn look(path: &Path, owner: u32) -> Result<(), String> {
    let above = path.parent().unwrap_or(Path::new("/"));
    let of_above = |error: std::io::Error| format!("{}: {}", above.display(), plain(&error));
    let real = fs::canonicalize(above).map_err(of_above)?;
    if real != above {
        return Err(format!("a symlink leads to {}; its own path is {}", above.display(), real.display()));
    }
    for above in path.ancestors().skip(1) {
        check_above(above, 0)?;
    }
    if fs::symlink_metadata(above).map_err(of_above)?.mode() & 0o022 != 0 {
        return Err(format!("others may write in {}", above.display()));
    }
    let meta = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        meta => meta.map_err(|error| plain(&error))?,
    };
    if meta.is_symlink() {
        return Err("it is a symlink".to_owned());
    }
    if !meta.is_dir() {
        return Err("it is no directory".to_owned());
    }
    // One that we were making when we were killed is root's, and empty.
    let is_new = || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if meta.uid() != owner && !(meta.uid() == 0 && is_new()) {
        return Err(format!("it belongs to uid {}", meta.uid()));
    }
    Ok(())
}

fn put_right(path: &Path, owner: u32, group: u32, mode: u32) -> std::io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let meta = fs::symlink_metadata(path)?;
    if meta.uid() != owner {
        // While it is root's own; later the switch sees to it itself.
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    if (meta.uid(), meta.gid()) != (owner, group) {
        chown(path, Some(owner), Some(group))?;
    }
    Ok(())
}

/// Which life of a switch this is: each has a socket of its own. None where there is none, or it has ended in
/// order.
pub fn life(directory: &Directory) -> Option<String> {
    let meta = fs::symlink_metadata(Path::new(directory.as_str()).join(CONTROL)).ok()?;
    let text = format!("{}:{}:{}.{}", meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec());
    meta.file_type().is_socket().then_some(text)
}

/// Note that all that hold ports were plugged into this life of the switch.
pub fn remember(dir: &SwitchDir, life: Option<String>) -> Result<(), Error> {
    life.map_or(Ok(()), |life| write_file(&dir.plugged(), &life, 0o644))
}

/// Is there a switch, and were they plugged into the life that it has now?
pub fn is_plugged(dir: &SwitchDir, directory: &Directory) -> Result<bool, Error> {
    let Some(life) = life(directory) else { return Ok(false) };
    Ok(read_file(&dir.plugged())?.is_some_and(|plugged| plugged == life.as_bytes()))
}

/// Look whether a switch of somebody else's can be joined, and as whom.
pub fn join_check(directory: &Directory) -> Result<SwitchAccess, Error> {
    let failed = |cause: String| Error::new("join", named(directory), cause);
    check(directory).map_err(failed)
}

fn check(directory: &Directory) -> Result<SwitchAccess, String> {
    let path = Path::new(directory.as_str());
    let meta = fs::symlink_metadata(path).map_err(|error| plain(&error))?;
    let real = fs::canonicalize(path).map_err(|error| plain(&error))?;
    if real != path {
        return Err(format!("a symlink leads there; its own path is {}", real.display()));
    }
    if !meta.is_dir() {
        return Err("it is no directory".to_owned());
    }
    let owner = meta.uid();
    for above in path.ancestors().skip(1) {
        check_above(above, owner)?;
    }
    if meta.mode() & 0o002 != 0 {
        return Err("everybody may write in it".to_owned());
    }
    let control = path.join(CONTROL);
    let meta = fs::symlink_metadata(&control).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("no switch is there: it has no '{CONTROL}'"),
        _ => plain(&error),
    })?;
    if !meta.file_type().is_socket() {
        return Err(format!("no switch is there: its '{CONTROL}' is no socket"));
    }
    if meta.uid() != owner && meta.uid() != 0 {
        return Err(format!("its '{CONTROL}' belongs to uid {}, itself to uid {owner}", meta.uid()));
    }
    Ok(SwitchAccess { directory: directory.clone(), owner, group: meta.gid() })
}

/// Nobody else may have put the directory in another's place.
fn check_above(above: &Path, owner: u32) -> Result<(), String> {
    let meta: Metadata =
        fs::symlink_metadata(above).map_err(|error| format!("{}: {}", above.display(), plain(&error)))?;
    if meta.uid() != 0 && meta.uid() != owner {
        return Err(format!("{} belongs to uid {}", above.display(), meta.uid()));
    }
    let is_sticky = meta.mode() & 0o1000 != 0;
    if meta.mode() & 0o022 != 0 && !is_sticky {
        return Err(format!("others may write in {}", above.display()));
    }
    Ok(())
}

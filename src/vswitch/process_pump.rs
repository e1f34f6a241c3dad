//! `vmnet wire pump`: a TAP on the bridge and a port on the switch, and a process without any right that
//! carries frames between them. It needs neither its starter nor the keeper, and ends with its bridge.

use crate::dir::SwitchDir;
use crate::directory;
use crate::fit_queues;
use crate::group_of_user;
use crate::join_for;
use crate::named;
use crate::pump::Pump;
use crate::recorded;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{alarm, getpid};
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::{IfName, NetName};
use vmnet_access::port_record::{UplinkTag, WIRE_TEMPLATE, group_of, port_name};
use vmnet_access::rules::Caller;
use vmnet_access::vde::MTU_MAX;
use vmnet_access::vde_port_tag::VdePortTag;
use vmnet_model::error::{self, Error, network};
use vmnet_model::vde_switch::Switch;
use vmnet_sys::link::gone::Watched;
use vmnet_sys::link::{self, Link, PortWish};
use vmnet_sys::lock::Claim;
use vmnet_sys::netlink::Netlink;
use vmnet_sys::process::Interrupts;
use vmnet_sys::trust::plain;
use vmnet_sys::tun::{TapName, TapWish, TunDevice};
use vmnet_sys::{daemon, privilege, random, tun, worker};
use vmnet_vde::held_port::{ControlSocket, VdePort};
use vmnet_vde::port::Absence;

/// All until it is ready is done in this time, in seconds.
const PREPARATION_MAX: u32 = 20;
/// As good as for ever.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Be the pump, from the first step to the end.
pub fn run(name: &NetName, path: &Path, cable: Option<&str>) -> Result<(), Error> {
    alarm::set(PREPARATION_MAX);
    let switch = recorded(path)?;
    let failed = |cause: &dyn std::fmt::Display| {
        Error::new("join", format!("{} and {}", network(name), named(&switch.door.directory)), cause)
    };
    // Its lock goes with this process.
    let dir = SwitchDir::of_file(path);
    let _claim = claim(&dir.pump())?;
    let plug = plugged_in(&switch, &dir.plugs()).map_err(|cause| failed(&cause))?;
    // Before the last right goes.
    fit_queues(path, &switch, plug.data());
    let tag = UplinkTag { bridge: name.bridge(), cable: cable.map(str::to_owned) };
    let (tap, bridge) = tap(&switch, &tag).map_err(|cause| failed(&cause))?;
    let stop = detach(&bridge).map_err(|error| failed(&plain(&error)))?;
    alarm::cancel();
    let mut pump = Pump::new(tap);
    pump.run(plug.data(), stop.as_fd()).map(drop).map_err(|error| failed(&plain(&error)))
}

/// There is one for each record.
fn claim(path: &Path) -> Result<Claim, Error> {
    let failed = |cause: &dyn std::fmt::Display| Error::new("lock", path.display(), cause);
    vmnet_sys::claim::claim(path)
        .map_err(|error| failed(&plain(&error)))?
        .ok_or_else(|| failed(&"another pump is at work").kind(error::ErrorKind::InUse))
}

/// A port on the switch.
fn plugged_in(switch: &Switch, plugs: &Path) -> Result<VdePort, String> {
    let fresh = || -> std::io::Result<(VdePort, ControlSocket, VdePortTag)> {
        directory::make_plugs(plugs)?;
        let token = u32::from_ne_bytes(random::bytes()?);
        let tag = VdePortTag { uid: switch.pump, pid: std::process::id(), token };
        let (plug, line) = VdePort::prepare(plugs, tag, switch.door.group)?;
        if switch.door.owner != switch.pump {
            // A switch need not be in the group that may join it.
            let path = plug.data().local_addr()?;
            let path = path.as_pathname().ok_or(ErrorKind::InvalidData)?;
            std::os::unix::fs::chown(path, Some(switch.door.owner), None)?;
        }
        Ok((plug, line, tag))
    };
    let (plug, line, tag) = fresh().map_err(|error| plain(&error))?;
    // A switch of ours may just be starting again.
    let absence = if switch.run.is_some() { Absence::Passing } else { Absence::Final };
    join_for::join(&switch.door, &plug, line, tag, absence).map_err(|refused| refused.cause)?;
    Ok(plug)
}

/// A TAP on the bridge, and the bridge. From here on this process has no right any more.
fn tap(switch: &Switch, tag: &UplinkTag) -> Result<(File, Link), String> {
    let device = tun::open().map_err(|error| format!("cannot open /dev/net/tun: {}", plain(&error)))?;
    let attempt = || -> std::io::Result<Option<(File, Link)>> {
        let mut netlink = Netlink::open()?;
        let found = link::find(&mut netlink, &tag.bridge)?;
        let Some(bridge) = found.filter(|link| link.is_bridge() && link.name == tag.bridge.as_bytes()) else {
            return Ok(None);
        };
        Ok(Some((attached(device, &mut netlink, switch, tag, &bridge)?, bridge)))
    };
    let made = attempt().map_err(|error| plain(&error))?;
    made.ok_or_else(|| format!("there is no bridge '{}'", tag.bridge))
}

fn attached(
    device: TunDevice,
    netlink: &mut Netlink,
    switch: &Switch,
    tag: &UplinkTag,
    bridge: &Link,
) -> std::io::Result<File> {
    let user = switch.pump;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    worker::stand_in_for(&Caller { uid: user, gid: group_of_user(user), groups: Vec::new() })?;
    let shed = privilege::shed()?;
    let free = port_name(WIRE_TEMPLATE, std::process::id());
    let name = TapName::Free(&free, WIRE_TEMPLATE);
    let tap = device.create(&shed, &TapWish { name, vnet_header: true, many_queues: false })?;
    let [a, b, c, d, e] = random::bytes()?;
    let port: IfName = tap.name().clone();
    // Before it has a carrier: from then on packets wait in it.
    let file = tap.for_pump()?;
    let wish = PortWish {
        port: &port,
        bridge: bridge.index,
        mtu: bridge.mtu.min(MTU_MAX),
        mac: MacAddr([0xfe, a, b, c, d, e]),
        alias: &tag.render(),
        group: group_of(&tag.bridge),
        isolated: false,
        hairpin: false,
    };
    link::attach(netlink, &wish)?;
    shed.drop_all()?;
    Ok(file)
}

/// To the background; whoever started us hears that we are ready. What tells us to stop is answered: a
/// signal, be it because the bridge is gone.
fn detach(bridge: &Link) -> std::io::Result<Interrupts> {
    // First, so that they are held back from the thread as well.
    let stop = Interrupts::hold()?;
    let bridge = Watched::new(bridge.index)?.ok_or(ErrorKind::NotFound)?;
    std::thread::Builder::new().name("bridge".into()).spawn(move || {
        let _ = bridge.wait(YEAR);
        let _ = kill(getpid(), Signal::SIGTERM);
    })?;
    daemon::detach()?;
    Ok(stop)
}

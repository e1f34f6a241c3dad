//! Forwards added and taken away live: remembered, and, where the network is up, opened or closed by
//! one small transaction of nft. Nothing else is looked at, so that it costs little more than that nft.

mod conflicts;
mod listing;

pub use conflicts::refuse_new;
pub use listing::{Row, State, rows};

use crate::dirs::{Dirs, RunDir};
use crate::leases;
use crate::observe;
use crate::store::definitions;
use crate::store::live_changes::{LiveChanges, SavedForward};
use crate::store::run_record::{Phase, Record};
use conflicts::Others;
use std::net::IpAddr;
use vmnet_access::name::NetName;
use vmnet_access::port_record::PortRecord;
use vmnet_host::facts as host;
use vmnet_host::files::{read_file, write_file};
use vmnet_host::links::{LinkError, Links, Port};
use vmnet_model::error::{Error, ErrorKind, network};
use vmnet_model::firewall::forwards::{self, Opened};
use vmnet_model::forward::{Forward, Listen, Ports, Protocol, Target};
use vmnet_model::guest::{self, Who};
use vmnet_model::network::{Mode, Network, SubnetChoice};
use vmnet_model::port_conflicts;
use vmnet_model::settle::{Circumstances, NetworkSpec};
use vmnet_model::subnet::Subnet;
use vmnet_tools::nft::{self, Ready};

/// What came of adding a forward.
#[derive(Debug)]
pub struct Added {
    /// The forward, its port chosen, with where it leads now.
    pub opened: Opened,
    /// The network is up.
    pub up: bool,
    /// The forward was there before.
    pub already: bool,
}

/// One network whose forwards change. The lock is the caller's.
struct Site<'a> {
    dirs: &'a Dirs,
    name: &'a NetName,
    run_dir: RunDir,
    /// Its record, if it is up.
    record: Option<Record>,
    /// As its file says.
    file: Network,
    memory: LiveChanges,
    /// Started before anything was looked at.
    nft: Option<Ready>,
}

/// Add a forward.
pub fn add(
    dirs: &Dirs,
    name: &NetName,
    listen: Listen,
    to: Target,
    protocol: Protocol,
) -> Result<Added, Error> {
    let asked = format!("{} {listen} to {to}", protocol.as_str());
    let failed = |cause: &dyn std::fmt::Display| Error::new("forward", &asked, cause);
    if listen.ports == Ports::one(0) && to.ports.is_none() {
        return Err(failed(&"port 0 chooses one of the host's")
            .kind(ErrorKind::Invalid)
            .hint("say which one of the guest's: web:80"));
    }
    let forward =
        Forward::new(listen, to, protocol).map_err(|error| failed(&error).kind(ErrorKind::Invalid))?;
    let nft = nft_for(dirs, name);
    let lock = dirs.lock()?;
    let result = Site::look(dirs, name, "forward a port to", nft).and_then(|site| site.add(&forward));
    if !matches!(&result, Ok(added) if added.up) {
        dirs.tidy(lock);
    }
    result
}

/// Take away those of this place, and of this protocol if one is given. Answers them.
pub fn remove(
    dirs: &Dirs,
    name: &NetName,
    listen: Listen,
    protocol: Option<Protocol>,
) -> Result<Vec<Forward>, Error> {
    let nft = nft_for(dirs, name);
    let lock = dirs.lock()?;
    let result =
        Site::look(dirs, name, "close a forward of", nft).and_then(|site| site.remove(listen, protocol));
    dirs.tidy(lock);
    result
}

/// It gets ready while we look; where it cannot, that is told when it is needed.
fn nft_for(dirs: &Dirs, name: &NetName) -> Option<Ready> {
    dirs.run_dir(&name.bridge()).record().exists().then(nft::ready)?.ok()
}

impl<'a> Site<'a> {
    fn look(dirs: &'a Dirs, name: &'a NetName, act: &'static str, nft: Option<Ready>) -> Result<Self, Error> {
        let run_dir = dirs.run_dir(&name.bridge());
        let record = Record::read(&run_dir)?;
        if let Some(other) = record.as_ref().filter(|record| record.network != name.as_str()) {
            let cause = format!("its bridge belongs to {}", network(&other.network));
            return Err(Error::new(act, network(name), cause).kind(ErrorKind::Conflict));
        }
        Ok(Self {
            record: record.filter(|record| record.phase == Phase::Up),
            file: definitions::read(dirs, name).map_err(|why| why.failure(act, name))?,
            memory: LiveChanges::of(dirs, name)?,
            run_dir,
            dirs,
            name,
            nft,
        })
    }

    fn add(mut self, forward: &Forward) -> Result<Added, Error> {
        let up = self.record.is_some();
        let now = self.memory.add_to(&self.file);
        if let Some(same) = now.forwards.iter().find(|other| *other == forward) {
            let opened = self.opened(&now).into_iter().find(|opened| opened.forward == *same);
            let closed = Opened { forward: same.clone(), address: None, address6: None };
            return Ok(Added { opened: opened.unwrap_or(closed), up, already: true });
        }
        self.refuse_impossible(forward)?;
        let others = Others::of(self.dirs, self.name)?;
        let taken = |one: &Forward| now.forwards.iter().any(|own| own.overlaps(one)) || others.hold(one);
        let none = || Error::new("forward", forward, "no port is free").kind(ErrorKind::Conflict);
        let forward = port_conflicts::with_port(forward, taken).ok_or_else(none)?;
        if let Some(own) = now.forwards.iter().find(|own| own.overlaps(&forward)) {
            let by =
                if self.file.forwards.contains(own) { self.file_name() } else { "added live".to_owned() };
            let cause =
                format!("{} forwards {} to {} already ({by})", network(self.name), place(own), own.to);
            return Err(Error::new("forward", forward, cause).kind(ErrorKind::Exists));
        }
        others.refuse(&forward)?;
        let mut memory = self.memory.clone();
        // What a file claimed meanwhile is no forward any more, and would come back after it.
        memory.forwards.retain(|note| note.forward().is_some_and(|old| !old.overlaps(&forward)));
        memory.forwards.push(SavedForward::from(&forward));
        let opened = self.change(&memory, |table, opened| {
            opened
                .iter()
                .find(|one| one.forward == forward)
                .map(|one| forwards::opening(table, one))
                .unwrap_or_default()
        })?;
        let opened = opened.into_iter().find(|opened| opened.forward == forward);
        let closed = Opened { forward, address: None, address6: None };
        Ok(Added { opened: opened.unwrap_or(closed), up, already: false })
    }

    fn remove(mut self, listen: Listen, protocol: Option<Protocol>) -> Result<Vec<Forward>, Error> {
        let meant = |forward: &Forward| {
            forward.listen == listen && protocol.is_none_or(|protocol| protocol == forward.protocol)
        };
        let what = match protocol {
            Some(protocol) => format!("the forward of {} {listen}", protocol.as_str()),
            None => format!("the forward of {listen}"),
        };
        if self.file.forwards.iter().any(meant) {
            let cause = format!("it stands in {}", self.file_name());
            let hint = format!("take it out there; then 'vmnet up {}' closes it", self.name);
            return Err(Error::new("close", what, cause).kind(ErrorKind::Invalid).hint(hint));
        }
        let mut memory = self.memory.clone();
        let gone: Vec<Forward> =
            memory.forwards.iter().filter_map(SavedForward::forward).filter(meant).collect();
        if gone.is_empty() {
            let hint = format!("'vmnet forward list {}' shows what there is", self.name);
            let cause = format!("{} has none", network(self.name));
            return Err(Error::new("close", what, cause).kind(ErrorKind::Invalid).hint(hint));
        }
        memory.forwards.retain(|note| note.forward().is_some_and(|forward| !meant(&forward)));
        let counters: Vec<String> = self
            .opened(&self.memory.add_to(&self.file))
            .iter()
            .filter(|opened| opened.leads() && gone.contains(&opened.forward))
            .map(Opened::counter)
            .collect();
        self.change(&memory, |table, left| forwards::closing(table, &counters, left))?;
        Ok(gone)
    }

    /// What no network of this kind could do.
    fn refuse_impossible(&self, forward: &Forward) -> Result<(), Error> {
        let refuse = |cause: String| Err(Error::new("forward", forward, cause).kind(ErrorKind::Invalid));
        if self.file.mode == Mode::Vde {
            return refuse(format!("{} is a wire without the host", network(self.name)));
        }
        if self.file.mode == Mode::Isolated {
            return refuse(format!("{} is isolated: nobody reaches its guests", network(self.name)));
        }
        let Some(wanted) = self.wanted(&self.file) else { return Ok(()) };
        if wanted.subnet6.is_none() && !forward.listen.takes(false) {
            return refuse(format!("{} has no IPv6", network(self.name)));
        }
        let address: IpAddr = match forward.to.who {
            Who::Address(address) => address.into(),
            Who::Address6(address) => address.into(),
            Who::Name(_) | Who::Mac(_) => return Ok(()),
        };
        if port_conflicts::is_within(&wanted, address) {
            return Ok(());
        }
        refuse(format!("{address} is no address of a guest of {}", network(self.name)))
    }

    /// Have the kernel do it, and remember: by this text, or, where it does not fit the table that is
    /// loaded, by one that fits each. Whatever of it a kill leaves undone, the next `up` makes right
    /// from what is remembered; a counter in the record need not be there.
    fn change(
        &mut self,
        memory: &LiveChanges,
        quickly: impl Fn(&str, &[Opened]) -> String,
    ) -> Result<Vec<Opened>, Error> {
        let Some(record) = self.record.clone() else {
            return memory.keep(self.dirs, self.name).map(|()| Vec::new());
        };
        let opened = self.opened(&memory.add_to(&self.file));
        let table = self.name.table();
        let text = quickly(&table, &opened);
        let nft = self.nft.take();
        let write = || self.write(memory, &record, &opened);
        let (loaded, written) = match nft.filter(|_| !text.is_empty()) {
            Some(nft) => nft.load_beside(&text, write),
            None if text.is_empty() => (Ok(()), write()),
            None => (nft::load(&text), write()),
        };
        let whole = |_| nft::load(&forwards::change(&table, &record.counters, &opened));
        let loaded = loaded
            .or_else(whole)
            .map_err(|error| Error::new("change the forwards of", network(self.name), error));
        if loaded.is_err() {
            self.memory.keep(self.dirs, self.name)?;
            record.write(&self.run_dir)?;
        }
        loaded.and(written).map(|()| opened)
    }

    fn write(&self, memory: &LiveChanges, record: &Record, opened: &[Opened]) -> Result<(), Error> {
        memory.keep(self.dirs, self.name)?;
        let mut record = record.clone();
        record.count(opened);
        record.write(&self.run_dir)?;
        if !opened.is_empty() {
            host::allow_loopback(&self.name.bridge())?;
        }
        self.handle_ports(!opened.is_empty())
    }

    /// Where the host translates frames between ports, a guest that comes to itself by a forward must
    /// get its own frame back.
    fn handle_ports(&self, forwards: bool) -> Result<(), Error> {
        let text = read_file(&self.run_dir.port())?.unwrap_or_default();
        let Ok(now) = PortRecord::parse(&text) else { return Ok(()) };
        let port = PortRecord { hairpin: forwards && host::translates_frames(), ..now.clone() };
        if port == now {
            return Ok(());
        }
        write_file(&self.run_dir.port(), &port.render(), 0o644)?;
        self.set_ports(&port)
    }

    fn set_ports(&self, record: &PortRecord) -> Result<(), Error> {
        let failed = |error: LinkError| Error::new("set the ports of", network(self.name), error);
        let links = Links::open().map_err(failed)?;
        for link in observe::ports(&links, &self.name.bridge())? {
            let Some(bridge) = link.master else { continue };
            let port = Port {
                mtu: link.mtu,
                group: record.group,
                isolated: record.isolated,
                // No frame may go back to the wire it came from.
                hairpin: record.hairpin && link.wire().is_none(),
            };
            match links.set_port(link.index, bridge, &port) {
                Err(error) if !error.cause.is_absent() => return Err(failed(error)),
                _ => {}
            }
        }
        Ok(())
    }

    fn opened(&self, network: &Network) -> Vec<Opened> {
        let Some(wanted) = self.wanted(network) else { return Vec::new() };
        let leases = leases::leases(&self.run_dir).unwrap_or_default();
        forwards::open(&wanted, &guest::known(&network.hosts, &leases))
    }

    /// The network settled as it is up; none as long as it has no subnet.
    fn wanted(&self, network: &Network) -> Option<NetworkSpec> {
        let fixed = match network.subnet {
            SubnetChoice::Fixed(subnet) => Some(subnet),
            SubnetChoice::Auto => None,
        };
        let subnet = self.record.as_ref().and_then(Record::subnet).or(fixed);
        Some(settled(network, subnet?, self.record.as_ref()))
    }

    fn file_name(&self) -> String {
        definitions::place(self.dirs, self.name).display().to_string()
    }
}

/// As far as forwards are concerned: its MTU is not asked for.
fn settled(network: &Network, subnet: Subnet, record: Option<&Record>) -> NetworkSpec {
    network.settle(&Circumstances {
        subnet,
        machine: &host::machine(),
        uplink_mtu: None,
        has_ipv6: record.is_none_or(|record| record.addresses.iter().any(|(address, _)| address.is_ipv6())),
    })
}

/// `tcp 192.0.2.1:80`
fn place(forward: &Forward) -> String {
    format!("{} {}", forward.protocol.as_str(), forward.listen)
}

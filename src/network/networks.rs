//! The face of this room: all networks, and one of them.

use crate::cables;
use crate::dirs::{Dirs, RunDir};
use crate::down::{self, Down, Outcome};
use crate::forwards;
use crate::keeper::{self, Keeper, Orders};
use crate::keeper_handle;
use crate::lease_watch::LeaseWatch;
use crate::leases;
use crate::ports;
use crate::reservations::{self, Asked, Reserved};
use crate::status::{self, Status};
use crate::store::definitions::{self, NetworkConfig, Owner};
use crate::store::run_record::{self, Record};
use crate::up::{self, UpReport};
use vmnet_access::name::{IfName, NetName};
use vmnet_host::links::Links;
use vmnet_host::log::Log;
use vmnet_host::runtime::events;
use vmnet_model::cable::End;
use vmnet_model::error::{Error, ErrorKind, network};
use vmnet_model::forward::{Forward, Listen, Protocol, Target};
use vmnet_model::guest::{Reservation, Who};
use vmnet_model::lease::Lease;
use vmnet_model::network::Network as Description;
use vmnet_sys::trust::plain;
use vmnet_vswitch::clients::{self, Clients};

/// The networks of this host, or of the directories that a test gives.
#[derive(Clone, Debug)]
pub struct Networks {
    dirs: Dirs,
    log: Log,
}

/// One network, by its name. Nothing is read before it is asked for something, so it need not exist: each verb
/// says so then ([`ErrorKind::NoSuchNetwork`], [`ErrorKind::NotUp`]).
#[derive(Clone, Debug)]
pub struct Network<'a> {
    networks: &'a Networks,
    name: NetName,
}

/// Who asks for a network to be up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Somebody who may say so.
    Always,
    /// A guest that is about to be plugged in: only where the network's file allows that.
    OnDemand,
}

/// Who is plugged in.
#[derive(Debug)]
pub struct Ports {
    /// The ports of the bridge. Of the one that leads to the network's own switch those who are behind it are
    /// told in `on_switch`, where the switch could be asked.
    pub on_bridge: Vec<ports::Port>,
    /// Who is plugged into its VDE switch.
    pub on_switch: Clients,
    /// The leases that run.
    pub leases: Vec<Lease>,
}

/// How it ended that this process kept a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It was told to leave or to stop, or the network is down.
    ToTheEnd,
    /// Another process keeps it, this one where its number can be told; nothing was done.
    ByAnother(Option<u32>),
}

impl Networks {
    /// Those of these directories. What nobody waits for is told to `log`.
    pub fn open(dirs: Dirs, log: Log) -> Self {
        Self { dirs, log }
    }

    /// The directories.
    pub fn dirs(&self) -> &Dirs {
        &self.dirs
    }

    /// The names of all networks that there are, up or down: the built-in one, those with a file, and those that
    /// were defined without one. Sorted.
    ///
    /// # Errors
    /// A directory cannot be listed.
    pub fn list(&self) -> Result<Vec<NetName>, Error> {
        definitions::names(&self.dirs)
    }

    /// The names of those that are up, or half up.
    ///
    /// # Errors
    /// A record cannot be read.
    pub fn running(&self) -> Result<Vec<NetName>, Error> {
        status::running(&self.dirs)
    }

    /// Keep a network that no file describes, for whoever owns it: from now on it is one like any other.
    ///
    /// # Errors
    /// Its text has mistakes ([`ErrorKind::Invalid`]), or somebody else's network has its name or bridge
    /// ([`ErrorKind::Exists`]).
    pub fn define(&self, config: &NetworkConfig, owner: &Owner) -> Result<(), Error> {
        definitions::define(&self.dirs, config, owner)
    }

    /// Forget a network that was defined so, and what is remembered of it. Without an owner it is the
    /// administrator who asks, who may forget anybody's.
    ///
    /// # Errors
    /// There is none, it is another's, or it is up ([`ErrorKind::InUse`]).
    pub fn undefine(&self, name: &NetName, owner: Option<&Owner>) -> Result<(), Error> {
        definitions::undefine(&self.dirs, name, owner)
    }

    /// The network of this name.
    pub fn get(&self, name: &NetName) -> Network<'_> {
        Network { networks: self, name: name.clone() }
    }

    /// The network whose bridge this is, up or down; none where it is nobody's.
    ///
    /// # Errors
    /// A directory cannot be listed, or a record not be read.
    pub fn of_bridge(&self, bridge: &IfName) -> Result<Option<Network<'_>>, Error> {
        let running = run_record::all(&self.dirs)?.into_iter().find(|(of, _)| of == bridge);
        let running = running.and_then(|(_, record)| NetName::new(&record.network).ok());
        let name = match running {
            Some(name) => Some(name),
            None => self.list()?.into_iter().find(|name| name.bridge() == *bridge),
        };
        Ok(name.map(|name| Network { networks: self, name }))
    }
}

impl Network<'_> {
    /// Its name.
    pub fn name(&self) -> &NetName {
        &self.name
    }

    fn dirs(&self) -> &Dirs {
        &self.networks.dirs
    }

    /// Its run directory, which an act needs it to be up for.
    fn run_dir_where_up(&self, act: &'static str) -> Result<RunDir, Error> {
        let run_dir = self.dirs().run_dir(&self.name.bridge());
        match Record::read(&run_dir)? {
            Some(_) => Ok(run_dir),
            None => Err(Error::not_up(act, &self.name)),
        }
    }

    /// Whose it is: the administrator's by a file, built in, or another program's.
    ///
    /// # Errors
    /// There is no such network, or what describes it cannot be read.
    pub fn owner(&self) -> Result<Owner, Error> {
        definitions::owner(self.dirs(), &self.name).map_err(|why| why.failure("say the owner of", &self.name))
    }

    /// As its file has it, with what was added live.
    ///
    /// # Errors
    /// There is no such network, or its file has mistakes.
    pub fn description(&self) -> Result<Description, Error> {
        definitions::with_live(self.dirs(), &self.name).map_err(|why| why.failure("read", &self.name))
    }

    /// Bring it up, or make it again what its file says, and see to it that it has a keeper. None where it was
    /// wanted on demand, and somebody else was quicker.
    ///
    /// # Errors
    /// It cannot be brought up, and is then as it was before; or it would have no keeper.
    pub fn up(&self, start: Start) -> Result<Option<UpReport>, Error> {
        up::bring_up(self.dirs(), &self.name, start == Start::OnDemand)
    }

    /// What [`Network::up`] would do, in its steps. Nothing is changed.
    ///
    /// # Errors
    /// There is no such network, or it could not be brought up.
    pub fn plan(&self) -> Result<UpReport, Error> {
        up::rehearse(self.dirs(), &self.name)
    }

    /// Take it down, and have its keeper leave it first. What was there before it came up is there again.
    ///
    /// # Errors
    /// Guests are attached ([`ErrorKind::InUse`], unless forced), its keeper does not leave, or something of it
    /// could not be undone: then it is half down, with a record, and this can be tried again.
    pub fn down(&self, how: Down) -> Result<(), Error> {
        match down::down(self.dirs(), &self.name, how)? {
            Outcome::Down => Ok(()),
            Outcome::NotUp => Err(Error::not_up("take down", &self.name)),
            Outcome::Used(who) => {
                let cause = format!("{} attached: {}", who.len(), who.join(", "));
                Err(Error::new("take down", network(&self.name), cause)
                    .kind(ErrorKind::InUse)
                    .hint("--force takes it down under them"))
            }
        }
    }

    /// How it is, beside how its file would have it. Only root sees all aspects.
    ///
    /// # Errors
    /// There is no such network, or the host cannot be looked at.
    pub fn status(&self) -> Result<Status, Error> {
        status::status(self.dirs(), &self.name)
    }

    /// Who is plugged in, on the bridge and on its switch.
    ///
    /// # Errors
    /// It is not up, or the host cannot be looked at.
    pub fn ports(&self) -> Result<Ports, Error> {
        const ACT: &str = "show the ports of";
        let bridge = self.name.bridge();
        let run_dir = self.run_dir_where_up(ACT)?;
        let links = Links::open().map_err(|error| Error::new(ACT, network(&self.name), error))?;
        let leases = leases::leases(&run_dir)?;
        let mut on_bridge = ports::ports(&links, &bridge, &leases)?;
        let on_switch = clients::look_closely(&self.dirs().run, &run_dir.switch())?;
        for port in on_bridge.iter_mut().filter(|port| port.is_switch() && on_switch.switch.is_some()) {
            port.macs.clear();
            port.leases.clear();
        }
        Ok(Ports { on_bridge, on_switch, leases })
    }

    /// Take a port away from whoever holds it: deleting the link, or closing the switch's end, ends what its
    /// descriptor is good for.
    ///
    /// # Errors
    /// It is no port of this network, or the end of a cable, or it cannot be deleted.
    pub fn revoke(&self, port: &IfName) -> Result<ports::Revoked, Error> {
        ports::revoke(self.dirs(), &self.name, port)
    }

    /// The leases that run.
    ///
    /// # Errors
    /// It is not up, or they cannot be read.
    pub fn leases(&self) -> Result<Vec<Lease>, Error> {
        leases::leases(&self.run_dir_where_up("show the leases of")?)
    }

    /// A listener that tells when leases change. To be made and asked within a tokio runtime.
    ///
    /// # Errors
    /// It is not up, or the kernel has no room for a listener.
    pub fn watch_leases(&self) -> Result<LeaseWatch, Error> {
        const ACT: &str = "watch the leases of";
        LeaseWatch::open(&self.run_dir_where_up(ACT)?)
            .map_err(|error| Error::new(ACT, network(&self.name), plain(&error)))
    }

    /// The reservations that count, from its file and added live.
    ///
    /// # Errors
    /// There is no such network, or its file has mistakes.
    pub fn reservations(&self) -> Result<Vec<Reserved>, Error> {
        reservations::all(self.dirs(), &self.name)
    }

    /// Promise a guest a name and an address, at once and after each restart.
    ///
    /// # Errors
    /// Somebody has one of them, or the network cannot promise it.
    pub fn reserve(&self, asked: &Asked) -> Result<reservations::Added, Error> {
        reservations::add(self.dirs(), &self.name, asked)
    }

    /// Take a reservation back that was added live. Answers it.
    ///
    /// # Errors
    /// There is none, or it stands in the network's file.
    pub fn release(&self, who: &Who) -> Result<Reservation, Error> {
        reservations::remove(self.dirs(), &self.name, who)
    }

    /// Its forwards, where each leads now, and how often it was used.
    ///
    /// # Errors
    /// There is no such network, or its file has mistakes.
    pub fn forwards(&self) -> Result<Vec<forwards::Row>, Error> {
        forwards::rows(self.dirs(), &self.name)
    }

    /// Lead a port of this host to a guest, at once and after each restart.
    ///
    /// # Errors
    /// Somebody has the port, or the network cannot have forwards.
    pub fn forward(&self, listen: Listen, to: Target, protocol: Protocol) -> Result<forwards::Added, Error> {
        forwards::add(self.dirs(), &self.name, listen, to, protocol)
    }

    /// Close the forwards of this place that were added live, only those of `protocol` if one is given. Answers
    /// them.
    ///
    /// # Errors
    /// There are none, or they stand in the network's file.
    pub fn unforward(&self, listen: Listen, protocol: Option<Protocol>) -> Result<Vec<Forward>, Error> {
        forwards::remove(self.dirs(), &self.name, listen, protocol)
    }

    /// Join it with another network, or with a VDE switch, at once and whenever both are up.
    ///
    /// # Errors
    /// They are joined already, by whatever way, or one of them cannot be.
    pub fn cable(&self, to: &End) -> Result<cables::Added, Error> {
        cables::add(self.dirs(), &self.name, to)
    }

    /// Part them again. Answers the other end as it was remembered.
    ///
    /// # Errors
    /// There is no cable between them.
    pub fn uncable(&self, to: &End) -> Result<End, Error> {
        cables::remove(self.dirs(), &self.name, to)
    }

    /// Bring it up if `up`, and keep it so in this thread until told otherwise. `orders` is called once it is
    /// certain that nobody else keeps it, `on_ready` when from here on nothing is missed.
    ///
    /// # Errors
    /// It cannot be brought up, looked at or taken down; or one of the two failed.
    pub fn keep<O: Orders>(
        &self,
        up: bool,
        orders: impl FnOnce() -> Result<O, Error> + Send,
        on_ready: impl FnOnce() -> Result<(), Error> + Send,
    ) -> Result<Kept, Error> {
        let (dirs, log) = (self.dirs(), self.networks.log);
        let run_dir = dirs.run_dir(&self.name.bridge());
        // The network first: a name that means nothing must leave no directory behind.
        if up {
            let raised = up::raise(dirs, &self.name)?;
            raised.notes.iter().for_each(|note| log.info(note));
        }
        keeper_handle::await_leaving_keeper(dirs, &self.name)?;
        let Some(claim) = keeper::claim(&run_dir)? else {
            let other = keeper_handle::find(&run_dir);
            return Ok(Kept::ByAnother(other.map(|other| other.pid().as_raw().unsigned_abs())));
        };
        let kept = events(move || async move {
            let keeper = Keeper::new(dirs, &self.name, log, claim, orders()?)?;
            on_ready()?;
            keeper.keep().await
        });
        down::sweep(dirs, &run_dir)?;
        kept.map(|()| Kept::ToTheEnd)
    }
}

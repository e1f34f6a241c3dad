//! Bringing a network up, or making it again what its file says. `vmnet up` and the keeper share it.

use crate::apply::Work;
use crate::cables;
use crate::dirs::{Dirs, RunDir};
use crate::down::{self, Traces};
use crate::forwards;
use crate::keeper_handle;
use crate::leases;
use crate::observe;
use crate::resolve::settle;
use crate::server;
use crate::store::definitions;
use crate::store::run_record::{Phase, Record};
use vmnet_access::name::NetName;
use vmnet_host::facts as host;
use vmnet_host::forwarding::Forwarding;
use vmnet_host::ipv6::Forwarding6;
use vmnet_host::links::{HostSnapshot, Links};
use vmnet_model::error::{Error, ErrorKind, network};
use vmnet_model::guest;
use vmnet_model::network::Network;
use vmnet_model::plan::{self, DesiredState, Part, ServerStep, Step, Undo, undoing};
use vmnet_model::settle::NetworkSpec;
use vmnet_sys::trust::plain;
use vmnet_vswitch::settings;

/// What came of it.
#[derive(Debug)]
pub struct UpReport {
    /// The network as it is now.
    pub wanted: NetworkSpec,
    /// What was done, or would be.
    pub steps: Vec<Step>,
    /// It was down before.
    pub was_down: bool,
    /// Guests hold leases that are outdated now.
    pub outdated: bool,
    /// Links that go on taking router advertisements because we say so.
    pub advertised: Vec<String>,
    /// What whoever asked should hear besides, a sentence each.
    pub notes: Vec<String>,
}

/// Everything that is known before a plan is made.
pub struct PlanInput {
    /// The network, rendered.
    pub goal: DesiredState,
    /// Its run directory.
    pub run_dir: RunDir,
    /// Its record, if it is up or half up.
    pub record: Option<Record>,
    /// The host's links, addresses and routes.
    pub host: HostSnapshot,
    /// The host as far as this network is concerned.
    pub seen: plan::ObservedState,
    /// What whoever asked should hear besides, a sentence each.
    pub notes: Vec<String>,
}

/// Look at a network and its host.
pub fn look(dirs: &Dirs, links: &Links, wanted: &Network, rehearsal: bool) -> Result<PlanInput, Error> {
    let failed = |cause: &dyn std::fmt::Display| Error::new("look at", network(&wanted.name), cause);
    let host = links.snapshot().map_err(|error| failed(&error))?;
    let run_dir = dirs.run_dir(&wanted.name.bridge());
    let record = Record::read(&run_dir)?;
    if let Some(other) = record.as_ref().filter(|record| record.network != wanted.name.as_str()) {
        return Err(
            failed(&format!("its bridge belongs to {}", network(&other.network))).kind(ErrorKind::Conflict)
        );
    }
    let mut notes = Vec::new();
    let wanted = settle(dirs, wanted, &host, record.as_ref(), rehearsal, &mut notes)?;
    let switch = settings::settle(&wanted.network, &run_dir.switch())?;
    let guests = guest::known(&wanted.network.hosts, &leases::leases(&run_dir)?);
    let mut goal =
        DesiredState::new(wanted, &host::place(run_dir.path()), &guests, host::translates_frames(), switch);
    goal.cables = cables::goals(dirs, goal.wanted.name(), Some(goal.wanted.mtu), &host)?;
    let seen = observe::network(&run_dir, &goal, record.as_ref(), &host)?;
    Ok(PlanInput { goal, run_dir, record, host, seen, notes })
}

/// Only say what would be done.
pub fn rehearse(dirs: &Dirs, name: &NetName) -> Result<UpReport, Error> {
    let wanted = definitions::read(dirs, name).map_err(|why| why.failure("start", name))?;
    let links = Links::open().map_err(|error| Error::new("start", network(name), error))?;
    let outlook = look(dirs, &links, &wanted, true)?;
    let steps = plan(&outlook)?;
    Ok(UpReport {
        wanted: outlook.goal.wanted,
        steps,
        was_down: false,
        outdated: false,
        advertised: Vec::new(),
        notes: outlook.notes,
    })
}

/// Bring it up and see to it that it has a keeper. On demand: only where its file allows that; none if
/// somebody else was quicker. What is started inherits from the process: its place in the kernel's choice of
/// whom to kill (`oom_score_adj`) too.
///
/// # Errors
/// It cannot be brought up, and is then as it was before; or it would have no keeper.
pub fn bring_up(dirs: &Dirs, name: &NetName, on_demand: bool) -> Result<Option<UpReport>, Error> {
    if on_demand {
        let file = definitions::read(dirs, name).map_err(|why| why.failure("start", name))?;
        if !file.on_demand {
            return Err(
                Error::new("start", network(name), "its file says on_demand = false").kind(ErrorKind::Denied)
            );
        }
        if came_up_meanwhile(dirs, name)? {
            return Ok(None);
        }
    }
    let (mut done, mut notes) = (Vec::new(), Vec::new());
    if keeper_handle::is_unit(dirs) && keeper_handle::find(&dirs.run_dir(&name.bridge())).is_none() {
        // What can be seen to be wrong is told here, and not in the unit's log.
        UpReport { steps: done, notes, .. } = rehearse(dirs, name)?;
        keeper_handle::start_unit(name)?;
    }
    let mut raised = raise(dirs, name)?;
    // The unit's are ours.
    raised.steps.extend(done);
    raised.notes.splice(0..0, notes);
    if let Err(failure) = keeper_handle::ensure_keeper(dirs, name) {
        if raised.was_down {
            down::take_down(dirs, name)?;
        }
        return Err(failure);
    }
    Ok(Some(raised))
}

/// Of many helpers that ask at once, the first starts the network and the others find it up when
/// their turn comes.
fn came_up_meanwhile(dirs: &Dirs, name: &NetName) -> Result<bool, Error> {
    let lock = dirs.lock()?;
    let record = Record::read(&dirs.run_dir(&name.bridge()))?;
    drop(lock);
    let up = record.is_some_and(|record| record.phase == Phase::Up);
    Ok(up && keeper_handle::find(&dirs.run_dir(&name.bridge())).is_some())
}

/// Make it so. A network that was down is down again after a failure; one that was up stays up.
pub fn raise(dirs: &Dirs, name: &NetName) -> Result<UpReport, Error> {
    let read = || definitions::read(dirs, name).map_err(|why| why.failure("start", name));
    read()?;
    let lock = dirs.lock()?;
    // Once more: whoever had the lock may have changed it or taken it back.
    let result = read().and_then(|wanted| raise_locked(dirs, &wanted));
    if result.is_err() {
        dirs.tidy(lock);
    }
    result
}

fn raise_locked(dirs: &Dirs, wanted: &Network) -> Result<UpReport, Error> {
    let links = Links::open().map_err(|error| Error::new("start", network(&wanted.name), error))?;
    let outlook = look(dirs, &links, wanted, false)?;
    let steps = plan(&outlook)?;
    forwards::refuse_new(dirs, &outlook.goal, outlook.record.as_ref())?;
    dirs.begin_changes();
    let outdated = plan::outdates_leases(&steps, &outlook.seen);
    let PlanInput { goal, run_dir, record: earlier, host, notes, .. } = outlook;
    let settled = earlier.as_ref().is_some_and(|record| record.phase == Phase::Up);
    let mut record = Record::begin(&goal, earlier.as_ref());
    let counted = record.counts(&goal.forwards);
    if steps.is_empty() && settled && counted && earlier.as_ref() == Some(&record) {
        let advertised = Vec::new();
        return Ok(UpReport { wanted: goal.wanted, steps, was_down: false, outdated, advertised, notes });
    }
    // What is put back must be known before.
    let is_undone_by = |part| steps.iter().any(|step| undoing(step) == Undo::By(part));
    if is_undone_by(Part::Forwarding) && record.forwarding_was.is_none() {
        record.forwarding_was = Some(Forwarding::now()?);
    }
    let mut advertised = Vec::new();
    if is_undone_by(Part::Forwarding6) && record.forwarding6_was.is_none() {
        let was = Forwarding6::now()?;
        advertised.extend(was.advertised().map(str::to_owned));
        record.forwarding6_was = Some(was);
    }
    // A run that was killed may have left a server, or somebody took its number away: it would keep the
    // address from ours.
    let known = server::find(&run_dir).map(|server| server.pid());
    let is_lost = known.is_none() && steps.contains(&Step::Server(ServerStep::Start));
    if earlier.as_ref().is_some_and(|record| record.phase == Phase::Starting || is_lost) {
        server::stop_strays(&run_dir, known)
            .map_err(|error| Error::new("stop the server of", network(&wanted.name), plain(&error)))?;
    }
    let index = host.links.iter().find(|link| link.name == goal.wanted.bridge).map(|link| link.index);
    let begun = record.write(&run_dir);
    let mut work =
        Work { links: &links, goal: &goal, run_dir: &run_dir, record: &mut record, index, loading: None };
    let done = match begun {
        Ok(()) => work.apply(&steps),
        failed => failed,
    };
    let finished = done.and_then(|()| {
        record.phase = Phase::Up;
        record.count(&goal.forwards);
        record.write(&run_dir)
    });
    match finished {
        Ok(()) => {
            Ok(UpReport { wanted: goal.wanted, steps, was_down: !settled, outdated, advertised, notes })
        }
        Err(failure) if settled => Err(failure),
        Err(failure) => {
            let left = down::undo(dirs, &goal.wanted.bridge, &record, Traces::Exact);
            Err(failure.and(&left))
        }
    }
}

fn plan(outlook: &PlanInput) -> Result<Vec<Step>, Error> {
    let name = &outlook.goal.wanted.network.name;
    plan::up(&outlook.goal, &outlook.seen).map_err(|conflict| {
        Error::new("start", network(name), conflict)
            .kind(ErrorKind::Conflict)
            .hint("remove that link, or give the network another name")
    })
}

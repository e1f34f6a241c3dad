//! The keeper's part about the VDE switch: what runs for it is there, and what is not is known of.

use super::Keeper;
use super::wake::{Turn, ended, listen_to};
use crate::record::Record;
use crate::{switch, wire};
use std::io;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;
use vmnet_sys::process::Process;

/// How often a switch of somebody else's that is away is looked for: nobody tells when it comes.
const LOOK_OUT: Duration = Duration::from_secs(1);

/// The processes of a switch, to be told of their end.
pub(super) struct Wires {
    switch: Option<AsyncFd<Process>>,
    pump: Option<AsyncFd<Process>>,
    /// It is somebody else's, and away.
    away: bool,
}

impl Wires {
    /// Pending until one of them ends, or may have come back.
    pub(super) async fn ended(&self) {
        tokio::select! {
            () = ended(self.switch.as_ref()) => {}
            () = ended(self.pump.as_ref()) => {}
            () = sleep(LOOK_OUT), if self.away => {}
        }
    }
}

impl Keeper<'_> {
    /// What of the switch is gone; or else what there is to be watched.
    pub(super) fn wires(&self) -> io::Result<Result<Wires, Turn>> {
        let none = Wires { switch: None, pump: None, away: false };
        let up = matches!(Record::read(&self.room), Ok(Some(_)));
        let Some(wanted) = switch::recorded(&self.room).ok().flatten().filter(|_| up) else {
            return Ok(Ok(none));
        };
        let process = wire::switch(&self.room);
        if wanted.run.is_some() && process.is_none() {
            return Ok(Err(Turn::Lost("vde_switch")));
        }
        let away = wanted.run.is_none() && wire::life(&wanted.door.directory).is_none();
        let pump = wire::pump(&self.room.pump());
        if pump.is_none() && !away {
            return Ok(Err(Turn::Lost("the switch's pump")));
        }
        let switch = process.map(listen_to).transpose()?;
        Ok(Ok(Wires { switch, pump: pump.map(listen_to).transpose()?, away }))
    }
}

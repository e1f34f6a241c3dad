//! The keeper's part about the VDE switch: what runs for it is there, and what is not is known of.

use super::Keeper;
use super::cables::{A_MOMENT, Source, watched};
use super::wake::{Turn, ended, listen_to};
use crate::places::read_file;
use crate::record::Record;
use crate::{switch, wire};
use std::io;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;
use vmnet_sys::process::Process;

/// How often a switch of somebody else's that is away is looked for: nobody tells when its directory comes.
const LOOK_OUT: Duration = Duration::from_secs(1);

/// The processes of a switch, to be told of their end; of somebody else's switch, to be told of its
/// beginning.
#[derive(Default)]
pub(super) struct Wires {
    switch: Option<AsyncFd<Process>>,
    pump: Option<AsyncFd<Process>>,
    place: Option<AsyncFd<Source>>,
    /// It is somebody else's, and away.
    away: bool,
}

impl Wires {
    /// Pending until something may be different.
    pub(super) async fn stirred(&self) {
        let began = async {
            match &self.place {
                Some(place) => drop(place.readable().await),
                None => std::future::pending().await,
            }
            sleep(A_MOMENT).await;
        };
        tokio::select! {
            () = ended(self.switch.as_ref()) => {}
            () = ended(self.pump.as_ref()) => {}
            () = began => {}
            () = sleep(LOOK_OUT), if self.away => {}
        }
    }
}

impl Keeper<'_> {
    /// What of the switch is gone; or else what there is to be watched.
    pub(super) fn wires(&self) -> io::Result<Result<Wires, Turn>> {
        let up = matches!(Record::read(&self.room), Ok(Some(_)));
        let Some(wanted) = switch::recorded(&self.room).ok().flatten().filter(|_| up) else {
            return Ok(Ok(Wires::default()));
        };
        let directory = &wanted.door.directory;
        let is_ours = wanted.run.is_some();
        // Before the look, so that nothing falls between.
        let place = if is_ours { None } else { watched(std::slice::from_ref(directory))? };
        let process = wire::switch(&self.room);
        if is_ours && process.is_none() {
            return Ok(Err(Turn::Lost("vde_switch")));
        }
        let life = wire::life(directory);
        let away = !is_ours && life.is_none();
        let pump = wire::pump(&self.room.pump());
        if pump.is_none() && !away {
            return Ok(Err(Turn::Lost("the switch's pump")));
        }
        let plugged = read_file(&self.room.plugged()).ok().flatten();
        if life.is_some() && plugged != life.map(String::into_bytes) {
            return Ok(Err(Turn::Lost("the life of the switch that ports were plugged into")));
        }
        let switch = process.map(listen_to).transpose()?;
        Ok(Ok(Wires { switch, pump: pump.map(listen_to).transpose()?, place, away }))
    }
}

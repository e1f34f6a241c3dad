//! The keeper's part about the VDE switch: what runs for it is there, and what is not is known of.

use super::cables::{Lines, watched};
use super::{Keeper, Orders};
use crate::lease_watch::listen_to;
use std::io;
use vmnet_model::keeper::KeeperEvent;
use vmnet_vswitch::settings;

impl<O: Orders> Keeper<'_, O> {
    /// What of the switch is gone; or else what there is to be watched.
    pub(super) fn wires(&self) -> io::Result<Result<Lines, KeeperEvent>> {
        let Some(wanted) = settings::recorded(&self.run_dir.switch()).ok().flatten() else {
            return Ok(Ok(Lines::default()));
        };
        let directory = &wanted.door.directory;
        let is_ours = wanted.run.is_some();
        // Before the look, so that nothing falls between.
        let directories = if is_ours { None } else { watched(std::slice::from_ref(directory))? };
        let process = vmnet_vswitch::switch(&self.run_dir.switch());
        if is_ours && process.is_none() {
            return Ok(Err(KeeperEvent::Lost("vde_switch")));
        }
        let life = vmnet_vswitch::life(directory);
        let away = !is_ours && life.is_none();
        let pump = vmnet_vswitch::pump(&self.run_dir.switch().pump());
        if pump.is_none() && !away {
            return Ok(Err(KeeperEvent::Lost("the switch's pump")));
        }
        if life.is_some() && !vmnet_vswitch::is_plugged(&self.run_dir.switch(), directory).unwrap_or(false) {
            return Ok(Err(KeeperEvent::Lost("the life of the switch that ports were plugged into")));
        }
        let processes = process.into_iter().chain(pump).map(listen_to).collect::<io::Result<_>>()?;
        Ok(Ok(Lines { processes, directories, away }))
    }
}

//! The leases that a network's server has given out.

use crate::dirs::RunDir;
use std::time::{SystemTime, UNIX_EPOCH};
use vmnet_host::files::read_file;
use vmnet_model::error::Error;
use vmnet_model::lease::{Lease, leases as parse};

/// The leases of a network; those that have run out are left out.
pub fn leases(run_dir: &RunDir) -> Result<Vec<Lease>, Error> {
    let text = read_file(&run_dir.leases())?.unwrap_or_default();
    let now = now();
    let mut leases = parse(&text);
    leases.retain(|lease| lease.expires.is_none_or(|end| end > now));
    leases.sort_by_key(|lease| (lease.address, lease.mac));
    Ok(leases)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

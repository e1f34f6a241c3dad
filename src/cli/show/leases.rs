//! Leases and times.

use serde_json::{Value, json};
use std::net::Ipv4Addr;
use vmnet_model::lease::Lease;
use vmnet_network::leases::now;

/// A lease as JSON. `expires` is in seconds since 1970, `left` in seconds; both null for ever.
pub fn lease_json(lease: &Lease) -> Value {
    json!({
        "address": lease.address.to_string(),
        "mac": lease.mac.to_string(),
        "name": lease.name,
        "expires": lease.expires,
        "left": lease.expires.map(|end| end.saturating_sub(now())),
    })
}

/// How long a lease still lasts, in words.
pub fn time_left(lease: &Lease) -> String {
    lease.expires.map_or_else(|| "for ever".to_owned(), |end| duration(end.saturating_sub(now())))
}

/// Seconds in words.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// An address with its prefix length.
pub fn with_length(address: Ipv4Addr, length: u8) -> String {
    format!("{address}/{length}")
}

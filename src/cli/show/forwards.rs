//! Forwards, as `forward list` and `forward add` show them.

use serde_json::Value;
use std::net::IpAddr;
use vmnet_access::name::NetName;
use vmnet_model::firewall::forwards::Opened;
use vmnet_network::forwards::{Row, State};

/// Column heads of [`cells`].
pub const HEAD: [&str; 7] = ["NETWORK", "LISTEN", "PROTOCOL", "TO", "ADDRESS", "HITS", "STATE"];

/// As a row of a table.
pub fn cells(row: &Row) -> Vec<String> {
    let forward = &row.opened.forward;
    vec![
        row.network.to_string(),
        forward.listen.to_string(),
        forward.protocol.as_str().to_owned(),
        forward.to.to_string(),
        addresses(&row.opened).unwrap_or_else(|| "-".to_owned()),
        row.hits.map_or_else(|| "-".to_owned(), |hits| hits.to_string()),
        word(row.state).to_owned(),
    ]
}

/// As JSON. `hits` counts connections; null where it is not known.
pub fn json(row: &Row) -> Value {
    let more = [("hits", row.hits.into()), ("live", row.live.into())];
    describe(&row.network, &row.opened, row.state, more)
}

/// The state in a word.
pub fn word(state: State) -> &'static str {
    match state {
        State::Open => "open",
        State::Waits => "waits",
        State::Closed => "closed",
    }
}

/// A forward as JSON.
pub fn describe<const N: usize>(
    network: &NetName,
    opened: &Opened,
    state: State,
    more: [(&str, Value); N],
) -> Value {
    let forward = &opened.forward;
    let pairs = [
        ("network", network.as_str().into()),
        ("listen", forward.listen.to_string().into()),
        ("port", forward.listen.ports.first.into()),
        ("protocol", forward.protocol.as_str().into()),
        ("to", forward.to.to_string().into()),
        ("address", opened.address.map(|address| address.to_string()).into()),
        ("address6", opened.address6.map(|address| address.to_string()).into()),
        ("state", word(state).into()),
    ];
    pairs.into_iter().chain(more).map(|(key, value): (&str, Value)| (key.to_owned(), value)).collect()
}

/// Where it leads, in words; none where nowhere yet.
pub fn addresses(opened: &Opened) -> Option<String> {
    let v4 = opened.address.map(IpAddr::V4);
    let all: Vec<String> =
        v4.into_iter().chain(opened.address6.map(IpAddr::V6)).map(|address| address.to_string()).collect();
    (!all.is_empty()).then(|| all.join(" "))
}

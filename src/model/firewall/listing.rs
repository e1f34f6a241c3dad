//! What nft shows of a table: the part that must stay as it was loaded, and the forwards, which
//! come and go.

use super::forwards::CHAINS;
use crate::bridge_filter::GUESTS_CHAIN;

/// A listing without forwards, counters and what data paths learn, so that it is the same text as
/// long as nobody changed the table.
#[must_use]
pub fn essence(listing: &str) -> String {
    let mut kept = String::new();
    let mut skipping = false;
    for line in listing.lines() {
        let inner = line.strip_prefix('\t').filter(|rest| !rest.starts_with('\t'));
        if let Some(head) = inner.and_then(|rest| rest.strip_suffix(" {")) {
            let mut words = head.split(' ');
            skipping = match (words.next(), words.next()) {
                (Some("counter"), _) => true,
                (Some("chain"), Some(name)) => CHAINS.contains(&name) || name == GUESTS_CHAIN,
                _ => false,
            };
        }
        let learned = line.trim_start().starts_with("elements = {");
        if !skipping && !learned && !line.is_empty() {
            kept.push_str(line);
            kept.push('\n');
        }
        if inner == Some("}") {
            skipping = false;
        }
    }
    kept
}

/// The comments of the forwards in a listing, sorted.
#[must_use]
pub fn forwards_shown(listing: &str) -> Vec<String> {
    let comment = |line: &str| {
        let (_, rest) = line.split_once(" comment \"forward ")?;
        Some(format!("forward {}", rest.strip_suffix('"')?))
    };
    let mut comments: Vec<String> = listing.lines().filter_map(comment).collect();
    comments.sort();
    comments
}

/// How often each named counter was hit, from a listing with state.
#[must_use]
pub fn hits(listing: &str) -> Vec<(String, u64)> {
    let mut lines = listing.lines().map(str::trim);
    let mut counters = Vec::new();
    while let Some(line) = lines.next() {
        let name = line.strip_prefix("counter ").and_then(|rest| rest.strip_suffix(" {"));
        let packets = |text: &str| text.strip_prefix("packets ")?.split(' ').next()?.parse().ok();
        counters.extend(name.and_then(|name| Some((name.to_owned(), packets(lines.next()?)?))));
    }
    counters
}

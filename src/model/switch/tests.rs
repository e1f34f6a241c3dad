use super::*;
use crate::golden;
use crate::guest::known;
use crate::name::IfName;

#[test]
fn print() {
    for wanted in golden::networks() {
        let guests = known(&wanted.network.hosts, &[]);
        if let Some(text) = table(&wanted, &guests) { std::fs::write(format!("/tmp/sw/{}.nft", wanted.name()), text).unwrap() }
        if let Some(text) = owners(&wanted, &guests) { std::fs::write(format!("/tmp/sw/{}.owners", wanted.name()), text).unwrap() }
    }
}

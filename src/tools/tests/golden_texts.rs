//! The texts that the model's golden tests pin down, given to the programs they are for: nft must
//! load each of them, twice over, and dnsmasq must find no fault in any.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "this file is all test")]

use nix::sched::{CloneFlags, unshare};
use nix::unistd::Uid;
use std::path::PathBuf;
use vmnet_tools::{Tool, nft};

fn golden(ending: &str) -> Vec<PathBuf> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../model/golden");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == ending)).collect();
    assert!(found.len() >= 4, "{found:?}");
    found
}

#[test]
fn nft_loads_every_ruleset_over_itself_and_removes_it() {
    if !Uid::effective().is_root() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI nothing is skipped: run as root");
        eprintln!("SKIPPED: needs root for a network namespace");
        return;
    }
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    for path in golden("nft") {
        let text = std::fs::read_to_string(&path).unwrap();
        let table = text.split_whitespace().nth(2).expect("table inet NAME");
        nft::load(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let first = nft::list_table("inet", table).unwrap().expect("the table");
        let removal: String = ["inet", "bridge"]
            .map(|family| format!("table {family} {table}\ndelete table {family} {table}\n"))
            .concat();
        nft::load(&format!("{removal}{text}")).unwrap();
        assert_eq!(nft::list_table("inet", table).unwrap(), Some(first), "{}", path.display());
        nft::load(&removal).unwrap();
        assert!(!nft::exists("inet", table).unwrap());
    }
}

#[test]
fn dnsmasq_finds_no_fault_in_any_file() {
    for path in golden("dnsmasq") {
        let option = format!("--conf-file={}", path.display());
        let tested = Tool::find("dnsmasq").unwrap().run(&["--test", option.as_str()], "");
        tested.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

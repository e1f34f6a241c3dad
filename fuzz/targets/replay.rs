//! Every file of the corpus, through its target.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use vmnet_fuzz_targets::TARGETS;

/// A path beside this crate.
fn beside(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn names_in(folder: &str, ending: &str) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for file in fs::read_dir(beside(folder))? {
        let name = file?.file_name();
        names.extend(name.to_str().and_then(|name| name.strip_suffix(ending)).map(str::to_owned));
    }
    Ok(names)
}

#[test]
fn every_target_holds_for_its_corpus_and_understands_some_of_it() {
    for (name, target) in TARGETS {
        let mut understood = 0;
        for file in names_in(&format!("corpus/{name}"), "").unwrap() {
            // Which one it was stands above a panic's own words.
            println!("fuzz/corpus/{name}/{file}");
            understood += usize::from(target(&fs::read(beside("corpus").join(name).join(file)).unwrap()));
        }
        assert!(understood > 0, "fuzz/corpus/{name} holds nothing that its parser takes");
    }
}

#[test]
fn every_target_has_a_corpus_and_is_known_to_cargo_fuzz() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names_in("corpus", "").unwrap(), targets);
    assert_eq!(names_in("fuzz_targets", ".rs").unwrap(), targets);
    let manifest = fs::read_to_string(beside("Cargo.toml")).unwrap();
    let built = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""));
    assert_eq!(built.map(str::to_owned).collect::<BTreeSet<_>>(), targets);
}

use super::*;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;
use vmnet_model::network::SubnetChoice;

/// Three directories of this test's own.
pub(super) fn house() -> (TempDir, Dirs) {
    let root = tempfile::tempdir().unwrap();
    let [config, state, run] = ["etc", "state", "run"].map(|name| root.path().join(name));
    let dirs = Dirs::new(&config, &state, &run);
    for directory in [dirs.networks(), dirs.definitions(), run] {
        fs::create_dir_all(directory).unwrap();
    }
    (root, dirs)
}

/// A file counts only if it is root's.
pub(super) fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    assert!(root || std::env::var("CI").as_deref() != Ok("true"), "in CI nothing is skipped: run as root");
    if !root {
        eprintln!("SKIPPED: only root's files count");
    }
    root
}

pub(super) fn named(name: &str) -> NetName {
    NetName::new(name).unwrap()
}

pub(super) fn lay(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

/// The fixed subnet of a network that can be read.
pub(super) fn subnet(dirs: &Dirs, name: &NetName) -> String {
    match read(dirs, name).unwrap().subnet {
        SubnetChoice::Fixed(subnet) => subnet.to_string(),
        SubnetChoice::Auto => "auto".to_owned(),
    }
}

const DOCKERS: &str = "# owner: docker 3f2a\nmode = \"routed\"\nsubnet = \"10.0.7.0/24\"\n";

#[test]
fn a_name_is_a_files_before_it_is_built_in_and_that_before_it_is_defined() {
    let (_root, dirs) = house();
    let (lab, built_in) = (named("lab"), named(paths::BUILT_IN));
    assert_eq!(source(&dirs, &lab), None);
    assert_eq!(place(&dirs, &lab), dirs.network_file(&lab));
    for name in [&lab, &built_in] {
        lay(&dirs.definition(name), DOCKERS);
    }
    assert_eq!(source(&dirs, &lab), Some(Source::Defined(dirs.definition(&lab))));
    assert_eq!(place(&dirs, &lab), dirs.definition(&lab));
    assert_eq!(passed_over(&dirs, &lab), None);
    assert_eq!(source(&dirs, &built_in), Some(Source::BuiltIn));
    assert_eq!(passed_over(&dirs, &built_in).unwrap().path, dirs.definition(&built_in));
    for name in [&lab, &built_in] {
        lay(&dirs.network_file(name), "");
        assert_eq!(source(&dirs, name), Some(Source::File(dirs.network_file(name))));
        assert_eq!(place(&dirs, name), dirs.network_file(name));
        assert_eq!(passed_over(&dirs, name).unwrap().path, dirs.definition(name));
    }
}

#[test]
fn a_file_that_cannot_be_looked_at_still_has_its_name() {
    let (_root, dirs) = house();
    let lab = named("lab");
    lay(&dirs.definition(&lab), DOCKERS);
    std::os::unix::fs::symlink(dirs.network_file(&lab), dirs.network_file(&lab)).unwrap();
    assert_eq!(source(&dirs, &lab), Some(Source::File(dirs.network_file(&lab))));
}

#[test]
fn the_names_are_of_both_directories_each_once() {
    let (_root, dirs) = house();
    for (name, file, defined) in [("ours", true, false), ("theirs", false, true), ("both", true, true)] {
        if file {
            lay(&dirs.network_file(&named(name)), "");
        }
        if defined {
            lay(&dirs.definition(&named(name)), DOCKERS);
        }
    }
    lay(&dirs.definitions().join(".vmnet-draft"), "");
    lay(&dirs.state.join("lab.json"), "{}");
    let names: Vec<String> = names(&dirs).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["both", paths::BUILT_IN, "ours", "theirs"]);
}

#[test]
fn a_defined_network_is_read_and_its_mistakes_are_told_with_their_place() {
    if !is_root() {
        return;
    }
    let (_root, dirs) = house();
    let lab = named("lab");
    lay(&dirs.definition(&lab), DOCKERS);
    assert_eq!(subnet(&dirs, &lab), "10.0.7.0/24");
    assert_eq!(owner(&dirs, &lab).unwrap().to_string(), "docker 3f2a");

    lay(&dirs.definition(&lab), "# owner: docker 3f2a\nmod = 1\n");
    let path = dirs.definition(&lab).display().to_string();
    let told = |dirs: &Dirs| match read(dirs, &lab).unwrap_err() {
        Unreadable::Mistakes(mistakes) => mistakes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert!(told(&dirs).concat().starts_with(&format!("{path}:2:1: ")), "{:?}", told(&dirs));
    assert_eq!(owner(&dirs, &lab).unwrap().to_string(), "docker 3f2a", "its owner is known all the same");

    lay(&dirs.definition(&lab), "mod = 1\n");
    assert_eq!(told(&dirs).len(), 2, "no owner, and no such key");
    assert!(told(&dirs).concat().starts_with(&format!("{path}:1:1: an owner is")), "{:?}", told(&dirs));
    assert!(owner(&dirs, &lab).is_err());
}

#[test]
fn a_definition_that_others_may_write_does_not_count() {
    if !is_root() {
        return;
    }
    let (_root, dirs) = house();
    let lab = named("lab");
    lay(&dirs.definition(&lab), DOCKERS);
    fs::set_permissions(dirs.definition(&lab), fs::Permissions::from_mode(0o664)).unwrap();
    for why in [read(&dirs, &lab).unwrap_err(), owner(&dirs, &lab).unwrap_err()] {
        assert!(why.phrase().contains("writable by others than root"), "{}", why.phrase());
    }
}

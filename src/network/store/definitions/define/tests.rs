use super::super::read;
use super::super::tests::{house, is_root, lay, named, subnet};
use super::*;
use vmnet_access::paths;
use vmnet_sys::trust;

fn owner(text: &str) -> Owner {
    text.parse().unwrap()
}

fn config(name: &str, text: &str) -> NetworkConfig {
    NetworkConfig::new(named(name), text).unwrap()
}

fn kind(result: Result<(), Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind)
}

fn remembers(dirs: &Dirs, name: &str, cable: &str) {
    let memory = LiveChanges { cables: vec![cable.to_owned()], ..LiveChanges::default() };
    memory.keep(dirs, &named(name)).unwrap();
}

/// What `up` writes first, of a network on that bridge.
fn runs(dirs: &Dirs, network: &str, bridge: &str) {
    let record = format!(
        r#"{{"network": "{network}", "phase": "up", "subnet": "10.0.1.0/24", "address": "10.0.1.1",
            "mac": "02:00:00:00:00:01", "forwards": false, "forwarding_was": null, "ruleset": null}}"#
    );
    fs::create_dir_all(dirs.run.join(bridge)).unwrap();
    fs::write(dirs.run.join(bridge).join(paths::RECORD_FILE), record).unwrap();
}

#[test]
fn all_mistakes_of_a_configuration_are_in_one_error() {
    let error = NetworkConfig::new(named("lab"), "mode = \"nut\"\nsubnet = 7\n").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    let told = error.to_string();
    for part in ["cannot define network 'lab': lab.toml:1:8: ", "; lab.toml:2:10: "] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
    assert_eq!(config("lab", "\u{feff}mode = \"nat\"\n").text(), "mode = \"nat\"\n");
}

#[test]
fn a_network_is_defined_for_all_to_read_and_taken_back_without_a_trace() {
    if !is_root() {
        return;
    }
    let (_root, dirs) = house();
    fs::remove_dir_all(&dirs.state).unwrap();
    let (lab, mine) = (named("lab"), owner("docker 3f2a"));
    define(&dirs, &config("lab", "subnet = \"10.0.7.0/24\"\n"), &mine).unwrap();
    assert_eq!(subnet(&dirs, &lab), "10.0.7.0/24");
    assert_eq!(super::super::owner(&dirs, &lab).unwrap(), mine);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(dirs.definition(&lab)), mode(dirs.definitions())), (0o644, 0o755));
    assert!(!dirs.run.exists(), "the lock is tidied away");

    undefine(&dirs, &lab, Some(&mine)).unwrap();
    assert!(matches!(read(&dirs, &lab), Err(Unreadable::Unknown)));
    assert_eq!(fs::read_dir(&dirs.state).unwrap().count(), 0);
    assert_eq!(kind(undefine(&dirs, &lab, Some(&mine))), Some(ErrorKind::NoSuchNetwork));
}

#[test]
fn defining_again_replaces_what_was_there_and_keeps_what_is_remembered() {
    if !is_root() {
        return;
    }
    let (_root, dirs) = house();
    let (lab, mine) = (named("lab"), owner("cni mynet"));
    define(&dirs, &config("lab", ""), &mine).unwrap();
    remembers(&dirs, "lab", "annex");
    // While it is up, too.
    runs(&dirs, "lab", "lab");
    define(&dirs, &config("lab", "subnet = \"10.0.8.0/24\"\n"), &mine).unwrap();
    assert_eq!(subnet(&dirs, &lab), "10.0.8.0/24");
    assert_eq!(LiveChanges::of(&dirs, &lab).unwrap().cables, ["annex"]);
    assert_eq!(kind(define(&dirs, &config("lab", ""), &owner("cni other"))), Some(ErrorKind::Exists));
    assert_eq!(kind(define(&dirs, &config("lab", ""), &owner("docker mynet"))), Some(ErrorKind::Exists));
}

#[test]
fn nobody_defines_what_is_a_files_or_built_in_or_has_anothers_bridge() {
    let (_root, dirs) = house();
    let mine = owner("docker 3f2a");
    lay(&dirs.network_file(&named("lab")), "");
    let long = named("a-rather-long-project-name");
    lay(&dirs.network_file(&long), "");
    for name in ["lab", paths::BUILT_IN, &long.bridge().to_string()] {
        assert_eq!(kind(define(&dirs, &config(name, ""), &mine)), Some(ErrorKind::Exists), "{name}");
        assert!(!dirs.definition(&named(name)).exists());
    }
    // What a definition holds that nobody can read, nobody writes over.
    lay(&dirs.definition(&named("odd")), "mode = \"nat\"\n");
    assert_eq!(kind(define(&dirs, &config("odd", ""), &mine)), Some(ErrorKind::Exists));
    runs(&dirs, "gone", "gone");
    assert_eq!(kind(define(&dirs, &config("gone", ""), &mine)), Some(ErrorKind::InUse));
    for nobody in [Owner::File, Owner::BuiltIn] {
        assert_eq!(kind(define(&dirs, &config("new", ""), &nobody)), Some(ErrorKind::Invalid));
    }
    let text = "#".repeat(usize::try_from(FILE_MAX).unwrap());
    assert_eq!(kind(define(&dirs, &config("new", &text), &mine)), Some(ErrorKind::Invalid));
}

#[test]
fn one_definition_too_many_is_refused_before_it_hides_all_networks() {
    let (_root, dirs) = house();
    for number in 0..trust::MATCHES_MAX {
        lay(&dirs.definition(&named(&format!("n{number}"))), "");
    }
    assert_eq!(kind(define(&dirs, &config("new", ""), &owner("docker 3f"))), Some(ErrorKind::Host));
    assert_eq!(names(&dirs).unwrap().len(), trust::MATCHES_MAX + 1);
}

#[test]
fn only_whoever_defined_a_network_takes_it_back_and_only_when_it_is_down() {
    if !is_root() {
        return;
    }
    let (_root, dirs) = house();
    let (lab, mine) = (named("lab"), owner("docker 3f2a"));
    define(&dirs, &config("lab", ""), &mine).unwrap();
    assert_eq!(kind(undefine(&dirs, &lab, Some(&owner("docker 3f2b")))), Some(ErrorKind::Denied));
    lay(&dirs.network_file(&named("ours")), "");
    for name in ["ours", paths::BUILT_IN] {
        assert_eq!(kind(undefine(&dirs, &named(name), None)), Some(ErrorKind::Denied), "{name}");
    }
    runs(&dirs, "lab", "lab");
    for who in [Some(&mine), None] {
        assert_eq!(kind(undefine(&dirs, &lab, who)), Some(ErrorKind::InUse));
    }
    fs::remove_dir_all(dirs.run.join("lab")).unwrap();
    // The administrator may, whatever is in it.
    lay(&dirs.definition(&lab), "nonsense");
    assert_eq!(kind(undefine(&dirs, &lab, Some(&mine))), Some(ErrorKind::Denied));
    undefine(&dirs, &lab, None).unwrap();
    assert!(!dirs.definition(&lab).exists());
}

#[test]
fn no_later_network_of_a_name_inherits_what_was_added_to_an_earlier_one() {
    if !is_root() {
        return;
    }
    let (_root, dirs) = house();
    let (lab, mine) = (named("lab"), owner("docker 3f2a"));
    let leave = || {
        remembers(&dirs, "lab", "annex");
        remembers(&dirs, "annex", "lab");
    };
    let is_forgotten =
        || !dirs.memory(&lab).exists() && LiveChanges::of(&dirs, &named("annex")).unwrap().cables.is_empty();
    leave();
    define(&dirs, &config("lab", ""), &mine).unwrap();
    assert!(is_forgotten(), "by what is new");
    leave();
    undefine(&dirs, &lab, Some(&mine)).unwrap();
    assert!(is_forgotten(), "by what is taken back");
}

#[test]
fn a_file_that_came_later_keeps_what_is_remembered_when_the_definition_goes() {
    if !is_root() {
        return;
    }
    let (_root, dirs) = house();
    let (lab, mine) = (named("lab"), owner("docker 3f2a"));
    define(&dirs, &config("lab", ""), &mine).unwrap();
    remembers(&dirs, "lab", "annex");
    lay(&dirs.network_file(&lab), "subnet = \"10.0.9.0/24\"\n");
    assert_eq!(subnet(&dirs, &lab), "10.0.9.0/24");
    assert_eq!(kind(define(&dirs, &config("lab", ""), &mine)), Some(ErrorKind::Exists));
    runs(&dirs, "lab", "lab");
    undefine(&dirs, &lab, Some(&mine)).unwrap();
    assert!(!dirs.definition(&lab).exists());
    assert_eq!(LiveChanges::of(&dirs, &lab).unwrap().cables, ["annex"]);
}

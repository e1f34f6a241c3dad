//! The pages in docs/ that show how a job is done, followed from top to bottom: each file they show is
//! written, each `vmnet` command they show is typed.

use std::path::Path;

use rig::companion::{DONE, DRIFTED};
use rig::house::{As, House, VMNET};

/// What stands in the pages, in their order.
enum Piece {
    /// A network's file: its place, from the comment in its first line, and its text.
    File(String, String),
    /// A command after `vmnet`.
    Command(Vec<String>),
}

fn pieces(page: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    for block in page.split("\n```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').unwrap_or_default();
        match language {
            "toml" => {
                let place = text.lines().next().and_then(|line| line.strip_prefix("# "));
                let place = place.expect("the first line of a file says where it is");
                found.push(Piece::File(place.to_owned(), text.to_owned()));
            }
            "sh" => found.extend(commands(text).map(Piece::Command)),
            _ => {}
        }
    }
    found
}

fn commands(text: &str) -> impl Iterator<Item = Vec<String>> {
    let whole = text.replace("\\\n", " ");
    let vmnet = |line: &str| {
        let line = line.split(" #").next().unwrap_or_default().trim();
        let line = line.strip_prefix("sudo ").unwrap_or(line).strip_prefix("vmnet ")?;
        Some(line.split_whitespace().map(str::to_owned).collect())
    };
    whole.lines().filter_map(vmnet).collect::<Vec<_>>().into_iter()
}

fn follow(page: &str) {
    let name = format!("following docs/{page}");
    let Some(house) = House::with_companion(&name) else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut typed = 0;
    for piece in pieces(&text) {
        match piece {
            Piece::File(place, text) => house.write_file(&place, &text),
            Piece::Command(words) => {
                // What follows something until it ends is only asked whether it begins.
                let stays = words.iter().any(|word| word == "--watch" || word == "broker");
                let mut argv = vec![VMNET];
                if stays {
                    argv = vec!["timeout", "--preserve-status", "--signal=TERM", "1", VMNET];
                }
                argv.extend(words.iter().map(String::as_str));
                let outcome = house.run_with(As::Root, &argv, None, std::time::Duration::from_secs(30));
                let looks = matches!(words[0].as_str(), "doctor" | "status");
                let fine = outcome.code() == DONE || (looks && outcome.code() == DRIFTED);
                assert!(fine, "{page} says `vmnet {}`: {outcome}", words.join(" "));
                outcome.assert_plain();
                typed += 1;
            }
        }
    }
    assert!(typed > 1, "{page} shows no commands any more");
}

#[test]
fn a_vm_with_internet() {
    follow("vm-with-internet.md");
}

#[test]
fn a_lab_of_vms_with_names() {
    follow("lab-with-names.md");
}

#[test]
fn a_guest_is_reached_from_the_lan() {
    follow("reach-a-guest.md");
}

#[test]
fn vms_are_kept_apart() {
    follow("keep-vms-apart.md");
}

#[test]
fn without_a_setuid_program() {
    follow("without-setuid.md");
}

#[test]
fn libvirts_guests() {
    follow("libvirt.md");
}

#[test]
fn a_container_of_lxc() {
    follow("lxc.md");
}

#[test]
fn together_with_docker_firewalld_and_libvirt() {
    follow("beside-docker-firewalld-libvirt.md");
}

//! Where a switch may be, and where one may be joined: nobody else may have put a directory in the place of
//! another.

use rig::house::House;

#[test]
fn a_switch_that_cannot_be_joined_is_told_in_one_line_and_nothing_is_changed() {
    let name = "a_switch_that_cannot_be_joined_is_told_in_one_line_and_nothing_is_changed";
    let Some(house) = House::with_companion(name) else { return };
    house.sh("umask 022
         mkdir -p /run/try/empty /run/try/file /run/try/open /run/try/alice/mine /run/try/real /run/try/mixed
         touch /run/try/plain /run/try/file/ctl
         socket() { python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' $1; }
         for place in open alice/mine real mixed; do socket /run/try/$place/ctl; done
         chmod 777 /run/try/open; chown -R alice /run/try/alice; chown root: /run/try/alice/mine /run/try/alice/mine/ctl
         chown bob /run/try/mixed/ctl
         ln -s real /run/try/link");
    let before = house.snapshot();
    let bad = [
        ("/run/try/none", "no such file or directory"),
        ("/run/try/plain", "it is no directory"),
        ("/run/try/empty", "no switch is there: it has no 'ctl'"),
        ("/run/try/file", "no switch is there: its 'ctl' is no socket"),
        ("/run/try/link", "a symlink leads there; its own path is /run/try/real"),
        ("/run/try/open", "everybody may write in it"),
        // Its owner's parent directory is another's, who could put anything in its place.
        ("/run/try/alice/mine", "/run/try/alice belongs to uid 1000"),
        ("/run/try/mixed", "its 'ctl' belongs to uid 1001, itself to uid 0"),
    ];
    for (directory, cause) in bad {
        house.describe("lab", &format!("[vde]\nsocket = \"{directory}\"\n"));
        let up = house.vmnet(&["up", "lab"]);
        let said = up.complaint(1);
        assert!(said.contains(directory) && said.contains(cause), "{up}");
    }
    house.sh("rm /etc/vmnet/networks/lab.toml; rmdir /etc/vmnet/networks /etc/vmnet");
    house.assert_as_in(&before);
}

#[test]
fn a_directory_that_is_not_its_own_is_no_place_for_a_switch() {
    let name = "a_directory_that_is_not_its_own_is_no_place_for_a_switch";
    let Some(house) = House::with_companion(name) else { return };
    house.sh("umask 022
         mkdir -p /run/try/full /run/try/alice /run/try/open /run/try/real
         touch /run/try/plain /run/try/full/something
         chown alice /run/try/alice; chmod 777 /run/try/open
         ln -s real /run/try/link");
    let before = house.snapshot();
    let bad = [
        ("/run/try/plain", "it is no directory"),
        ("/run/try/link", "it is a symlink"),
        ("/run/try/link/vde", "a symlink leads to /run/try/link; its own path is /run/try/real"),
        ("/run/try/full", "it belongs to uid 0"),
        ("/run/try/alice", "it belongs to uid 1000"),
        ("/run/try/alice/vde", "/run/try/alice belongs to uid 1000"),
        ("/run/try/open/vde", "others may write in /run/try/open"),
        ("/run/try/none/vde", "/run/try/none: no such file or directory"),
    ];
    for (directory, cause) in bad {
        house.describe("lab", &format!("[vde]\ncreate = true\nsocket = \"{directory}\"\n"));
        let up = house.vmnet(&["up", "lab"]);
        let said = up.complaint(1);
        assert!(said.contains(directory) && said.contains(cause), "{up}");
    }
    house.sh("rm /etc/vmnet/networks/lab.toml; rmdir /etc/vmnet/networks /etc/vmnet");
    house.assert_as_in(&before);
}

//! What sort of failure a file is, for programs that go on by it.

#![allow(clippy::unwrap_used, reason = "this file is all test")]

use vmnet_host::files::{make_directory, read_file, read_json, write_file};
use vmnet_model::error::ErrorKind;

#[test]
fn a_file_that_cannot_be_read_is_the_hosts_failure_and_one_that_makes_no_sense_is_invalid() {
    let at = tempfile::tempdir().unwrap();
    let file = at.path().join("state.json");
    write_file(&file, "{ no json", 0o644).unwrap();
    assert_eq!(read_json::<u32>(&file).unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(read_file(at.path()).unwrap_err().kind, ErrorKind::Host);
    assert_eq!(make_directory(&file.join("below")).unwrap_err().kind, ErrorKind::Host);
    assert_eq!(write_file(&file.join("below"), "", 0o644).unwrap_err().kind, ErrorKind::Host);
}

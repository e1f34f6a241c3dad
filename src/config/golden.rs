//! Golden tests: `golden/NAME.toml` and, in `golden/NAME.mistakes`, all that is said about it. With
//! `UPDATE_GOLDEN=1` the second is written anew, to be read before it is committed.

use crate::read;
use std::fs;
use std::path::Path;
use vmnet_access::name::NetName;

/// All mistakes of a file as the program prints them.
fn said(file: &str, text: &str) -> String {
    let mut out = String::new();
    for mistake in read(NetName::new("lab").unwrap(), file, text).err().into_iter().flatten() {
        out.push_str(&format!("{mistake}\n"));
        if let Some(hint) = mistake.hint {
            out.push_str(&format!("hint: {hint}\n"));
        }
    }
    out
}

#[test]
fn each_file_is_told_all_its_mistakes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let input = entry.unwrap().path();
        if input.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let file = input.file_name().unwrap().to_str().unwrap();
        let said = said(file, &fs::read_to_string(&input).unwrap());
        let golden = input.with_extension("mistakes");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &said).unwrap();
        }
        assert_eq!(said, fs::read_to_string(&golden).unwrap(), "{file}");
        count += 1;
    }
    assert!(count >= 8, "only {count} files in {}", folder.display());
}

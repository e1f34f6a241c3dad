//! The test programs that cargo built, by what it says of them, and the tests in each.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A test program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What cargo calls it: `network`, `vmnet_model`.
    pub name: String,
    /// Its package's folder, in which cargo runs it.
    pub folder: PathBuf,
    /// The program itself.
    pub path: PathBuf,
}

/// The test programs among the messages of `cargo test --no-run --message-format=json`, in cargo's
/// order. Lines that are no such message are passed over: cargo prints what build scripts say as well.
pub fn programs(messages: &str) -> Vec<Program> {
    messages.lines().filter_map(|line| program(&serde_json::from_str(line).ok()?)).collect()
}

/// The same, with names that tell them apart: where two have one name, their folders' names come before it.
pub fn distinct(mut programs: Vec<Program>) -> Vec<Program> {
    let names: Vec<String> = programs.iter().map(|program| program.name.clone()).collect();
    for program in &mut programs {
        if names.iter().filter(|name| **name == program.name).count() > 1 {
            let folder = program.folder.file_name().unwrap_or_default().to_string_lossy();
            program.name = format!("{folder}/{}", program.name);
        }
    }
    programs
}

fn program(message: &Value) -> Option<Program> {
    let test = message["reason"] == "compiler-artifact" && message["profile"]["test"] == true;
    let path = message["executable"].as_str().filter(|_| test)?;
    let name = message["target"]["name"].as_str()?;
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?;
    Some(Program { name: name.to_owned(), folder: folder.to_owned(), path: path.into() })
}

/// The names in the answer to `PROGRAM --list --format=terse`. Benchmarks are no tests.
///
/// # Errors
/// A line that is neither: then the program is not a libtest one, and nobody knows what it runs.
pub fn tests(list: &str) -> Result<Vec<String>, String> {
    let lines = list.lines().filter(|line| !line.is_empty() && !line.ends_with(": benchmark"));
    lines.map(|line| line.strip_suffix(": test").map(str::to_owned).ok_or_else(|| line.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARTIFACT: &str = r#"{"reason":"compiler-artifact","manifest_path":"/p/src/model/Cargo.toml","target":{"kind":["lib"],"name":"vmnet_model"},"profile":{"test":true},"executable":"/p/target/debug/deps/vmnet_model-1f"}"#;

    #[test]
    fn a_test_program_is_found_in_what_cargo_says() {
        let found = programs(ARTIFACT);
        let path = "/p/target/debug/deps/vmnet_model-1f".into();
        let folder = "/p/src/model".into();
        assert_eq!(found, [Program { name: "vmnet_model".to_owned(), folder, path }]);
    }

    #[test]
    fn nothing_else_that_cargo_says_is_a_test_program() {
        let library = ARTIFACT.replace("\"test\":true", "\"test\":false");
        let unlinked = ARTIFACT.replace("\"/p/target/debug/deps/vmnet_model-1f\"", "null");
        let others = [&library, &unlinked, r#"{"reason":"build-finished","success":true}"#, "warning: x", ""];
        for other in others {
            assert_eq!(programs(other), [], "{other}");
        }
    }

    #[test]
    fn programs_of_one_name_are_told_apart() {
        let program = |name: &str, folder: &str| Program {
            name: name.to_owned(),
            folder: folder.into(),
            path: folder.into(),
        };
        let all =
            vec![program("golden", "/p/src/a"), program("golden", "/p/src/b"), program("b", "/p/src/b")];
        let names: Vec<String> = distinct(all).into_iter().map(|program| program.name).collect();
        assert_eq!(names, ["a/golden", "b/golden", "b"]);
    }

    #[test]
    fn a_list_names_each_test_and_no_benchmark() {
        let list = "up_down::up_is_up: test\nquick: benchmark\nwhole: test\n";
        assert_eq!(tests(list), Ok(vec!["up_down::up_is_up".to_owned(), "whole".to_owned()]));
        assert_eq!(tests(""), Ok(Vec::new()));
    }

    #[test]
    fn a_list_that_is_none_is_no_empty_one() {
        assert_eq!(tests("whole: test\nusage: x\n"), Err("usage: x".to_owned()));
    }
}

//! docs/namespace.md, followed from top to bottom: each file it shows is written, each block of commands
//! is run by a shell, with `sudo` as root and without as a plain user.

use std::path::Path;
use std::time::Duration;

use rig::house::{As, House};

#[test]
fn a_namespace_on_a_network() {
    let Some(house) = House::with_companion("following docs/namespace.md") else { return };
    let _outside = house.with_outside();
    house.write_file("/etc/vmnet/bridge.conf", "allow lab\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/namespace.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let mut run = 0;
    for block in page.split("\n```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').unwrap_or_default();
        match language {
            "toml" => {
                let place = text.lines().next().and_then(|line| line.strip_prefix("# "));
                house.write_file(place.expect("the first line says where it is"), text);
            }
            "sh" => {
                let who = if text.contains("sudo ") { As::Root } else { As::User("alice") };
                let script = format!("PATH=/usr/local/sbin:$PATH\n{}", text.replace("sudo ", ""));
                let argv = ["bash", "-euo", "pipefail", "-c", &script];
                let outcome = house.run_with(who, &argv, None, Duration::from_secs(60));
                outcome.success();
                outcome.assert_plain();
                run += 1;
            }
            _ => {}
        }
    }
    assert!(run > 3, "the page shows no commands any more");
}

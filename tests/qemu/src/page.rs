//! The pages in docs/: the blocks that they show, so that a test can do what they say.

use std::path::Path;

/// The text of each block of one language (empty for those that name none), in their order.
///
/// # Panics
/// If there is no such page, or no such block in it.
#[track_caller]
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let split = |block: &str| {
        block
            .split_once('\n')
            .map(|(language, text)| (language.to_owned(), text.to_owned()))
            .unwrap_or_default()
    };
    let all = text.split("\n```").skip(1).step_by(2).map(split);
    let found: Vec<String> = all.filter(|(own, _)| own == language).map(|(_, text)| text).collect();
    assert!(!found.is_empty(), "{page} shows no {language:?} any more");
    found
}

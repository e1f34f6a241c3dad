//! A definition as it is kept: `NAME.toml` in a directory of the state directory, in the words of
//! vmnet.toml(5), below a first line that says whose it is:
//!
//! ```toml
//! # owner: docker 3f2a91c04b7e
//! subnet = "10.0.7.0/24"
//! ```

use super::owner::{BadOwner, Owner};
use vmnet_config::Mistake;
use vmnet_sys::trust::FILE_MAX;

/// What stands before the owner in the first line.
const MARK: &str = "# owner: ";

/// The file's text; none if it would be longer than is read.
pub(super) fn write(owner: &Owner, text: &str) -> Option<String> {
    let whole = format!("{MARK}{owner}\n{text}");
    (whole.len() as u64 <= FILE_MAX).then_some(whole)
}

/// Whose the definition with this text is; `file` is for the message.
///
/// # Errors
/// Its first line does not say so.
pub(super) fn owner(file: &str, text: &str) -> Result<Owner, Mistake> {
    let first = text.lines().next().unwrap_or_default();
    let owner = first.strip_prefix(MARK).ok_or(BadOwner::Word).and_then(str::parse);
    let mistake = |message: String| Mistake {
        file: file.to_owned(),
        line: 1,
        column: 1,
        message,
        hint: Some(format!("a definition begins with a line such as '{MARK}docker 3f2a91c04b7e'")),
    };
    match owner {
        Ok(Owner::File | Owner::BuiltIn) => Err(mistake(BadOwner::Word.to_string())),
        Ok(owner) => Ok(owner),
        Err(why) => Err(mistake(why.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_says_whose_it_is_in_its_first_line() {
        let mine: Owner = "cni mynet".parse().unwrap();
        let text = write(&mine, "mode = \"routed\"\n").unwrap();
        assert_eq!(text, "# owner: cni mynet\nmode = \"routed\"\n");
        assert_eq!(owner("f", &text), Ok(mine.clone()));
        assert_eq!(owner("f", "# owner: cni mynet\r\n"), Ok(mine));
        for bad in ["", "mode = \"nat\"\n", "\n# owner: cni a\n", "# owner: file\n", "# owner: built-in\n"] {
            let mistake = owner("f", bad).unwrap_err();
            assert!(mistake.to_string().starts_with("f:1:1: an owner is"), "{bad:?}: {mistake}");
        }
    }

    #[test]
    fn a_definition_is_never_longer_than_what_is_read() {
        let owner: Owner = "docker 3f".parse().unwrap();
        let room = usize::try_from(FILE_MAX).unwrap() - "# owner: docker 3f\n".len();
        assert!(write(&owner, &"#".repeat(room)).is_some());
        assert!(write(&owner, &"#".repeat(room + 1)).is_none());
    }
}

//! Which of the words that are understood a misspelt one was probably meant to be.

/// The word that `text` was probably meant to be: the one with the fewest slips between them, at most one
/// in three letters and never more than two.
pub(crate) fn nearest(text: &str, words: &[&'static str]) -> Option<&'static str> {
    let text = text.to_ascii_lowercase().replace('-', "_");
    let near = |word: &&'static str| {
        let most = (text.len().max(word.len()) / 3).clamp(1, 2);
        // A letter left out, added, mistaken or swapped with its neighbour is a slip.
        let slips = || strsim::osa_distance(&text, word);
        // No more can be told of a text of any length.
        let could_be = text.len().abs_diff(word.len()) <= most;
        could_be.then(slips).filter(|count| *count <= most).map(|count| (count, *word))
    };
    words.iter().filter_map(near).min_by_key(|(count, _)| *count).map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::TOP;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        for (typed, meant) in [
            ("mtuu", "mtu"),
            ("mdoe", "mode"),
            ("MTU", "mtu"),
            ("hostaccess", "host_access"),
            ("host-access", "host_access"),
            ("adress", "address"),
            ("ondemand", "on_demand"),
            ("isolate", "isolated"),
            ("subnet_6", "subnet6"),
            ("more-subnet", "more_subnets"),
            ("forwards", "forward"),
            ("hosts", "host"),
            ("gard", "guard"),
        ] {
            assert_eq!(nearest(typed, &TOP.names()), Some(meant), "{typed}");
        }
    }

    #[test]
    fn a_different_word_is_not_taken_for_a_slip() {
        for typed in ["", "gateway", "bridge", "ip", "x".repeat(65536).as_str()] {
            assert_eq!(nearest(typed, &TOP.names()), None, "{typed}");
        }
    }
}

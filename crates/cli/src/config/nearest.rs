//! What somebody may have meant.

/// The candidate that `word` is most likely a misspelling of.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), candidate))
        .filter(|(edits, candidate)| *edits <= tolerance(word.len().max(candidate.len())))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Upper case and the choice of dash are not what makes two names different.
fn plain(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

/// Edits in a word of `length` bytes that leave it recognisable: one in three. A guess.
fn tolerance(length: usize) -> usize {
    length.div_ceil(3)
}

/// Candidates as a list for people: `a`, `b` or `c`.
#[must_use]
pub fn any_of<'a>(candidates: impl IntoIterator<Item = &'a str>) -> String {
    let mut quoted: Vec<String> = candidates.into_iter().map(|c| format!("`{c}`")).collect();
    let last = quoted.pop().unwrap_or_default();
    if quoted.is_empty() { last } else { format!("{} or {last}", quoted.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_finds_its_word_and_another_word_does_not() {
        let keys = ["name", "transport", "timing", "ping_interval"];
        for (wrong, meant) in [
            ("transpot", Some("transport")),
            ("Name", Some("name")),
            ("ping-interval", Some("ping_interval")),
            ("nmae", Some("name")),
            ("colour", None),
        ] {
            assert_eq!(nearest(wrong, keys), meant, "{wrong}");
        }
    }

    #[test]
    fn lists_are_read_aloud_well() {
        assert_eq!(any_of(["a"]), "`a`");
        assert_eq!(any_of(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}

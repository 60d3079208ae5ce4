//! A failure as a test, ready to be copied: it fails as long as the bug is there.

use std::fmt::Write;

use crate::failure::Failure;

/// What a generated test has to know of where it will stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// An expression for the scenario, such as `lock::scenario()`.
    pub scenario: &'a str,
    /// The test's name; if there is none, what does not hold as a name.
    pub name: Option<&'a str>,
}

/// Rust source of a test that replays `failure` and passes if nothing fails any more; `None` if the
/// failure has no tape.
///
/// Shrink the tape before: the test has it in full.
#[must_use]
pub fn test_source(failure: &Failure, place: &Place) -> Option<String> {
    let tape = failure.tape.as_deref()?.to_string();
    let Failure { what, text, seed, .. } = failure;
    let name = place.name.map_or_else(|| name_of(what), str::to_owned);
    let first = text.lines().next().unwrap_or_default();
    let marks = "#".repeat(hashes(&tape));
    let mut source = String::new();
    let mut line = |line: &str| {
        source.push_str(line);
        source.push('\n');
    };
    line(&format!("/// `{}` did not hold: {}", on_one_line(what), on_one_line(first)));
    line("#[test]");
    line(&format!("fn {name}() {{"));
    line(&format!("    let tape: dx_sim::tape::Tape = r{marks}\""));
    tape.lines().for_each(&mut line);
    line(&format!("\"{marks}"));
    line("    .parse()");
    line("    .expect(\"the simulator wrote it\");");
    line("    let choices = dx_sim::Choices::replayed(&tape);");
    line(&format!("    let (_, failure) = {}.run({seed}, choices);", place.scenario));
    line("    assert_eq!(failure.map(|failure| failure.to_string()), None);");
    line("}");
    Some(source)
}

/// A rule as the name of a function: its letters and digits, and `_` for what is between.
pub(super) fn name_of(what: &str) -> String {
    let mut name = String::new();
    for char in what.chars() {
        if char.is_ascii_alphanumeric() {
            name.push(char.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = name.trim_end_matches('_');
    let is_name = name.starts_with(|char: char| char.is_ascii_alphabetic());
    let is_long = name.contains('_');
    if is_name && is_long { name.to_owned() } else { format!("it_holds_{name}") }
}

fn on_one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        let _ = write!(line, "{}{word}", if line.is_empty() { "" } else { " " });
    }
    line
}

/// How many `#` a raw string needs around a text: more than follow any quote in it.
fn hashes(text: &str) -> usize {
    let behind = |at: usize| text[at + 1..].chars().take_while(|char| *char == '#').count();
    text.match_indices('"').map(|(at, _)| 1 + behind(at)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_become_names_of_functions() {
        assert_eq!(name_of("at most one holds the lock"), "at_most_one_holds_the_lock");
        assert_eq!(name_of("  2 leaders? never!"), "it_holds_2_leaders_never");
        assert_eq!(name_of("match"), "it_holds_match", "it could be a keyword");
        assert_eq!(name_of("ä"), "it_holds_");
    }

    #[test]
    fn a_quote_in_a_label_does_not_end_the_text() {
        assert_eq!(hashes("choice a 0 1/2"), 0);
        assert_eq!(hashes("choice a\"##b 0 1/2"), 3);
    }
}

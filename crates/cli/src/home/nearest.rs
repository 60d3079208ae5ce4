//! The name that was probably meant.

/// How alike two names must be, from 0 to 1 (Jaro-Winkler). clap suggests from 0.7; a guess.
const ALIKE: f64 = 0.7;

/// `; did you mean ...?` with the candidate that is most like `name`, or nothing.
pub fn suggestion<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    let nearest = candidates
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    nearest.map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_answered_with_the_nearest_name() {
        let names = || ["local", "staging"].into_iter();
        assert_eq!(suggestion("loacl", names()), "; did you mean `local`?");
        assert_eq!(suggestion("xyz", names()), "");
    }
}

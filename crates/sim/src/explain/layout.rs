//! Text in lines of a certain width.

/// Lines of a label at most: what is longer ends with `...`.
const MAX_LINES: usize = 4;

/// `text` in lines of at most `width` characters, broken at spaces where there are any.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(4);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        while !word.is_empty() {
            let line = lines.last_mut().expect("it begins with one");
            let has = line.chars().count();
            let space = usize::from(has > 0);
            if has + space + word.len() <= width {
                line.extend(std::iter::repeat_n(' ', space).chain(word.drain(..)));
            } else if has == 0 {
                line.extend(word.drain(..width));
            } else {
                lines.push(String::new());
            }
        }
    }
    if lines.len() > MAX_LINES {
        lines.truncate(MAX_LINES);
        let last = lines.last_mut().expect("there are some");
        *last = last.chars().take(width - 3).chain("...".chars()).collect();
    }
    lines
}

/// `text` in at most `width` characters.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_words_only_where_they_must() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("a abcdefghij b", 4), ["a", "abcd", "efgh", "ij b"]);
        assert_eq!(wrapped("a b c d e f g h i j k l", 4), ["a b", "c d", "e f", "g..."]);
        assert_eq!(wrapped("", 8), [""]);
    }

    #[test]
    fn what_is_too_long_is_cut_with_a_mark() {
        assert_eq!(cut("counter", 7), "counter");
        assert_eq!(cut("counter", 6), "count…");
    }
}

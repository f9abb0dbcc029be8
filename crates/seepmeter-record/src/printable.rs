//! What may be shown to people of text that others have written.

use std::borrow::Cow;
use std::fmt::Write;

/// False for characters that act on a terminal, or on the order in which its line is read, instead of
/// being shown: controls (C0, DEL, C1), marks of direction, separators of lines.
#[must_use]
pub fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            // ALM, LRM, RLM; LINE and PARAGRAPH SEPARATOR; embeddings and overrides; isolates.
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

/// The text with everything that is not [printable](is_printable) as its escape (`\n`, `\u{9b}`): for
/// every line that goes to people, whoever has written its parts. What is escaped already stays as it is.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, is_printable, |out, c| write!(out, "{}", c.escape_default()))
}

/// The same for several lines, whose ends stay.
#[must_use]
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c == '\n' || is_printable(c), |out, c| write!(out, "{}", c.escape_default()))
}

/// The same for JSON, in which only strings can hold such characters (`\u009b`), but for the ends of lines
/// between its values.
#[must_use]
pub fn printable_json(json: &str) -> Cow<'_, str> {
    let stays = |c| c == '\n' || is_printable(c);
    escaped(json, stays, |out, c| write!(out, "\\u{:04x}", u32::from(c)))
}

fn escaped(
    text: &str,
    stays: impl Fn(char) -> bool,
    escape: impl Fn(&mut String, char) -> std::fmt::Result,
) -> Cow<'_, str> {
    // ASCII is most of what there is, and most of it needs nothing.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || text.chars().all(&stays) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if stays(c) {
            out.push(c);
        } else {
            // Writing to a String does not fail.
            let _ = escape(&mut out, c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_escaped_and_nothing_else() {
        let text = "a\x1b[2J\u{9b}2J\u{202e}b\u{2066}\u{200f}\r\n\tü – \\n";
        let shown = printable(text);
        assert_eq!(shown, "a\\u{1b}[2J\\u{9b}2J\\u{202e}b\\u{2066}\\u{200f}\\r\\n\\tü – \\n");
        assert_eq!(printable(&shown), shown);
        assert!(matches!(printable("plain – ü"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_that_is_escaped_says_the_same() {
        let text = "a\u{9b}\u{202e}\u{7f}ü\x1b";
        let json = serde_json::to_string(text).unwrap();
        let escaped = printable_json(&json);
        assert!(escaped.chars().all(is_printable), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }
}

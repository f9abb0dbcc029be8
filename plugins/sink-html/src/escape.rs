//! Text of others within HTML and within JSON, where it is text and nothing else.

use std::fmt::Write;

use seepmeter_record::printable;
use serde::Serialize;

/// No more characters of a name are in a page; of the end, where pids stand, so many.
const LONGEST_NAME: usize = 160;
const END_OF_NAME: usize = 60;

/// Text as it stands in an element or in an attribute in quotes. What acts on the order in which a line is read is
/// escaped as on a terminal.
pub(crate) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in printable(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A value as JSON that can stand in a script element: it has no `<`, so that nothing in it ends or comments out
/// the element (<https://html.spec.whatwg.org/multipage/scripting.html#restrictions-for-contents-of-script-elements>).
pub(crate) fn json(value: &impl Serialize) -> String {
    // Nothing that is written here has a key that is no string, or fails by itself.
    json_text(&serde_json::to_string(value).unwrap_or_default())
}

/// The same for JSON that is text already.
pub(crate) fn json_text(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// A name as it is shown: of a very long one its begin and its end.
pub(crate) fn name(name: &str) -> String {
    within(name, LONGEST_NAME)
}

/// The same with so many characters at most, and no fewer than its end has.
pub(crate) fn within(name: &str, longest: usize) -> String {
    let shown = printable(name);
    let length = shown.chars().count();
    if length <= longest {
        return shown.into_owned();
    }
    let begin = shown.chars().take(longest.saturating_sub(END_OF_NAME + 1));
    begin.chain(['…']).chain(shown.chars().skip(length - END_OF_NAME)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn text_comes_back_from_json_and_cannot_end_a_script(text: String) {
            let json = json(&text);
            let has_any = json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']);
            proptest::prop_assert!(!has_any, "{}", json);
            proptest::prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn text_in_html_has_no_markup(text: String) {
            let html = html(&text);
            let has_any = html.contains(['<', '>', '"', '\'', '\u{202e}', '\0']);
            proptest::prop_assert!(!has_any, "{}", html);
        }
    }

    #[test]
    fn a_long_name_keeps_its_begin_and_its_end() {
        let long = name(&format!("begin {} (pid 12)", "x".repeat(1000)));
        assert!(long.starts_with("begin x") && long.ends_with("x (pid 12)"), "{long}");
        assert_eq!(long.chars().count(), LONGEST_NAME);
        assert_eq!(name("short\u{1b}"), "short\\u{1b}");
    }
}

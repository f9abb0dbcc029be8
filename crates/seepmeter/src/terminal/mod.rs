//! What is special about a terminal: colour, its width, and the status line. Pipes and files get none of it
//! unless the user asks for colour.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use seepmeter_analysis::Classification;
use seepmeter_chart::{TextInk, TextSpan};
use seepmeter_record::printable;
use seepmeter_verdict::VerdictLine;
use terminal_size::{Width, terminal_size_of};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

pub(crate) mod status_line;

/// Lines that a line of a verdict or a comparison goes on in are indented by so many columns.
pub(crate) const INDENT: usize = 4;

/// Lines are wrapped to no less than this, however narrow the terminal is.
const LEAST_COLUMNS: usize = 40;

/// When to do what is for terminals: colour, the status line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum When {
    /// If it fits where the output goes, and the user's environment does not say otherwise
    #[default]
    Auto,
    /// Whatever the output is
    Always,
    /// Not at all
    Never,
}

impl When {
    /// From now on, colour is used as the flag among these words asks for: the message about words that can't be
    /// read is printed before there are flags.
    pub(crate) fn apply_from(words: &[OsString]) {
        let words = words.iter().take_while(|word| *word != "--").filter_map(|word| word.to_str());
        let pairs = words.clone().zip(words.skip(1).chain([""]));
        let given = pairs.filter_map(|(word, next)| match word {
            "--color" => Some(next),
            word => word.strip_prefix("--color="),
        });
        let when =
            given.last().and_then(|when| <Self as clap::ValueEnum>::from_str(when, false).ok());
        when.unwrap_or_default().apply();
    }

    /// From now on, colour is used so.
    pub fn apply(self) {
        let choice = match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::Always,
            Self::Never => ColorChoice::Never,
        };
        choice.write_global();
    }
}

/// Whether what is written to this stream is to have colour.
pub(crate) fn has_colour(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// How wide the terminal is, in columns; none of what is no terminal.
pub(crate) fn width(stream: impl AsFd) -> Option<usize> {
    terminal_size_of(stream)
        .map(|(Width(columns), _)| columns.into())
        .filter(|columns| *columns > 0)
}

/// Whether the terminal can be expected to have the characters of a chart: the console of Linux has no braille.
pub(crate) fn has_braille() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term != "dumb" && term != "linux")
}

/// `text` in this style.
pub(crate) fn painted(text: &str, style: Style) -> String {
    format!("{style}{text}{style:#}")
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The command failed because of it.
    Error,
    /// Something that should be known.
    Notice,
}

/// What stands before a message of seepmeter's.
pub(crate) fn message_prefix(severity: Severity) -> Cow<'static, str> {
    const NAME: &str = "seepmeter:";
    let style = match severity {
        Severity::Error => AnsiColor::Red.on_default().bold(),
        Severity::Notice => Style::new().bold(),
    };
    if has_colour(&io::stderr()) { painted(NAME, style).into() } else { NAME.into() }
}

/// A line as it is printed to this stream: on a terminal in its width, with further lines indented by so many
/// columns, and the word of a verdict in colour.
pub(crate) fn for_people(
    line: &VerdictLine,
    stream: &(impl RawStream + AsFd),
    indent: usize,
) -> String {
    let text = printable(&line.text);
    let text = match width(stream) {
        Some(columns) => wrapped(&text, columns, indent).join("\n").into(),
        None => text,
    };
    let verdict = line.verdict.filter(|_| has_colour(stream));
    with_painted_verdict(&text, verdict).into_owned()
}

/// A printable line with the word of its verdict in colour.
pub(crate) fn with_painted_verdict(line: &str, verdict: Option<Classification>) -> Cow<'_, str> {
    let Some(verdict) = verdict else { return line.into() };
    let colour = colour_of(verdict);
    // Two spaces follow it, which no name that stands before it has.
    let word = format!("{verdict}  ");
    let painted = painted(word.trim_end(), colour.on_default().bold());
    line.replacen(&word, &format!("{painted}  "), 1).into()
}

/// The colour of a verdict.
fn colour_of(verdict: Classification) -> AnsiColor {
    match verdict {
        Classification::Growing => AnsiColor::Red,
        Classification::Steady => AnsiColor::Green,
        Classification::Inconclusive => AnsiColor::Yellow,
    }
}

/// A line of a chart; in colour, with the curve in that of its verdict, if there is one.
pub(crate) fn chart_line(line: &[TextSpan], verdict: Option<Classification>) -> String {
    let Some(verdict) = verdict else { return line.iter().map(|span| &*span.text).collect() };
    let paint = |TextSpan { ink, text }: &TextSpan| match ink {
        TextInk::Plain => text.clone(),
        TextInk::Curve => painted(text, colour_of(verdict).on_default()),
        TextInk::Floor => painted(text, AnsiColor::Cyan.on_default()),
        TextInk::Fit => painted(text, Style::new().bold()),
        TextInk::Limit => painted(text, AnsiColor::Magenta.on_default()),
    };
    line.iter().map(paint).collect()
}

/// As much of a line as fits into so many columns.
pub(crate) fn cut(line: &str, columns: usize) -> String {
    if line.width() <= columns {
        return line.to_owned();
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= columns
    };
    let mut cut: String = line.chars().take_while(fits).collect();
    cut.push('…');
    cut
}

/// A line for people as the lines of a terminal of so many columns; those that follow are indented.
pub(crate) fn wrapped(line: &str, columns: usize, indent: usize) -> Vec<String> {
    let indent = " ".repeat(indent);
    let options = textwrap::Options::new(columns.max(LEAST_COLUMNS)).subsequent_indent(&indent);
    textwrap::wrap(line, options).into_iter().map(Cow::into_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_to_the_columns_that_it_takes() {
        assert_eq!(cut("rss 12 MiB", 10), "rss 12 MiB");
        assert_eq!(cut("rss 12 MiB", 9), "rss 12 M…");
        // Each of these takes two columns.
        assert_eq!(cut("記憶体", 5), "記憶…");
        assert_eq!(cut("記憶体", 4), "記…");
    }

    #[test]
    fn a_long_line_goes_on_under_its_text() {
        let line = "verdict    growing  rss +976 KiB/s (95 % CI 970 to 981 KiB/s) over 2 m";
        let expected = [
            "verdict    growing  rss +976 KiB/s (95 %",
            "           CI 970 to 981 KiB/s) over 2 m",
        ];
        assert_eq!(wrapped(line, 40, 11), expected);
        assert_eq!(wrapped(line, 100, 11), [line]);
    }

    #[test]
    fn only_the_word_of_the_verdict_is_painted() {
        let line = "verdict    growing  rss of growing-cache";
        let painted = with_painted_verdict(line, Some(Classification::Growing));
        assert_eq!(painted, "verdict    \u{1b}[1m\u{1b}[31mgrowing\u{1b}[0m  rss of growing-cache");
        assert_eq!(with_painted_verdict(line, None), line);
    }
}

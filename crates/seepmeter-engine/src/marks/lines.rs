//! Lines of bytes, and what marks they are.
//!
//! `NAME NUMBER` is the value of a counter, and all else is a text: `n 1000`, `loading done`.

use seepmeter_process::marks::LONGEST_MARK;

use super::Mark;

/// Why a line is no mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    /// There were too many.
    TooMany,
    /// Seepmeter had no room for it.
    TooSlow,
    /// It has too many bytes.
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
}

/// The begin of a line whose end has not come.
#[derive(Debug, Default)]
pub(super) struct LineBuffer {
    bytes: Vec<u8>,
    /// It is too long already, and only its end is of interest.
    too_long: bool,
    /// Its begin was lost.
    cut: bool,
}

impl LineBuffer {
    /// Takes more bytes, and gives each line that has ended, as a mark or why it is none.
    pub(super) fn read(&mut self, bytes: &[u8], mut line: impl FnMut(Result<Mark, Refusal>)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.push(&rest[..end]);
            rest = &rest[end + 1..];
            self.end(&mut line);
        }
        self.push(rest);
    }

    /// The line ends here.
    pub(super) fn end(&mut self, mut line: impl FnMut(Result<Mark, Refusal>)) {
        let Self { bytes, too_long, cut } = std::mem::take(self);
        if cut {
            return;
        }
        if too_long {
            return line(Err(Refusal::TooLong));
        }
        match str::from_utf8(&bytes).map(str::trim) {
            Ok("") => {}
            Ok(text) => line(Ok(Mark::of(text))),
            Err(_) => line(Err(Refusal::NotUtf8)),
        }
    }

    /// Something was lost here: neither the line before nor the rest of the next one is a mark.
    pub(super) fn skip_line(&mut self) {
        *self = Self { cut: true, ..Self::default() };
    }

    fn push(&mut self, bytes: &[u8]) {
        self.too_long |= self.bytes.len() + bytes.len() > LONGEST_MARK;
        if !self.too_long {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

impl Mark {
    fn of(line: &str) -> Self {
        let counter = line.split_once([' ', '\t']).and_then(|(name, number)| {
            Some(Self { text: name.to_owned(), number: Some(number.trim().parse().ok()?) })
        });
        counter.unwrap_or_else(|| Self { text: line.to_owned(), number: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(parts: &[&[u8]]) -> Vec<Result<(String, Option<i64>), Refusal>> {
        let mut all = Vec::new();
        let mut buffer = LineBuffer::default();
        let mut push = |line: Result<Mark, Refusal>| all.push(line.map(|m| (m.text, m.number)));
        parts.iter().for_each(|part| buffer.read(part, &mut push));
        buffer.end(&mut push);
        all
    }

    #[test]
    fn a_name_and_a_number_are_a_counter_and_all_else_is_a_text() {
        let read = marks(&[b"n 10", b"00\nloading done\n\n  requests  -3 \r\nn 1.5\nn\nlast 7"]);
        let counter = |name: &str, n| Ok((name.to_owned(), Some(n)));
        let text = |text: &str| Ok((text.to_owned(), None));
        let wanted = [
            counter("n", 1000),
            text("loading done"),
            counter("requests", -3),
            text("n 1.5"),
            text("n"),
            counter("last", 7),
        ];
        assert_eq!(read, wanted);
    }

    #[test]
    fn what_is_too_long_or_no_utf_8_is_refused_and_what_follows_is_not() {
        let long = [b"x".repeat(LONGEST_MARK), b"x\nn 1\n\xff\xfe\nn 2\n".to_vec()];
        let read = marks(&[&long[0], &long[1]]);
        let n = |n| Ok(("n".to_owned(), Some(n)));
        assert_eq!(read, [Err(Refusal::TooLong), n(1), Err(Refusal::NotUtf8), n(2)]);
    }

    #[test]
    fn half_a_line_before_or_behind_a_loss_is_no_mark() {
        let mut buffer = LineBuffer::default();
        let mut read = Vec::new();
        buffer.read(b"n 12", |line| read.push(line));
        buffer.skip_line();
        buffer.read(b"99\nn 3\n", |line| read.push(line));
        assert_eq!(read, [Ok(Mark { text: "n".to_owned(), number: Some(3) })]);
    }
}

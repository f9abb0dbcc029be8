//! One line on standard error by whoever can't leave it to the command: a thread that has no memory, a
//! handler of a signal.

use std::fmt::{self, Write};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::write_until;

/// A line of text on the stack. Writing it allocates nothing, takes no lock, and calls async-signal-safe
/// functions only. What does not fit is cut; the end of the line stays.
///
/// ```
/// use std::fmt::Write;
///
/// let mut line = seepmeter_process::FinalMessage::default();
/// write!(line, "seepmeter: out of {}", "memory\u{9b}").unwrap();
/// assert_eq!(line.as_bytes(), b"seepmeter: out of memory\\u{9b}\n");
/// ```
#[derive(Debug)]
pub struct FinalMessage {
    text: [u8; Self::ROOM],
    length: usize,
}

impl Default for FinalMessage {
    fn default() -> Self {
        Self { text: [b'\n'; Self::ROOM], length: 0 }
    }
}

impl FinalMessage {
    const ROOM: usize = 1024;

    /// The line, with its end.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        // What is not filled is ends of lines.
        &self.text[..=self.length]
    }

    /// Writes the line to standard error, and waits no longer than this for somebody to read it.
    pub fn print(&self, limit: Duration) {
        // SAFETY: standard error is never closed.
        let stderr = unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) };
        // If it can't be written, there is nobody left to say that to.
        let _ = write_until(stderr, self.as_bytes(), Instant::now() + limit);
    }
}

impl Write for FinalMessage {
    /// Nothing of it acts on a terminal, whoever has written it.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match seepmeter_record::is_printable(c) {
            true => self.write_char(c),
            false => c.escape_default().try_for_each(|c| self.write_char(c)),
        })
    }

    fn write_char(&mut self, c: char) -> fmt::Result {
        let mut bytes = [0; 4];
        let bytes = c.encode_utf8(&mut bytes).as_bytes();
        // One byte is left for the end of the line.
        let room = &mut self.text[..Self::ROOM - 1];
        let room = room.get_mut(self.length..self.length + bytes.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(bytes);
        self.length += bytes.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_cut_and_ends_all_the_same() {
        let mut line = FinalMessage::default();
        assert!(line.write_str(&"ä".repeat(FinalMessage::ROOM)).is_err());
        let text = std::str::from_utf8(line.as_bytes()).unwrap();
        assert!(text.ends_with("ä\n") && text.len() == FinalMessage::ROOM - 1);
    }
}

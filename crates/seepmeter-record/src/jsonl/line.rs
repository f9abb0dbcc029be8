//! Lines of bounded length.

use std::io::{self, BufRead};

/// No buffer that a longer line has left behind is kept for the next ones.
const KEPT_BUFFER: usize = 1 << 20;

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// There is no further line.
    Nothing,
    /// With a newline, which is not part of it.
    Newline,
    /// With the end of the file.
    EndOfFile,
    /// It goes on beyond the limit.
    TooLong,
}

/// Fills the buffer with the next line, without its newline: `longest` bytes of it at most.
///
/// # Errors
/// What the reader fails with; what was read before that is in the buffer.
pub fn read_line(
    input: &mut (impl BufRead + ?Sized),
    line: &mut Vec<u8>,
    longest: usize,
) -> io::Result<LineEnd> {
    line.clear();
    line.shrink_to(KEPT_BUFFER);
    loop {
        let available = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            available => available?,
        };
        if available.is_empty() {
            return Ok(if line.is_empty() { LineEnd::Nothing } else { LineEnd::EndOfFile });
        }
        let newline = memchr::memchr(b'\n', available);
        let part = &available[..newline.unwrap_or(available.len())];
        if line.len() + part.len() > longest {
            return Ok(LineEnd::TooLong);
        }
        line.extend_from_slice(part);
        let used = part.len() + usize::from(newline.is_some());
        input.consume(used);
        if newline.is_some() {
            return Ok(LineEnd::Newline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_with_a_newline_or_the_file_or_the_limit() {
        let mut input = io::BufReader::with_capacity(3, &b"ab\n\nlonger\nrest"[..]);
        let mut line = Vec::new();
        let mut next = |longest| {
            let end = read_line(&mut input, &mut line, longest).unwrap();
            (end, String::from_utf8(line.clone()).unwrap())
        };
        assert_eq!(next(2), (LineEnd::Newline, "ab".to_owned()));
        assert_eq!(next(2), (LineEnd::Newline, String::new()));
        assert_eq!(next(5).0, LineEnd::TooLong);
        assert_eq!(next(6).0, LineEnd::Newline);
        assert_eq!(next(6), (LineEnd::EndOfFile, "rest".to_owned()));
        assert_eq!(next(6).0, LineEnd::Nothing);
    }
}

//! /proc/PID/statm: how large a process is.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::text::leading_decimal;
use super::{ProcError, ProcFolder};

/// What statm says, in pages. All of it is 0 for a zombie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatmPages {
    /// All that is mapped.
    pub size: u64,
    /// What is in RAM.
    pub resident: u64,
    /// What is in RAM and has a file or shared memory behind it.
    pub shared: u64,
    /// Code.
    pub text: u64,
    /// Data and stack.
    pub data: u64,
}

impl StatmPages {
    /// Reads the line of the kernel (fs/proc/array.c, `proc_pid_statm`), in pages; the fifth and the
    /// last are always 0:
    ///
    /// ```text
    /// size resident shared text lib data dt
    /// 1234 567 345 89 0 432 0
    /// ```
    pub(crate) fn parse(text: &[u8], path: &Path) -> Result<Self, ProcError> {
        let mut rest = text;
        let mut number = |item| match leading_decimal(rest) {
            Some((value, [b' ' | b'\n', after @ ..])) => {
                rest = after;
                Ok(value)
            }
            _ => Err(ProcError::parse(path, 1, item, text)),
        };
        let (size, resident) = (number("size")?, number("resident")?);
        let (shared, code) = (number("shared")?, number("text")?);
        number("lib")?;
        Ok(Self { size, resident, shared, text: code, data: number("data")? })
    }
}

/// An open statm.
///
/// It stays with its process: after the end of it each read is [`ProcError::Gone`], even if another
/// process has got the pid.
#[derive(Debug)]
pub struct StatmFile {
    file: File,
    path: PathBuf,
}

impl StatmFile {
    /// Opens it.
    ///
    /// # Errors
    /// If the process has ended, or the file can't be opened.
    pub fn open(folder: &ProcFolder) -> Result<Self, ProcError> {
        Ok(Self { file: folder.open("statm")?, path: folder.file("statm") })
    }

    /// Reads it anew: one pread(2), and nothing is allocated.
    ///
    /// # Errors
    /// If the process has ended, or the file can't be read.
    pub fn read(&self) -> Result<StatmPages, ProcError> {
        // Seven numbers of at most 20 digits.
        let mut buffer = [0_u8; 160];
        let length = self.file.read_at(&mut buffer, 0);
        let length = length.map_err(|error| ProcError::io(&self.path, error))?;
        StatmPages::parse(&buffer[..length], &self.path)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proc::ProcRoot;

    fn parse(text: &[u8]) -> Option<StatmPages> {
        StatmPages::parse(text, Path::new("statm")).ok()
    }

    #[test]
    fn statm_is_read_as_its_man_page_says() {
        let whole = StatmPages { size: 1234, resident: 567, shared: 345, text: 89, data: 432 };
        assert_eq!(parse(b"1234 567 345 89 0 432 0\n"), Some(whole));
        assert_eq!(parse(b"1234 567 345"), None);
        assert_eq!(parse(b"1234 567 345x 89 0 432 0\n"), None);
        assert_eq!(parse(b"1234 -567 345 89 0 432 0\n"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn statm_of_this_process_agrees_with_the_procfs_crate() {
        let folder = ProcRoot::default().own();
        let file = StatmFile::open(&folder).unwrap();
        let oracle = procfs::process::Process::myself().unwrap().statm().unwrap();
        let statm = file.read().unwrap();
        assert_eq!(statm.text, oracle.text);
        assert!(statm.resident > 0 && statm.size > statm.resident);
    }

    proptest! {
        #[test]
        fn any_numbers_are_read_as_the_procfs_crate_reads_them(numbers: [u32; 7]) {
            let text = numbers.map(|number| number.to_string()).join(" ") + "\n";
            let oracle: procfs::process::StatM = procfs::FromRead::from_read(text.as_bytes()).unwrap();
            let statm = parse(text.as_bytes()).unwrap();
            let StatmPages { size, resident, shared, text, data } = statm;
            prop_assert_eq!(
                [size, resident, shared, text, data],
                [oracle.size, oracle.resident, oracle.shared, oracle.text, oracle.data]
            );
        }

        #[test]
        fn no_text_whatever_makes_the_parser_panic(text: Vec<u8>) {
            let _ = parse(&text);
        }
    }
}

//! The two files, read through descriptors that stay open.
//!
//! A kept descriptor stays with its process: after its end the read fails with ESRCH, even when
//! another process has got the pid.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What /proc/PID/statm says, in pages: proc_pid_statm(5).
///
/// ```text
/// 1234 567 345 89 0 432 0
/// size resident shared text lib data dt
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    /// All that is mapped.
    pub size: i64,
    /// What is in RAM.
    pub resident: i64,
    /// What is in RAM and has a file or shared memory behind it.
    pub shared: i64,
    /// Code.
    pub text: i64,
    /// Data and stack.
    pub data: i64,
}

impl Pages {
    /// Reads the seven numbers; `None` where they are not there.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut numbers = [0_i64; 7];
        let mut bytes = text.iter();
        for number in &mut numbers {
            let mut digits = 0;
            // By reference, so that the next number starts behind the space that ends this one.
            for byte in bytes.by_ref() {
                match byte {
                    b'0'..=b'9' => {
                        *number = number.wrapping_mul(10).wrapping_add((byte - b'0').into())
                    }
                    _ => break,
                }
                digits += 1;
            }
            if digits == 0 {
                return None;
            }
        }
        let [size, resident, shared, text, _lib, data, _dirty] = numbers;
        Some(Self { size, resident, shared, text, data })
    }
}

/// An open /proc/PID/statm.
#[derive(Debug)]
pub struct StatmFile {
    file: File,
}

impl StatmFile {
    /// Opens it.
    ///
    /// # Errors
    /// What open(2) fails with.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)? })
    }

    /// Reads it anew: one pread(2), and nothing is allocated.
    ///
    /// # Errors
    /// ESRCH where the process is gone; `InvalidData` where the text is not seven numbers.
    pub fn read(&mut self) -> io::Result<Pages> {
        // Seven numbers of at most 20 digits.
        let mut buffer = [0_u8; 160];
        let length = self.file.read_at(&mut buffer, 0)?;
        Pages::parse(&buffer[..length]).ok_or_else(|| {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            io::Error::new(io::ErrorKind::InvalidData, format!("{text:?} is not seven numbers"))
        })
    }
}

/// What /proc/PID/status says of the resident set, in bytes: proc_pid_status(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The largest resident set so far: VmHWM.
    pub peak: i64,
    /// The resident set: VmRSS.
    pub rss: i64,
    /// What of its anonymous memory is swapped out: VmSwap; 0 where the kernel has no swap.
    pub swap: i64,
}

impl Marks {
    /// Finds the lines; `None` where they are not there, as in a zombie's status.
    ///
    /// ```text
    /// VmHWM:      3456 kB
    /// VmRSS:      3400 kB
    /// VmSwap:        0 kB
    /// ```
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let kib = |key: &[u8]| -> Option<i64> {
            let at = memchr::memmem::find(text, key)?;
            let digits = text[at + key.len()..]
                .iter()
                .skip_while(|byte| matches!(byte, b' ' | b'\t'))
                .take_while(|byte| byte.is_ascii_digit());
            Some(digits.fold(0_i64, |sum, digit| sum.wrapping_mul(10) + i64::from(digit - b'0')))
        };
        Some(Self {
            peak: kib(b"\nVmHWM:")? * 1024,
            rss: kib(b"\nVmRSS:")? * 1024,
            swap: kib(b"\nVmSwap:").unwrap_or(0) * 1024,
        })
    }
}

/// An open /proc/PID/status.
#[derive(Debug)]
pub struct StatusFile {
    file: File,
    buffer: Box<[u8]>,
}

impl StatusFile {
    /// Opens it.
    ///
    /// # Errors
    /// What open(2) fails with.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, buffer: vec![0; 4096].into() })
    }

    /// Reads the numbers in one read; `None` where the process has no memory any more.
    ///
    /// # Errors
    /// ESRCH where the process is gone.
    pub fn read(&mut self) -> io::Result<Option<Marks>> {
        let length = self.file.read_at(&mut self.buffer, 0)?;
        Ok(Marks::parse(&self.buffer[..length]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn statm_is_read_as_its_man_page_says() {
        assert_eq!(
            Pages::parse(b"1234 567 345 89 0 432 0\n"),
            Some(Pages { size: 1234, resident: 567, shared: 345, text: 89, data: 432 })
        );
        assert_eq!(Pages::parse(b"1234 567 345"), None);
        assert_eq!(Pages::parse(b""), None);
    }

    #[test]
    fn the_mark_and_the_size_are_found_in_status() {
        let text =
            b"Name:\tx VmHWM: 1 kB\nVmHWM:\t    3456 kB\nVmRSS:\t    3400 kB\nVmSwap:\t 8 kB\n";
        assert_eq!(
            Marks::parse(text),
            Some(Marks { peak: 3456 * 1024, rss: 3400 * 1024, swap: 8 * 1024 })
        );
        assert_eq!(Marks::parse(b"Name:\tzombie\nState:\tZ\n"), None);
    }

    #[test]
    fn statm_of_this_process_agrees_with_the_procfs_crate() {
        let mut file = StatmFile::open(Path::new("/proc/self/statm")).unwrap();
        let oracle = procfs::process::Process::myself().unwrap().statm().unwrap();
        let pages = file.read().unwrap();
        assert_eq!(u64::try_from(pages.text).unwrap(), oracle.text);
        assert!(pages.resident > 0 && pages.size > pages.resident);
    }

    proptest! {
        #[test]
        fn no_text_whatever_makes_the_parsers_panic(text: Vec<u8>) {
            let _ = Pages::parse(&text);
            let _ = Marks::parse(&text);
        }
    }
}

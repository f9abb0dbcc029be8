//! Another process's memory.

use std::cell::OnceCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Error};
use std::os::unix::fs::FileExt;

/// How many pieces one call takes (UIO_MAXIOV of include/uapi/linux/uio.h).
const PIECES_A_CALL: usize = 1024;

/// A piece of memory to read.
#[derive(Debug)]
pub struct Piece<'b> {
    /// Where it begins in the other process.
    pub address: u64,
    /// Where to put it, and how much of it.
    pub bytes: &'b mut [u8],
    /// How many bytes were read: fewer than were asked for where the next page can't be read.
    pub read: usize,
}

impl<'b> Piece<'b> {
    /// A piece that has yet to be read.
    pub fn new(address: u64, bytes: &'b mut [u8]) -> Self {
        Self { address, bytes, read: 0 }
    }
}

/// A process's memory. It can be read while the process runs too, but then nothing stands still.
///
/// It is read by process_vm_readv(2), many pieces in one call. Where that is refused (a seccomp profile
/// of a container, a kernel without it), /proc/PID/mem is read, a piece a call.
#[derive(Debug)]
pub struct Memory {
    pid: i32,
    file: OnceCell<Option<File>>,
}

impl Memory {
    /// The memory of process (or thread) `pid`. Nothing is opened or read yet.
    #[must_use]
    pub fn of(pid: i32) -> Self {
        Self { pid, file: OnceCell::new() }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Reads all the pieces, as much of each as can be read; says in each how much that was.
    ///
    /// # Errors
    /// Where nothing of the process can be read at all: it has gone (ESRCH), or it is not allowed.
    pub fn read_many(&self, pieces: &mut [Piece<'_>]) -> io::Result<()> {
        pieces.iter_mut().for_each(|piece| piece.read = 0);
        let mut next = 0;
        while next < pieces.len() {
            let end = pieces.len().min(next + PIECES_A_CALL);
            match read_together(self.pid, &mut pieces[next..end]) {
                Ok(whole) => {
                    // What broke the call off has what it got; the next call begins behind it.
                    next += (whole + 1).min(end - next);
                }
                Err(error) if is_a_refusal(&error) => {
                    return self.read_singly(&mut pieces[next..], error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads one piece; returns how many bytes could be read.
    ///
    /// # Errors
    /// As [`Memory::read_many`].
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let mut piece = [Piece::new(address, bytes)];
        self.read_many(&mut piece)?;
        Ok(piece[0].read)
    }

    /// The word at an address, where it can be read.
    pub(crate) fn word(&self, address: u64) -> Option<u64> {
        let mut word = [0; 8];
        (self.read(address, &mut word).ok()? == 8).then_some(u64::from_ne_bytes(word))
    }

    /// Writes all of the bytes, or says why not. For a halted process alone.
    pub(crate) fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        let local =
            libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let remote = remote(address, bytes.len());
        // SAFETY: the kernel reads `bytes`, which live until the call is over, and writes to the
        // other process.
        let written = unsafe {
            libc::process_vm_writev(self.pid, &raw const local, 1, &raw const remote, 1, 0)
        };
        match usize::try_from(written) {
            Ok(count) if count == bytes.len() => Ok(()),
            Ok(_) => Err(Error::from_raw_os_error(libc::EFAULT)),
            Err(_) => match (Error::last_os_error(), self.file()) {
                (error, Some(file)) if is_a_refusal(&error) => file.write_all_at(bytes, address),
                (error, _) => Err(error),
            },
        }
    }

    /// Piece by piece, from /proc/PID/mem. `refused` is why.
    fn read_singly(&self, pieces: &mut [Piece<'_>], refused: Error) -> io::Result<()> {
        let Some(file) = self.file() else { return Err(refused) };
        for piece in pieces {
            // A short read or an error is what could be read: the pages behind are not there.
            while let Ok(count @ 1..) = file.read_at(
                &mut piece.bytes[piece.read..],
                piece.address.wrapping_add(piece.read as u64),
            ) {
                piece.read += count;
            }
        }
        Ok(())
    }

    fn file(&self) -> Option<&File> {
        let open = || {
            let path = format!("/proc/{}/mem", self.pid);
            OpenOptions::new().read(true).write(true).open(path).ok()
        };
        self.file.get_or_init(open).as_ref()
    }
}

/// The call itself is not to be had, whatever the address.
fn is_a_refusal(error: &Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::ENOSYS))
}

fn remote(address: u64, length: usize) -> libc::iovec {
    // An address of another process: a number here, and never a pointer.
    let base = std::ptr::without_provenance_mut(address as usize);
    libc::iovec { iov_base: base, iov_len: length }
}

/// One call for up to [`PIECES_A_CALL`] pieces; returns how many of them are whole. The one behind
/// those has been read in part, or not at all.
fn read_together(pid: i32, pieces: &mut [Piece<'_>]) -> io::Result<usize> {
    let locals: Vec<libc::iovec> = pieces
        .iter_mut()
        .map(|piece| libc::iovec {
            iov_base: piece.bytes.as_mut_ptr().cast(),
            iov_len: piece.bytes.len(),
        })
        .collect();
    let remotes: Vec<libc::iovec> =
        pieces.iter().map(|piece| remote(piece.address, piece.bytes.len())).collect();
    // SAFETY: the kernel writes to the pieces' bytes alone, which are borrowed until the call is over.
    let read = unsafe {
        libc::process_vm_readv(
            pid,
            locals.as_ptr(),
            locals.len() as libc::c_ulong,
            remotes.as_ptr(),
            remotes.len() as libc::c_ulong,
            0,
        )
    };
    let mut left = match usize::try_from(read) {
        Ok(count) => count,
        Err(_) => match Error::last_os_error() {
            // The first piece's first page is not there.
            error if error.raw_os_error() == Some(libc::EFAULT) => 0,
            error => return Err(error),
        },
    };
    let mut whole = 0;
    for piece in &mut *pieces {
        piece.read = left.min(piece.bytes.len());
        left -= piece.read;
        if piece.read < piece.bytes.len() {
            break;
        }
        whole += 1;
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 4096;

    /// Two pages of a file that has one, so that the second can't be read, not even by the fallback,
    /// which reads pages that are closed to the process itself.
    struct Edge(*mut libc::c_void);

    impl Edge {
        fn new() -> Self {
            // SAFETY: a new file and a new mapping of our own, of which the first page is written.
            unsafe {
                let file = libc::memfd_create(c"edge".as_ptr(), libc::MFD_CLOEXEC);
                assert_eq!(libc::ftruncate(file, PAGE as libc::off_t), 0);
                let access = libc::PROT_READ | libc::PROT_WRITE;
                let place =
                    libc::mmap(std::ptr::null_mut(), 2 * PAGE, access, libc::MAP_SHARED, file, 0);
                assert_ne!(place, libc::MAP_FAILED);
                libc::close(file);
                std::ptr::write_bytes(place.cast::<u8>(), 7, PAGE);
                Self(place)
            }
        }
    }

    impl Drop for Edge {
        fn drop(&mut self) {
            // SAFETY: the mapping is this one's own, and nobody refers to it any more.
            unsafe { libc::munmap(self.0, 2 * PAGE) };
        }
    }

    fn own() -> i32 {
        std::process::id().cast_signed()
    }

    #[test]
    fn pieces_that_can_not_be_read_do_not_cost_the_others_theirs() {
        let edge = Edge::new();
        let start = edge.0 as u64;
        let mut bytes = vec![[0u8; 64]; 2500];
        let mut pieces: Vec<Piece<'_>> = bytes
            .iter_mut()
            .enumerate()
            .map(|(number, bytes)| {
                let address = match number % 5 {
                    0 => 8,
                    1 => start + PAGE as u64 - 16,
                    _ => start,
                };
                Piece::new(address, bytes)
            })
            .collect();
        Memory::of(own()).read_many(&mut pieces).unwrap();
        for (number, piece) in pieces.iter().enumerate() {
            let asked = match number % 5 {
                0 => 0,
                1 => 16,
                _ => 64,
            };
            assert_eq!(piece.read, asked, "piece {number}");
            assert!(piece.bytes[..asked].iter().all(|byte| *byte == 7));
        }
    }

    #[test]
    fn the_fallback_reads_and_writes_the_same() {
        let edge = Edge::new();
        let start = edge.0 as u64;
        let memory = Memory::of(own());
        let (mut whole, mut cut, mut none) = ([0; 32], [0; 32], [0; 32]);
        let mut pieces = [
            Piece::new(start, &mut whole),
            Piece::new(start + PAGE as u64 - 16, &mut cut),
            Piece::new(8, &mut none),
        ];
        memory.read_singly(&mut pieces, Error::from_raw_os_error(libc::EPERM)).unwrap();
        assert_eq!(pieces.each_ref().map(|piece| piece.read), [32, 16, 0]);
        memory.write(start, &[9; 8]).unwrap();
        assert_eq!(memory.word(start), Some(0x0909_0909_0909_0909));
        assert!(memory.write(8, &[9; 8]).is_err());
    }

    #[test]
    fn a_process_that_has_gone_is_an_error() {
        let error = Memory::of(i32::MAX).read(8, &mut [0; 8]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
    }
}

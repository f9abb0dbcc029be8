//! Another process's memory.

use std::cell::OnceCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Error, IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::sys::uio::{self, RemoteIoVec};
use nix::unistd::Pid;
use seepmeter_process::proc::ProcRoot;

/// How many pieces one call takes (UIO_MAXIOV of include/uapi/linux/uio.h).
const PIECES_A_CALL: usize = 1024;

/// A piece of memory to read.
#[derive(Debug)]
pub struct MemoryPiece<'b> {
    /// Where it begins in the other process.
    pub address: u64,
    /// Where to put it, and how much of it.
    pub bytes: &'b mut [u8],
    /// How many bytes were read: fewer than were asked for if the next page can't be read.
    pub read: usize,
}

impl<'b> MemoryPiece<'b> {
    /// A piece that has yet to be read.
    pub fn new(address: u64, bytes: &'b mut [u8]) -> Self {
        Self { address, bytes, read: 0 }
    }
}

/// A process's memory. It can also be read while the process runs, but then it changes meanwhile.
///
/// It is read by process_vm_readv(2), many pieces in one call. If that is refused (a seccomp profile
/// of a container, a kernel without it), /proc/PID/mem is read, one piece a call.
#[derive(Debug)]
pub struct ProcessMemory {
    pid: i32,
    file: OnceCell<Option<File>>,
}

impl ProcessMemory {
    /// The memory of process (or thread) `pid`. Nothing is opened or read yet.
    #[must_use]
    pub fn of(pid: i32) -> Self {
        Self { pid, file: OnceCell::new() }
    }

    /// The process, or the thread.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Reads all the pieces, as much of each as can be read; says in each how much that was.
    ///
    /// # Errors
    /// If nothing of the process can be read at all: it has gone (ESRCH), or it is not allowed.
    pub fn read_many(&self, pieces: &mut [MemoryPiece<'_>]) -> io::Result<()> {
        pieces.iter_mut().for_each(|piece| piece.read = 0);
        let mut next = 0;
        while next < pieces.len() {
            let end = pieces.len().min(next + PIECES_A_CALL);
            match read_together(self.pid, &mut pieces[next..end]) {
                Ok(whole) => {
                    // The piece at which the call ended keeps what it got; the next call begins behind it.
                    next += (whole + 1).min(end - next);
                }
                Err(error) if is_a_refusal(error) => {
                    return self.read_singly(&mut pieces[next..], error.into());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads one piece; returns how many bytes could be read.
    ///
    /// # Errors
    /// As [`ProcessMemory::read_many`].
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let mut piece = [MemoryPiece::new(address, bytes)];
        self.read_many(&mut piece)?;
        Ok(piece[0].read)
    }

    /// The word at an address, if it can be read.
    pub(crate) fn word(&self, address: u64) -> Option<u64> {
        let mut word = [0; 8];
        (self.read(address, &mut word).ok()? == 8).then_some(u64::from_ne_bytes(word))
    }

    /// Writes all of the bytes. For a stopped process alone.
    pub(crate) fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        let (local, remote) = ([IoSlice::new(bytes)], [remote(address, bytes.len())]);
        match uio::process_vm_writev(Pid::from_raw(self.pid), &local, &remote) {
            Ok(count) if count == bytes.len() => Ok(()),
            Ok(_) => Err(Errno::EFAULT.into()),
            Err(error) => match self.file() {
                Some(file) if is_a_refusal(error) => file.write_all_at(bytes, address),
                _ => Err(error.into()),
            },
        }
    }

    /// Piece by piece, from /proc/PID/mem. `refused` is why.
    fn read_singly(&self, pieces: &mut [MemoryPiece<'_>], refused: Error) -> io::Result<()> {
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
            let path = ProcRoot::default().process(self.pid).file("mem");
            OpenOptions::new().read(true).write(true).open(path).ok()
        };
        self.file.get_or_init(open).as_ref()
    }
}

/// The call itself is refused, whatever the address.
fn is_a_refusal(error: Errno) -> bool {
    matches!(error, Errno::EPERM | Errno::EACCES | Errno::ENOSYS)
}

fn remote(address: u64, length: usize) -> RemoteIoVec {
    RemoteIoVec { base: address as usize, len: length }
}

/// One call for up to [`PIECES_A_CALL`] pieces; returns how many of them are whole. The one behind
/// those has been read in part, or not at all.
fn read_together(pid: i32, pieces: &mut [MemoryPiece<'_>]) -> nix::Result<usize> {
    let remotes: Vec<RemoteIoVec> =
        pieces.iter().map(|piece| remote(piece.address, piece.bytes.len())).collect();
    let mut locals: Vec<IoSliceMut<'_>> =
        pieces.iter_mut().map(|piece| IoSliceMut::new(piece.bytes)).collect();
    let mut left = match uio::process_vm_readv(Pid::from_raw(pid), &mut locals, &remotes) {
        // The first piece's first page is not there.
        Err(Errno::EFAULT) => 0,
        read => read?,
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
    use std::ffi::c_void;
    use std::num::NonZeroUsize;
    use std::ptr::NonNull;

    use nix::sys::mman::{self, MapFlags, ProtFlags};

    use super::*;

    const PAGE: usize = 4096;

    /// Two pages of a file that has one, so that the second can't be read, not even by the fallback,
    /// which reads pages that are closed to the process itself.
    struct Edge(NonNull<c_void>);

    impl Edge {
        fn new() -> Self {
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(&[7; PAGE], 0).unwrap();
            let size = NonZeroUsize::new(2 * PAGE).unwrap();
            let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
            // SAFETY: a new mapping, at a place that the kernel chooses.
            let place = unsafe { mman::mmap(None, size, access, MapFlags::MAP_SHARED, file, 0) };
            Self(place.unwrap())
        }

        fn address(&self) -> u64 {
            self.0.addr().get() as u64
        }
    }

    impl Drop for Edge {
        fn drop(&mut self) {
            // SAFETY: the mapping is this one's own, and nobody refers to it any more.
            unsafe { mman::munmap(self.0, 2 * PAGE) }.unwrap();
        }
    }

    fn own() -> i32 {
        std::process::id().cast_signed()
    }

    #[test]
    fn pieces_that_can_not_be_read_do_not_cost_the_others_theirs() {
        let edge = Edge::new();
        let start = edge.address();
        let mut bytes = vec![[0u8; 64]; 2500];
        let mut pieces: Vec<MemoryPiece<'_>> = bytes
            .iter_mut()
            .enumerate()
            .map(|(number, bytes)| {
                let address = match number % 5 {
                    0 => 8,
                    1 => start + PAGE as u64 - 16,
                    _ => start,
                };
                MemoryPiece::new(address, bytes)
            })
            .collect();
        ProcessMemory::of(own()).read_many(&mut pieces).unwrap();
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
        let start = edge.address();
        let memory = ProcessMemory::of(own());
        let (mut whole, mut cut, mut none) = ([0; 32], [0; 32], [0; 32]);
        let mut pieces = [
            MemoryPiece::new(start, &mut whole),
            MemoryPiece::new(start + PAGE as u64 - 16, &mut cut),
            MemoryPiece::new(8, &mut none),
        ];
        memory.read_singly(&mut pieces, Error::from_raw_os_error(libc::EPERM)).unwrap();
        assert_eq!(pieces.each_ref().map(|piece| piece.read), [32, 16, 0]);
        memory.write(start, &[9; 8]).unwrap();
        assert_eq!(memory.word(start), Some(0x0909_0909_0909_0909));
        assert!(memory.write(8, &[9; 8]).is_err());
    }

    #[test]
    fn a_process_that_has_gone_is_an_error() {
        let error = ProcessMemory::of(i32::MAX).read(8, &mut [0; 8]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
    }
}

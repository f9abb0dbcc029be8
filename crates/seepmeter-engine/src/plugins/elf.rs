//! Whether a file is a whole shared library, before the dynamic linker maps it.
//!
//! The linker maps what the program headers say, and a file that was cut off, as by a full disk, then
//! ends the whole process by SIGBUS. Opening a fifo would wait for ever.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// `p_type` of a segment that is mapped: elf(5).
const PT_LOAD: u32 = 1;

/// Says why the linker should not get to see the file. What is no ELF file it may refuse itself.
pub(super) fn check(path: &Path) -> Result<(), String> {
    let of = |error: io::Error| error.to_string();
    if !std::fs::metadata(path).map_err(of)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let file = File::open(path).map_err(of)?;
    let length = file.metadata().map_err(of)?.len();
    match needed(&file).map_err(of)? {
        Some(needed) if needed > length => Err(format!(
            "it is cut off: it has {length} bytes and should have at least {needed}; copy it again"
        )),
        _ => Ok(()),
    }
}

/// How long the file must be for all its segments; none of what is no 64-bit ELF file of this machine's
/// byte order.
///
/// ```text
/// Elf64_Ehdr: e_phoff at 32, e_phentsize at 54, e_phnum at 56
/// Elf64_Phdr: p_type at 0, p_offset at 8, p_filesz at 32
/// ```
fn needed(file: &File) -> io::Result<Option<u64>> {
    let mut header = [0; 64];
    match file.read_exact_at(&mut header, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        outcome => outcome?,
    }
    let class = 2;
    let order = if cfg!(target_endian = "little") { 1 } else { 2 };
    if header[..6] != [0x7f, b'E', b'L', b'F', class, order] {
        return Ok(None);
    }
    let (offset, size, count) = (word(&header, 32), half(&header, 54), half(&header, 56));
    let mut needed = 0;
    for place in 0..u64::from(count) {
        let mut segment = [0; 56];
        let at = offset.saturating_add(place * u64::from(size));
        if file.read_exact_at(&mut segment, at).is_err() {
            return Ok(Some(at.saturating_add(segment.len() as u64)));
        }
        let kind = u32::from_ne_bytes([segment[0], segment[1], segment[2], segment[3]]);
        if kind == PT_LOAD {
            needed = needed.max(word(&segment, 8).saturating_add(word(&segment, 32)));
        }
    }
    Ok(Some(needed))
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_ne_bytes(word)
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

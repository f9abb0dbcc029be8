//! Opening a recording, compressed or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::Reader;
use crate::standard_input;

/// The first bytes of a Zstandard frame (RFC 8878, section 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What a compressor may refer back to at most, as a power of two: 64 MiB, as much as `zstd --ultra -21` asks
/// for. Reading needs as much memory.
const WINDOW_LOG_MAX: u32 = 26;

/// A recording from any source.
pub type Recording = Reader<Box<dyn BufRead>>;

/// Opens a recording; `-` is standard input. Whether it is compressed is seen from its first bytes.
///
/// # Errors
/// What opening or the first read fails with.
pub fn open(path: &Path) -> io::Result<Recording> {
    read(if path == Path::new("-") {
        Box::new(standard_input())
    } else {
        Box::new(File::open(path)?)
    })
}

/// Reads a recording from any source. Whether it is compressed is seen from its first bytes.
///
/// # Errors
/// What the first read fails with.
pub fn read(mut input: Box<dyn Read>) -> io::Result<Recording> {
    let mut first = Vec::with_capacity(ZSTD_MAGIC.len());
    input.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut first)?;
    let compressed = first == ZSTD_MAGIC;
    let whole = io::Cursor::new(first).chain(input);
    Ok(Reader::new(if compressed {
        let mut decoder = zstd::Decoder::new(whole)?;
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        Box::new(BufReader::with_capacity(1 << 16, decoder))
    } else {
        Box::new(BufReader::with_capacity(1 << 16, whole))
    }))
}

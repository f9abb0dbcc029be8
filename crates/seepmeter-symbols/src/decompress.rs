//! Compressed sections: debug files of distributions have them (ELF's gABI, "Section Compression").

use std::io::Read;
use std::rc::Rc;

use object::LittleEndian;
use object::elf::{CompressionHeader64, ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD};
use object::read::elf::CompressionHeader as _;

/// The most that a section is decompressed to. The tables of the largest programs have a tenth.
const MAX_SECTION: u64 = 256 << 20;

/// The most that all sections of one file are decompressed to by blazesym, which keeps what it has read. The
/// debug information of the largest programs is larger; their tables of symbols name them.
pub(crate) const MAX_FILE: u64 = 1 << 30;

/// The bytes of a compressed section; none if they are not what its header says.
pub(crate) fn decompress(
    header: &CompressionHeader64<LittleEndian>,
    bytes: &[u8],
) -> Option<Rc<[u8]>> {
    let size = header.ch_size(LittleEndian);
    if size > MAX_SECTION {
        return None;
    }
    let mut found = Vec::new();
    let read = decoder(header, bytes)?.read_to_end(&mut found).ok()? as u64;
    (read == size).then(|| found.into())
}

/// How many bytes a compressed section decompresses to, which is what its header says; none if it is not,
/// or if they are more than `most`. Nothing of it is kept.
pub(crate) fn decompressed_size(
    header: &CompressionHeader64<LittleEndian>,
    bytes: &[u8],
    most: u64,
) -> Option<u64> {
    let size = header.ch_size(LittleEndian);
    if size > most {
        return None;
    }
    let read = std::io::copy(&mut decoder(header, bytes)?, &mut std::io::sink()).ok()?;
    (read == size).then_some(size)
}

/// Reads what is compressed, and one byte more than the header says, which shows that there is more.
fn decoder<'a>(
    header: &CompressionHeader64<LittleEndian>,
    bytes: &'a [u8],
) -> Option<Box<dyn Read + 'a>> {
    let most = header.ch_size(LittleEndian).saturating_add(1);
    let kind = header.ch_type(LittleEndian);
    if kind == ELFCOMPRESS_ZLIB {
        Some(Box::new(flate2::read::ZlibDecoder::new(bytes).take(most)))
    } else if kind == ELFCOMPRESS_ZSTD {
        Some(Box::new(zstd::Decoder::new(bytes).ok()?.take(most)))
    } else {
        None
    }
}

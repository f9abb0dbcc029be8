//! Compressed sections: debug files of distributions have them (ELF's gABI, "Section Compression").

use std::io::Read;
use std::rc::Rc;

use object::LittleEndian;
use object::elf::{CompressionHeader64, ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD};
use object::read::elf::CompressionHeader as _;

/// The most that a section is decompressed to. The tables of the largest programs have a tenth.
const MAX_SECTION: u64 = 256 << 20;

/// The bytes of a compressed section; none if they are not what its header says.
pub(crate) fn decompress(
    header: &CompressionHeader64<LittleEndian>,
    bytes: &[u8],
) -> Option<Rc<[u8]>> {
    let size = header.ch_size(LittleEndian);
    if size > MAX_SECTION {
        return None;
    }
    let kind = header.ch_type(LittleEndian);
    let mut found = Vec::new();
    // One byte more shows that there is more than was said.
    let read = if kind == ELFCOMPRESS_ZLIB {
        flate2::read::ZlibDecoder::new(bytes).take(size + 1).read_to_end(&mut found)
    } else if kind == ELFCOMPRESS_ZSTD {
        zstd::Decoder::new(bytes).ok()?.take(size + 1).read_to_end(&mut found)
    } else {
        return None;
    };
    (read.ok()? as u64 == size).then(|| found.into())
}

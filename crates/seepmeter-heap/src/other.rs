//! Allocators and language runtimes that are recognised, and not read.

use std::collections::BTreeSet;

use seepmeter_snapshot::MemoryImage;

/// An allocator or a runtime with a heap of its own, which is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OtherAllocator {
    name: &'static str,
    hides_pointers: bool,
}

impl OtherAllocator {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// True if it keeps pointers in a form in which they can't be recognised: compressed, or as offsets.
    #[must_use]
    pub fn hides_pointers(&self) -> bool {
        self.hides_pointers
    }
}

/// How the file's name begins, of whom that is, and whether it hides pointers.
const FILES: [(&str, &str, bool); 12] = [
    ("libjemalloc", "jemalloc", false),
    ("libtcmalloc", "tcmalloc", false),
    ("libmimalloc", "mimalloc", false),
    ("libsnmalloc", "snmalloc", false),
    ("ld-musl-", "musl's malloc", false),
    ("libasan", "AddressSanitizer", false),
    ("libjvm.", "the JVM", true),
    ("libcoreclr.", ".NET", true),
    ("libruby", "Ruby", true),
    ("libnode.", "V8", true),
    ("node", "V8", true),
    ("libv8", "V8", true),
];

/// Those whose files are mapped.
pub(crate) fn others(image: &MemoryImage<'_>) -> Vec<OtherAllocator> {
    let names = image.regions().iter().filter_map(|region| {
        let name = region.path.rsplit(|&byte| byte == b'/').next()?;
        // What follows a program's whole name is not its own name any more: `nodejs` is, `node_exporter` is not.
        FILES.iter().find(|(file, ..)| match *file {
            "node" => matches!(name, b"node" | b"nodejs"),
            file => name.starts_with(file.as_bytes()),
        })
    });
    let found: BTreeSet<_> =
        names.map(|&(_, name, hides_pointers)| OtherAllocator { name, hides_pointers }).collect();
    found.into_iter().collect()
}

//! The vdso: code that the kernel maps into every process, and that no file holds.

use std::os::unix::fs::FileExt;

use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSymbol};
use seepmeter_maps::maps;
use seepmeter_process::proc::ProcRoot;

use crate::resolved::Function;

/// The bytes of our own vdso, which are those of every 64-bit process on this kernel.
pub(crate) fn own() -> Option<Vec<u8>> {
    let own = ProcRoot::default().own();
    let text = own.read("maps").ok()?;
    let headers = maps::parse(&text);
    let mapping = headers.iter().find(|header| header.path == b"[vdso]")?;
    let mut bytes = vec![0; usize::try_from(mapping.len()).ok()?];
    own.open("mem").ok()?.read_exact_at(&mut bytes, mapping.start).ok()?;
    Some(bytes)
}

/// The function of the vdso at an address.
pub(crate) fn function(bytes: &[u8], address: u64) -> Option<Function> {
    let elf = ElfFile64::<LittleEndian>::parse(bytes).ok()?;
    let at = |symbol: &object::read::elf::ElfSymbol64<'_, '_, LittleEndian>| {
        address.checked_sub(symbol.address()).is_some_and(|into| into < symbol.size())
    };
    // Most have two names; `__vdso_clock_gettime` says where it is, and `clock_gettime` does not.
    let mut found: Vec<_> = elf.dynamic_symbols().filter(at).collect();
    found.sort_by_key(|symbol| !symbol.name().is_ok_and(|name| name.starts_with("__")));
    let symbol = found.first()?;
    let name = symbol.name().ok()?.into();
    Some(Function { name, offset: address - symbol.address(), source: None })
}

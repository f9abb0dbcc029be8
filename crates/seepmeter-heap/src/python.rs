//! The types of CPython's objects, 3.8 to 3.14 with a GIL.
//!
//! Which of the blocks are objects is found by their type objects alone, without a version: an object's second
//! word points at its type, and the type says how far into its block the object begins (Include/object.h,
//! Include/cpython/object.h, Include/internal/pycore_gc.h).

use std::collections::HashMap;

use seepmeter_snapshot::{MemoryImage, Window};

use crate::census::Edges;
use crate::index::{Index, NONE, RangeKind};

/// Offsets in a `PyObject`, a `PyTypeObject`, a `PyDictObject` and a `PyASCIIObject`.
const TYPE: u64 = 8;
const TYPE_NAME: u64 = 24;
const TYPE_FLAGS: u64 = 168;
const TYPE_DICT: u64 = 264;
const DICT_KEYS: u64 = 32;
const TEXT_LENGTH: u64 = 16;
/// `wr_object` of a weak reference (Include/internal/pycore_weakref.h), the same from 3.8 to 3.14.
const WEAK_OBJECT: u64 = 16;
/// Since 3.12, and before.
const TEXT: [u64; 2] = [40, 48];
/// Flags of a type: it is a type's type, it is made at run time, its objects have a GC head, and they have a
/// dictionary or weak references before that.
const IS_TYPE_TYPE: u64 = 1 << 31;
const IS_HEAP_TYPE: u64 = 1 << 9;
const HAS_GC_HEAD: u64 = 1 << 14;
const HAS_MANAGED: u64 = 3 << 3;
/// How far into its block an object may begin.
const OFFSETS: [u64; 3] = [0, 16, 32];
/// Bits of a reference count that are never set.
const NO_COUNT: u64 = 0xff00_ffff_0000_0000;
/// A longer chain of types of types there is not.
const MAX_METATYPES: usize = 8;
/// The longest name that is read.
const MAX_NAME: usize = 256;
/// So much of a dictionary is searched for a name.
const MAX_DICT: u64 = 1 << 16;
/// So many words that may be types are remembered.
const MAX_CANDIDATES: usize = 4 << 20;

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PythonBlock {
    /// An object of the type with this number.
    Object(u32),
    /// A dead object that is kept for the next one.
    FreeList,
    /// What an object of the type with this number points at, and is none.
    Buffer(u32),
}

/// The types of an image's CPython, and which block is what.
#[derive(Debug, Default)]
pub(crate) struct PythonTypes {
    types: Vec<PythonType>,
    /// Of each block.
    blocks: Vec<Option<PythonBlock>>,
    /// Weak references, and what they refer to without holding it.
    weak: Vec<(u32, u64)>,
}

#[derive(Debug)]
struct PythonType {
    name: String,
    /// How far into their blocks its objects begin; not 0 if they are in the collector's lists.
    offset: u64,
    words: ObjectWords,
}

#[derive(Clone, Copy, Debug)]
struct TypeInfo {
    number: u32,
    offset: u64,
}

/// What the words of an object can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ObjectWords {
    /// Whatever they point at.
    Pointers,
    /// Text or bytes, and at most a buffer; so no object.
    Bytes,
    /// Numbers.
    Numbers,
    /// The first one behind the head (`wr_object`) holds nothing.
    Weak,
}

impl ObjectWords {
    /// Those of the objects of a type with this name. A subclass has another name, and may hold more.
    fn of(name: &str) -> Self {
        match name {
            "int" | "float" | "complex" | "bool" => Self::Numbers,
            "str" | "bytes" => Self::Bytes,
            // Before 3.12, and since; subclasses of the library.
            "weakref"
            | "weakproxy"
            | "weakcallableproxy"
            | "weakref.ReferenceType"
            | "weakref.ProxyType"
            | "weakref.CallableProxyType"
            | "weakref.KeyedRef"
            | "weakref.WeakMethod" => Self::Weak,
            _ => Self::Pointers,
        }
    }
}

impl PythonTypes {
    /// Finds the objects among the blocks, and sets where in its block each begins.
    pub(crate) fn find(image: &MemoryImage<'_>, index: &mut Index) -> Self {
        let links_dead = version(image).is_some_and(|version| version >= 0x030e_0000);
        let (known, types) = (HashMap::new(), Vec::new());
        let mut finder = Finder { image, known, types, module: None, links_dead };
        let (mut blocks, mut weak) = (Vec::new(), Vec::new());
        let mut entries = Vec::new();
        let mut window: Option<(u64, Window<'_, '_>)> = None;
        for (range, bounds, _) in index.iter().filter(|(.., used)| *used) {
            // One window goes from the beginning of a range to its end.
            if window.as_ref().is_none_or(|(end, _)| *end != range.end) {
                window = Some((range.end, Window::new(image, range.end)));
            }
            let Some((_, window)) = &mut window else { continue };
            let header = if range.kind == RangeKind::Arena { 8 } else { 0 };
            let size = (bounds.end - bounds.start).saturating_sub(header);
            let block = finder.classify(index, window, bounds.start, size);
            if let Some((PythonBlock::Object(_) | PythonBlock::FreeList, offset)) = block
                && offset > 0
            {
                entries.push(bounds.start + offset);
            }
            if let Some((PythonBlock::Object(it), offset)) = block
                && finder.types[it as usize].words == ObjectWords::Weak
                && let Some(referent) = window.word(bounds.start + offset + WEAK_OBJECT)
            {
                weak.push((u32::try_from(blocks.len()).unwrap_or(NONE), referent));
            }
            blocks.push(block.map(|(block, _)| block));
        }
        entries.into_iter().for_each(|entry| index.set_entry(entry));
        Self { types: finder.types, blocks, weak }
    }

    /// Takes away the edges of objects that can't be pointers which hold something: of numbers and text, and of weak
    /// references. To be called when the edges are those between blocks.
    pub(crate) fn clean_edges(&mut self, edges: &mut Edges, index: &Index) {
        for number in 0..self.blocks.len() {
            let Some(PythonBlock::Object(class)) = self.blocks[number] else { continue };
            let words = self.types[class as usize].words;
            let is_object = |target: u32| {
                let block = self.blocks.get(target as usize).copied().flatten();
                matches!(block, Some(PythonBlock::Object(_) | PythonBlock::FreeList))
            };
            let number = u32::try_from(number).unwrap_or(NONE);
            match words {
                ObjectWords::Pointers | ObjectWords::Weak => {}
                ObjectWords::Numbers => edges.remove(number, |_| true),
                ObjectWords::Bytes => edges.remove(number, is_object),
            }
        }
        for (number, referent) in std::mem::take(&mut self.weak) {
            let referent = index.block_at(referent).map(|(block, _)| block);
            let mut first = true;
            edges.remove(number, |target| {
                Some(target) == referent && std::mem::replace(&mut first, false)
            });
        }
    }

    /// Gives blocks that are no objects the name of an object that points at them. Its attributes begin behind the
    /// beginning of their block (3.11, 3.12), so such a pointer is as good as one to the beginning. To be called when
    /// the edges are those between blocks.
    pub(crate) fn name_buffers(&mut self, edges: &mut Edges) {
        for number in 0..self.blocks.len() {
            let Some(PythonBlock::Object(class)) = self.blocks[number] else { continue };
            let blocks = &mut self.blocks;
            edges.make_exact(u32::try_from(number).unwrap_or(NONE), |target| {
                let Some(target) = blocks.get_mut(target as usize) else { return false };
                matches!(target.get_or_insert(PythonBlock::Buffer(class)), PythonBlock::Buffer(_))
            });
        }
    }

    pub(crate) fn of(&self, number: u32) -> Option<PythonBlock> {
        self.blocks.get(number as usize).copied().flatten()
    }

    pub(crate) fn name(&self, number: u32) -> &str {
        self.types.get(number as usize).map_or("?", |it| &it.name)
    }

    /// How far into its block an object of this type begins.
    pub(crate) fn offset(&self, number: u32) -> u64 {
        self.types.get(number as usize).map_or(0, |it| it.offset)
    }
}

struct Finder<'i, 's> {
    image: &'i MemoryImage<'s>,
    /// Of each word that was taken for a type, what it is.
    known: HashMap<u64, Option<TypeInfo>>,
    types: Vec<PythonType>,
    /// Where the str `__module__` is, which is one for all types.
    module: Option<u64>,
    /// True of 3.14 and later.
    links_dead: bool,
}

/// The version of CPython, as PY_VERSION_HEX has it: the runtime begins with a table for debuggers that has it, since
/// 3.13 (Include/internal/pycore_debug_offsets.h).
fn version(image: &MemoryImage<'_>) -> Option<u64> {
    const COOKIE: &[u8; 8] = b"xdebugpy";
    let mut found = None;
    let mut buffer = vec![0; 1 << 20];
    for region in image.regions().iter().filter(|it| it.is_image_data() && it.perms.read) {
        image.read_range(region.range(), &mut buffer, |address, bytes| {
            let at = bytes.as_chunks().0.iter().position(|word| word == COOKIE);
            found = found.or(at.map(|at| address + 8 * at as u64 + 8));
        });
    }
    image.word(found?)
}

impl Finder<'_, '_> {
    /// What a block is, and where in it the object begins.
    fn classify(
        &mut self,
        index: &Index,
        window: &mut Window<'_, '_>,
        address: u64,
        size: u64,
    ) -> Option<(PythonBlock, u64)> {
        for offset in OFFSETS {
            if offset + 16 > size {
                break;
            }
            let Some(word) = window.word(address + offset + TYPE) else { break };
            let Some(info) = self.type_at(index, word).filter(|info| info.offset == offset) else {
                continue;
            };
            let count = window.word(address + offset)?;
            // A program that lies below 4 GiB has pointers that look like counts.
            let is_pointer = index.block_at(count).is_some();
            if count & NO_COUNT == 0 && !is_pointer {
                let dead = count & u64::from(u32::MAX) == 0;
                let block =
                    if dead { PythonBlock::FreeList } else { PythonBlock::Object(info.number) };
                return Some((block, offset));
            }
            // Since 3.14 the dead are linked by their first word, each to one of its type. Before that, a block that was
            // not wholly written may look so.
            if is_pointer
                && self.links_dead
                && self.image.word(count.wrapping_add(TYPE)) == Some(word)
            {
                return Some((PythonBlock::FreeList, offset));
            }
        }
        None
    }

    fn type_at(&mut self, index: &Index, address: u64) -> Option<TypeInfo> {
        if let Some(known) = self.known.get(&address) {
            return *known;
        }
        // Types are in blocks, or in the data of a program or a library.
        let sound = address.is_multiple_of(8)
            && match index.range_at(address) {
                Some(_) => index.block_at(address).is_some(),
                None => {
                    self.image.region_at(address).is_some_and(|it| it.perms.read && it.perms.write)
                }
            };
        if !sound {
            return None;
        }
        let info = self.read_type(address);
        if self.known.len() < MAX_CANDIDATES {
            self.known.insert(address, info);
        }
        info
    }

    fn read_type(&mut self, address: u64) -> Option<TypeInfo> {
        let metatype = self.image.word(address.checked_add(TYPE)?)?;
        (self.flags(metatype)? & IS_TYPE_TYPE != 0).then_some(())?;
        self.ends_at_type(metatype)?;
        let flags = self.flags(address)?;
        let name = self.c_text(self.image.word(address.checked_add(TYPE_NAME)?)?)?;
        let name = match flags & IS_HEAP_TYPE != 0 && !name.contains('.') {
            true => match self.module_of(address).as_deref() {
                None | Some("builtins") => name,
                Some(module) => format!("{module}.{name}"),
            },
            false => name,
        };
        let number = u32::try_from(self.types.len()).ok()?;
        let parts = [HAS_GC_HEAD, HAS_MANAGED].into_iter().filter(|part| flags & part != 0);
        let offset = 16 * parts.count() as u64;
        let words = ObjectWords::of(&name);
        self.types.push(PythonType { name, offset, words });
        Some(TypeInfo { number, offset })
    }

    /// None unless the types of types end with the one that is its own, and is called so.
    fn ends_at_type(&self, mut metatype: u64) -> Option<()> {
        for _ in 0..MAX_METATYPES {
            let next = self.image.word(metatype.checked_add(TYPE)?)?;
            if next == metatype {
                let name = self.image.word(metatype.checked_add(TYPE_NAME)?)?;
                return (self.c_text(name)? == "type").then_some(());
            }
            metatype = next;
        }
        None
    }

    fn flags(&self, address: u64) -> Option<u64> {
        self.image.word(address.checked_add(TYPE_FLAGS)?)
    }

    /// A name that ends with a NUL.
    fn c_text(&self, address: u64) -> Option<String> {
        let mut bytes = [0; MAX_NAME];
        let read = self.image.read(address, &mut bytes);
        let end = memchr::memchr(0, &bytes[..read]).filter(|&end| end > 0)?;
        let text = std::str::from_utf8(&bytes[..end]).ok()?;
        (!text.chars().any(char::is_control)).then(|| text.to_owned())
    }

    /// `__module__` of a type's dictionary: in its table the value is behind the key, whatever the version.
    fn module_of(&mut self, address: u64) -> Option<String> {
        let dict = self.image.word(address.checked_add(TYPE_DICT)?)?;
        let keys = self.image.word(dict.checked_add(DICT_KEYS)?)?;
        let end = self.image.region_at(keys)?.end.min(keys.saturating_add(MAX_DICT));
        let mut table = vec![0; usize::try_from(end - keys).ok()?];
        let read = self.image.read(keys, &mut table);
        let words = table[..read].as_chunks().0;
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        for pair in words.windows(2).take(self.table_words(&words)) {
            let is_key = match self.module {
                Some(module) => pair[0] == module,
                None => {
                    pair[0].is_multiple_of(8) && self.text(pair[0]).as_deref() == Some("__module__")
                }
            };
            if is_key {
                self.module = Some(pair[0]);
                return self.text(pair[1]);
            }
        }
        None
    }

    /// How many words a dictionary's table has at most, by its size: of 3.11 and later the logarithm, before that
    /// the number itself.
    fn table_words(&self, words: &[u64]) -> usize {
        let Some(&size) = words.get(1) else { return 0 };
        let size =
            if size >> 32 == 0 && size.is_power_of_two() { size } else { 1 << (size & 0x1f) };
        // A header, indices of up to 8 bytes, and entries of up to three words.
        usize::try_from(8 + 4 * size).unwrap_or(usize::MAX)
    }

    fn text(&self, address: u64) -> Option<String> {
        ascii_text(self.image, address)
    }
}

/// A short ASCII str that can be printed.
pub(crate) fn ascii_text(image: &MemoryImage<'_>, address: u64) -> Option<String> {
    let length = image.word(address.checked_add(TEXT_LENGTH)?)?;
    let length = usize::try_from(length).ok().filter(|&it| it > 0 && it < MAX_NAME)?;
    let mut bytes = [0; MAX_NAME + 64];
    let read = image.read(address, &mut bytes);
    let at = |start: u64| {
        let start = usize::try_from(start).ok()?;
        let text = bytes[..read].get(start..start + length)?;
        let ends = bytes[..read].get(start + length) == Some(&0);
        let printable = text.iter().all(|byte| matches!(byte, b' '..=b'~'));
        (ends && printable).then(|| String::from_utf8_lossy(text).into_owned())
    };
    TEXT.into_iter().find_map(at)
}

//! All images that are known, and what is kept of them.

use std::collections::HashMap;
use std::fs::File;
use std::rc::Rc;

use seepmeter_maps::maps::Header;

use crate::elf::Elf;
use crate::frame::{Frame, ImageId};
use crate::image::{Content, ElfFile, Image};
use crate::name::Name;
use crate::open::{self, Identity, Unread};
use crate::perf_map::PerfMap;
use crate::symbols::{Function, Symbols};
use crate::vdso;

/// How many images are kept that no address space uses any more.
pub const MAX_IDLE_IMAGES: usize = 128;
/// How many bytes of unwind tables are kept in images that no address space uses any more.
pub const MAX_IDLE_TABLES: usize = 32 << 20;
/// How many images have their symbols in memory at one time.
pub const MAX_SYMBOLS: usize = 16;
/// How many frames' names are kept.
pub const MAX_NAMES: usize = 1 << 16;
/// Under how many files one image is known: copies of a library have one build-id.
const MAX_COPIES: usize = 16;

/// All images that are known: files by what tells them apart, and by their build-id.
///
/// What it keeps is bounded: the images that living [`AddressSpace`](crate::AddressSpace)s use, and
/// beside them at most [`MAX_IDLE_IMAGES`] with [`MAX_IDLE_TABLES`] bytes of tables, the symbols of
/// [`MAX_SYMBOLS`] images and the names of [`MAX_NAMES`] frames. Each file is one open descriptor.
#[derive(Default)]
pub struct Images {
    known: HashMap<ImageId, Known>,
    keys: HashMap<Key, ImageId>,
    vdso: Option<(u64, Rc<Image>)>,
    /// Those that have their symbols in memory, the latest last.
    with_symbols: Vec<Rc<Image>>,
    names: HashMap<Frame, Rc<[Name]>>,
    next: u32,
    clock: u64,
}

struct Known {
    image: Rc<Image>,
    keys: Vec<Key>,
}

/// What an image is found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    File(Identity),
    BuildId(Box<[u8]>),
    Unread { device: u64, inode: u64, path: Box<[u8]>, why: Unread },
}

impl Images {
    /// Knows none yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many files are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// True where none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Takes the bytes of the vdso from the process that is looked at, instead of our own.
    ///
    /// The kernel gives every 64-bit process the same one, so that this is needed only for a process
    /// that was restored from elsewhere. Bytes that are no ELF file are not taken: then false.
    pub fn set_vdso(&mut self, bytes: &[u8]) -> bool {
        let Some(elf) = Elf::read(bytes) else { return false };
        let content = Content::Memory { elf, bytes: bytes.into() };
        self.vdso = Some((bytes.len() as u64, Rc::new(self.image((*b"[vdso]").into(), content))));
        true
    }

    /// The vdso, where it is as long as a mapping of it.
    pub(crate) fn vdso(&mut self, length: u64) -> Option<Rc<Image>> {
        if self.vdso.is_none() {
            self.set_vdso(&vdso::own()?);
        }
        self.vdso.as_ref().filter(|(own, _)| *own == length).map(|(_, image)| image.clone())
    }

    /// The code that a process generates.
    pub(crate) fn generated(&mut self, pid: i32) -> Rc<Image> {
        let content = Content::Generated(PerfMap::new(pid).into());
        Rc::new(self.image((*b"[jit]").into(), content))
    }

    /// The file behind a mapping of process `pid`.
    pub(crate) fn file(&mut self, pid: i32, header: &Header<'_>) -> Rc<Image> {
        let found = match open::open(pid, header) {
            Ok((file, identity)) => self.opened(pid, header, file, identity),
            Err(why) => Err(why),
        };
        let image = found.unwrap_or_else(|why| self.unread(header, why));
        self.clock += 1;
        image.used.set(self.clock);
        image
    }

    fn opened(
        &mut self,
        pid: i32,
        header: &Header<'_>,
        file: File,
        identity: Identity,
    ) -> Result<Rc<Image>, Unread> {
        let key = Key::File(identity);
        if let Some(image) = self.find(&key) {
            return Ok(image);
        }
        let file = ElfFile::read(file, identity, pid)?;
        let build_id = file.elf.build_id.clone().map(Key::BuildId);
        if let Some(image) = build_id.as_ref().and_then(|key| self.find(key)) {
            self.add_copy(&image, key);
            return Ok(image);
        }
        let path = open::plain_path(header.path).into();
        let keys = [key].into_iter().chain(build_id).collect();
        Ok(self.keep(path, Content::File(file), keys))
    }

    fn unread(&mut self, header: &Header<'_>, why: Unread) -> Rc<Image> {
        let Header { device, inode, path, .. } = *header;
        let key = Key::Unread { device, inode, path: path.into(), why };
        if let Some(image) = self.find(&key) {
            return image;
        }
        let mut named = open::plain_path(path);
        named.extend_from_slice(format!(" ({})", why.word()).as_bytes());
        self.keep(named.into(), Content::Unread(why), vec![key])
    }

    fn find(&self, key: &Key) -> Option<Rc<Image>> {
        self.keys.get(key).and_then(|id| self.known.get(id)).map(|known| known.image.clone())
    }

    fn keep(&mut self, path: Rc<[u8]>, content: Content, keys: Vec<Key>) -> Rc<Image> {
        let image = Rc::new(self.image(path, content));
        self.keys.extend(keys.iter().map(|key| (key.clone(), image.id)));
        self.known.insert(image.id, Known { image: image.clone(), keys });
        image
    }

    /// Another file with the same content. Of many only the latest are remembered, beside the first.
    fn add_copy(&mut self, image: &Image, key: Key) {
        let Some(known) = self.known.get_mut(&image.id) else { return };
        if known.keys.len() >= MAX_COPIES {
            self.keys.remove(&known.keys.remove(2));
        }
        known.keys.push(key.clone());
        self.keys.insert(key, image.id);
    }

    fn image(&mut self, path: Rc<[u8]>, content: Content) -> Image {
        let id = ImageId(self.next);
        self.next += 1;
        Image::new(id, path, content)
    }

    /// Forgets images that no address space uses, the longest unused first, until they are within
    /// bounds.
    pub(crate) fn make_room(&mut self) {
        let own = |image: &Rc<Image>| {
            1 + usize::from(self.with_symbols.iter().any(|other| Rc::ptr_eq(other, image)))
        };
        let images = self.known.values().map(|known| &known.image);
        let idle = images.filter(|image| Rc::strong_count(image) == own(image));
        let mut idle: Vec<(u64, ImageId, usize)> =
            idle.map(|image| (image.used.get(), image.id, image.weight())).collect();
        idle.sort_unstable_by(|one, other| other.cmp(one));
        let (mut count, mut bytes) = (0, 0);
        for (_, id, weight) in idle {
            (count, bytes) = (count + 1, bytes + weight);
            if count > MAX_IDLE_IMAGES || bytes > MAX_IDLE_TABLES {
                self.forget(id);
            }
        }
    }

    fn forget(&mut self, id: ImageId) {
        self.with_symbols.retain(|image| image.id != id);
        for key in self.known.remove(&id).into_iter().flat_map(|known| known.keys) {
            self.keys.remove(&key);
        }
    }

    /// Who a frame of an image is.
    pub(crate) fn name(&mut self, frame: &Frame, image: Option<&Rc<Image>>) -> Rc<[Name]> {
        if let Some(names) = self.names.get(frame) {
            return names.clone();
        }
        let Some(image) = image else { return [nameless((*b"?").into(), frame)].into() };
        if let Content::Generated(map) = &image.content {
            // Not kept: another function can lie there tomorrow.
            return [generated(&mut map.borrow_mut(), image, frame)].into();
        }
        let found = self.functions(image, frame.lookup());
        let names: Rc<[Name]> = if found.is_empty() {
            [nameless(image.path.clone(), frame)].into()
        } else {
            found.into_iter().map(|function| named(function, image, frame)).collect()
        };
        if self.names.len() >= MAX_NAMES {
            self.names.clear();
        }
        self.names.insert(*frame, names.clone());
        names
    }

    fn functions(&mut self, image: &Rc<Image>, address: u64) -> Vec<Function> {
        match &image.content {
            Content::File(file) if file.is_unchanged() => {
                self.keep_symbols(image);
                let mut symbols = image.symbols.borrow_mut();
                symbols.get_or_insert_with(|| Symbols::of(file)).functions(address)
            }
            Content::Memory { bytes, .. } => vdso::function(bytes, address).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Notes that an image's symbols are used, and drops those that were not for longest.
    fn keep_symbols(&mut self, image: &Rc<Image>) {
        match self.with_symbols.iter().position(|other| other.id == image.id) {
            Some(at) => self.with_symbols[at..].rotate_left(1),
            None => self.with_symbols.push(image.clone()),
        }
        if self.with_symbols.len() > MAX_SYMBOLS {
            *self.with_symbols.remove(0).symbols.borrow_mut() = None;
        }
    }
}

fn nameless(module: Rc<[u8]>, frame: &Frame) -> Name {
    Name { function: None, module, offset: frame.address, file: None, line: None, inlined: false }
}

fn generated(map: &mut PerfMap, image: &Image, frame: &Frame) -> Name {
    let plain = nameless(image.path.clone(), frame);
    match map.function(frame.lookup()) {
        Some((name, offset)) => {
            Name { function: Some(name), offset: offset + u64::from(frame.call), ..plain }
        }
        None => plain,
    }
}

fn named(function: Function, image: &Image, frame: &Frame) -> Name {
    let Function { name, offset, file, line, inlined } = function;
    Name {
        function: Some(name.into()),
        module: image.path.clone(),
        offset: offset + u64::from(frame.call),
        file: file.map(Rc::new),
        line,
        inlined,
    }
}

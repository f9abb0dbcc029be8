//! All images that are known, and what is kept of them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::rc::Rc;

use seepmeter_maps::maps::MappingHeader;

use crate::elf::Elf;
use crate::frame::{ImageKey, RawFrame};
use crate::image::{Content, ElfFile, Image};
use crate::open::{self, FileVersion, OpenedFile, UnreadReason};
use crate::perf_map::PerfMap;
use crate::resolved::{Function, ImageKind, ResolvedFrame};
use crate::symbols::Symbols;
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

/// All images that are known, by their files and by their build-ids.
///
/// What it keeps is bounded: the images that living [`AddressSpace`](crate::AddressSpace)s use, and
/// beside them at most [`MAX_IDLE_IMAGES`] with [`MAX_IDLE_TABLES`] bytes of tables, the symbols of
/// [`MAX_SYMBOLS`] images and the names of [`MAX_NAMES`] frames. Each file is one open descriptor.
#[derive(Default)]
pub struct Images {
    kept: HashMap<ImageKey, KeptImage>,
    by_origin: HashMap<Origin, ImageKey>,
    vdso: Option<Vdso>,
    /// Those that have their symbols in memory, the latest last.
    with_symbols: Vec<Rc<Image>>,
    resolved: HashMap<RawFrame, Rc<ResolvedFrame>>,
    next: u32,
    clock: u64,
}

struct KeptImage {
    image: Rc<Image>,
    origins: Vec<Origin>,
}

struct Vdso {
    /// Of its mapping, in bytes.
    length: u64,
    image: Rc<Image>,
}

/// What an image is found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Origin {
    File(FileVersion),
    BuildId(Rc<[u8]>),
    Unread { device: u64, inode: u64, path: Box<[u8]>, reason: UnreadReason },
}

impl Images {
    /// Starts with none.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many files are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// True if none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Takes the bytes of the vdso from the process that is sampled, instead of our own.
    ///
    /// The kernel gives every 64-bit process the same one, so this is needed only for a process that was
    /// restored from elsewhere. Returns false, and takes nothing, if the bytes are no ELF file.
    pub fn set_vdso(&mut self, bytes: &[u8]) -> bool {
        let Some(elf) = Elf::read(bytes) else { return false };
        let content = Content::Memory { elf, bytes: bytes.into() };
        let image = self.image(ImageKind::Vdso, (*b"[vdso]").into(), content);
        self.vdso = Some(Vdso { length: bytes.len() as u64, image });
        true
    }

    /// The vdso, if it is as long as a mapping of it.
    pub(crate) fn vdso(&mut self, length: u64) -> Option<Rc<Image>> {
        if self.vdso.is_none() {
            self.set_vdso(&vdso::own()?);
        }
        self.vdso.as_ref().filter(|own| own.length == length).map(|own| own.image.clone())
    }

    /// The code that a process generates.
    pub(crate) fn generated(&mut self, pid: i32) -> Rc<Image> {
        let content = Content::Generated(PerfMap::new(pid).into());
        self.image(ImageKind::Generated, (*b"[jit]").into(), content)
    }

    /// The file behind a mapping of process `pid`.
    pub(crate) fn file(&mut self, pid: i32, header: &MappingHeader<'_>) -> Rc<Image> {
        let opened = open::open(pid, header);
        let found = opened.and_then(|opened| self.opened(pid, header, opened));
        let image = found.unwrap_or_else(|reason| self.unread(header, reason));
        self.clock += 1;
        image.used.set(self.clock);
        image
    }

    fn opened(
        &mut self,
        pid: i32,
        header: &MappingHeader<'_>,
        opened: OpenedFile,
    ) -> Result<Rc<Image>, UnreadReason> {
        let origin = Origin::File(opened.version);
        if let Some(image) = self.find(&origin) {
            return Ok(image);
        }
        let file = ElfFile::read(opened, pid)?;
        let build_id = file.elf.build_id.clone().map(Origin::BuildId);
        if let Some(image) = build_id.as_ref().and_then(|origin| self.find(origin)) {
            self.add_copy(&image, origin);
            return Ok(image);
        }
        let path = open::plain_path(header.path).into();
        let image = self.image(ImageKind::File, path, Content::File(file));
        Ok(self.keep(image, [origin].into_iter().chain(build_id).collect()))
    }

    fn unread(&mut self, header: &MappingHeader<'_>, reason: UnreadReason) -> Rc<Image> {
        let MappingHeader { device, inode, path, .. } = *header;
        let origin = Origin::Unread { device, inode, path: path.into(), reason };
        if let Some(image) = self.find(&origin) {
            return image;
        }
        let path = open::plain_path(path).into();
        let image = self.image(ImageKind::Unread(reason), path, Content::Unread);
        self.keep(image, vec![origin])
    }

    fn find(&self, origin: &Origin) -> Option<Rc<Image>> {
        self.by_origin.get(origin).and_then(|key| self.kept.get(key)).map(|kept| kept.image.clone())
    }

    fn keep(&mut self, image: Rc<Image>, origins: Vec<Origin>) -> Rc<Image> {
        self.by_origin.extend(origins.iter().map(|origin| (origin.clone(), image.key())));
        self.kept.insert(image.key(), KeptImage { image: image.clone(), origins });
        image
    }

    /// Another file with the same content. Of many only the latest are kept, beside the first.
    fn add_copy(&mut self, image: &Image, origin: Origin) {
        let Some(kept) = self.kept.get_mut(&image.key()) else { return };
        if kept.origins.len() >= MAX_COPIES {
            self.by_origin.remove(&kept.origins.remove(2));
        }
        kept.origins.push(origin.clone());
        self.by_origin.insert(origin, image.key());
    }

    fn image(&mut self, kind: ImageKind, path: Rc<[u8]>, content: Content) -> Rc<Image> {
        let key = ImageKey(self.next);
        self.next += 1;
        Rc::new(Image::new(key, kind, path, content))
    }

    /// Forgets images that no address space uses, the longest unused first, until they are within
    /// bounds.
    pub(crate) fn make_room(&mut self) {
        let own = |image: &Rc<Image>| {
            1 + usize::from(self.with_symbols.iter().any(|other| Rc::ptr_eq(other, image)))
        };
        let images = self.kept.values().map(|kept| &kept.image);
        let idle = images.filter(|image| Rc::strong_count(image) == own(image));
        let mut idle: Vec<Rc<Image>> = idle.cloned().collect();
        idle.sort_unstable_by_key(|image| Reverse((image.used.get(), image.key())));
        let mut bytes = 0;
        for (index, image) in idle.iter().enumerate() {
            bytes += image.weight();
            if index >= MAX_IDLE_IMAGES || bytes > MAX_IDLE_TABLES {
                self.forget(image.key());
            }
        }
    }

    fn forget(&mut self, key: ImageKey) {
        self.with_symbols.retain(|image| image.key() != key);
        for origin in self.kept.remove(&key).into_iter().flat_map(|kept| kept.origins) {
            self.by_origin.remove(&origin);
        }
    }

    /// The names of a frame of an image.
    pub(crate) fn resolve(
        &mut self,
        raw: &RawFrame,
        image: Option<&Rc<Image>>,
    ) -> Rc<ResolvedFrame> {
        if let Some(resolved) = self.resolved.get(raw) {
            return resolved.clone();
        }
        let functions = image.map(|image| self.functions(image, raw)).unwrap_or_default();
        let identity = image.map(|image| image.identity.clone());
        let functions = functions.into();
        let resolved = Rc::new(ResolvedFrame { raw: *raw, image: identity, functions });
        // In generated code another function can lie there tomorrow, so its names are not kept.
        if image.is_some_and(|image| image.identity.kind != ImageKind::Generated) {
            if self.resolved.len() >= MAX_NAMES {
                self.resolved.clear();
            }
            self.resolved.insert(*raw, resolved.clone());
        }
        resolved
    }

    fn functions(&mut self, image: &Rc<Image>, raw: &RawFrame) -> Vec<Function> {
        let address = raw.lookup();
        let mut functions = match &image.content {
            Content::File(file) if file.is_unchanged() => {
                self.keep_symbols(image);
                let mut symbols = image.symbols.borrow_mut();
                symbols.get_or_insert_with(|| Symbols::of(file)).functions(address)
            }
            Content::Memory { bytes, .. } => vdso::function(bytes, address).into_iter().collect(),
            Content::Generated(map) => map.borrow_mut().function(address).into_iter().collect(),
            Content::File(_) | Content::Unread => Vec::new(),
        };
        for function in &mut functions {
            function.offset += u64::from(raw.is_return_address);
        }
        functions
    }

    /// Notes that an image's symbols are used, and drops those that were not for longest.
    fn keep_symbols(&mut self, image: &Rc<Image>) {
        match self.with_symbols.iter().position(|other| Rc::ptr_eq(other, image)) {
            Some(at) => self.with_symbols[at..].rotate_left(1),
            None => self.with_symbols.push(image.clone()),
        }
        if self.with_symbols.len() > MAX_SYMBOLS {
            *self.with_symbols.remove(0).symbols.borrow_mut() = None;
        }
    }
}

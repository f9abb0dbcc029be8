//! All code of an address space, and the unwinder that knows its tables.

use std::cell::RefCell;
use std::rc::Rc;

use framehop::{
    CacheNative, ExplicitModuleSectionInfo, MayAllocateDuringUnwind, Module, Unwinder,
    UnwinderNative,
};

use crate::arch;
use crate::elf::{Elf, Section, Tables};
use crate::frame::Frame;
use crate::image::Image;

/// An executable mapping.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// What is added to an address of the image to have it in the address space; it wraps.
    pub(crate) bias: u64,
    pub(crate) image: Rc<Image>,
}

/// The executable mappings of an address space.
pub(crate) struct Code {
    regions: Vec<Region>,
    pub(crate) unwinder: UnwinderNative<Rc<[u8]>, MayAllocateDuringUnwind>,
    pub(crate) state: RefCell<State>,
}

/// What is remembered from one unwinding to the next.
pub(crate) struct State {
    /// framehop's rules by address. They belong to one unwinder: its counter of changes has 16 bits,
    /// and a cache that outlived many would find the rules of another.
    pub(crate) rules: CacheNative<MayAllocateDuringUnwind>,
    seen: Box<[Option<Seen>]>,
}

/// What an address is.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    key: (u64, bool),
    pub(crate) frame: Frame,
    /// It returns to the kernel from a signal handler.
    pub(crate) trampoline: bool,
}

/// How many addresses are remembered: 40 KB of them. A thousand cover what dozens of threads do.
const SEEN: usize = 1021;

impl Code {
    /// Makes an unwinder of mappings that are in order and do not overlap.
    pub(crate) fn new(regions: Vec<Region>) -> Self {
        let mut unwinder = UnwinderNative::new();
        for region in &regions {
            let Some(elf) = region.image.elf() else { continue };
            unwinder.add_module(module(region, elf));
        }
        let state = State { rules: CacheNative::new(), seen: vec![None; SEEN].into() };
        Self { regions, unwinder, state: RefCell::new(state) }
    }

    pub(crate) fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn region(&self, address: u64) -> Option<&Region> {
        let after = self.regions.partition_point(|region| region.start <= address);
        self.regions[..after].last().filter(|region| address < region.end)
    }

    /// What an address is; none where there is no code. With `call` it is where a call returns to.
    pub(crate) fn look_up(&self, address: u64, call: bool, state: &mut State) -> Option<Seen> {
        let key = (address, call);
        let slot = (address % SEEN as u64) as usize;
        if let Some(seen) = state.seen[slot].filter(|seen| seen.key == key) {
            return Some(seen);
        }
        let region = self.region(address.checked_sub(u64::from(call))?)?;
        let within = address.wrapping_sub(region.bias);
        let seen = Seen {
            key,
            frame: Frame { image: region.image.id, address: within, call },
            trampoline: region.image.has_code(within, &arch::TRAMPOLINE),
        };
        state.seen[slot] = Some(seen);
        Some(seen)
    }
}

/// Tells framehop where an image's tables are.
fn module(region: &Region, elf: &Elf) -> Module<Rc<[u8]>> {
    let base = elf.base();
    let Tables { eh_frame, eh_frame_hdr, debug_frame, text, got } = elf.tables.clone();
    let split = |section: Option<Section>| section.map(|it| (it.range, it.bytes)).unzip();
    let (eh_frame_svma, eh_frame) = split(eh_frame);
    let (eh_frame_hdr_svma, eh_frame_hdr) = split(eh_frame_hdr);
    let info = ExplicitModuleSectionInfo {
        base_svma: base,
        text_svma: Some(text),
        got_svma: Some(got),
        eh_frame_svma,
        eh_frame,
        eh_frame_hdr_svma,
        eh_frame_hdr,
        debug_frame: debug_frame.map(|section| section.bytes),
        ..ExplicitModuleSectionInfo::default()
    };
    let range = region.start..region.end;
    Module::new(String::new(), range, base.wrapping_add(region.bias), info)
}

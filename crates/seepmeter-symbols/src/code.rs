//! All code of an address space, and what is known of its addresses.

use std::cell::RefCell;
use std::rc::Rc;

use gimli::UnwindContext;

use crate::arch;
use crate::frame::Frame;
use crate::image::Image;
use crate::step::Step;
use crate::tables::Row;

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
    /// In order; they do not overlap.
    regions: Vec<Region>,
    pub(crate) state: RefCell<State>,
}

/// What is remembered from one unwinding to the next.
pub(crate) struct State {
    seen: Box<[Option<Seen>]>,
    /// gimli's, for reading the tables.
    context: UnwindContext<usize>,
}

/// What an address is.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    key: (u64, bool),
    pub(crate) frame: Frame,
    pub(crate) step: Step,
}

/// How many addresses are remembered, in 80 bytes each. A thousand cover what dozens of threads do.
const SEEN: usize = 1021;

impl Code {
    pub(crate) fn new(regions: Vec<Region>) -> Self {
        let state = State { seen: vec![None; SEEN].into(), context: UnwindContext::new() };
        Self { regions, state: RefCell::new(state) }
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
        let (frame, step) = look_up(region, address, call, &mut state.context);
        let seen = Seen { key, frame, step };
        state.seen[slot] = Some(seen);
        Some(seen)
    }

    /// What the tables say of an address, and what they call it.
    pub(crate) fn row<'a>(&'a self, frame: &Frame, at: u64, state: &mut State) -> Option<Row<'a>> {
        let region = self.region(at.checked_sub(u64::from(frame.call))?)?;
        region.image.elf()?.tables.row(frame.lookup(), &mut state.context)
    }

    /// True where a call to somewhere ends right before `address`.
    pub(crate) fn follows_call(&self, address: u64) -> bool {
        self.region(address)
            .is_some_and(|region| region.image.follows_call(address.wrapping_sub(region.bias)))
    }
}

fn look_up(
    region: &Region,
    address: u64,
    call: bool,
    context: &mut UnwindContext<usize>,
) -> (Frame, Step) {
    let image = &region.image;
    let mut frame = Frame { image: image.id, address: address.wrapping_sub(region.bias), call };
    if image.has_code(frame.address, &arch::TRAMPOLINE) {
        // Nothing called it, and the function that it is in begins right there.
        frame.call = false;
        return (frame, Step::Handler);
    }
    let row = image.elf().and_then(|elf| elf.tables.row(frame.lookup(), context));
    let guess = Step::Guess { file: image.elf().is_some() };
    (frame, row.map_or(guess, |row| Step::of(&row)))
}

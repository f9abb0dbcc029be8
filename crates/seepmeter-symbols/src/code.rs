//! All code of an address space, and what is known of its addresses.

use std::cell::RefCell;
use std::rc::Rc;

use gimli::UnwindContext;

use crate::arch;
use crate::frame::RawFrame;
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
    known: Box<[Option<AddressInfo>]>,
    /// gimli's, for reading the tables.
    context: UnwindContext<usize>,
}

/// What is known of an address: the frame there, and how to leave it.
#[derive(Clone, Copy)]
pub(crate) struct AddressInfo {
    /// In the address space.
    address: u64,
    is_return_address: bool,
    pub(crate) frame: RawFrame,
    pub(crate) step: Step,
}

/// How many addresses are remembered, in 80 bytes each. A thousand cover what dozens of threads do.
const KNOWN: usize = 1021;

impl Code {
    pub(crate) fn new(regions: Vec<Region>) -> Self {
        let state = State { known: vec![None; KNOWN].into(), context: UnwindContext::new() };
        Self { regions, state: RefCell::new(state) }
    }

    pub(crate) fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn region(&self, address: u64) -> Option<&Region> {
        let after = self.regions.partition_point(|region| region.start <= address);
        self.regions[..after].last().filter(|region| address < region.end)
    }

    /// What is known of an address; none if there is no code. With `call` it is where a call returns to.
    pub(crate) fn look_up(
        &self,
        address: u64,
        call: bool,
        state: &mut State,
    ) -> Option<AddressInfo> {
        let slot = (address % KNOWN as u64) as usize;
        if let Some(info) = state.known[slot]
            .filter(|info| info.address == address && info.is_return_address == call)
        {
            return Some(info);
        }
        let region = self.region(address.checked_sub(u64::from(call))?)?;
        let info = look_up(region, address, call, &mut state.context);
        state.known[slot] = Some(info);
        Some(info)
    }

    /// The row of the unwind tables for an address.
    pub(crate) fn row<'a>(
        &'a self,
        frame: &RawFrame,
        at: u64,
        state: &mut State,
    ) -> Option<Row<'a>> {
        let region = self.region(at.checked_sub(u64::from(frame.is_return_address))?)?;
        region.image.elf()?.tables.row(frame.lookup(), &mut state.context)
    }

    /// True if a call ends right before `address`.
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
) -> AddressInfo {
    let image = &region.image;
    let mut frame = RawFrame {
        image: image.key(),
        address: address.wrapping_sub(region.bias),
        is_return_address: call,
    };
    let info = |frame, step| AddressInfo { address, is_return_address: call, frame, step };
    if image.has_code(frame.address, &arch::TRAMPOLINE) {
        // Nothing called it, and the function that it is in begins right there.
        frame.is_return_address = false;
        return info(frame, Step::Handler);
    }
    let row = image.elf().and_then(|elf| elf.tables.row(frame.lookup(), context));
    let guess = Step::Guess { file: image.elf().is_some() };
    info(frame, row.map_or(guess, |row| Step::of(&row)))
}

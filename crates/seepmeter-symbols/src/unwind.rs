//! Following a stack from its first frame to its last.

use crate::arch;
use crate::code::{AddressInfo, Code, State};
use crate::frame::{RawFrame, StackCopy, StackEnd, UnwindFailure, UnwindRegisters};
use crate::stack::Reader;
use crate::step::{self, Step};

/// The most frames that a stack is followed for. A recursion is deeper than anybody reads by then.
pub const MAX_FRAMES: usize = 2048;

/// Appends the frames of a stack to `frames`, the innermost first.
pub(crate) fn walk(
    code: &Code,
    start: &UnwindRegisters,
    copy: StackCopy<'_>,
    limit: u64,
    frames: &mut Vec<RawFrame>,
) -> StackEnd {
    let state = &mut code.state.borrow_mut();
    let stack = Reader::new(copy, limit);
    let mut walk = Walk { code, state, stack, registers: *start, first: true };
    let mut info = match code.look_up(start.ip, false, walk.state) {
        Some(info) => info,
        None => return StackEnd::Broken(UnwindFailure::NoCode { address: start.ip }),
    };
    for _ in 0..MAX_FRAMES {
        frames.push(info.frame);
        info = match walk.leave(&info) {
            Ok(caller) => caller,
            Err(end) => return end,
        };
    }
    StackEnd::Deep
}

/// A stack that is being followed.
struct Walk<'a> {
    code: &'a Code,
    state: &'a mut State,
    stack: Reader<'a>,
    /// Those of the frame that is left next.
    registers: UnwindRegisters,
    /// It is the frame that the thread was in, or one that a signal interrupted: it has called nothing.
    first: bool,
}

impl Walk<'_> {
    /// Goes to the caller.
    fn leave(&mut self, info: &AddressInfo) -> Result<AddressInfo, StackEnd> {
        if info.step == Step::Root {
            return Err(StackEnd::Root);
        }
        let Some(caller) = self.caller(info) else {
            let missing = self.stack.missing;
            let cut = StackEnd::Cut { missing };
            return Err(if missing > 0 {
                cut
            } else {
                StackEnd::Broken(UnwindFailure::NotOnStack)
            });
        };
        if caller.ip == 0 {
            return Err(self.ended_by_zero(info.step));
        }
        let signal = info.step == Step::Handler;
        // A signal's handler may have a stack of its own. Otherwise only a function that has not
        // touched the stack yet leaves it where it is, and only if a return address comes in a
        // register.
        let leaf = arch::LINKS && self.first && caller.sp == self.registers.sp;
        if caller.sp <= self.registers.sp && !leaf && !signal {
            return Err(StackEnd::Broken(UnwindFailure::Backwards));
        }
        (self.registers, self.first) = (caller, signal);
        let found = self.code.look_up(caller.ip, !signal, self.state);
        found.ok_or(StackEnd::Broken(UnwindFailure::NoCode { address: caller.ip }))
    }

    fn caller(&mut self, info: &AddressInfo) -> Option<UnwindRegisters> {
        let Self { code, state, stack, registers, first } = self;
        match info.step {
            Step::Root => None,
            Step::Plain(rule) => rule.caller(registers, *first, stack),
            Step::Worked => {
                let row = code.row(&info.frame, registers.ip, state)?;
                step::worked(&row, registers, stack)
            }
            Step::Handler => arch::interrupted(registers.sp, stack),
            Step::Guess { file } => self.guess(file),
        }
    }

    /// The caller if there is no table. Stubs, such as those by which a library is called, have put
    /// nothing on the stack. That is assumed if the word there is an address that a call returns to.
    fn guess(&mut self, file: bool) -> Option<UnwindRegisters> {
        if self.first && file {
            let caller = step::by_return(&self.registers, &mut self.stack);
            if let Some(caller) = caller.filter(|caller| self.code.follows_call(caller.ip)) {
                return Some(caller);
            }
        }
        if self.registers.fp == 0 {
            return Some(UnwindRegisters::default());
        }
        step::by_frame_pointer(&self.registers, &mut self.stack)
    }

    fn ended_by_zero(&self, step: Step) -> StackEnd {
        match step {
            Step::Guess { .. } => StackEnd::FramePointersEnd,
            _ => StackEnd::Root,
        }
    }
}

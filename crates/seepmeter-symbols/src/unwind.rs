//! Following a stack from its first frame to its last.

use crate::arch;
use crate::code::{Code, Seen, State};
use crate::frame::{Break, End, Frame, Registers, StackCopy};
use crate::stack::Reader;
use crate::step::{self, Step};

/// The most frames that a stack is followed for. A recursion is deeper than anybody reads by then.
pub const MAX_FRAMES: usize = 2048;

/// Appends the frames of a stack to `frames`, the innermost first.
pub(crate) fn walk(
    code: &Code,
    start: &Registers,
    copy: StackCopy<'_>,
    limit: u64,
    frames: &mut Vec<Frame>,
) -> End {
    let state = &mut code.state.borrow_mut();
    let stack = Reader::new(copy, limit);
    let mut walk = Walk { code, state, stack, registers: *start, first: true };
    let mut seen = match code.look_up(start.ip, false, walk.state) {
        Some(seen) => seen,
        None => return End::Broken(Break::NoCode { address: start.ip }),
    };
    for _ in 0..MAX_FRAMES {
        frames.push(seen.frame);
        seen = match walk.leave(&seen) {
            Ok(caller) => caller,
            Err(end) => return end,
        };
    }
    End::Deep
}

/// A stack that is being followed.
struct Walk<'a> {
    code: &'a Code,
    state: &'a mut State,
    stack: Reader<'a>,
    /// Those of the frame that is left next.
    registers: Registers,
    /// It is the frame that the thread was in, or one that a signal interrupted: it has called nothing.
    first: bool,
}

impl Walk<'_> {
    /// Goes to the caller.
    fn leave(&mut self, seen: &Seen) -> Result<Seen, End> {
        if seen.step == Step::Root {
            return Err(End::Root);
        }
        let Some(caller) = self.caller(seen) else {
            let missing = self.stack.missing;
            let cut = End::Cut { missing };
            return Err(if missing > 0 { cut } else { End::Broken(Break::NotOnStack) });
        };
        if caller.ip == 0 {
            return Err(self.ended_by_zero(seen.step));
        }
        let signal = seen.step == Step::Handler;
        // A signal's handler may have a stack of its own. Otherwise only a function that has not
        // touched the stack yet leaves it where it is, and only where a return address comes in a
        // register.
        let leaf = arch::LINKS && self.first && caller.sp == self.registers.sp;
        if caller.sp <= self.registers.sp && !leaf && !signal {
            return Err(End::Broken(Break::Backwards));
        }
        (self.registers, self.first) = (caller, signal);
        let found = self.code.look_up(caller.ip, !signal, self.state);
        found.ok_or(End::Broken(Break::NoCode { address: caller.ip }))
    }

    fn caller(&mut self, seen: &Seen) -> Option<Registers> {
        let Self { code, state, stack, registers, first } = self;
        match seen.step {
            Step::Root => None,
            Step::Plain(rule) => rule.caller(registers, *first, stack),
            Step::Worked => {
                let row = code.row(&seen.frame, registers.ip, state)?;
                step::worked(&row, registers, stack)
            }
            Step::Handler => arch::interrupted(registers.sp, stack),
            Step::Guess { file } => self.guess(file),
        }
    }

    /// Where there is no table. Stubs, such as those by which a library is called, have put nothing on
    /// the stack; that is taken for true where what stands there is where a call returns to.
    fn guess(&mut self, file: bool) -> Option<Registers> {
        if self.first && file {
            let caller = step::by_return(&self.registers, &mut self.stack);
            if let Some(caller) = caller.filter(|caller| self.code.follows_call(caller.ip)) {
                return Some(caller);
            }
        }
        if self.registers.fp == 0 {
            return Some(Registers::default());
        }
        step::by_frame_pointer(&self.registers, &mut self.stack)
    }

    fn ended_by_zero(&self, step: Step) -> End {
        match step {
            Step::Guess { .. } => End::FramePointersEnd,
            _ => End::Root,
        }
    }
}

//! Following a stack from its first frame to its last.

use framehop::{FrameAddress, UnwindRegsNative, Unwinder as _};

use crate::arch;
use crate::code::{Code, Seen, State};
use crate::frame::{Break, End, Frame, Registers, StackCopy};
use crate::stack::Reader;

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
    let mut state = code.state.borrow_mut();
    let Some(seen) = code.look_up(start.ip, false, &mut state) else {
        return End::Broken(Break::NoCode { address: start.ip });
    };
    let mut walk = Walk {
        code,
        state: &mut state,
        stack: Reader::new(copy, limit),
        registers: arch::registers(start),
        at: FrameAddress::from_instruction_pointer(start.ip),
    };
    let most = frames.len() + MAX_FRAMES;
    let mut last = seen;
    while frames.len() < most {
        frames.push(last.frame);
        let next = if last.trampoline { walk.leave_handler() } else { walk.leave_function() };
        match next {
            Ok(seen) => last = seen,
            Err(end) => return end,
        }
    }
    End::Deep
}

/// A stack that is being followed.
struct Walk<'a> {
    code: &'a Code,
    state: &'a mut State,
    stack: Reader<'a>,
    registers: UnwindRegsNative,
    at: FrameAddress,
}

impl Walk<'_> {
    /// To the caller.
    fn leave_function(&mut self) -> Result<Seen, End> {
        let (sp, fp) = (self.registers.sp(), arch::frame_pointer(&self.registers));
        let next = self.step();
        // framehop tries frame pointers where a table could not be followed. Where it could not be
        // followed because the copy is too short, those would find what is not the caller.
        if self.stack.missing > 0 {
            return Err(End::Cut { missing: self.stack.missing });
        }
        let address = match next {
            Ok(Some(address)) => address,
            Ok(None) => return Err(self.root(fp)),
            Err(_) => return Err(End::Broken(Break::NotOnStack)),
        };
        // Only a function that has not touched the stack yet leaves it where it is, and only where
        // return addresses come in a register.
        let moved = self.registers.sp() > sp;
        let leaf = cfg!(target_arch = "aarch64") && self.registers.sp() == sp;
        if !moved && !(leaf && !self.at.is_return_address()) {
            return Err(End::Broken(Break::Backwards));
        }
        let at = FrameAddress::from_return_address(address);
        self.arrive(address, at)
    }

    fn step(&mut self) -> Result<Option<u64>, framehop::Error> {
        let Self { code, state, stack, registers, at } = self;
        code.unwinder.unwind_frame(*at, registers, &mut state.rules, &mut |at| stack.read(at))
    }

    /// From the end of a signal handler to what the signal interrupted.
    fn leave_handler(&mut self) -> Result<Seen, End> {
        let found = arch::interrupted(self.registers.sp(), &mut self.stack);
        let Some(found) = found else {
            let missing = self.stack.missing;
            let cut = End::Cut { missing };
            return Err(if missing > 0 { cut } else { End::Broken(Break::NotOnStack) });
        };
        self.registers = arch::registers(&found);
        self.arrive(found.ip, Some(FrameAddress::from_instruction_pointer(found.ip)))
    }

    fn arrive(&mut self, address: u64, at: Option<FrameAddress>) -> Result<Seen, End> {
        let no_code = End::Broken(Break::NoCode { address });
        self.at = at.ok_or(no_code)?;
        let call = self.at.is_return_address();
        self.code.look_up(address, call, self.state).ok_or(no_code)
    }

    /// Which kind of root this is. framehop says no more than that there is no caller. But a table
    /// that says so says it without looking at the stack, whatever the frame pointer is.
    fn root(&mut self, fp: u64) -> End {
        let mut registers = self.registers;
        let sp = registers.sp();
        arch::set_frame_pointer(&mut registers, sp);
        let rules = &mut self.state.rules;
        let told =
            self.code.unwinder.unwind_frame(self.at, &mut registers, rules, &mut |_| Err(()));
        if fp == 0 && told != Ok(None) { End::FramePointerZero } else { End::Root }
    }
}

//! One step along a stack: from a frame's registers to its caller's.

use gimli::{Encoding, Evaluation, EvaluationResult, Expression, Location, Register, Value};

use crate::arch;
use crate::frame::UnwindRegisters;
use crate::stack::Reader;
use crate::tables::{Cfa, Row, Rule, Slice};

/// How to step from one address, as far as the address alone says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is no caller.
    Root,
    /// By a rule of the common kind.
    Plain(Plain),
    /// By a rule that is worked out each time.
    Worked,
    /// The kernel has put the registers on the stack.
    Handler,
    /// There is no table. Code of a file can be a stub that has not touched the stack.
    Guess { file: bool },
}

/// The common kind of rule: the frame begins at a distance from a register, and what was stored is at
/// a distance from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    from_fp: bool,
    cfa: i32,
    fp: Option<i32>,
    /// None if the link register has it.
    ra: Option<i32>,
}

/// How many operations an expression may take. Those of compilers and libraries take ten.
const MAX_OPERATIONS: u32 = 1000;

impl Step {
    pub(crate) fn of(row: &Row<'_>) -> Self {
        if matches!(row.ra, Rule::Undefined) {
            return Self::Root;
        }
        Plain::of(row).map_or(Self::Worked, Self::Plain)
    }
}

impl Plain {
    fn of(row: &Row<'_>) -> Option<Self> {
        let Cfa::Register(register, offset) = row.cfa else { return None };
        let stored = |rule: &Rule<'_>| match rule {
            Rule::Same | Rule::Undefined => Some(None),
            Rule::At(offset) => i32::try_from(*offset).ok().map(Some),
            _ => None,
        };
        let from_fp = register == arch::FP;
        let known = from_fp || register == arch::SP;
        let (cfa, fp, ra) = (i32::try_from(offset).ok()?, stored(&row.fp)?, stored(&row.ra)?);
        (known && (ra.is_some() || arch::LINKS)).then_some(Self { from_fp, cfa, fp, ra })
    }

    /// The caller's registers; none if the copy does not hold them.
    pub(crate) fn caller(
        self,
        registers: &UnwindRegisters,
        first: bool,
        stack: &mut Reader<'_>,
    ) -> Option<UnwindRegisters> {
        let from = if self.from_fp { registers.fp } else { registers.sp };
        let cfa = from.wrapping_add_signed(self.cfa.into());
        let ip = match self.ra {
            Some(offset) => stack.read(cfa.wrapping_add_signed(offset.into())).ok()?,
            None => registers.lr,
        };
        let fp = match self.fp.map(|offset| cfa.wrapping_add_signed(offset.into())) {
            // An epilogue that has taken it from the stack already, if the table does not say so.
            Some(at) if first && at < registers.sp => registers.fp,
            Some(at) => stack.read(at).ok()?,
            None => registers.fp,
        };
        Some(caller(ip, cfa, fp))
    }
}

fn caller(ip: u64, sp: u64, fp: u64) -> UnwindRegisters {
    let ip = arch::plain(ip);
    UnwindRegisters { ip, sp, fp, lr: ip }
}

/// The caller's registers by frame pointers: the frame pointer shows where the caller's is stored, and
/// behind that is the return address. Both architectures' ABIs have it so.
pub(crate) fn by_frame_pointer(
    registers: &UnwindRegisters,
    stack: &mut Reader<'_>,
) -> Option<UnwindRegisters> {
    let fp = stack.read(registers.fp).ok()?;
    let ip = stack.read(registers.fp.wrapping_add(8)).ok()?;
    Some(caller(ip, registers.fp.wrapping_add(16), fp))
}

/// The caller's registers if nothing was put on the stack since the call.
pub(crate) fn by_return(
    registers: &UnwindRegisters,
    stack: &mut Reader<'_>,
) -> Option<UnwindRegisters> {
    let UnwindRegisters { sp, fp, lr, .. } = *registers;
    if arch::LINKS {
        return Some(caller(lr, sp, fp));
    }
    Some(caller(stack.read(sp).ok()?, sp.wrapping_add(8), fp))
}

/// The caller's registers by a rule that has to be worked out: functions with an alignment of their
/// own, stubs of the dynamic linker.
pub(crate) fn worked(
    row: &Row<'_>,
    registers: &UnwindRegisters,
    stack: &mut Reader<'_>,
) -> Option<UnwindRegisters> {
    let mut work = Work { registers, stack, encoding: row.encoding };
    let cfa = match &row.cfa {
        Cfa::Register(register, offset) => work.value(*register)?.wrapping_add_signed(*offset),
        Cfa::Expression(expression) => work.evaluate(*expression, None)?,
    };
    let fp = work.register(&row.fp, cfa, registers.fp)?;
    let ip = work.register(&row.ra, cfa, registers.lr)?;
    Some(caller(ip, cfa, fp))
}

struct Work<'a, 's> {
    registers: &'a UnwindRegisters,
    stack: &'a mut Reader<'s>,
    encoding: Encoding,
}

impl Work<'_, '_> {
    fn register(&mut self, rule: &Rule<'_>, cfa: u64, same: u64) -> Option<u64> {
        match rule {
            Rule::Same | Rule::Undefined => Some(same),
            Rule::At(offset) => self.stack.read(cfa.wrapping_add_signed(*offset)).ok(),
            Rule::Is(offset) => Some(cfa.wrapping_add_signed(*offset)),
            Rule::StoredAt(expression) => {
                let at = self.evaluate(*expression, Some(cfa))?;
                self.stack.read(at).ok()
            }
            Rule::IsValueOf(expression) => self.evaluate(*expression, Some(cfa)),
            Rule::Other => None,
        }
    }

    fn value(&self, register: Register) -> Option<u64> {
        let UnwindRegisters { ip, sp, fp, lr } = *self.registers;
        match register {
            arch::SP => Some(sp),
            arch::FP => Some(fp),
            arch::RETURN => Some(if arch::LINKS { lr } else { ip }),
            _ => None,
        }
    }

    fn evaluate(&mut self, expression: Expression<Slice<'_>>, start: Option<u64>) -> Option<u64> {
        let mut evaluation = expression.evaluation(self.encoding);
        evaluation.set_max_iterations(MAX_OPERATIONS);
        if let Some(start) = start {
            evaluation.set_initial_value(start);
        }
        let mut result = evaluation.evaluate().ok()?;
        loop {
            result = self.answer(&mut evaluation, result)?;
            if matches!(result, EvaluationResult::Complete) {
                break;
            }
        }
        match evaluation.as_result().last()?.location {
            Location::Address { address } => Some(address),
            _ => None,
        }
    }

    /// Gives an evaluation what it asks for.
    fn answer<'e>(
        &mut self,
        evaluation: &mut Evaluation<Slice<'e>>,
        asked: EvaluationResult<Slice<'e>>,
    ) -> Option<EvaluationResult<Slice<'e>>> {
        match asked {
            EvaluationResult::Complete => Some(EvaluationResult::Complete),
            EvaluationResult::RequiresRegister { register, .. } => {
                let value = Value::Generic(self.value(register)?);
                evaluation.resume_with_register(value).ok()
            }
            EvaluationResult::RequiresMemory { address, size: 8, space: None, .. } => {
                let value = Value::Generic(self.stack.read(address).ok()?);
                evaluation.resume_with_memory(value).ok()
            }
            _ => None,
        }
    }
}

//! What a thread does if its tracer dies while it makes an injected call: it returns from a signal handler that
//! it was never in, and by that gets back all its registers and its signal mask.
//!
//! The layout is that of x86-64 (arch/x86/include/asm/sigframe.h, arch/x86/include/uapi/asm/sigcontext.h).

use super::code::ForkCode;
use crate::arch::Registers;

/// From the start of a `struct ucontext` to its parts.
const ALTERNATE_STACK_FLAGS: usize = 24;
const GENERAL_REGISTERS: usize = 40;
const SELECTORS: usize = GENERAL_REGISTERS + 144;
const FLOATING_POINT: usize = GENERAL_REGISTERS + 184;
const MASK: usize = 296;
const CONTEXT: usize = 304;
/// UC_FP_XSTATE, UC_SIGCONTEXT_SS and UC_STRICT_RESTORE_SS.
const CONTEXT_FLAGS: u64 = 7;
/// Flags that sigaltstack(2) refuses, so that it leaves the alternate stack as it is: which one it is, no tracer
/// can know.
const NO_ALTERNATE_STACK: u32 = 0x00ba_d000;
/// FP_XSTATE_MAGIC1, at which offset, and FP_XSTATE_MAGIC2 behind the state.
const MAGIC: u32 = 0x4650_5853;
const MAGIC_AT: usize = 464;
const MAGIC_BEHIND: u32 = 0x4650_5845;
/// All of the extended state but AMX's tiles, which most processes may not use, and for which they have no
/// room then.
const STATE_WITHOUT_TILES: usize = 2696;
const TILES: u64 = 3 << 17;
/// Where `struct xregs_state` says which parts are in use.
const STATE_PARTS: usize = 512;
/// The smallest state that has a header.
const MIN_STATE: usize = 576;
/// What XSAVE needs.
const ALIGNMENT: u64 = 64;
/// An end without more ado.
const EXIT: u64 = libc::SYS_exit.cast_unsigned();

/// Bytes to write below a thread's stack, and the stack pointers that lead there.
pub(super) struct Frames {
    pub(super) place: u64,
    pub(super) bytes: Vec<u8>,
    /// Of the thread itself: it goes on as if nothing had been.
    pub(super) thread: u64,
    /// Of the copy: it ends.
    pub(super) copy: u64,
}

impl Frames {
    /// Frames below `end`, for a thread with these registers, this signal mask and this state of its
    /// floating-point unit (NT_X86_XSTATE).
    pub(super) fn below(
        end: u64,
        registers: &Registers,
        mask: u64,
        state: &[u8],
        code: &ForkCode,
    ) -> Self {
        let (state, returns) = (signal_state(state), code.signal_return());
        let frame = (8 * returns.len() + CONTEXT) as u64;
        let size = (state.len() as u64 + 8 + 2 * frame).next_multiple_of(ALIGNMENT);
        let place = (end - size) & !(ALIGNMENT - 1);
        let thread = place + state.len().next_multiple_of(8) as u64;
        let copy = thread + frame;
        let state_at = if state.is_empty() { 0 } else { place };
        let mut bytes = state;
        bytes.resize((thread - place) as usize, 0);
        let contexts = [
            context(&registers.after_interrupted_call(), mask, state_at),
            context(&registers.at_call(code.call, copy, EXIT), u64::MAX, 0),
        ];
        for context in contexts {
            bytes.extend(returns.iter().flat_map(|word| word.to_le_bytes()));
            bytes.extend(context);
        }
        Self { place, bytes, thread, copy }
    }
}

/// The state as the kernel writes it for a signal handler. Empty if it is none.
fn signal_state(state: &[u8]) -> Vec<u8> {
    if state.len() < MIN_STATE {
        return Vec::new();
    }
    let size = state.len().min(STATE_WITHOUT_TILES);
    let mut bytes = state[..size].to_vec();
    let word = |bytes: &[u8], at: usize| {
        bytes[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
    };
    let known = word(state, MAGIC_AT) & !TILES;
    let parts = word(state, STATE_PARTS) & !TILES;
    bytes[STATE_PARTS..STATE_PARTS + 8].copy_from_slice(&parts.to_le_bytes());
    bytes[MAGIC_AT..STATE_PARTS].fill(0);
    bytes[MAGIC_AT..MAGIC_AT + 4].copy_from_slice(&MAGIC.to_le_bytes());
    let extended = size as u32 + 4;
    bytes[MAGIC_AT + 4..MAGIC_AT + 8].copy_from_slice(&extended.to_le_bytes());
    bytes[MAGIC_AT + 8..MAGIC_AT + 16].copy_from_slice(&known.to_le_bytes());
    bytes[MAGIC_AT + 16..MAGIC_AT + 20].copy_from_slice(&(size as u32).to_le_bytes());
    bytes.extend(MAGIC_BEHIND.to_le_bytes());
    bytes
}

/// A `struct ucontext`.
fn context(registers: &Registers, mask: u64, state: u64) -> [u8; CONTEXT] {
    let mut bytes = [0; CONTEXT];
    let mut put = |at: usize, word: u64| bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    put(0, CONTEXT_FLAGS);
    put(ALTERNATE_STACK_FLAGS, NO_ALTERNATE_STACK.into());
    for (at, word) in registers.in_signal_frame().into_iter().enumerate() {
        put(GENERAL_REGISTERS + 8 * at, word);
    }
    let [code, stack] = registers.selectors();
    put(SELECTORS, code | stack << 48);
    put(FLOATING_POINT, state);
    put(MASK, mask);
    bytes
}

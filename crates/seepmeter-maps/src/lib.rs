//! What the kernel tells of a process's mappings, and what each of them is.
//!
//! - [`maps`] reads /proc/PID/maps: where a mapping lies, what may be done with it, which file is
//!   behind it.
//! - [`smaps`] reads /proc/PID/smaps, where each has figures as well.
//! - [`class`] says what a mapping is: the heap, an arena, a thread's stack, a file. [`threads`] knows
//!   the stacks.
//!
//! Nothing here knows of samples: whoever samples, or names an address, reads the same lines.
//!
//! ```
//! use seepmeter_maps::{class, maps};
//!
//! let text = b"7f5e4ec00000-7f5e4ec26000 r-xp 00000000 fe:00 1054321    /usr/lib/libc.so.6\n";
//! let mappings = maps::parse(text);
//! assert_eq!(mappings[0].path, b"/usr/lib/libc.so.6");
//! let classes = class::classify(&mappings, &[]);
//! assert_eq!(classes[0].title(), b"/usr/lib/libc.so.6 r-xp");
//! ```
#![forbid(unsafe_code)]

pub mod class;
pub mod maps;
pub mod smaps;
pub mod threads;
mod title;

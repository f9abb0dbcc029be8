//! What the kernel says of a process's mappings, and what each of them is.
//!
//! - [`maps`] reads /proc/PID/maps: where a mapping lies, what may be done with it, which file is
//!   behind it.
//! - [`smaps`] reads /proc/PID/smaps, where each has figures as well.
//! - [`MappingGroup`] is what a mapping is: the heap, an arena, a thread's stack, a file. [`SizeClass`] says
//!   how large an anonymous one is.
//! - [`class`] says which group each belongs to, and [`DeletedFiles`] which files have been removed.
//! - [`group_title`] and [`mapping_title`] say it to people.
//!
//! Nothing here knows of samples: whoever samples, or names an address, reads the same lines.
//!
//! ```
//! use seepmeter_maps::class::{ThreadStacks, classify};
//! use seepmeter_maps::{DeletedFiles, group_title, maps};
//! use seepmeter_record::MappingClass;
//!
//! let text = b"7f5e4ec00000-7f5e4ec26000 r-xp 00000000 fe:00 1054321    /usr/lib/libc.so.6\n";
//! let mappings = maps::parse(text);
//! assert_eq!(mappings[0].path, b"/usr/lib/libc.so.6");
//! let mut files = DeletedFiles::seen_from("/proc/self/root".into());
//! let groups = classify(&mappings, &ThreadStacks::default(), &mut files);
//! assert_eq!(groups[0].class(), MappingClass::File);
//! assert_eq!(group_title(&groups[0]), b"/usr/lib/libc.so.6 r-xp");
//! ```
#![cfg_attr(not(test), forbid(unsafe_code))]

pub mod class;
mod deleted;
mod group;
pub mod maps;
mod size;
pub mod smaps;
mod title;

pub use deleted::DeletedFiles;
pub use group::{MappingGroup, NamedFile};
pub use size::SizeClass;
pub use title::{group_title, mapping_title};

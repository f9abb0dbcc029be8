//! The parts of the `seepmeter` command.
//!
//! [`flags`] is what was typed; [`plan`] finds every plugin and checks what can be checked; [`commands`],
//! one file each, do it. [`samplers`] and [`sinks`] are the built-in plugins; they go through the same
//! traits as anybody's.
//!
//! This library serves the command and its benchmarks; it promises no stable interface.

pub mod builtin;
pub mod commands;
mod completions;
pub mod flags;
mod heap_report;
mod listing;
mod marks;
pub mod messages;
pub mod outcome;
pub mod output_files;
pub mod plan;
pub mod registry;
mod reports;
pub mod samplers;
mod scale;
mod selection;
mod session;
mod short_memory;
pub mod sinks;
mod slips;
mod spec;
mod successor;
pub mod terminal;
mod watch;

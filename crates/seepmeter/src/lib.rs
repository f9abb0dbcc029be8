//! The parts of the `seepmeter` command.
//!
//! [`flags`] is what was typed, [`plan`] what will be done, [`commands`] do it. [`samplers`] and
//! [`sinks`] are the built-in plugins; they go through the same traits as anybody's.
//!
//! This library serves the command and its benchmarks; it promises no stable interface.

pub mod builtin;
pub mod commands;
pub mod compare;
pub mod flags;
pub mod judge;
mod listing;
pub mod messages;
pub mod plan;
pub mod plugins;
pub mod samplers;
pub mod sinks;
mod spec;
mod watch;

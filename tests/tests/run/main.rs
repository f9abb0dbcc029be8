//! `seepmeter run`: what becomes of the command, its streams, its exit status and its memory.

mod bad_input;
mod colour;
mod completions;
mod exit_status;
mod heap;
mod languages;
mod long;
mod marks;
mod memory;
mod streams;

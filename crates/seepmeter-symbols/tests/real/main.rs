//! Real programs, stopped at a known place: are their stacks right, and are their names?
#![allow(clippy::print_stderr, reason = "what is not run is said loudly")]

mod anywhere;
mod bounds;
mod c;
mod jit;
mod languages;
mod life;
mod support;

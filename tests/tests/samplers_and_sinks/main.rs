//! Samplers and sinks beyond the simplest, and that what is recorded is what was sampled.

mod exec;
mod fds;
mod html;
mod ptrace;
mod recordings;
mod sources;
mod stacks;
mod svg;

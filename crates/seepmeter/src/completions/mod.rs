//! What a shell offers: the script of `seepmeter completions`, and the values that it asks `seepmeter complete`
//! for.
//!
//! clap_complete writes the script for all flags, and what is added for bash, zsh and fish stands in files of
//! this folder. Names and options of plugins are not in it: what there is depends on the machine.

mod candidates;
mod script;

pub(crate) use candidates::{Candidate, candidates};
pub(crate) use script::script;

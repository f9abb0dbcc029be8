//! What a shell asks for to complete a word.

use std::ffi::OsString;

use clap::{Args, ValueEnum};

/// `seepmeter complete`.
#[derive(Debug, Args)]
pub struct CompleteFlags {
    /// What the word names
    pub kind: CompleteKind,
    /// The word, as far as it was typed
    #[arg(allow_hyphen_values = true)]
    pub typed: String,
    /// The words of the command line
    #[arg(last = true)]
    pub words: Vec<OsString>,
}

/// What a word names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompleteKind {
    /// A sampler and its options
    Sampler,
    /// A sink and its options
    Sink,
}

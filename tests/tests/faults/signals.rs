//! Signals in every phase of a run.

//! Samplers and sinks beyond the simplest, and that what is recorded is what was seen.

mod exec;

mod recordings;

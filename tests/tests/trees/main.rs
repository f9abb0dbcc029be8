//! Trees of processes: real programs that start others, watched as a whole.

mod flags;
mod interpreters;
mod namespaces;
mod servers;
mod shapes;
mod watched;

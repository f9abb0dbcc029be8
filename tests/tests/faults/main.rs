//! The matrix of faults: what may go wrong around Seepmeter, each kind made to happen on real processes.
//!
//! The table is in the book, `docs/src/reliability.md`, section "Faults": one row for each test here. The
//! module `table` compares the two.

mod bounds;
mod descriptors;
mod equivalence;
mod files;
mod kills;
mod limits;
mod marks;
mod plugins;
mod signals;
mod table;

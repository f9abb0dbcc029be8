//! The built-in samplers.

pub mod statm;

pub use statm::Statm;

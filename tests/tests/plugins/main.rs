//! Plugins: the C interface as it was frozen, where plugins are found, those that misbehave, and the book's.

mod abi;
mod finding;
mod hostile;
mod writing;

//! Process trees of real programs, found in each of the ways there are.

#![allow(clippy::print_stderr, reason = "a test that can't be run says so")]

mod many;
mod namespaces;
mod shapes;
mod watched;

//! What users read: the book's examples, and what the command prints.

mod contributing;
mod examples;
mod pictures;
mod snapshots;
mod workflow;

//! C programs, built in all the ways that change how a stack is followed and named.

use crate::support::{Stack, Target, build, source};

/// Builds the chain with these flags and looks at it.
fn chain(flags: &[&str]) -> Option<Stack> {
    let folder = tempfile::tempdir().unwrap();
    let program = build("cc", &source("chain.c"), &folder.path().join("chain"), flags)?;
    Some(Target::path(&program).look_asleep().stack())
}

#[test]
fn the_chain_is_whole_with_tables_and_without_frame_pointers() {
    let Some(stack) = chain(&["-O2", "-fomit-frame-pointer"]) else { return };
    stack.must_have(&["c", "b", "a", "main"]);
    stack.must_be_whole();
}

//! Lints for the kind of processor that this machine does not have: Seepmeter knows two, and nothing else
//! compiles what is for the other.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

const AARCH64: &str = "aarch64-unknown-linux-gnu";
const X86_64: &str = "x86_64-unknown-linux-gnu";

/// Lints all but the tests, which nothing here could run.
pub(crate) fn check(root: &Path) -> Result<()> {
    let target = if cfg!(target_arch = "x86_64") { AARCH64 } else { X86_64 };
    if !has_target(root, target) {
        not_run(target, &format!("its standard library is missing (rustup target add {target})"));
        return Ok(());
    }
    // zstd is C, and has to be compiled although nothing is linked: any compiler will do, and one for the other
    // processor can't be installed beside Debian's gcc-multilib, which the tests need.
    let compiler = (format!("CC_{}", target.replace('-', "_")), "cc");
    let variables = [(&*compiler.0, compiler.1)];
    crate::cargo(&["clippy", "--workspace", "--target", target, "--", "-D", "warnings"], &variables)
}

fn not_run(target: &str, why: &str) {
    eprintln!("NOT RUN: lints for {target}: {why}");
}

/// True if the toolchain of the workspace has the standard library of a target.
fn has_target(root: &Path, target: &str) -> bool {
    let printed = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .current_dir(root)
        .output();
    printed.is_ok_and(|printed| Path::new(String::from_utf8_lossy(&printed.stdout).trim()).is_dir())
}

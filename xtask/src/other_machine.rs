//! Lints for the kind of processor that this machine does not have: Seepmeter knows two, and nothing else
//! compiles what is for the other.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

/// What the other processor needs.
struct Machine {
    target: &'static str,
    /// The variable that names its C compiler, and that compiler: for zstd.
    cc: [&'static str; 2],
    /// Debian's package of that compiler.
    package: &'static str,
}

const AARCH64: Machine = Machine {
    target: "aarch64-unknown-linux-gnu",
    cc: ["CC_aarch64_unknown_linux_gnu", "aarch64-linux-gnu-gcc"],
    package: "gcc-aarch64-linux-gnu",
};

const X86_64: Machine = Machine {
    target: "x86_64-unknown-linux-gnu",
    cc: ["CC_x86_64_unknown_linux_gnu", "x86_64-linux-gnu-gcc"],
    package: "gcc-x86-64-linux-gnu",
};

/// Lints all but the tests, which nothing here could run.
pub(crate) fn check(root: &Path) -> Result<()> {
    let machine = if cfg!(target_arch = "x86_64") { AARCH64 } else { X86_64 };
    let Machine { target, cc: [variable, compiler], package } = machine;
    if !has_target(root, target) {
        not_run(target, &format!("its standard library is missing (rustup target add {target})"));
        return Ok(());
    }
    let is_chosen = std::env::var_os(variable).is_some();
    if !is_chosen && !has_compiler(compiler) {
        not_run(target, &format!("{compiler} is missing (apt install {package})"));
        return Ok(());
    }
    crate::cargo(&["clippy", "--workspace", "--target", target, "--", "-D", "warnings"], &[])
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

fn has_compiler(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

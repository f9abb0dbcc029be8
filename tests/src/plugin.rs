//! Plugins that tests build: from C, and from the packages of `tests/plugins/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::folder;

/// The file of this name in `tests/abi/v1.0/`: what version 1.0 of the plugin ABI was.
#[must_use]
pub fn abi(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("abi/v1.0").join(file)
}

/// The file of this path in the repository.
#[must_use]
pub fn repository(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)
}

/// The library that the package of this name has become.
#[must_use]
pub fn cdylib(package: &str) -> PathBuf {
    folder().join(format!("lib{}.so", package.replace('-', "_")))
}

/// Compiles a library from C with every warning an error, and returns its path.
///
/// # Panics
/// If it can't be compiled.
#[track_caller]
pub fn cc(source: &Path, output: &Path, flags: &[&str]) -> PathBuf {
    let strict = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic"];
    let done = Command::new("cc")
        .args(strict)
        .args(["-shared", "-fPIC", "-pthread"])
        .args(flags)
        .arg("-o")
        .args([output, source])
        .output()
        .expect("cc");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{} {flags:?}:\n{said}", source.display());
    output.to_owned()
}

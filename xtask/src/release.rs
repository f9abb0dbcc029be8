//! What must be so before a release.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Says all that is wrong, not only the first.
pub(crate) fn check(root: &Path) -> Result<()> {
    let checks = [
        one_version(root),
        changelog_has_version(root),
        licences_are_there(root),
        header_is_frozen(root),
    ];
    let wrong: Vec<String> =
        checks.into_iter().filter_map(|done| done.err()).map(|e| format!("{e:#}")).collect();
    if wrong.is_empty() {
        println!("version {} may be released", version(root)?);
        return Ok(());
    }
    bail!("not ready for a release:\n{}", wrong.join("\n"))
}

/// Every package has the workspace's version and licence.
fn one_version(root: &Path) -> Result<()> {
    version(root)?;
    let mut wrong = String::new();
    for manifest in manifests(root) {
        let text = read(&manifest)?;
        for line in ["version.workspace = true", "license.workspace = true"] {
            if text.contains("[package]") && !text.lines().any(|found| found == line) {
                wrong += &format!("{} has no `{line}`\n", manifest.display());
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.trim_end()) }
}

/// A heading `## 1.2.3`, or `## [1.2.3]`, with or without a date.
fn changelog_has_version(root: &Path) -> Result<()> {
    let version = version(root)?;
    let changelog = read(&root.join("CHANGELOG.md"))?;
    let mut headings = changelog.lines().filter_map(|line| line.strip_prefix("## "));
    let is_version = |heading: &str| {
        heading
            .split_whitespace()
            .next()
            .is_some_and(|word| word.trim_matches(['[', ']']) == version)
    };
    if headings.any(is_version) {
        return Ok(());
    }
    bail!("CHANGELOG.md has no section for {version}: name the section `Unreleased` so")
}

fn licences_are_there(root: &Path) -> Result<()> {
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        read(&root.join(name))?;
    }
    Ok(())
}

/// The C header of this ABI version is kept in `tests/abi`, as it is.
fn header_is_frozen(root: &Path) -> Result<()> {
    let header = read(&root.join("include/seepmeter-plugin.h"))?;
    let number = |name: &str| {
        let line = header.lines().find(|line| line.starts_with("#define ") && line.contains(name));
        line.and_then(|line| line.split_whitespace().nth(2))
            .with_context(|| format!("include/seepmeter-plugin.h defines no {name}"))
    };
    let abi = format!("v{}.{}", number("MAJOR ")?, number("MINOR ")?);
    let copy = root.join("tests/abi").join(&abi).join("seepmeter-plugin.h");
    let frozen = read(&copy).context("the header of this ABI version has no frozen copy")?;
    if frozen == header {
        return Ok(());
    }
    bail!("include/seepmeter-plugin.h differs from {}: raise the ABI version", copy.display())
}

/// The version of all packages.
pub(crate) fn version(root: &Path) -> Result<String> {
    let text = read(&root.join("Cargo.toml"))?;
    let (_, package) = text.split_once("[workspace.package]").context("no [workspace.package]")?;
    let line = package.lines().find_map(|line| line.strip_prefix("version = \""));
    Ok(line.context("no version in [workspace.package]")?.trim_end_matches('"').to_owned())
}

/// All manifests but the workspace's own.
fn manifests(root: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        ["benches", "crates", "plugins", "tests", "xtask"].map(|name| root.join(name)).to_vec();
    let mut manifests = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ if entry.file_name() == "Cargo.toml" => manifests.push(entry.path()),
                _ => {}
            }
        }
    }
    manifests
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "#define SEEPMETER_MAJOR 1\n#define SEEPMETER_MINOR 0\n";

    /// A workspace that may be released.
    fn good() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("Cargo.toml", "[workspace.package]\nversion = \"1.2.3\"\n");
        let package = "[package]\nversion.workspace = true\nlicense.workspace = true\n";
        write("crates/one/Cargo.toml", package);
        write("CHANGELOG.md", "# Changelog\n\n## [1.2.3] - 2026-01-01\n");
        write("LICENSE-APACHE", "text");
        write("LICENSE-MIT", "text");
        write("include/seepmeter-plugin.h", HEADER);
        write("tests/abi/v1.0/seepmeter-plugin.h", HEADER);
        folder
    }

    /// What the check says if this file has this text.
    fn checked(file: &str, text: &str) -> String {
        let folder = good();
        fs::write(folder.path().join(file), text).unwrap();
        check(folder.path()).map_or_else(|error| error.to_string(), |()| "ready".to_owned())
    }

    #[test]
    fn a_workspace_in_which_all_agrees_may_be_released() {
        check(good().path()).unwrap();
    }

    #[test]
    fn a_package_with_a_version_of_its_own_is_named() {
        let error = checked(
            "crates/one/Cargo.toml",
            "[package]\nversion = \"1.2.4\"\nlicense.workspace = true\n",
        );
        assert!(error.contains("one/Cargo.toml has no `version.workspace = true`"), "{error}");
    }

    #[test]
    fn a_version_that_the_changelog_lacks_is_named() {
        let error = checked("CHANGELOG.md", "## Unreleased\n\n## 1.2.30\n");
        assert!(error.contains("no section for 1.2.3"), "{error}");
    }

    #[test]
    fn a_header_that_is_another_than_its_frozen_copy_is_refused() {
        let changed = checked("include/seepmeter-plugin.h", &format!("{HEADER}int more;\n"));
        assert!(changed.contains("raise the ABI version"), "{changed}");
        let new = checked("include/seepmeter-plugin.h", &HEADER.replace("MINOR 0", "MINOR 1"));
        assert!(new.contains("no frozen copy") && new.contains("v1.1"), "{new}");
    }
}

//! Which tests a name means.

use std::path::Path;

use anyhow::{Result, bail};

/// The arguments of `cargo test` for an area of `tests/tests`, or for a package, whose `seepmeter-` may
/// be left out.
pub(crate) fn find(root: &Path, suite: &str) -> Result<Vec<String>> {
    let areas = folders(&root.join("tests/tests"), "main.rs");
    if areas.iter().any(|area| area == suite) {
        return Ok(["-p", "seepmeter-tests", "--test", suite].map(str::to_owned).to_vec());
    }
    let mut packages = folders(&root.join("crates"), "Cargo.toml");
    let plugins = folders(&root.join("plugins"), "Cargo.toml");
    packages.extend(plugins.into_iter().map(|plugin| format!("seepmeter-{plugin}")));
    let full = format!("seepmeter-{suite}");
    match packages.into_iter().find(|package| package == suite || *package == full) {
        Some(package) => Ok(vec!["-p".to_owned(), package]),
        None => bail!(
            "there is no suite `{suite}`: give an area ({}), a crate (such as `maps`) or a plugin (such \
             as `sampler-smaps`)",
            areas.join(", ")
        ),
    }
}

/// The names of the folders in a folder that have this file, in order.
fn folders(parent: &Path, file: &str) -> Vec<String> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let with_file = entries.filter(|entry| entry.path().join(file).is_file());
    let mut names: Vec<_> = with_file.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(suite: &str) -> String {
        find(&crate::root(), suite).map_or_else(|error| error.to_string(), |words| words.join(" "))
    }

    #[test]
    fn a_suite_is_an_area_of_the_end_to_end_tests_or_a_package() {
        assert_eq!(found("run"), "-p seepmeter-tests --test run");
        assert_eq!(found("maps"), "-p seepmeter-maps");
        assert_eq!(found("seepmeter-maps"), "-p seepmeter-maps");
        assert_eq!(found("sampler-smaps"), "-p seepmeter-sampler-smaps");
        assert_eq!(found("seepmeter"), "-p seepmeter");
    }

    #[test]
    fn a_suite_that_is_not_there_is_an_error_with_the_areas() {
        let error = found("nonsense");
        assert!(error.contains("`nonsense`") && error.contains("processes, run"), "{error}");
    }
}

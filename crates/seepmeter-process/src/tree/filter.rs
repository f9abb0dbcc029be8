//! Which processes of a tree are reported.

use std::fmt;
use std::os::unix::ffi::OsStrExt;

use super::TreeProcess;

/// A pattern for names of processes, as a shell's: `*`, `?`, `[a-z]`.
#[derive(Clone, Debug)]
pub struct NameFilter {
    pattern: glob::Pattern,
}

impl NameFilter {
    /// The filter of this pattern.
    ///
    /// # Errors
    /// If it is no pattern; the message says where it is wrong.
    pub fn new(pattern: &str) -> Result<Self, glob::PatternError> {
        Ok(Self { pattern: glob::Pattern::new(pattern)? })
    }

    /// True if it matches the name of the process, of its file, or of its role.
    #[must_use]
    pub fn matches(&self, process: &TreeProcess) -> bool {
        let file = process.executable.as_deref().and_then(|file| file.file_name());
        let names = [Some(process.name.as_slice()), file.map(OsStrExt::as_bytes)];
        let mut names = names.into_iter().flatten().map(String::from_utf8_lossy);
        names.any(|name| self.matches_name(&name)) || self.matches_name(&process.role.to_string())
    }

    /// True if it matches this name.
    #[must_use]
    pub fn matches_name(&self, name: &str) -> bool {
        self.pattern.matches(name)
    }
}

impl fmt::Display for NameFilter {
    /// The pattern.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.pattern.as_str())
    }
}

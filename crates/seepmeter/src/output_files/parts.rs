//! When an output goes on in a new file.

use std::time::Duration;

use seepmeter_plugin::{OptionValue, Size, parse_duration, parse_size};

/// How large or how old a file may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many bytes.
    Size(Size),
    /// So long since its begin.
    Age(Duration),
}

impl OptionValue for Limit {
    fn kind() -> String {
        "size|duration".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match (parse_duration(text), parse_size(text)) {
            (Ok(age), _) => Ok(Self::Age(age)),
            (Err(_), Ok(Size(0))) => Err("a file of 0 bytes holds nothing".to_owned()),
            (Err(_), Ok(size)) => Ok(Self::Size(size)),
            (Err(_), Err(_)) => Err(format!(
                "`{text}` is neither a size, such as 100MiB, nor a duration, such as 1h"
            )),
        }
    }
}

/// When an output goes on in a new file. The default is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartRules {
    /// The file is renamed at this limit, and a new one is begun.
    pub rotate: Option<Limit>,
    /// How many renamed files are kept: `PATH.1` is the newest.
    pub keep: u32,
    /// The file is opened again after a SIGHUP.
    pub reopen: bool,
}

impl PartRules {
    /// True if there can be more than one part.
    #[must_use]
    pub fn has_parts(self) -> bool {
        self.rotate.is_some() || self.reopen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_size_or_a_time() {
        assert_eq!(Limit::parse("100MiB"), Ok(Limit::Size(Size(100 << 20))));
        assert_eq!(Limit::parse("1h"), Ok(Limit::Age(Duration::from_secs(3600))));
        assert_eq!(Limit::parse("4096"), Ok(Limit::Size(Size(4096))));
        assert!(Limit::parse("soon").unwrap_err().contains("neither a size"));
        assert!(Limit::parse("0").is_err());
    }
}

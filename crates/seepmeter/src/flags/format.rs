//! In which format answers are given.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use seepmeter_verdict::ReportFormat;

/// In which formats the answer is given.
#[derive(Clone, Debug, Default, Args)]
pub struct FormatFlags {
    /// How to print the answer: text, json, github (annotations), junit (XML) or markdown (a table); may be
    /// given several times
    ///
    /// With =FILE, the answer is written to this file, and what is printed stays as it is.
    #[arg(long = "format", value_name = "FORMAT[=FILE]")]
    pub formats: Vec<FormatSpec>,
}

/// A format, and the file that the answer is written to in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatSpec {
    /// The format.
    pub format: ReportFormat,
    /// The file; none if the answer is printed.
    pub file: Option<PathBuf>,
}

impl FormatSpec {
    /// One that is printed.
    #[must_use]
    pub fn printed(format: ReportFormat) -> Self {
        Self { format, file: None }
    }
}

impl FromStr for FormatSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, file) = match text.split_once('=') {
            Some((_, "")) => return Err("the name of the file is missing behind `=`".to_owned()),
            Some((format, file)) => (format, Some(PathBuf::from(file))),
            None => (text, None),
        };
        Ok(Self { format: format.parse()?, file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_may_have_a_file_whose_name_has_any_characters() {
        let junit = |file: Option<&str>| FormatSpec {
            format: ReportFormat::Junit,
            file: file.map(PathBuf::from),
        };
        assert_eq!("junit".parse(), Ok(junit(None)));
        assert_eq!("junit=a=b,c.xml".parse(), Ok(junit(Some("a=b,c.xml"))));
        for (wrong, why) in [("junit=", "name of the file"), ("xml", "text, json, github")] {
            let error = wrong.parse::<FormatSpec>().unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}

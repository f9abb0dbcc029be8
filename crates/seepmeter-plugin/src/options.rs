//! A plugin's options: types, defaults and help in one place.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use seepmeter_verdict::ReportFormat;

use crate::{Size, parse_duration, parse_size};

/// What a plugin's options are. Written by [`options!`](crate::options!).
pub trait Options: Sized {
    /// What can be set.
    fn specs() -> Vec<OptionSpec>;

    /// Reads options as the user wrote them.
    ///
    /// # Errors
    /// An unknown key, a value that is none of its type, a required key that is missing, a key given
    /// twice.
    fn from_pairs(pairs: &[(String, String)]) -> Result<Self, OptionError>;
}

/// One option, for help and for the record.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OptionSpec {
    /// Its key, words joined by dashes.
    pub key: String,
    /// Its type's name: `duration`, `size`, `path`, `number`, `text`, `yes|no`, the choices as `a|b`, or
    /// as `a,b` where several may be given.
    pub kind: String,
    /// Its default as one would write it; none where the option may be left out or must be given.
    pub default: Option<String>,
    /// True where it must be given.
    pub required: bool,
    /// What it does.
    pub help: String,
}

impl OptionSpec {
    /// True where several values may be given, with commas between them.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.kind.contains(',')
    }
}

/// What is wrong with an option.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// There is no such key.
    #[error("no option `{key}`; there {}", listed(.known))]
    Unknown {
        /// What was asked for.
        key: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The value is none of the option's type.
    #[error("option `{key}`: {why}")]
    Bad {
        /// Which option.
        key: String,
        /// What is wrong with its value.
        why: String,
    },
    /// The option must be given.
    #[error("option `{key}` must be given: {key}=…")]
    Missing {
        /// Which option.
        key: String,
    },
    /// The option was given twice.
    #[error("option `{key}` is given twice; leave one out")]
    Twice {
        /// Which option.
        key: String,
    },
}

fn listed(keys: &[String]) -> String {
    match keys {
        [] => "are none".to_owned(),
        [one] => format!("is: {one}"),
        many => format!("are: {}", many.join(", ")),
    }
}

/// A type that an option can have.
pub trait OptionValue: Sized {
    /// The type's name for help.
    fn kind() -> String;

    /// Reads a value.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what would be right.
    fn parse(text: &str) -> Result<Self, String>;

    /// The value where the option is not given and has no default; none where it must be given.
    fn absent() -> Option<Self> {
        None
    }
}

macro_rules! values {
    ($($type:ty: $kind:literal, $parse:expr;)+) => {$(
        impl OptionValue for $type {
            fn kind() -> String {
                $kind.to_owned()
            }

            fn parse(text: &str) -> Result<Self, String> {
                $parse(text)
            }
        }
    )+};
}

values! {
    Duration: "duration", parse_duration;
    Size: "size", parse_size;
    PathBuf: "path", parse_path;
    String: "text", |text: &str| Ok(text.to_owned());
    bool: "yes|no", parse_yes_or_no;
    u16: "number", parse_number;
    u32: "number", parse_number;
    u64: "number", parse_number;
    i32: "number", parse_number;
    i64: "number", parse_number;
    f64: "number", parse_number;
    ReportFormat: "text|json|github|junit|markdown", str::parse;
}

fn parse_path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("an empty path names no file".to_owned()) } else { Ok(text.into()) }
}

fn parse_yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" | "on" => Ok(true),
        "no" | "false" | "off" => Ok(false),
        _ => Err(format!("`{text}` is neither yes nor no")),
    }
}

fn parse_number<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("`{text}` is not a valid number: {error}"))
}

/// Several values of one type, with commas between them: `read=stacks,maps`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

impl<T: OptionValue> OptionValue for List<T> {
    fn kind() -> String {
        let kind = T::kind();
        if kind.contains('|') { kind.replace('|', ",") } else { format!("{kind},…") }
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(T::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl<T: OptionValue> OptionValue for Option<T> {
    fn kind() -> String {
        T::kind()
    }

    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// Defines a struct of options. Each field's doc comment is its help, the text behind `=` its
/// default, written as the user would; a field without one must be given, unless it is an `Option`.
/// An underscore in a field's name is a dash in its key.
///
/// ```
/// use std::{path::PathBuf, time::Duration};
/// use seepmeter_plugin::{Options, options};
///
/// options! {
///     /// Options of a sink that mails.
///     pub struct MailOptions {
///         /// Where to leave the letters.
///         path: PathBuf,
///         /// No more than one letter in this time.
///         at_most_every: Duration = "10m",
///         /// Leave out values under this.
///         floor: Option<u64>,
///     }
/// }
///
/// let given = [("path".to_owned(), "letters".to_owned())];
/// let options = MailOptions::from_pairs(&given).unwrap();
/// assert_eq!(options.at_most_every, Duration::from_secs(600));
/// assert_eq!(options.floor, None);
/// assert_eq!(MailOptions::specs()[1].key, "at-most-every");
/// ```
#[macro_export]
macro_rules! options {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[doc = $help:literal])* $field:ident : $type:ty $(= $default:literal)?,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis struct $name {
            $($(#[doc = $help])* pub $field: $type,)*
        }

        impl $crate::Options for $name {
            fn specs() -> ::std::vec::Vec<$crate::OptionSpec> {
                ::std::vec![$({
                    let default: &[&str] = &[$($default)?];
                    $crate::OptionSpec {
                        key: $crate::private::dashed(stringify!($field)),
                        kind: <$type as $crate::OptionValue>::kind(),
                        default: default.first().map(|text| (*text).to_owned()),
                        required: default.is_empty()
                            && <$type as $crate::OptionValue>::absent().is_none(),
                        help: [$($help),*].concat().trim().to_owned(),
                    }
                }),*]
            }

            #[allow(unused_mut, unused_variables)]
            fn from_pairs(
                pairs: &[(::std::string::String, ::std::string::String)],
            ) -> ::std::result::Result<Self, $crate::OptionError> {
                $(let mut $field = ::std::option::Option::<$type>::None;)*
                for (key, value) in pairs {
                    match key.replace('_', "-").as_str() {
                        $(name if name == $crate::private::dashed(stringify!($field)) => {
                            $crate::private::give(&mut $field, key, value)?;
                        })*
                        _ => return Err($crate::private::unknown(key, &[$(stringify!($field)),*])),
                    }
                }
                Ok(Self {
                    $($field: $crate::private::finish($field, stringify!($field), &[$($default)?])?,)*
                })
            }
        }
    };
}

/// Defines an enum of choices that an option can have.
///
/// ```
/// use seepmeter_plugin::{OptionValue, choices};
///
/// choices! {
///     /// How much to print.
///     pub enum Detail {
///         /// Little.
///         Brief = "brief",
///         /// All.
///         Full = "full",
///     }
/// }
///
/// assert_eq!(Detail::parse("full"), Ok(Detail::Full));
/// assert_eq!(Detail::parse("ful").unwrap_err(), "`ful` is not one of brief|full");
///
/// // Where several may be given, the option's type is a list of them.
/// use seepmeter_plugin::List;
/// assert_eq!(List::parse("brief,full"), Ok(List(vec![Detail::Brief, Detail::Full])));
/// assert_eq!(List::<Detail>::kind(), "brief,full");
/// ```
#[macro_export]
macro_rules! choices {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $($(#[$doc:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $crate::OptionValue for $name {
            fn kind() -> ::std::string::String {
                [$($word),+].join("|")
            }

            fn parse(text: &str) -> ::std::result::Result<Self, ::std::string::String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(::std::format!("`{text}` is not one of {}", Self::kind())),
                }
            }
        }
    };
}

/// A field's name as a key; one that is a word of the language is written `r#unsafe`.
#[must_use]
pub fn dashed(field: &str) -> String {
    field.trim_start_matches("r#").replace('_', "-")
}

/// Takes in one given value.
///
/// # Errors
/// See [`Options::from_pairs`].
pub fn give<T: OptionValue>(
    slot: &mut Option<T>,
    key: &str,
    text: &str,
) -> Result<(), OptionError> {
    if slot.is_some() {
        return Err(OptionError::Twice { key: key.to_owned() });
    }
    *slot = Some(T::parse(text).map_err(|why| OptionError::Bad { key: key.to_owned(), why })?);
    Ok(())
}

/// The given value, or the default.
///
/// # Errors
/// See [`Options::from_pairs`].
pub fn finish<T: OptionValue>(
    given: Option<T>,
    field: &str,
    default: &[&str],
) -> Result<T, OptionError> {
    match (given, default) {
        (Some(value), _) => Ok(value),
        (None, [text, ..]) => {
            T::parse(text).map_err(|why| OptionError::Bad { key: dashed(field), why })
        }
        (None, []) => T::absent().ok_or_else(|| OptionError::Missing { key: dashed(field) }),
    }
}

/// The error for a key that is not there.
#[must_use]
pub fn unknown(key: &str, fields: &[&str]) -> OptionError {
    OptionError::Unknown {
        key: key.to_owned(),
        known: fields.iter().map(|field| dashed(field)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    options! {
        struct Some3 {
            /// How often.
            every: Duration = "1s",
            /// How
            /// much.
            up_to: Option<Size>,
            /// Where.
            path: PathBuf,
            /// Whatever happens.
            r#unsafe: bool = "no",
        }
    }

    fn read(pairs: &[(&str, &str)]) -> Result<Some3, String> {
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Some3::from_pairs(&pairs).map_err(|error| error.to_string())
    }

    #[test]
    fn options_have_defaults_and_take_what_is_given() {
        let options = read(&[("path", "x"), ("up-to", "1KiB")]).unwrap();
        assert_eq!(options.every, Duration::from_secs(1));
        assert_eq!(options.up_to, Some(Size(1024)));
        assert_eq!(options.path, PathBuf::from("x"));
        assert_eq!(read(&[("path", "x"), ("up_to", "2")]).unwrap().up_to, Some(Size(2)));
        assert!(!options.r#unsafe && read(&[("path", "x"), ("unsafe", "yes")]).unwrap().r#unsafe);
    }

    #[test]
    fn a_bad_option_is_named_and_the_known_ones_are_listed() {
        assert_eq!(
            read(&[("pth", "x")]).unwrap_err(),
            "no option `pth`; there are: every, up-to, path, unsafe"
        );
        assert_eq!(read(&[]).unwrap_err(), "option `path` must be given: path=…");
        assert!(read(&[("path", "x"), ("path", "y")]).unwrap_err().contains("twice"));
        assert!(
            read(&[("every", "1")]).unwrap_err().starts_with("option `every`: `1` has no unit")
        );
    }

    #[test]
    fn help_is_taken_from_the_doc_comments() {
        let specs = Some3::specs();
        assert_eq!(specs[1].help, "How much.");
        assert_eq!(specs[1].kind, "size");
        assert!(specs[2].required && !specs[1].required && !specs[0].required);
    }
}

//! Numbers in JSON that come back as they went.
//!
//! With `#[serde(with = "exact")]` an `f64` is a number, and a `u64`, a time in ns, is a number of seconds. JSON
//! has no infinities, and its readers hold numbers as doubles, which tell nanoseconds from each other for a
//! hundred days. What would not come back is text: `"inf"`, `"NaN"`, `"9223372036.854775807"`.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// A number, or its text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub enum Number {
    /// As JSON holds it.
    Plain(f64),
    /// What JSON can't hold.
    Text(String),
}

/// What has a form in JSON that comes back as it went.
pub trait Exact: Sized {
    /// That form.
    type Form: Serialize + DeserializeOwned;

    /// The form of a value.
    fn form(&self) -> Self::Form;

    /// The value of a form; none where it is none of this type.
    fn from_form(form: Self::Form) -> Option<Self>;
}

impl Exact for f64 {
    type Form = Number;

    fn form(&self) -> Number {
        if self.is_finite() { Number::Plain(*self) } else { Number::Text(self.to_string()) }
    }

    fn from_form(form: Number) -> Option<Self> {
        match form {
            Number::Plain(number) => Some(number),
            Number::Text(text) => text.parse().ok(),
        }
    }
}

/// A time in ns.
impl Exact for u64 {
    type Form = Number;

    fn form(&self) -> Number {
        let seconds = *self as f64 / SECOND as f64;
        match nanoseconds(seconds) == *self {
            true => Number::Plain(seconds),
            false => Number::Text(format!("{}.{:09}", self / SECOND, self % SECOND)),
        }
    }

    fn from_form(form: Number) -> Option<Self> {
        match form {
            Number::Plain(seconds) => (seconds >= 0.0).then(|| nanoseconds(seconds)),
            Number::Text(text) => {
                let (seconds, rest) = text.split_once('.')?;
                let seconds: u64 = seconds.parse().ok()?;
                seconds.checked_mul(SECOND)?.checked_add(rest.parse().ok()?)
            }
        }
    }
}

impl<T: Exact> Exact for Option<T> {
    type Form = Option<T::Form>;

    fn form(&self) -> Self::Form {
        self.as_ref().map(T::form)
    }

    fn from_form(form: Self::Form) -> Option<Self> {
        match form {
            Some(form) => T::from_form(form).map(Some),
            None => Some(None),
        }
    }
}

fn nanoseconds(seconds: f64) -> u64 {
    let part = (seconds.fract() * SECOND as f64).round() as u64;
    (seconds.trunc() as u64).saturating_mul(SECOND).saturating_add(part)
}

/// Writes a value in its form.
///
/// # Errors
/// What the serializer fails with.
pub fn serialize<T: Exact, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.form().serialize(serializer)
}

/// Reads a value from its form.
///
/// # Errors
/// What the deserializer fails with, and a form that is none of this type.
pub fn deserialize<'de, T: Exact, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let wrong = || D::Error::custom("neither a number nor the text of one");
    T::from_form(T::Form::deserialize(from)?).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Serialize, Deserialize)]
    struct Both {
        #[serde(with = "super")]
        number: f64,
        #[serde(with = "super")]
        time: Option<u64>,
    }

    fn back(number: f64, time: Option<u64>) -> (f64, Option<u64>) {
        let json = serde_json::to_string(&Both { number, time }).unwrap();
        let Both { number, time } = serde_json::from_str(&json).unwrap();
        (number, time)
    }

    #[test]
    fn times_are_in_seconds_and_what_is_no_number_in_json_is_text() {
        let json = |number, time| serde_json::to_string(&Both { number, time }).unwrap();
        assert_eq!(json(1.5, Some(69_565_165_848)), r#"{"number":1.5,"time":69.565165848}"#);
        assert_eq!(json(f64::NEG_INFINITY, None), r#"{"number":"-inf","time":null}"#);
        let never = r#"{"number":"NaN","time":"9223372036.854775807"}"#;
        assert_eq!(json(f64::NAN, Some(u64::MAX / 2)), never);
        assert!(serde_json::from_str::<Both>(r#"{"number":1,"time":-1}"#).is_err());
        assert!(serde_json::from_str::<Both>(r#"{"number":"one","time":1}"#).is_err());
    }

    proptest! {
        #[test]
        fn any_number_and_any_time_come_back(number: f64, time: Option<u64>, days in 0u64..200) {
            for time in [time, time.map(|ns| ns % (86_400 * SECOND * (days + 1)))] {
                let (same, when) = back(number, time);
                prop_assert!(same.to_bits() == number.to_bits() || (same.is_nan() && number.is_nan()));
                prop_assert_eq!(when, time);
            }
        }
    }
}

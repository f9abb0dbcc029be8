//! Names as Linux gives them: bytes, with no promise of UTF-8.

use std::fmt::{self, Write};

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::is_printable;

/// A name, a command word or a path, byte for byte as the kernel gave it.
///
/// Shown to people ([`fmt::Display`]), control characters and bytes that are not UTF-8 are escaped
/// (`\n`, `\xff`), so that a name can't move the cursor of whoever reads it. In JSON it is a string where it is
/// UTF-8 and `{"hex":"ff00"}` where it is not, so nothing is lost on the way to disk and back.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bytes(Box<[u8]>);

impl Bytes {
    /// The bytes themselves.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes that pairs of hexadecimal digits stand for; none if they are something else.
    pub(crate) fn of_hex(hex: &[u8]) -> Option<Self> {
        let (pairs, rest) = hex.as_chunks::<2>();
        let digit = |c: u8| (c as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
        if !rest.is_empty() {
            return None;
        }
        let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
        bytes.collect::<Option<Vec<u8>>>().map(Self::from)
    }

    /// True where there is not a single byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Bytes in hexadecimal digits, as in a build-id.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    // Writing to a String does not fail.
    bytes.iter().for_each(|byte| _ = write!(digits, "{byte:02x}"));
    digits
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<String> for Bytes {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if is_printable(c) {
                    f.write_char(c)?
                } else {
                    write!(f, "{}", c.escape_default())?
                }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(&self.0) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("hex", &hex(&self.0))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or {\"hex\":\"…\"}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                Ok(text.into())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bytes, A::Error> {
                let Some((key, hex)) = map.next_entry::<String, String>()? else {
                    return Err(de::Error::missing_field("hex"));
                };
                if key != "hex" {
                    return Err(de::Error::unknown_field(&key, &["hex"]));
                }
                Bytes::of_hex(hex.as_bytes()).ok_or_else(|| {
                    de::Error::custom("`hex` is not followed by pairs of hex digits")
                })
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_that_is_not_utf8_is_escaped_for_people_and_kept_for_machines() {
        let name = Bytes::from(&b"caf\xe9\n"[..]);
        assert_eq!(name.to_string(), "caf\\xe9\\n");
        let json = serde_json::to_string(&name).unwrap();
        assert_eq!(json, "{\"hex\":\"636166e90a\"}");
        assert_eq!(serde_json::from_str::<Bytes>(&json).unwrap(), name);
    }

    #[test]
    fn a_crooked_hex_name_is_refused() {
        for bad in ["{\"hex\":\"f\"}", "{\"hex\":\"zz\"}", "{\"hax\":\"ff\"}", "{}", "7"] {
            assert!(serde_json::from_str::<Bytes>(bad).is_err(), "{bad} was taken");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_from_json_as_they_went(bytes: Vec<u8>) {
            let name = Bytes::from(bytes);
            let json = serde_json::to_string(&name).unwrap();
            prop_assert_eq!(serde_json::from_str::<Bytes>(&json).unwrap(), name);
        }
    }
}

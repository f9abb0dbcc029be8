//! Keys and values that are a JSON object on disk, and keep their order.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::jsonl::limits::{MOST_ATTRIBUTES, too_many};

type Pairs<V> = Vec<(String, V)>;

pub(crate) fn serialize<V: Serialize, S: Serializer>(
    pairs: &[(String, V)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}

pub(crate) fn deserialize<'de, V: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Pairs<V>, D::Error> {
    struct Object<V>(PhantomData<V>);
    impl<'de, V: Deserialize<'de>> Visitor<'de> for Object<V> {
        type Value = Pairs<V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                pairs.push(pair);
                if pairs.len() > MOST_ATTRIBUTES {
                    return Err(too_many(MOST_ATTRIBUTES, "pairs of a key and a value"));
                }
            }
            Ok(pairs)
        }
    }
    deserializer.deserialize_map(Object(PhantomData))
}

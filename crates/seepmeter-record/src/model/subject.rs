//! What has metrics.

use std::marker::PhantomData;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::open_words::open_words;
use super::{StackId, SubjectId};
use crate::Bytes;
use crate::conventions::attribute;

open_words! {
    /// What a subject is.
    SubjectKind {
        /// A process, identified by its pid and its start time.
        Process = "process",
        /// A thread of a process.
        Thread = "thread",
        /// One mapping of a process.
        Mapping = "mapping",
        /// Mappings of a process that are of one class.
        MappingGroup = "mapping-group",
        /// File descriptors of a process that are open for one thing.
        DescriptorGroup = "descriptor-group",
        /// A stack of frames.
        Stack = "stack",
        /// Blocks of a heap that are of one type.
        HeapClass = "heap-class",
        /// A control group.
        Cgroup = "cgroup",
    }
}

/// Defines a thing that has metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Its number in this stream.
    pub id: SubjectId,
    /// The subject it is a part of: a mapping's process, a process's parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SubjectId>,
    /// What it is.
    pub kind: SubjectKind,
    /// Its name for people. No reader takes it apart.
    pub name: Bytes,
    /// What else is known of it.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

impl Subject {
    /// The value of an attribute; none where it is not known, or of another type.
    #[must_use]
    pub fn get<T: AttributeType>(&self, key: AttributeKey<T>) -> Option<T> {
        self.attributes.get(key)
    }

    /// What it is called by people: `python3 (pid 4711)`.
    #[must_use]
    pub fn called(&self) -> String {
        match self.get(attribute::PID) {
            Some(pid) => format!("{} (pid {pid})", self.name),
            None => self.name.to_string(),
        }
    }
}

/// What is known of a subject beside its name: keys and values, in the order in which they were given.
///
/// ```
/// use seepmeter_record::{Attributes, conventions::attribute};
///
/// let attributes = Attributes::new().with(attribute::PID, 7).with(attribute::START_TIME, 568_636);
/// assert_eq!(attributes.get(attribute::PID), Some(7));
/// assert_eq!(attributes.get(attribute::CGROUP_LIMIT), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes(#[serde(with = "crate::pairs")] Vec<(String, AttributeValue)>);

impl Attributes {
    /// No attribute.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more.
    #[must_use]
    pub fn with<T: AttributeType>(mut self, key: AttributeKey<T>, value: T) -> Self {
        self.0.push((key.name.to_owned(), value.into_value()));
        self
    }

    /// The same with one more, if there is a value.
    #[must_use]
    pub fn with_known<T: AttributeType>(self, key: AttributeKey<T>, value: Option<T>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// The value of an attribute; none where it is not known, or of another type.
    #[must_use]
    pub fn get<T: AttributeType>(&self, key: AttributeKey<T>) -> Option<T> {
        T::from_value(self.0.iter().find(|(name, _)| name == key.name).map(|(_, value)| value)?)
    }

    /// True where there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &AttributeValue)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

impl FromIterator<(String, AttributeValue)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (String, AttributeValue)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// The value of an attribute, as it stands in a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum AttributeValue {
    /// A number.
    Int(i64),
    /// Bytes, mostly text.
    Text(Bytes),
}

// By hand: a derived reader keeps a value of any type, a list of a million numbers too, to see what it is.
impl<'de> Deserialize<'de> for AttributeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let AnyValue(value) = AnyValue::deserialize(deserializer)?;
        value.ok_or_else(|| D::Error::custom("an attribute is a whole number, or text"))
    }
}

/// A value of any type, which may be one of an attribute.
pub(super) struct AnyValue(pub(super) Option<AttributeValue>);

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        let number = || serde_json::from_str(json).ok().map(AttributeValue::Int);
        let text = || serde_json::from_str(json).ok().map(AttributeValue::Text);
        Ok(Self(number().or_else(text)))
    }
}

/// The key of an attribute whose values are of type `T`. Those that seepmeter knows stand in
/// [`conventions::attribute`](crate::conventions::attribute).
#[derive(Debug)]
pub struct AttributeKey<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> AttributeKey<T> {
    /// A key of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, value: PhantomData }
    }

    /// Its name in a recording.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

// By hand, since a derive would ask for a `T` that is Copy.
impl<T> Clone for AttributeKey<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for AttributeKey<T> {}

/// What an attribute's value can be.
pub trait AttributeType: Sized {
    /// The value, from a recording; none where it is none of this type.
    fn from_value(value: &AttributeValue) -> Option<Self>;

    /// The value for a recording.
    fn into_value(self) -> AttributeValue;
}

macro_rules! number_attributes {
    ($($number:ty),+) => {$(
        impl AttributeType for $number {
            fn from_value(value: &AttributeValue) -> Option<Self> {
                match value {
                    AttributeValue::Int(number) => Self::try_from(*number).ok(),
                    AttributeValue::Text(_) => None,
                }
            }

            /// A number that is too large for a recording is its largest.
            fn into_value(self) -> AttributeValue {
                AttributeValue::Int(i64::try_from(self).unwrap_or(i64::MAX))
            }
        }
    )+};
}

number_attributes!(i32, u32, i64, u64);

impl AttributeType for Bytes {
    fn from_value(value: &AttributeValue) -> Option<Self> {
        match value {
            AttributeValue::Text(text) => Some(text.clone()),
            AttributeValue::Int(_) => None,
        }
    }

    fn into_value(self) -> AttributeValue {
        AttributeValue::Text(self)
    }
}

macro_rules! id_attributes {
    ($($id:ident),+) => {$(
        impl AttributeType for $id {
            fn from_value(value: &AttributeValue) -> Option<Self> {
                u32::from_value(value).map(Self)
            }

            fn into_value(self) -> AttributeValue {
                self.0.into_value()
            }
        }
    )+};
}

id_attributes!(StackId, SubjectId);

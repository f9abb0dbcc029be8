//! What a recording may hold at most, so that reading one takes bounded memory, whoever has written it.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// The longest line, in bytes: a first sample of 100,000 mappings, or the longest command line that Linux
/// takes, each with room to spare.
pub const LONGEST_LINE: usize = 16 << 20;

/// How much of its definitions a reader must keep at one time, in bytes: all metrics, images, frames and
/// stacks, and the subjects that live. Subjects that have ended are forgotten.
pub const MOST_DEFINED: usize = 64 << 20;

/// The metrics of one recording: each of them is asked for by its name.
pub const MOST_METRICS: usize = 4096;

/// The targets of one recording, the ended ones too: the verdict keeps the series of each.
pub const MOST_TARGETS: usize = 4096;

/// The attributes of a subject, the fields of an event, the options of a sampler.
pub(crate) const MOST_ATTRIBUTES: usize = 1024;

/// Reads a list that has a limit.
macro_rules! lists {
    ($($(#[$doc:meta])+ $name:ident: $most:expr, $what:literal;)+) => {$(
        $(#[$doc])+
        pub(crate) fn $name<'de, T, L, D>(deserializer: D) -> Result<L, D::Error>
        where
            T: Deserialize<'de>,
            L: Default + Extend<T> + IntoIterator<Item = T>,
            D: Deserializer<'de>,
        {
            deserializer.deserialize_seq(BoundedList { most: $most, what: $what, list: PhantomData })
        }
    )+};
}

lists! {
    /// As many as fit into a line, mostly.
    points: 1 << 20, "points";
    /// The words of a command line: no longer one was ever executed.
    words: 1 << 19, "words of a command line";
    /// The frames of a stack.
    frames: 1 << 16, "frames";
    /// The calls that were inlined at one address.
    inlined_calls: 1024, "inlined calls";
    /// As many as have numbers.
    samplers: 1 << 12, "samplers";
    /// The targets that are watched from the start, and their ends.
    targets: MOST_TARGETS, "targets";
    /// What sinks did not get.
    sinks: 1 << 12, "sinks";
}

struct BoundedList<L> {
    most: usize,
    what: &'static str,
    list: PhantomData<L>,
}

impl<'de, T, L> Visitor<'de> for BoundedList<L>
where
    T: Deserialize<'de>,
    L: Default + Extend<T> + IntoIterator<Item = T>,
{
    type Value = L;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {} {}", self.most, self.what)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<L, A::Error> {
        let mut read = L::default();
        let mut count = 0;
        while let Some(item) = list.next_element::<T>()? {
            count += 1;
            if count > self.most {
                return Err(too_many(self.most, self.what));
            }
            read.extend([item]);
        }
        Ok(read)
    }
}

/// There are more than so many of something.
pub(crate) fn too_many<E: Error>(most: usize, what: &str) -> E {
    E::custom(format_args!("more than {most} {what}, which is the limit"))
}

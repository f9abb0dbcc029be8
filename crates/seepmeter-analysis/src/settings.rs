//! What the caller may set. Nothing of it says how long warm-up or a cycle lasts: those are found.

/// What a value counts, for the words of a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// Bytes of memory.
    #[default]
    Bytes,
    /// A plain number of things: threads, descriptors.
    Count,
}

/// How much evidence a judgement asks for.
///
/// The two least lengths are the one thing that no series can tell by itself. A cache being filled
/// by a scan and a leak are the same straight line until the cache is full; so are a quiet program
/// and one whose leak has not begun. All that tells them apart is a longer watch, so below these
/// lengths the answer is "not yet". Looks, not only time, because the interval that a user chooses
/// says at what pace they expect the program to live.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Fewer looks than this are never judged.
    pub least_looks: u64,
    /// A shorter watch than this (ns) is never judged.
    pub least_span: u64,
    /// Fewer floors than this after warm-up are never judged.
    pub least_floors: usize,
    /// The chance of an alarm by noise alone that the trend tests may take, two-sided.
    pub alpha: f64,
    /// What the values count.
    pub unit: Unit,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            least_looks: 300,
            least_span: 60_000_000_000,
            least_floors: 10,
            alpha: 1e-3,
            unit: Unit::Bytes,
        }
    }
}

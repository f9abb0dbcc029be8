//! What the caller may set. Nothing of it says how long warm-up or a cycle lasts: those are found.

use crate::thresholds::{Threshold, defaults};

/// How much evidence a judgement asks for.
///
/// The two least lengths are the one thing that no series can tell by itself. A cache being filled
/// by a scan and a leak are the same straight line until the cache is full; so are a quiet program
/// and one whose leak has not begun. All that tells them apart is a longer watch, so below these
/// lengths the answer is "not yet". Samples, not only time, because the interval that a user chooses
/// says at what pace they expect the program to live.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Fewer samples than this are never judged.
    pub least_samples: u64,
    /// A shorter watch than this (ns) is never judged.
    pub least_span: u64,
    /// Fewer floors than this after warm-up are never judged.
    pub least_floors: usize,
    /// What gained less than this (base units) is not called growth before the watch is twice as long.
    pub least_gain: f64,
    /// The chance of an alarm by noise alone that the trend tests may take, two-sided.
    pub alpha: f64,
}

impl Settings {
    /// For a metric of plain numbers, such as threads or descriptors, of which one more counts.
    #[must_use]
    pub fn for_counts() -> Self {
        Self { least_gain: 0.0, ..Self::default() }
    }

    /// The same for a watch that is so many times as long.
    #[must_use]
    pub(crate) fn longer(&self, times: u64) -> Self {
        Self {
            least_samples: self.least_samples.saturating_mul(times),
            least_span: self.least_span.saturating_mul(times),
            ..self.clone()
        }
    }

    /// The same as thresholds.
    #[must_use]
    pub fn thresholds(&self) -> Vec<Threshold> {
        let Self { least_samples, least_span, least_floors, least_gain, alpha } = *self;
        let set = [
            ("least_samples", least_samples as f64),
            ("least_span", least_span as f64),
            ("least_floors", least_floors as f64),
            ("least_gain", least_gain),
            ("alpha", alpha),
        ];
        set.map(|(name, value)| Threshold { stage: "settings".into(), name: name.into(), value })
            .to_vec()
    }
}

/// For a metric of bytes.
impl Default for Settings {
    fn default() -> Self {
        Self {
            least_samples: defaults::LEAST_SAMPLES,
            least_span: defaults::LEAST_SPAN,
            least_floors: defaults::LEAST_FLOORS,
            least_gain: defaults::LEAST_BYTES,
            alpha: defaults::ALPHA,
        }
    }
}

//! A floor: the one kind of point that all tests are about.

/// One floor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Floor {
    /// When, in seconds since the start of the watch.
    pub time: f64,
    /// How high, in base units.
    pub value: f64,
}

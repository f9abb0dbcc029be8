//! How large an anonymous mapping is.

/// The class of a mapping's size. It is that of the mapping's present size: a mapping that grows goes
/// from one to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SizeClass {
    /// Less than 64 KiB.
    Tiny,
    /// From 64 KiB on.
    Small,
    /// From 1 MiB on.
    Medium,
    /// From 16 MiB on.
    Large,
    /// From 256 MiB on.
    Huge,
}

impl SizeClass {
    /// All of them, from small to large.
    pub const ALL: [Self; 5] = [Self::Tiny, Self::Small, Self::Medium, Self::Large, Self::Huge];

    /// The class of so many bytes.
    #[must_use]
    pub fn of(bytes: u64) -> Self {
        let fits = |class: &Self| class.bounds().1.is_none_or(|end| bytes < end);
        Self::ALL.into_iter().find(fits).unwrap_or(Self::Huge)
    }

    /// The least size in bytes, and the first that is too large, if there is one.
    #[must_use]
    pub const fn bounds(self) -> (u64, Option<u64>) {
        match self {
            Self::Tiny => (0, Some(64 << 10)),
            Self::Small => (64 << 10, Some(1 << 20)),
            Self::Medium => (1 << 20, Some(16 << 20)),
            Self::Large => (16 << 20, Some(256 << 20)),
            Self::Huge => (256 << 20, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classes_follow_each_other_without_a_gap_and_each_size_is_in_its_own() {
        let mut next = Some(0);
        for class in SizeClass::ALL {
            let (least, end) = class.bounds();
            assert_eq!(Some(least), next);
            assert_eq!(SizeClass::of(least), class);
            if let Some(end) = end {
                assert_eq!(SizeClass::of(end - 1), class);
            }
            next = end;
        }
        assert_eq!((next, SizeClass::of(u64::MAX)), (None, SizeClass::Huge));
    }
}

//! Colours by what they are of.

use seepmeter_analysis::Classification;

/// What a shape is of, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ink {
    /// The ground.
    Ground,
    /// Text, and the names of the axes.
    Text,
    /// Text that matters less.
    Muted,
    /// The lines of the grid.
    Grid,
    /// A growing verdict.
    Growing,
    /// A steady one.
    Steady,
    /// An inconclusive one.
    Inconclusive,
    /// The curve.
    Curve,
    /// From the lowest to the highest value.
    Range,
    /// The judged span.
    Judged,
    /// Warm-up.
    WarmUp,
    /// Floors.
    Floor,
    /// The limit.
    Limit,
    /// Marks.
    Mark,
    /// The thin line of this number.
    Part(u8),
}

/// What is behind the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// A light ground.
    Light,
    /// A dark ground.
    Dark,
}

/// Colours of thin lines that people with any kind of colour vision can tell apart (Okabe & Ito, "Color Universal
/// Design", 2008), lighter or darker as the ground needs it.
const PARTS: [(u32, u32); 8] = [
    (0xb8_7d00, 0xe6_9f00),
    (0x2a_86b8, 0x56_b4e9),
    (0x00_7f5c, 0x1f_c79a),
    (0x9a_8f00, 0xf0_e442),
    (0x4a_55c8, 0x8e_97ff),
    (0xb0_4a00, 0xff_8a3d),
    (0xa8_4f80, 0xe0_8fbd),
    (0x6a_6a6a, 0xa8_a8a8),
];

impl Ink {
    /// All of them, with the thin lines.
    pub fn all() -> impl Iterator<Item = Self> {
        let named = [
            Self::Ground,
            Self::Text,
            Self::Muted,
            Self::Grid,
            Self::Growing,
            Self::Steady,
            Self::Inconclusive,
            Self::Curve,
            Self::Range,
            Self::Judged,
            Self::WarmUp,
            Self::Floor,
            Self::Limit,
            Self::Mark,
        ];
        named.into_iter().chain((0..PARTS.len()).map(|i| Self::Part(i as u8)))
    }

    /// Its name in a class or a variable of a style sheet: `growing`, `p3` of a thin line.
    #[must_use]
    pub fn class(self) -> String {
        match self {
            Self::Part(number) => format!("p{number}"),
            ink => format!("{ink:?}").to_lowercase(),
        }
    }

    /// That of a verdict.
    #[must_use]
    pub fn of(classification: Classification) -> Self {
        match classification {
            Classification::Growing => Self::Growing,
            Classification::Steady => Self::Steady,
            Classification::Inconclusive => Self::Inconclusive,
        }
    }

    /// The colour, as 0xRRGGBB.
    #[must_use]
    pub fn colour(self, theme: Theme) -> u32 {
        let (light, dark) = match self {
            Self::Ground => (0xff_ffff, 0x0d_1117),
            Self::Text => (0x1f_2328, 0xe6_edf3),
            Self::Muted => (0x59_636e, 0x9a_a4af),
            Self::Grid => (0xdd_e1e6, 0x2b_323b),
            Self::Growing => (0xcf_222e, 0xff_7b72),
            Self::Steady => (0x1a_7f37, 0x3f_b950),
            Self::Inconclusive => (0x9a_6700, 0xd2_9922),
            Self::Curve | Self::Range => (0x09_69da, 0x58_a6ff),
            Self::Judged => (0xe6_f1fc, 0x13_2136),
            Self::WarmUp => (0xf6_f0dc, 0x2a_2517),
            Self::Floor => (0x6f_42c1, 0xc9_a6ff),
            Self::Limit => (0xbc_4c00, 0xf0_883e),
            Self::Mark => (0x6e_7781, 0x8b_949e),
            Self::Part(number) => PARTS[usize::from(number) % PARTS.len()],
        };
        match theme {
            Theme::Light => light,
            Theme::Dark => dark,
        }
    }

    /// How much of it covers what is behind, from 0 to 1.
    #[must_use]
    pub fn opacity(self) -> f64 {
        if self == Self::Range { 0.3 } else { 1.0 }
    }
}

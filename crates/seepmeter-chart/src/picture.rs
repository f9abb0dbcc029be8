//! A chart on a plane.

use crate::chart::Chart;
use crate::ink::Ink;
use crate::layout;

/// How large a picture is, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureSize {
    /// How wide.
    pub width: u32,
    /// How high.
    pub height: u32,
}

impl PictureSize {
    /// The least of both that can be read.
    pub const LEAST: Self = Self { width: 320, height: 200 };
    /// The most of both.
    pub const MOST: Self = Self { width: 4096, height: 4096 };
}

impl Default for PictureSize {
    /// What a README or a ticket shows whole.
    fn default() -> Self {
        Self { width: 720, height: 340 }
    }
}

/// Shapes, in the order in which they are drawn. Coordinates are in pixels from the upper left corner.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// How large it is.
    pub size: PictureSize,
    /// What it shows in a sentence, for whoever does not see it.
    pub title: String,
    /// The same in more of them.
    pub description: Vec<String>,
    /// The shapes.
    pub shapes: Vec<Shape>,
}

/// Which point of a text its coordinates are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Where it begins.
    Start,
    /// Its middle.
    Middle,
    /// Where it ends.
    End,
}

/// A text, or the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRun {
    /// Its colour.
    pub ink: Ink,
    /// Whether it is bold.
    pub bold: bool,
    /// The text, as it came from the target.
    pub text: String,
}

/// One shape.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A filled rectangle.
    Rect {
        /// Its colour.
        ink: Ink,
        /// Its left upper corner.
        at: (f64, f64),
        /// Its width and its height.
        size: (f64, f64),
    },
    /// A line through points.
    Line {
        /// Its colour.
        ink: Ink,
        /// The points.
        points: Vec<(f64, f64)>,
        /// How wide it is.
        width: f64,
        /// The lengths of its dashes and of what is between them; none of a whole line.
        dashes: Option<(f64, f64)>,
    },
    /// A filled area.
    Area {
        /// Its colour.
        ink: Ink,
        /// Its corners.
        points: Vec<(f64, f64)>,
        /// How much of it covers what is behind, from 0 to 1.
        opacity: f64,
    },
    /// A disc, filled or as its edge.
    Disc {
        /// Its colour.
        ink: Ink,
        /// Its middle.
        at: (f64, f64),
        /// Its radius.
        radius: f64,
        /// Whether it is filled.
        filled: bool,
    },
    /// A line of text.
    Text {
        /// Where, on its base line.
        at: (f64, f64),
        /// Which point of it that is.
        anchor: Anchor,
        /// How large the letters are.
        size: f64,
        /// What it says.
        runs: Vec<TextRun>,
    },
}

impl Picture {
    /// The picture of a chart.
    #[must_use]
    pub fn of(chart: &Chart, size: PictureSize) -> Self {
        layout::picture(chart, size)
    }

    /// The picture of a run of which there is no chart: it says why.
    #[must_use]
    pub fn without_chart(why: &str, size: PictureSize) -> Self {
        layout::message(why, size)
    }
}

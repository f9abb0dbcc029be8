//! What each kind of line and area in a picture is.

use crate::chart::Chart;
use crate::ink::Ink;
use crate::layout::{cut_within, text_width, writing};
use crate::picture::{Anchor, Shape};

/// How large its letters are, and how far apart its rows.
const SIZE: f64 = 11.0;
pub(crate) const ROW: f64 = 16.0;

/// How wide a swatch is, and what is between it, its text and the next one.
const SWATCH: f64 = 14.0;
const SPACE: f64 = 5.0;
const BETWEEN: f64 = 14.0;

/// No more columns of a name are shown.
const LONGEST_NAME: usize = 36;

/// So many of them are its end, where pids stand.
const END_OF_NAME: usize = 14;

/// An entry: how it looks, and what it is.
struct Entry {
    swatch: Swatch,
    text: String,
}

enum Swatch {
    Line(Ink, f64),
    Fill(Ink),
    Disc(Ink),
}

/// The rows of a legend that is so wide; none if it has no width.
pub(crate) struct Legend {
    rows: Vec<Vec<Entry>>,
}

impl Legend {
    pub(crate) fn of(chart: &Chart, width: f64) -> Self {
        let mut rows: Vec<Vec<Entry>> = vec![Vec::new()];
        let mut used = 0.0;
        if width <= 0.0 {
            return Self { rows: Vec::new() };
        }
        for entry in entries(chart) {
            let wide = SWATCH + SPACE + text_width(&entry.text, SIZE) + BETWEEN;
            if used > 0.0 && used + wide - BETWEEN > width {
                rows.push(Vec::new());
                used = 0.0;
            }
            used += wide;
            if let Some(row) = rows.last_mut() {
                row.push(entry);
            }
        }
        rows.retain(|row| !row.is_empty());
        Self { rows }
    }

    /// How high it is.
    pub(crate) fn height(&self) -> f64 {
        self.rows.len() as f64 * ROW
    }

    /// Its shapes, from an upper left corner.
    pub(crate) fn shapes(self, left: f64, top: f64) -> Vec<Shape> {
        let mut shapes = Vec::new();
        for (row, entries) in self.rows.into_iter().enumerate() {
            let (mut x, y) = (left, top + ROW * row as f64 + ROW / 2.0);
            for Entry { swatch, text } in entries {
                shapes.push(swatch.shape(x, y));
                x += SWATCH + SPACE;
                let wide = text_width(&text, SIZE);
                shapes.push(writing((x, y + 4.0), Anchor::Start, SIZE, (Ink::Muted, text)));
                x += wide + BETWEEN;
            }
        }
        shapes
    }
}

impl Swatch {
    fn shape(&self, x: f64, y: f64) -> Shape {
        match *self {
            Self::Line(ink, width) => {
                Shape::Line { ink, points: vec![(x, y), (x + SWATCH, y)], width, dashes: None }
            }
            Self::Fill(ink) => {
                let points =
                    vec![(x, y - 5.0), (x + SWATCH, y - 5.0), (x + SWATCH, y + 5.0), (x, y + 5.0)];
                Shape::Area { ink, points, opacity: ink.opacity() }
            }
            Self::Disc(ink) => {
                Shape::Disc { ink, at: (x + SWATCH / 2.0, y), radius: 2.5, filled: true }
            }
        }
    }
}

/// What there is in the chart.
fn entries(chart: &Chart) -> Vec<Entry> {
    let entry =
        |swatch, text: &str| Entry { swatch, text: cut_within(text, LONGEST_NAME, END_OF_NAME) };
    let mut entries = Vec::new();
    let has_range = chart.curve.bins.iter().flatten().any(|bin| bin.min < bin.max);
    if chart.curve.range().is_some() {
        entries.push(entry(Swatch::Line(Ink::Curve, 2.0), &chart.name));
    }
    for (number, part) in chart.parts.iter().enumerate() {
        entries.push(entry(Swatch::Line(Ink::Part(number as u8), 2.0), &part.name));
    }
    let verdict = Ink::of(chart.classification);
    let cycles = !chart.troughs.is_empty();
    let known = [
        (has_range, Swatch::Fill(Ink::Range), "lowest to highest"),
        (!chart.floors.is_empty(), Swatch::Disc(Ink::Floor), "floors"),
        (chart.fit.is_some(), Swatch::Line(verdict, 2.0), "fitted line, 95 % band"),
        (chart.judged.is_some(), Swatch::Fill(Ink::Judged), "judged"),
        (chart.warm_up_end.is_some(), Swatch::Fill(Ink::WarmUp), "warm-up"),
        (cycles, Swatch::Line(Ink::Muted, 4.0), "cycles end"),
        (!chart.marks.is_empty(), Swatch::Line(Ink::Mark, 1.0), "marks and events"),
    ];
    let known = known.into_iter().filter(|(is_there, ..)| *is_there);
    entries.extend(known.map(|(_, swatch, text)| entry(swatch, text)));
    entries
}

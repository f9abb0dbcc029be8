//! Where each thing of a chart stands in a picture.

use std::collections::BTreeSet;

use seepmeter_analysis::Interval;
use seepmeter_record::human;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::axis::Tick;
use crate::chart::Chart;
use crate::curve::{Bin, Curve};
use crate::ink::Ink;
use crate::legend::Legend;
use crate::picture::{Anchor, Picture, PictureSize, Shape, TextRun};

/// The edge of the picture.
const EDGE: f64 = 14.0;

/// How large the letters of the headline, of its further lines and of the axes are.
const HEADLINE: f64 = 13.0;
const SMALL: f64 = 11.0;

/// From line to line.
const HEADLINE_LEADING: f64 = 18.0;
const SMALL_LEADING: f64 = 15.0;

/// So many lines of the headline and of the details are shown; the description has all.
const MOST_HEADLINES: usize = 3;
const MOST_DETAILS: usize = 2;

/// The plot is no lower than this; of what stands beside it less is shown then.
const LEAST_PLOT: f64 = 90.0;

/// A picture that is no higher than this below its headline has no legend.
const LEAST_WITH_LEGEND: f64 = 190.0;

/// If there are more marks than this, they are short lines at the top.
const MOST_WHOLE_MARKS: usize = 40;

/// No more columns of the label of a mark are shown.
const LONGEST_MARK: usize = 28;

/// The width of a letter, as a part of the size of the letters. Fonts are those of the reader: DejaVu Sans, a wide
/// one, has 0.5 in sentences, and more in short names and numbers.
const LETTER: f64 = 0.56;
const LETTER_OF_SENTENCES: f64 = 0.53;

/// About how wide a text is.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    text.width() as f64 * size * LETTER
}

/// As much of a text as fits into so many columns.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= columns
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push('…');
    cut
}

/// The same, but of the end of the text, where pids stand, so many columns are kept.
pub(crate) fn cut_within(text: &str, columns: usize, end: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut used = 0;
    let from = text.char_indices().rev().take_while(|(_, c)| {
        used += c.width().unwrap_or(0);
        used <= end
    });
    let from = from.last().map_or(text.len(), |(place, _)| place);
    let begin = cut(&text[..from], columns.saturating_sub(end).max(1));
    format!("{begin}{}", &text[from..])
}

/// A text of one colour.
pub(crate) fn writing(
    at: (f64, f64),
    anchor: Anchor,
    size: f64,
    (ink, text): (Ink, String),
) -> Shape {
    Shape::Text { at, anchor, size, runs: vec![TextRun { ink, bold: false, text }] }
}

/// What is drawn of a run without a chart.
pub(crate) fn message(why: &str, size: PictureSize) -> Picture {
    let mut shapes = vec![ground(size)];
    let lines = wrapped(why, f64::from(size.width) - 2.0 * EDGE, HEADLINE, 6);
    let mut y = EDGE + HEADLINE;
    for line in lines {
        shapes.push(writing((EDGE, y), Anchor::Start, HEADLINE, (Ink::Text, line)));
        y += HEADLINE_LEADING;
    }
    Picture { size, title: why.to_owned(), description: Vec::new(), shapes }
}

pub(crate) fn picture(chart: &Chart, size: PictureSize) -> Picture {
    let mut shapes = vec![ground(size)];
    let plot = frame(chart, size, &mut shapes);
    plot.spans(&mut shapes);
    plot.grid(&mut shapes);
    plot.curves(&mut shapes);
    plot.fit(&mut shapes);
    plot.limit(&mut shapes);
    plot.marks(&mut shapes);
    let title = format!("{}: {}", chart.classification, chart.headline);
    let columns = columns(plot.left, plot.right);
    let description = chart.details.iter().cloned().chain(notes(chart, columns)).collect();
    Picture { size, title, description, shapes }
}

/// How many bins can be told apart between two edges.
fn columns(left: f64, right: f64) -> usize {
    (right - left).max(1.0) as usize
}

/// What is not drawn of a chart that is so wide.
fn notes(chart: &Chart, columns: usize) -> Vec<String> {
    let bins = chart.curve.in_bins(columns).bins.len();
    let is_downsampled = chart.samples > bins as u64;
    let samples = human::count(chart.samples, "sample");
    let in_bins = || format!("{samples} in {bins} bins, each from its lowest to its highest value");
    is_downsampled.then(in_bins).into_iter().chain(chart.notes.clone()).collect()
}

fn ground(size: PictureSize) -> Shape {
    let size = (f64::from(size.width), f64::from(size.height));
    Shape::Rect { ink: Ink::Ground, at: (0.0, 0.0), size }
}

/// A text in lines that are so wide, as many as there may be.
fn wrapped(text: &str, width: f64, size: f64, most: usize) -> Vec<String> {
    let columns = (width / (size * LETTER_OF_SENTENCES)).max(10.0) as usize;
    let mut lines: Vec<String> =
        textwrap::wrap(text, columns).into_iter().map(|line| line.into_owned()).collect();
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            *last = cut(&format!("{last} …"), columns);
        }
    }
    lines
}

/// Draws the texts above and below the plot, and gives the plot what is left.
fn frame<'a>(chart: &'a Chart, size: PictureSize, shapes: &mut Vec<Shape>) -> Plot<'a> {
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    let inner = width - 2.0 * EDGE;
    let mut y = headline(chart, inner, shapes);
    // In a low picture there is no room for what the lines are.
    let legend = Legend::of(chart, if height - y < LEAST_WITH_LEGEND { 0.0 } else { inner });
    let labels = chart.values.ticks.iter().map(|tick| text_width(&tick.label, SMALL));
    let left = EDGE + labels.fold(0.0, f64::max) + 6.0;
    let right = width - EDGE - 6.0;
    let notes = notes(chart, columns(left, right)).join("; ");
    let notes = if notes.is_empty() { Vec::new() } else { wrapped(&notes, inner, SMALL, 1) };
    let below = EDGE + SMALL_LEADING + legend.height() + notes.len() as f64 * SMALL_LEADING + 4.0;
    let room = height - below - y - LEAST_PLOT - SMALL_LEADING;
    let fit = ((room / SMALL_LEADING).max(0.0) as usize).min(MOST_DETAILS);
    let details = chart.details.iter().flat_map(|line| wrapped(line, inner, SMALL, 1));
    for line in details.take(fit) {
        y += SMALL_LEADING;
        shapes.push(writing((EDGE, y), Anchor::Start, SMALL, (Ink::Muted, line)));
    }
    // The labels of marks stand on the plot.
    let top = y + if chart.marks.is_empty() { 10.0 } else { 10.0 + SMALL };
    let bottom = (height - below).max(top + 40.0);
    let mut under = bottom + SMALL_LEADING + 6.0;
    let rows = legend.height();
    shapes.extend(legend.shapes(EDGE, under));
    under += rows;
    for note in notes {
        let at = (EDGE, under + SMALL);
        shapes.push(writing(at, Anchor::Start, SMALL, (Ink::Muted, note)));
    }
    Plot { chart, left, right, top, bottom }
}

/// Draws the headline: the base line of its last line.
fn headline(chart: &Chart, inner: f64, shapes: &mut Vec<Shape>) -> f64 {
    let word = chart.classification.as_str();
    let lines = wrapped(&format!("{word}  {}", chart.headline), inner, HEADLINE, MOST_HEADLINES);
    let mut y = EDGE + HEADLINE - 3.0;
    for (place, line) in lines.iter().enumerate() {
        let mut runs = Vec::new();
        let mut rest = &**line;
        if place == 0 {
            rest = line.strip_prefix(word).unwrap_or(line);
            let ink = Ink::of(chart.classification);
            runs.push(TextRun { ink, bold: true, text: word.to_owned() });
        } else {
            y += HEADLINE_LEADING;
        }
        let text = if place == 0 { format!(" {}", rest.trim_start()) } else { rest.to_owned() };
        runs.push(TextRun { ink: Ink::Text, bold: false, text });
        shapes.push(Shape::Text { at: (EDGE, y), anchor: Anchor::Start, size: HEADLINE, runs });
    }
    y
}

/// The area between the axes, in pixels.
struct Plot<'a> {
    chart: &'a Chart,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Plot<'_> {
    fn x(&self, t: f64) -> f64 {
        self.left + (self.right - self.left) * self.chart.times.part(t).clamp(0.0, 1.0)
    }

    /// The height of a value, which may lie beyond the plot.
    fn y(&self, value: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * self.chart.values.part(value)
    }

    fn clamped(&self, value: f64) -> f64 {
        self.y(value).clamp(self.top, self.bottom)
    }

    /// Warm-up and the judged span, as areas behind all else.
    fn spans(&self, shapes: &mut Vec<Shape>) {
        let height = self.bottom - self.top;
        let mut area = |ink, from: u64, to: u64| {
            let (from, to) = (self.x(from as f64), self.x(to as f64));
            shapes.push(Shape::Rect { ink, at: (from, self.top), size: (to - from, height) });
        };
        if let Some(span) = self.chart.judged {
            area(Ink::Judged, span.from, span.to);
        }
        if let Some(end) = self.chart.warm_up_end {
            area(Ink::WarmUp, self.chart.curve.start, end);
        }
        // Nothing is known there, so nothing was judged.
        for gap in self.chart.curve.gaps() {
            area(Ink::Ground, gap.from, gap.to);
        }
    }

    fn grid(&self, shapes: &mut Vec<Shape>) {
        if self.chart.curve.range().is_none() {
            return;
        }
        let line = |ink, points| Shape::Line { ink, points, width: 1.0, dashes: None };
        for Tick { at, label } in &self.chart.values.ticks {
            let y = self.y(*at);
            shapes.push(line(Ink::Grid, vec![(self.left, y), (self.right, y)]));
            let at = (self.left - 6.0, y + 4.0);
            shapes.push(writing(at, Anchor::End, SMALL, (Ink::Muted, label.clone())));
        }
        let mut last_end = f64::NEG_INFINITY;
        for Tick { at, label } in &self.chart.times.ticks {
            let (x, half) = (self.x(*at), text_width(label, SMALL) / 2.0);
            let tick = vec![(x, self.bottom), (x, self.bottom + 4.0)];
            shapes.push(line(Ink::Muted, tick));
            if x - half < last_end + 6.0 {
                continue;
            }
            last_end = x + half;
            // The last one must not reach over the edge of the picture.
            let edge = self.right + EDGE;
            let (x, anchor) =
                if x + half > edge { (edge, Anchor::End) } else { (x, Anchor::Middle) };
            let at = (x, self.bottom + SMALL_LEADING + 1.0);
            shapes.push(writing(at, anchor, SMALL, (Ink::Muted, label.clone())));
        }
        let axis = vec![(self.left, self.bottom), (self.right, self.bottom)];
        shapes.push(line(Ink::Muted, axis));
    }

    /// The curve with its range, and the thin lines below it.
    fn curves(&self, shapes: &mut Vec<Shape>) {
        let chart = self.chart;
        let columns = columns(self.left, self.right);
        for (number, part) in chart.parts.iter().enumerate() {
            let curve = part.curve.in_bins(columns);
            self.means(&curve, Ink::Part(number as u8), 1.2, shapes);
        }
        if chart.curve.range().is_none() {
            let at = ((self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0);
            let text = "nothing was sampled".to_owned();
            shapes.push(writing(at, Anchor::Middle, HEADLINE, (Ink::Muted, text)));
            return;
        }
        let curve = chart.curve.in_bins(columns);
        for bins in curve.stretches() {
            let edge = |of: fn(&Bin) -> f64| self.points(&curve, &bins, of);
            let (highest, lowest) = (edge(|bin| bin.max), edge(|bin| bin.min));
            if highest != lowest {
                let points = highest.into_iter().chain(lowest.into_iter().rev()).collect();
                let (ink, opacity) = (Ink::Range, Ink::Range.opacity());
                shapes.push(Shape::Area { ink, points, opacity });
            }
        }
        self.means(&curve, Ink::Curve, 1.6, shapes);
    }

    /// The points of a stretch, at the middle of each bin, from the begin of the first to the end of the last.
    fn points(&self, curve: &Curve, bins: &[(usize, Bin)], of: fn(&Bin) -> f64) -> Vec<(f64, f64)> {
        let at = |t: u64, bin: &Bin| (self.x(t as f64), self.clamped(of(bin)));
        let first = bins.first().map(|(i, bin)| at(curve.begin(*i), bin));
        let middles = bins.iter().map(|(i, bin)| at(curve.middle(*i), bin));
        let last = bins.last().map(|(i, bin)| at(curve.begin(i + 1).min(curve.end), bin));
        first.into_iter().chain(middles).chain(last).collect()
    }

    /// A curve as the line through its means.
    fn means(&self, curve: &Curve, ink: Ink, width: f64, shapes: &mut Vec<Shape>) {
        for bins in curve.stretches() {
            let points = self.points(curve, &bins, |bin| bin.mean);
            shapes.push(Shape::Line { ink, points, width, dashes: None });
        }
    }

    /// The floors, the cycles, and the fitted line with its band.
    fn fit(&self, shapes: &mut Vec<Shape>) {
        let chart = self.chart;
        for t in &chart.troughs {
            let x = self.x(*t as f64);
            let points = vec![(x, self.bottom), (x, self.bottom - 5.0)];
            shapes.push(Shape::Line { ink: Ink::Muted, points, width: 1.0, dashes: None });
        }
        for floor in &chart.floors {
            let at = (self.x(floor.t as f64), self.clamped(floor.value));
            let (ink, radius, filled) = (Ink::Floor, 2.6, floor.is_judged);
            shapes.push(Shape::Disc { ink, at, radius, filled });
        }
        if let Some(fit) = chart.fit {
            let ink = Ink::of(chart.classification);
            let (from, to) = (fit.span.from as f64 / 1e9, fit.span.to as f64 / 1e9);
            let places = [from, fit.pivot.clamp(from, to), to];
            let edge = |of: fn(Interval) -> f64| {
                places.map(|t| (self.x(t * 1e9), self.clamped(of(fit.at(t)))))
            };
            let (high, low) = (edge(|band| band.high), edge(|band| band.low));
            let points = high.into_iter().chain(low.into_iter().rev()).collect();
            shapes.push(Shape::Area { ink, points, opacity: 0.18 });
            let at = |t: f64| (self.x(t * 1e9), self.y(fit.at(t).estimate));
            self.clipped([at(from), at(to)], (ink, 1.6, None), shapes);
            if let Some(reached) = chart.limit.as_ref().and_then(|limit| limit.reached) {
                let ahead = [at(to), at(reached as f64 / 1e9)];
                self.clipped(ahead, (ink, 1.6, Some((6.0, 4.0))), shapes);
            }
        }
    }

    /// As much of a line as lies in the plot.
    fn clipped(
        &self,
        [a, b]: [(f64, f64); 2],
        (ink, width, dashes): (Ink, f64, Option<(f64, f64)>),
        shapes: &mut Vec<Shape>,
    ) {
        let inside = |(x, y): (f64, f64), (other_x, other_y): (f64, f64)| {
            let within = y.clamp(self.top, self.bottom);
            let part = if other_y == y { 0.0 } else { (within - y) / (other_y - y) };
            (x + (other_x - x) * part.clamp(0.0, 1.0), within)
        };
        let outside = |y: f64| y < self.top || y > self.bottom;
        if outside(a.1) && outside(b.1) && (a.1 < self.top) == (b.1 < self.top) {
            return;
        }
        let points = vec![inside(a, b), inside(b, a)];
        shapes.push(Shape::Line { ink, points, width, dashes });
    }

    fn limit(&self, shapes: &mut Vec<Shape>) {
        let Some(limit) = &self.chart.limit else { return };
        let ink = Ink::Limit;
        let Some(value) = limit.value else {
            let at = (self.left + 6.0, self.top + 13.0);
            shapes.push(writing(at, Anchor::Start, SMALL, (ink, limit.label.clone())));
            return;
        };
        let y = self.clamped(value);
        let points = vec![(self.left, y), (self.right, y)];
        shapes.push(Shape::Line { ink, points, width: 1.4, dashes: Some((8.0, 4.0)) });
        let above = if y - 5.0 - SMALL < self.top { y + SMALL + 3.0 } else { y - 5.0 };
        let at = (self.left + 6.0, above);
        shapes.push(writing(at, Anchor::Start, SMALL, (ink, limit.label.clone())));
        if let Some(reached) = limit.reached {
            let x = self.x(reached as f64);
            let points = vec![(x, y), (x, self.bottom)];
            shapes.push(Shape::Line { ink, points, width: 1.0, dashes: Some((3.0, 3.0)) });
            shapes.push(Shape::Disc { ink, at: (x, y), radius: 3.5, filled: true });
        }
    }

    fn marks(&self, shapes: &mut Vec<Shape>) {
        let marks = &self.chart.marks;
        let bottom = if marks.len() > MOST_WHOLE_MARKS { self.top + 8.0 } else { self.bottom };
        let mut named = BTreeSet::new();
        let mut last_end = f64::NEG_INFINITY;
        for mark in marks {
            let x = self.x(mark.t as f64);
            let points = vec![(x, self.top), (x, bottom)];
            let dashes = Some((2.0, 3.0));
            shapes.push(Shape::Line { ink: Ink::Mark, points, width: 1.0, dashes });
            let text = cut(&mark.label, LONGEST_MARK);
            let wide = text_width(&text, SMALL);
            // At the right edge it ends at its line.
            let (begin, anchor) =
                if x + wide > self.right { (x - wide, Anchor::End) } else { (x, Anchor::Start) };
            if begin > last_end + 8.0 && named.insert(&mark.label) {
                last_end = begin + wide;
                let at = (x, self.top - 4.0);
                shapes.push(writing(at, anchor, SMALL, (Ink::Muted, text)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_keeps_its_pid() {
        let name = "python3 /srv/app/worker-of-the-queue.py (pid 4711)";
        let cut_name = cut_within(name, 36, 14);
        assert!(
            cut_name.starts_with("python3 /srv") && cut_name.ends_with(" (pid 4711)"),
            "{cut_name}"
        );
        assert!(cut_name.width() <= 36 && cut_name.contains('…'), "{cut_name}");
        assert_eq!(cut_within("perl (pid 7)", 36, 14), "perl (pid 7)");
        assert_eq!(cut("記憶体", 5), "記憶…");
    }
}

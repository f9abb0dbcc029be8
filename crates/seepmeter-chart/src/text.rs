//! A chart in the characters of a terminal.

use seepmeter_record::human;
use unicode_width::UnicodeWidthStr;

use crate::chart::Chart;
use crate::curve::Bin;

/// The dots of a braille character (Unicode, Braille Patterns), by column and row.
const DOTS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// The first of the braille characters, which has no dots.
const NO_DOTS: u32 = 0x2800;

/// So many columns of a terminal are the labels of the values, and what is between them and the plot.
const LABEL: usize = 9;
const SPACE: usize = 2;

/// A plot is no narrower than this, and no wider.
const LEAST_COLUMNS: usize = 20;
const MOST_COLUMNS: usize = 60;

/// How high a plot is, in lines.
const ROWS: usize = 8;

/// Of so many columns one may be a floor, and one the fitted line: the curve stays visible between them.
const EVERY: usize = 6;

/// What a character of a chart is of, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextInk {
    /// Labels, and what is empty.
    Plain,
    /// The curve, in the colour of the verdict.
    Curve,
    /// A floor.
    Floor,
    /// The fitted line.
    Fit,
    /// The limit.
    Limit,
}

/// Characters of one ink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSpan {
    /// Their ink.
    pub ink: TextInk,
    /// The characters.
    pub text: String,
}

impl Chart {
    /// The chart in lines of so many columns: eight of the plot with the labels of its highest and its lowest value,
    /// and one of times. The curve is of braille dots, floors are `o`, the fitted line is `━`, the limit `┄`.
    /// None if so many columns are too few, or if there is no curve.
    #[must_use]
    pub fn text(&self, columns: usize) -> Option<Vec<Vec<TextSpan>>> {
        let room = columns.checked_sub(LABEL + SPACE).filter(|room| *room >= LEAST_COLUMNS)?;
        let _ = self.curve.range()?;
        let mut plot = TextPlot::new(self, room.min(MOST_COLUMNS));
        plot.limit();
        plot.curve();
        plot.fit();
        plot.floors();
        Some(plot.lines())
    }
}

/// The characters of a plot, line by line.
struct TextPlot<'a> {
    chart: &'a Chart,
    columns: usize,
    dots: Vec<u8>,
    /// Characters that stand in place of dots.
    signs: Vec<Option<(TextInk, char)>>,
}

impl<'a> TextPlot<'a> {
    fn new(chart: &'a Chart, columns: usize) -> Self {
        let cells = columns * ROWS;
        Self { chart, columns, dots: vec![0; cells], signs: vec![None; cells] }
    }

    /// The row of dots of a value, from the top; none if it lies beyond the plot.
    fn dot_row(&self, value: f64) -> Option<usize> {
        let part = self.chart.values.part(value);
        let row = ((1.0 - part) * (4 * ROWS) as f64).floor();
        (0.0..=1.0).contains(&part).then(|| (row as usize).min(4 * ROWS - 1))
    }

    /// The column of dots of a time, in ns.
    fn dot_column(&self, t: f64) -> usize {
        let part = self.chart.times.part(t).clamp(0.0, 1.0);
        ((part * (2 * self.columns) as f64) as usize).min(2 * self.columns - 1)
    }

    fn curve(&mut self) {
        let curve = self.chart.curve.in_bins(2 * self.columns);
        for bins in curve.stretches() {
            let mut before: Option<(usize, usize, usize)> = None;
            for (i, Bin { min, max, .. }) in bins {
                let (Some(high), Some(low)) = (self.dot_row(max), self.dot_row(min)) else {
                    continue;
                };
                let column = self.dot_column(curve.middle(i) as f64);
                // What lies between two bins is part of the line.
                let (from, top, bottom) = match before {
                    Some((from, top, bottom)) => (from, high.min(bottom), low.max(top)),
                    None => (column, high, low),
                };
                for x in from.min(column)..column {
                    let level = before.map_or(high, |(_, top, _)| top);
                    self.light(x, level);
                }
                for row in top.min(high)..=bottom.max(low) {
                    self.light(column, row);
                }
                before = Some((column, high, low));
            }
        }
    }

    fn light(&mut self, column: usize, row: usize) {
        let cell = row / 4 * self.columns + column / 2;
        self.dots[cell] |= DOTS[column % 2][row % 4];
    }

    /// The fitted line, and where it leads if the limit is in sight.
    fn fit(&mut self) {
        let Some(fit) = self.chart.fit else { return };
        let reached = self.chart.limit.as_ref().and_then(|limit| limit.reached);
        let to = reached.unwrap_or(fit.span.to);
        for column in (EVERY / 2..self.columns).step_by(EVERY) {
            let t = self.time_of(column);
            let at = self.chart.fit_at(t).filter(|_| t <= to);
            if let Some(row) = at.and_then(|at| self.dot_row(at.estimate)) {
                self.sign(column, row / 4, (TextInk::Fit, '━'));
            }
        }
    }

    fn floors(&mut self) {
        for column in (0..self.columns).step_by(EVERY) {
            let is_near = |t: u64| self.dot_column(t as f64).abs_diff(2 * column) <= 4;
            let mut near = self.chart.floors.iter().filter(|floor| is_near(floor.t));
            if let Some(row) = near.next().and_then(|floor| self.dot_row(floor.value)) {
                self.sign(column, row / 4, (TextInk::Floor, 'o'));
            }
        }
    }

    fn limit(&mut self) {
        let value = self.chart.limit.as_ref().and_then(|limit| limit.value);
        if let Some(row) = value.and_then(|value| self.dot_row(value)) {
            for column in 0..self.columns {
                self.sign(column, row / 4, (TextInk::Limit, '┄'));
            }
        }
    }

    fn sign(&mut self, column: usize, row: usize, sign: (TextInk, char)) {
        self.signs[row * self.columns + column] = Some(sign);
    }

    /// The middle of a column of characters, in ns.
    fn time_of(&self, column: usize) -> u64 {
        let times = &self.chart.times;
        let part = (column as f64 + 0.5) / self.columns as f64;
        (times.from + part * (times.to - times.from)) as u64
    }

    fn cell(&self, cell: usize) -> (TextInk, char) {
        let braille = || char::from_u32(NO_DOTS + u32::from(self.dots[cell])).unwrap_or(' ');
        match (self.signs[cell], self.dots[cell]) {
            (Some((TextInk::Limit, _)), 1..) => (TextInk::Curve, braille()),
            (Some(sign), _) => sign,
            (None, 0) => (TextInk::Plain, ' '),
            (None, _) => (TextInk::Curve, braille()),
        }
    }

    fn lines(&self) -> Vec<Vec<TextSpan>> {
        let (chart, last) = (self.chart, ROWS - 1);
        let amount = |value: f64| human::amount(value, chart.unit);
        let labels = [amount(chart.values.to), amount(chart.values.from)];
        let row = |row: usize| {
            let label = match row {
                0 => &*labels[0],
                row if row == last => &*labels[1],
                _ => "",
            };
            let mut spans = vec![plain(format!("{label:>LABEL$}{:SPACE$}", ""))];
            for cell in row * self.columns..(row + 1) * self.columns {
                let (ink, c) = self.cell(cell);
                match spans.last_mut().filter(|span| span.ink == ink) {
                    Some(span) => span.text.push(c),
                    None => spans.push(TextSpan { ink, text: c.into() }),
                }
            }
            trimmed(spans)
        };
        (0..ROWS).map(row).chain([vec![plain(self.times())]]).collect()
    }

    /// The line below the plot: from when to when, and what the characters are.
    fn times(&self) -> String {
        let chart = self.chart;
        let [from, to] = [chart.times.from, chart.times.to].map(|t| human::duration(t as u64));
        let legend =
            [(!chart.floors.is_empty(), "o floors"), (chart.fit.is_some(), "━ fitted line")];
        let legend: Vec<&str> =
            legend.iter().filter(|(is, _)| *is).map(|(_, text)| *text).collect();
        let legend = legend.join("  ");
        let free = self.columns.saturating_sub(from.width() + to.width());
        // As much space on both sides; none if it does not fit.
        let legend = if legend.width() + 4 <= free { legend } else { String::new() };
        let left = (free - legend.width()) / 2;
        let right = free - legend.width() - left;
        format!("{:1$}{from}{2:left$}{legend}{2:right$}{to}", "", LABEL + SPACE, "")
    }
}

fn plain(text: String) -> TextSpan {
    TextSpan { ink: TextInk::Plain, text }
}

/// A line without spaces at its end.
fn trimmed(mut spans: Vec<TextSpan>) -> Vec<TextSpan> {
    if let Some(last) = spans.last_mut().filter(|span| span.ink == TextInk::Plain) {
        last.text.truncate(last.text.trim_end().len());
    }
    spans
}

#[cfg(test)]
mod tests {
    use seepmeter_analysis::Series;
    use seepmeter_verdict::{Conclusion, MetricConclusion, MetricOutcome, RunSeries};

    use super::*;
    use crate::MarkLog;

    const MIB: i64 = 1 << 20;

    fn drawn(pairs: impl Iterator<Item = (i64, i64)>, columns: usize) -> Option<Vec<String>> {
        let series = Series::from_pairs(pairs.map(|(s, value)| (s as u64 * 1_000_000_000, value)));
        let verdicts = vec![RunSeries::of_resident("a", series).judge()];
        let outcome = MetricOutcome::Verdicts(verdicts);
        let metrics = vec![MetricConclusion::new("rss", outcome)];
        let conclusion = Conclusion { metrics, gates: Vec::new(), strict: false };
        let chart = Chart::of(&conclusion, None, &MarkLog::default()).unwrap();
        let line = |spans: &Vec<TextSpan>| spans.iter().map(|span| &*span.text).collect();
        Some(chart.text(columns)?.iter().map(line).collect())
    }

    #[test]
    fn a_leak_rises_from_the_lower_left_to_the_upper_right_with_floors_and_line() {
        let lines = drawn((0..600).map(|i| (i, i * 60_000)), 71).unwrap();
        assert_eq!(lines.len(), ROWS + 1);
        assert!(lines.iter().all(|line| line.width() <= 71), "{lines:#?}");
        let place = |row: usize, c: char| lines[row].chars().position(|it| it == c);
        assert!(place(0, '━').unwrap() > 60 && place(7, 'o').unwrap() < 20, "{lines:#?}");
        let dots = |c: char| ('\u{2801}'..='\u{28ff}').contains(&c);
        assert!((0..ROWS).all(|row| lines[row].contains(dots)), "{lines:#?}");
        assert!(
            lines[0].starts_with(" 36.3 MiB  ") && lines[7].starts_with("      0 B  "),
            "{lines:#?}"
        );
        let below = &lines[ROWS];
        assert!(below.trim_start().starts_with("0 s ") && below.ends_with(" 9 m 59 s"), "{below}");
        assert!(below.contains("o floors  ━ fitted line"), "{below}");
    }

    #[test]
    fn a_gap_is_empty_and_a_step_is_one_line() {
        let gap = (0..300).chain(900..1200).map(|i| (i, 10 * MIB));
        let lines = drawn(gap, 71).unwrap();
        let plot = |line: &str| line.chars().skip(LABEL + SPACE).collect::<Vec<char>>();
        let row = lines[..ROWS]
            .iter()
            .map(|line| plot(line))
            .find(|row| !row.is_empty() && row[0] != ' ');
        let row = row.unwrap();
        // The line goes on through it.
        assert!(row[20..40].iter().all(|c| [' ', '━'].contains(c)), "{lines:#?}");
        assert!(row[50] != ' ', "{lines:#?}");
        let step = drawn((0..300).map(|i| (i, if i < 150 { MIB } else { 100 * MIB })), 71).unwrap();
        let rises =
            (0..ROWS).filter(|row| plot(&step[*row]).iter().skip(28).take(4).any(|c| *c != ' '));
        assert_eq!(rises.count(), ROWS, "{step:#?}");
    }

    #[test]
    fn it_is_as_wide_as_the_terminal_lets_it_and_not_there_if_that_is_too_narrow() {
        let leak = |columns| drawn((0..600).map(|i| (i, i * 60_000)), columns);
        assert_eq!(leak(30), None);
        for columns in [31, 50, 71, 200] {
            let widest = leak(columns).unwrap().iter().map(|line| line.width()).max().unwrap();
            assert_eq!(widest, columns.min(71), "{columns}");
        }
        assert_eq!(drawn([].into_iter(), 80), None);
    }
}

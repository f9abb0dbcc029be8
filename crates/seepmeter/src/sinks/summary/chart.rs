//! The chart above the lines of a summary.

use seepmeter_chart::{Chart, MarkLog};
use seepmeter_plugin::{Error, choices};
use seepmeter_verdict::Conclusion;

use super::super::output::Output;
use crate::terminal;

choices! {
    /// When there is a chart.
    pub enum ChartWhen {
        /// On a terminal, unless the run was very short.
        Auto = "auto",
        /// Whatever the output is.
        Always = "always",
        /// Not at all.
        Never = "never",
    }
}

/// A run of less than this, in ns and in samples, has no chart by itself: there is little to see.
const LEAST_CHART: (u64, u64) = (2_000_000_000, 10);

/// How wide a chart is where there is no terminal.
const USUAL_COLUMNS: usize = 80;

/// The chart of what was last concluded, if there is to be one.
pub(super) struct SummaryChart {
    when: ChartWhen,
    chart: Option<Chart>,
}

impl SummaryChart {
    pub(super) fn new(when: ChartWhen) -> Self {
        Self { when, chart: None }
    }

    /// For a terminal of so many columns, if it is one. Without a verdict there is no chart, and the lines say why.
    pub(super) fn draw(&mut self, conclusion: &Conclusion, columns: Option<usize>) {
        let is_shown = match self.when {
            ChartWhen::Auto => columns.is_some() && terminal::has_braille(),
            ChartWhen::Always => true,
            ChartWhen::Never => false,
        };
        let chart = || Chart::of(conclusion, None, &MarkLog::default()).ok();
        self.chart = is_shown.then(chart).flatten();
    }

    pub(super) fn print(&self, output: &mut Output) -> Result<(), Error> {
        let Some(chart) = &self.chart else { return Ok(()) };
        let span = chart.curve.end.saturating_sub(chart.curve.start);
        let is_short = span < LEAST_CHART.0 || chart.samples < LEAST_CHART.1;
        if self.when == ChartWhen::Auto && is_short {
            return Ok(());
        }
        let columns = output.columns().unwrap_or(USUAL_COLUMNS);
        match chart.text(columns) {
            Some(lines) => output.chart(&lines, chart.classification),
            None => Ok(()),
        }
    }
}

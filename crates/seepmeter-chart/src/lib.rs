//! From a verdict to a picture of why it was judged so.
//!
//! A [`Chart`] is what is to be seen, in the metric's units and in time: the curve, the judged span, warm-up,
//! the floors, the fitted line with its band, cycles, the limit, marks. It is made from a
//! [`Conclusion`](seepmeter_verdict::Conclusion) alone and from a [`MarkLog`] of the stream: the evidence of a
//! verdict has the series already, as at most 1,024 cells with the lowest and the highest value of each, whatever
//! the number of samples. So whoever draws keeps no samples.
//!
//! A [`Picture`] is a chart on a plane: shapes with coordinates, each of an [`Ink`] that is a colour on a light and
//! on a dark ground. [`Picture::svg`] writes it, and needs neither a browser nor a font; [`Picture::png`] paints it, with a font of its
//! own. [`Chart::text`] draws a chart in the characters of a terminal.
//! Nothing here prints, reads or writes a file.
//!
//! # Example
//!
//! ```
//! use seepmeter_analysis::Series;
//! use seepmeter_chart::{Chart, MarkLog, Picture, PictureSize};
//! use seepmeter_verdict::{Conclusion, MetricConclusion, MetricOutcome, RunSeries};
//!
//! // Ten minutes, a sample a second, 20 kB more in every sample.
//! let second = 1_000_000_000;
//! let leak = Series::from_pairs((0..600).map(|i| (i * second, 50_000_000 + 20_000 * i as i64)));
//! let verdict = RunSeries::of_resident("worker", leak).judge();
//! let outcome = MetricOutcome::Verdicts(vec![verdict]);
//! let metrics = vec![MetricConclusion::new("rss", outcome)];
//! let conclusion = Conclusion { metrics, gates: Vec::new(), strict: false };
//!
//! let chart = Chart::of(&conclusion, None, &MarkLog::default()).unwrap();
//! assert!(chart.fit.is_some() && !chart.floors.is_empty());
//! let svg = Picture::of(&chart, PictureSize::default()).svg();
//! assert!(svg.starts_with("<svg xmlns=") && svg.contains("growing"));
//! ```
#![doc(test(attr(deny(warnings))))]
#![forbid(unsafe_code)]

mod axis;
mod chart;
mod curve;
mod ink;
mod layout;
mod legend;
mod marks;
mod picture;
mod png;
mod svg;
mod text;

pub use axis::{Axis, Tick};
pub use chart::{Chart, ChartFloor, ChartLimit, NamedCurve, NoChart};
pub use curve::{Bin, Curve};
pub use ink::{Ink, Theme};
pub use marks::{ChartMark, MarkLog};
pub use picture::{Anchor, Picture, PictureSize, Shape, TextRun};
pub use png::PngError;
pub use text::{TextInk, TextSpan};

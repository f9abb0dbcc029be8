//! A report that people pass around: one HTML file that shows the verdict on a run, and why it was judged so.
//!
//! The file has the typed verdict with its evidence, its own script and style, and loads nothing. It is made in
//! three steps:
//!
//! - [`RunFacts`] keeps of a stream, in bounded memory, what a report has beside the verdict: the command, the
//!   machine, the samplers, marks, and what was dropped or not seen.
//! - [`ReportContent`] has these, a [`Conclusion`](seepmeter_verdict::Conclusion) and the series that it was made
//!   from. [`ReportContent::page`] is the file. Nothing here prints, reads or writes a file.
//! - [`Html`] is the sink, as a library that is loaded. What of a verdict crosses the plugin ABI is all of it, as
//!   JSON; the series of parts do not, so the sink has a [`Collector`](seepmeter_verdict::Collector) of its own.
//!
//! The template, the style and the scripts are files of their own in `page/`. What comes from the target is data
//! there: text of an element, or JSON that no script element runs, and the content security policy of the file
//! allows the scripts and the style of `page/` by their hashes and nothing else.

mod compared;
mod content;
mod escape;
mod flame;
mod growth;
mod measured;
mod page;
mod redact;
mod run_facts;
mod sink;

pub use compared::{ComparedRuns, OtherRun};
pub use content::ReportContent;
pub use page::page_without_chart;
pub use redact::Redactor;
pub use run_facts::RunFacts;
pub use sink::{Html, HtmlOptions, HtmlReport};

seepmeter_plugin::export_sink!(Html as html);

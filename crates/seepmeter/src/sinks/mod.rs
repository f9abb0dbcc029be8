//! The built-in sinks, one file each.

mod csv;
pub(crate) mod drawing;
mod exec;
mod html;
mod jsonl;
mod output;
mod output_sink;
mod png;
mod process_sum;
mod stacks;
mod summary;
mod svg;
mod text;
mod verdict;
mod words;

#[cfg(test)]
mod test_stream;

pub use csv::Csv;
pub use exec::Exec;
pub use html::HtmlSink;
pub use jsonl::Jsonl;
pub(crate) use output::{Destination, Output};
pub(crate) use output_sink::{OutputSink, factory};
pub use png::Png;
pub use stacks::Stacks;
pub use summary::Summary;
pub use svg::Svg;
pub use text::Text;
pub use verdict::VerdictSink;
